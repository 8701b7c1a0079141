//! The servers that are measured: one thread on one core, sockets with `TCP_NODELAY`, and a loop as
//! the documentation of each has it.

mod broadcast;
mod duologue_std;
mod duologue_tokio;
mod fastwebsockets;
mod in_batches;
mod node;
mod raw;
mod sockudo_ws;
mod soketto;
mod tokio_tungstenite;
mod tokio_websockets;
mod wtx;
mod yawc;

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use duologue_core::handshake::{Acceptance, HeadLimits, NegotiatedExtensions, ServerHandshake};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One server.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// How it is used, and what it does not check.
    pub(crate) note: &'static str,
    /// It knows nothing of WebSocket: what is sent to it comes back as it was.
    pub(crate) raw: bool,
    /// It does not fail unmasked frames (RFC 6455 section 5.1), or RSV1 (section 5.2).
    pub(crate) lenient: bool,
    serve: fn() -> io::Result<()>,
    serve_broadcast: Option<fn() -> io::Result<()>>,
}

impl Contender {
    const fn new(name: &'static str, serve: fn() -> io::Result<()>, note: &'static str) -> Self {
        Self { name, note, raw: false, lenient: false, serve, serve_broadcast: None }
    }

    const fn with_broadcast(self, serve: fn() -> io::Result<()>) -> Self {
        Self { serve_broadcast: Some(serve), ..self }
    }

    const fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Whether it can send one message to all its connections.
    pub(crate) fn broadcasts(&self) -> bool {
        self.serve_broadcast.is_some()
    }

    /// Serves until the end of the input, having printed the port.
    pub(crate) fn serve(&self, broadcast: bool) -> io::Result<()> {
        match (broadcast, self.serve_broadcast) {
            (false, _) => (self.serve)(),
            (true, Some(serve)) => serve(),
            (true, None) => Err(io::Error::other("it does not broadcast")),
        }
    }
}

/// Ours.
pub(crate) const OURS: &str = "duologue-tokio";

/// The floor: an echo without WebSocket.
pub(crate) const FLOOR: &str = "raw TCP on tokio";

/// All of them.
pub(crate) const CONTENDERS: &[Contender] = &[
    Contender::new(OURS, duologue_tokio::serve, "`next`, `feed`")
        .with_broadcast(broadcast::duologue),
    Contender::new("duologue-std", duologue_std::serve, "`read`, `feed`; a thread a connection"),
    Contender {
        raw: true,
        ..Contender::new(FLOOR, raw::serve, "`poll_read`, `poll_write`; one buffer of 32 KiB")
    },
    Contender::new(
        "tokio-tungstenite",
        tokio_tungstenite::serve,
        "`next`, `send`; defaults, so a read buffer of 128 KiB a connection; accepts \
         non-minimal lengths",
    )
    .with_broadcast(broadcast::tokio_tungstenite),
    Contender::new(
        "tokio-tungstenite batched",
        tokio_tungstenite::serve_batched,
        "`feed` while there are messages at hand, then `flush`",
    ),
    Contender::new(
        "fastwebsockets",
        fastwebsockets::serve,
        "`FragmentCollector` over a bare stream, unconstrained as in its example; it flushes each \
         frame; accepts unmasked frames and non-minimal lengths",
    )
    .lenient(),
    Contender::new(
        "tokio-websockets",
        tokio_websockets::serve,
        "`next`, `send`; unconstrained as in its example",
    )
    .with_broadcast(broadcast::tokio_websockets),
    Contender::new(
        "tokio-websockets batched",
        tokio_websockets::serve_batched,
        "`feed` and `flush`, though its `next` flushes anyway; flush threshold 64 KiB",
    ),
    Contender::new(
        "soketto",
        soketto::serve,
        "`receive_data`, `send_binary_mut`, `flush`, buffered as in its example; accepts unmasked \
         frames and non-minimal lengths",
    )
    .lenient(),
    Contender::new(
        "yawc",
        yawc::serve,
        "`next`, `send`; UTF-8 validation on; accepts non-minimal lengths",
    )
    .with_broadcast(broadcast::yawc),
    Contender::new(
        "yawc batched",
        yawc::serve_batched,
        "`feed` of up to 32 ready messages, then `flush`, with a read buffer of 128 KiB and 64 KiB \
         of backpressure, as in its own benchmark",
    ),
    Contender::new("sockudo-ws", sockudo_ws::serve, "`next`, `send`")
        .with_broadcast(broadcast::sockudo_ws),
    Contender::new(
        "sockudo-ws batched",
        sockudo_ws::serve_batched,
        "`next`, `feed`: it flushes before it waits",
    ),
    Contender::new(
        "wtx",
        wtx::serve,
        "`read_frame` (adaptive), `write_frame`; accepts RSV1 and non-minimal lengths",
    )
    .lenient(),
    Contender::new(
        node::NAME,
        node::serve,
        "its process's own threads on the same core; accepts non-minimal lengths",
    ),
];

/// The contender of this name.
pub(crate) fn find(name: &str) -> Option<&'static Contender> {
    CONTENDERS.iter().find(|contender| contender.name == name)
}

/// A failure of one connection. Nobody is told: the generator sees that the connection ends.
type Failure = Box<dyn Error + Send + Sync>;

/// Tells the port, and ends the process with its input.
fn announce(address: SocketAddr) -> io::Result<()> {
    println!("{}", address.port());
    io::stdout().flush()?;
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Ok(())
}

/// Runs `handle` for each connection, each in a task of its own, all on one thread.
fn serve_on_tokio<F>(handle: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(handle(stream));
        }
    })
}

/// The opening handshake for those whose own needs an HTTP server around it.
async fn shake_hands(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut handshake = ServerHandshake::new(HeadLimits::DEFAULT);
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("the client ended in the opening handshake".into());
        }
        if let Some(request) = handshake.receive(&head)? {
            let mut answer = [0; 512];
            let length = ServerHandshake::accept(
                &request,
                &Acceptance::default(),
                NegotiatedExtensions::default(),
                &mut answer,
            )?;
            stream.write_all(&answer[..length]).await?;
            return Ok(());
        }
    }
}
