//! `duologue serve`: an echo server, and a page to try it with.

mod page;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use duologue_tokio::tls::{self, ServerStream, ServerTls};
use duologue_tokio::{
    Accept, CloseCode, Config, Decision, Error, HttpResponse, Request, ServerOptions, WebSocket,
    accept_with,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, trace, warn};

use crate::compression::Compression;
use crate::signals::Signals;
use crate::tls::ServerFiles;
use crate::{EXIT_STATUS, NOT_CLEAN, NOT_CONNECTED, WRONG_USE, tell_failure};

/// How long the connections have to close when the server stops: the closing timeout, and a moment
/// to come to its end.
const GRACE: Duration = Config::DEFAULT.closing_timeout.saturating_add(Duration::from_secs(1));

#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Options {
    /// The address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    addr: String,
    /// The path of the WebSocket and of the page.
    #[arg(long, default_value = "/", value_parser = parse_path)]
    path: String,
    /// A subprotocol to agree to, if the client offers it; may be given several times.
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// The largest message accepted, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT.max_message_length)]
    max_message: u64,
    #[command(flatten)]
    compression: Compression,
    #[command(flatten)]
    tls: ServerFiles,
    /// Log each connection and request (-v), or messages too (-vv).
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

fn parse_path(path: &str) -> Result<String, String> {
    if path.starts_with('/') { Ok(path.into()) } else { Err("a path begins with /".into()) }
}

/// Runs the server until it is told to stop.
pub(crate) async fn run(options: Options) -> ExitCode {
    let level = match options.verbose {
        0 => tracing::Level::INFO,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .init();
    let tls = match options.tls.load() {
        Ok(tls) => tls,
        Err(why) => {
            tell_failure(&why);
            return ExitCode::from(WRONG_USE);
        }
    };
    let (listener, address, signals) = match listen(&options.addr).await {
        Ok(listening) => listening,
        Err(error) => {
            tell_failure(&why_not_listening(&options.addr, &error));
            return ExitCode::from(NOT_CONNECTED);
        }
    };
    announce(address, &options.path, tls.is_some());
    if serve(listener, Arc::new(options), tls, signals).await {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_CLEAN)
    }
}

/// Whoever reads the address may stop the server, so the signals are caught from before that.
async fn listen(address: &str) -> io::Result<(TcpListener, SocketAddr, Signals)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address, Signals::new()?))
}

fn announce(address: SocketAddr, path: &str, secure: bool) {
    let (ws, http) = if secure { ("wss", "https") } else { ("ws", "http") };
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
    info!("echo on {ws}://{address}{path}");
    info!("open {http}://{address}{path} in a browser to try it; Ctrl-C stops");
}

fn why_not_listening(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: the port is taken; stop what uses it, or choose another \
             with --addr"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("cannot listen on {address}: not permitted; choose a port of 1024 or above")
        }
        io::ErrorKind::InvalidInput => {
            format!("cannot listen on {address}: give an address and a port, as 127.0.0.1:9001")
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// Accepts connections until a signal, then closes all with 1001 and waits for them, within a bound
/// and until another signal. Whether all have closed.
async fn serve(
    listener: TcpListener,
    options: Arc<Options>,
    tls: Option<ServerTls>,
    mut signals: Signals,
) -> bool {
    let (stopping, stopped) = watch::channel(false);
    // The receiver ends when the last connection has dropped its sender.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = signals.next() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection {
                    peer,
                    options: Arc::clone(&options),
                    tls: tls.clone(),
                    stopped: stopped.clone(),
                };
                let alive = alive.clone();
                tokio::spawn(async move {
                    connection.run(stream).await;
                    drop(alive);
                });
            }
            Err(error) => {
                // Such as when no descriptor is free: that passes when connections end.
                error!("cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    drop(alive);
    info!("stopping: telling every connection (1001); Ctrl-C ends at once");
    let _ = stopping.send(true);
    let all_closed = tokio::select! {
        ended = tokio::time::timeout(GRACE, all_gone.recv()) => ended.is_ok(),
        () = signals.next() => false,
    };
    if all_closed {
        info!("stopped");
    } else {
        warn!("stopped; some connections have not closed");
    }
    all_closed
}

struct Connection {
    peer: SocketAddr,
    options: Arc<Options>,
    tls: Option<ServerTls>,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        let peer = self.peer;
        let _ = stream.set_nodelay(true);
        let config = Config { max_message_length: self.options.max_message, ..Config::DEFAULT };
        let config = self.options.compression.apply(config);
        let server = ServerOptions::new().with_config(config);
        let decide = |request: &Request<'_>| {
            debug!("{peer} {} {}", request.method(), request.target());
            self.options.decide(request)
        };
        let tls = self.tls.clone();
        let accept = async {
            let stream = match &tls {
                None => ServerStream::from(stream),
                Some(tls) => tls::accept(stream, tls, &server).await?,
            };
            accept_with(stream, &server, decide).await
        };
        let accepted = tokio::select! {
            accepted = accept => accepted,
            // A request that is not there yet keeps nobody waiting.
            () = until_stopped(&mut self.stopped) => return,
        };
        let websocket = match accepted {
            Ok(websocket) => websocket,
            Err(Error::Handshake(answer)) => {
                debug!("{peer} answered with {}", answer.status());
                return;
            }
            Err(error @ Error::Tls(_)) => {
                warn!("{peer} no connection: {error}");
                return;
            }
            Err(error) => {
                debug!("{peer} no connection: {error}");
                return;
            }
        };
        match websocket.extensions().deflate {
            None => info!("{peer} connected"),
            Some(deflate) => info!("{peer} connected, with {deflate}"),
        }
        match self.echo(websocket).await {
            Ok(end) => info!("{peer} {end}"),
            Err(error) => warn!("{peer} {error}"),
        }
    }

    /// Echoes until the end; returns how it ended.
    async fn echo(&mut self, mut websocket: WebSocket<ServerStream>) -> Result<String, Error> {
        tokio::select! {
            echoed = echo_all(self.peer, &mut websocket) => echoed?,
            () = until_stopped(&mut self.stopped) => {
                websocket.close(CloseCode::GOING_AWAY, "the server stops").await?;
            }
        }
        Ok(match websocket.close_outcome() {
            Some(outcome) if outcome.reason.is_empty() => format!("closed: {}", outcome.status),
            Some(outcome) => format!("closed: {} {:?}", outcome.status, outcome.reason),
            None => "ended".into(),
        })
    }
}

async fn echo_all(peer: SocketAddr, websocket: &mut WebSocket<ServerStream>) -> Result<(), Error> {
    while let Some(message) = websocket.next().await {
        let message = message?;
        trace!("{peer} {:?} of {} bytes", message.message_type(), message.len());
        websocket.feed(message).await?;
    }
    Ok(())
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same to a connection.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Options {
    fn decide(&self, request: &Request<'_>) -> Decision {
        if request.wants_upgrade() && request.path() == self.path {
            let supported: Vec<&str> = self.subprotocol.iter().map(String::as_str).collect();
            return Accept::new().subprotocol(request.choose_subprotocol(&supported)).into();
        }
        let file = page::find(&self.path, request.path()).filter(|_| !request.wants_upgrade());
        let Some(file) = file else {
            let text = format!("There is nothing here; the WebSocket is at {}\n", self.path);
            return HttpResponse::text(404, text).into();
        };
        match request.method() {
            "GET" | "HEAD" => file.response().into(),
            _ => HttpResponse::text(405, "Only GET and HEAD.\n").field("Allow", "GET, HEAD").into(),
        }
    }
}
