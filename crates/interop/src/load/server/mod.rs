//! The server that is put under load: an echo, as an application would write it, in a process of
//! its own.

mod on_std;
mod on_tokio;
mod watched;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use duologue_tokio::{
    Accept, Config, Decision, Error, Message, ProtocolError, Request, ServerOptions,
};
use tokio::net::{TcpListener, TcpSocket};

pub(super) use self::on_std::STACK;
use self::watched::Blocked;
use crate::Adapter;

/// Where more than [`MOST_PINGS`] a second end a connection.
pub(super) const LIMITED: &str = "/limited";

/// What the application bears with on [`LIMITED`], in each second.
const MOST_PINGS: u32 = 100;

/// So many connections may wait to be accepted.
const QUEUE: u32 = 4096;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Which adapter serves.
    #[arg(long)]
    adapter: Adapter,
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

/// Serves until SIGTERM, then closes every connection with 1001. The first line printed tells the
/// address, the last one what [`LastWords`](super::process::LastWords) are read from.
pub(crate) fn serve(options: &Options) -> Result<(), Error> {
    let server = Arc::new(Server::new(options)?);
    match options.adapter {
        Adapter::Tokio => on_tokio::serve(&server, options.addr)?,
        Adapter::Std => on_std::serve(&server, options.addr)?,
    }
    println!("{server}");
    Ok(())
}

/// Thousands connect at the same moment; what does not fit into the kernel's queue is lost.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
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

impl Server {
    fn new(options: &Options) -> io::Result<Self> {
        let journal = options.journal.as_ref();
        let journal = journal.map(|path| OpenOptions::new().append(true).create(true).open(path));
        let config = Config {
            opening_timeout: Duration::from_millis(options.opening_timeout),
            write_stall_timeout: Duration::from_millis(options.write_stall_timeout),
            ..Config::DEFAULT
        };
        Ok(Self {
            config,
            options: ServerOptions::new().with_config(config),
            accepted: AtomicU64::new(0),
            slow: Dropped::default(),
            stalled: Dropped::default(),
            limited: Dropped::default(),
            journal: journal.transpose()?.map(Mutex::new),
        })
    }

    /// A message is taken when it has been written down; then its echo tells that it was.
    fn write_down(&self, message: &Message) -> io::Result<()> {
        if let (Some(journal), Some(text)) = (&self.journal, message.as_text()) {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            // One call of the system: a process that is killed leaves whole lines.
            journal.write_all(format!("{text}\n").as_bytes())?;
        }
        Ok(())
    }

    /// The echo is queued.
    fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    /// A connection that was accepted at `begun` has ended; `Ok` says when it was closed for too
    /// many pings, if it was. How it ended is for the client to judge, but for one that is got rid
    /// of: from when on the deadline ran, and when its socket was closed, only the server knows.
    fn ended(&self, begun: Instant, blocked: &Blocked, ended: Result<Option<Instant>, Error>) {
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
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = self.accepted.load(Ordering::SeqCst);
        write!(f, "{accepted} {} {} {}", self.slow, self.stalled, self.limited)
    }
}

/// Accepts every request, and notes whether pings are counted.
fn decide(limited: &mut bool) -> impl FnOnce(&Request<'_>) -> Decision {
    |request| {
        *limited = request.path() == LIMITED;
        Accept::new().into()
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
