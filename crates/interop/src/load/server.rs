//! The server that is put under load: an echo, as an application would write it, in a process of
//! its own.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use duologue_tokio::{
    Accept, CloseCode, Config, Decision, Error, Event, Message, ProtocolError, Request,
    ServerOptions, WebSocket, accept_with,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::watched::{Blocked, Watched};
use crate::tokio_peer::block_on;

/// Where more than [`MOST_PINGS`] a second end a connection.
pub(super) const LIMITED: &str = "/limited";

/// What the application bears with on [`LIMITED`], in each second.
const MOST_PINGS: u32 = 100;

/// So many connections may wait to be accepted.
const QUEUE: u32 = 4096;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    addr: SocketAddr,
    /// How long the opening handshake may take.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 10_000)]
    opening_timeout: u64,
    /// How long a client may take nothing of what waits for it.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000)]
    write_stall_timeout: u64,
    /// Write each text message to this file, a line each, before it is echoed.
    #[arg(long)]
    journal: Option<PathBuf>,
}

/// What all connections share.
struct Server {
    config: Config,
    options: ServerOptions,
    /// Messages taken.
    accepted: AtomicU64,
    /// Clients whose opening handshake took too long.
    slow: Dropped,
    /// Clients that took nothing for too long.
    stalled: Dropped,
    /// Clients that sent too many pings.
    limited: Dropped,
    journal: Option<Mutex<File>>,
}

/// Serves until SIGTERM, then closes every connection with 1001. The first line printed tells the
/// address, the last one what [`LastWords`](super::process::LastWords) are read from.
pub(crate) fn serve(options: &Options) -> Result<(), Error> {
    let journal = options.journal.as_ref();
    let journal = journal.map(|path| OpenOptions::new().append(true).create(true).open(path));
    let config = Config {
        opening_timeout: Duration::from_millis(options.opening_timeout),
        write_stall_timeout: Duration::from_millis(options.write_stall_timeout),
        ..Config::DEFAULT
    };
    let server = Arc::new(Server {
        config,
        options: ServerOptions::new().with_config(config),
        accepted: AtomicU64::new(0),
        slow: Dropped::default(),
        stalled: Dropped::default(),
        limited: Dropped::default(),
        journal: journal.transpose()?.map(Mutex::new),
    });
    block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let listener = listen(options.addr)?;
        println!("listening on {}", listener.local_addr()?);
        let (stop, stopped) = watch::channel(false);
        // The receiver ends when the last connection has dropped its sender.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = terminate.recv() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Such as that no descriptor is free, which passes.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (server, stopped, alive) = (Arc::clone(&server), stopped.clone(), alive.clone());
            tokio::spawn(async move {
                server.run(stream, stopped).await;
                drop(alive);
            });
        }
        drop((listener, alive));
        let _ = stop.send(true);
        let grace = config.closing_timeout + Duration::from_secs(1);
        let _ = timeout(grace, all_gone.recv()).await;
        let accepted = server.accepted.load(Ordering::SeqCst);
        println!("{accepted} {} {} {}", server.slow, server.stalled, server.limited);
        Ok(())
    })
}

/// Thousands connect at the same moment; what does not fit into the kernel's queue is lost.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

impl Server {
    /// Serves one connection. How it ended is for the client to judge, but for one that is got rid
    /// of: from when on the deadline ran, and when its socket was closed, only the server knows.
    async fn run(&self, stream: TcpStream, stopped: watch::Receiver<bool>) {
        let begun = Instant::now();
        let blocked = Blocked::default();
        let ended = self.serve(Watched::new(stream, blocked.clone()), stopped).await;
        let Config { opening_timeout, closing_timeout, write_stall_timeout, .. } = self.config;
        match (ended, blocked.since()) {
            (Ok(Some(too_many)), _) => self.limited.note(too_many + closing_timeout),
            (Err(Error::Handshake(failure)), _) if failure.status() == 408 => {
                self.slow.note(begun + opening_timeout + closing_timeout);
            }
            (Err(Error::Protocol(ProtocolError::WriteStalled) | Error::Send(_)), Some(since)) => {
                self.stalled.note(since + write_stall_timeout);
            }
            (Err(error), _) => eprintln!("the server: a connection ended with: {error}"),
            (Ok(None), _) => {}
        }
    }

    /// Returns when it was closed for too many pings, if it was.
    async fn serve(
        &self,
        stream: Watched,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Option<Instant>, Error> {
        let mut limited = false;
        let decide = |request: &Request<'_>| -> Decision {
            limited = request.path() == LIMITED;
            Accept::new().into()
        };
        let mut websocket = tokio::select! {
            accepted = accept_with(stream, &self.options, decide) => accepted?,
            () = until(&mut stopped) => return Ok(None),
        };
        let mut pings = Pings::default();
        let mut stopping = false;
        loop {
            let event = tokio::select! {
                event = websocket.next_event() => event,
                () = until(&mut stopped), if !stopping => {
                    // What was taken is echoed; what comes from now on is not taken.
                    websocket.start_close(CloseCode::GOING_AWAY, "the server stops")?;
                    stopping = true;
                    continue;
                }
            };
            match event.transpose()? {
                None => return Ok(None),
                Some(Event::Message(message)) if !stopping => {
                    self.echo(&mut websocket, message).await?;
                }
                Some(Event::Ping(_)) if limited && pings.are_too_many() => {
                    let too_many = Instant::now();
                    // Whether it answers or not, it goes.
                    let _ = websocket.close(CloseCode::POLICY_VIOLATION, "too many pings").await;
                    return Ok(Some(too_many));
                }
                Some(_) => {}
            }
        }
    }

    /// Takes a message: it is written down, and then its echo tells that it was.
    async fn echo(
        &self,
        websocket: &mut WebSocket<Watched>,
        message: Message,
    ) -> Result<(), Error> {
        if let (Some(journal), Some(text)) = (&self.journal, message.as_text()) {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            // One call of the system: a process that is killed leaves whole lines.
            journal.write_all(format!("{text}\n").as_bytes())?;
        }
        websocket.feed(message).await?;
        self.accepted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Clients that were got rid of for one reason.
#[derive(Debug, Default)]
struct Dropped {
    count: AtomicU64,
    /// By how many milliseconds the last one was dropped too late.
    late: AtomicU64,
}

impl Dropped {
    fn note(&self, deadline: Instant) {
        let late = Instant::now().saturating_duration_since(deadline).as_millis();
        self.late.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [count, late] = [&self.count, &self.late].map(|number| number.load(Ordering::SeqCst));
        write!(f, "{count} {late}")
    }
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same to a connection.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The pings of one connection in the second that is running.
#[derive(Default)]
struct Pings {
    since: Option<Instant>,
    count: u32,
}

impl Pings {
    /// Counts one more.
    fn are_too_many(&mut self) -> bool {
        let now = Instant::now();
        if self.since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count += 1;
        self.count > MOST_PINGS
    }
}
