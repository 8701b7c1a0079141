//! `duologue serve`: an echo server, and a page to try it with.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use duologue_tokio::{
    Accept, CloseCode, Config, Decision, Error, HttpResponse, Request, ServerOptions, WebSocket,
    accept_with,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

use crate::NOT_CONNECTED;

/// The tester page; it needs nothing from anywhere else.
const PAGE: &str = include_str!("../assets/index.html");

/// How long the connections have to close when the server stops.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Args, Clone, Debug)]
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
    tracing_subscriber::fmt().with_max_level(level).with_target(false).with_writer(io::stderr).init();
    let listener = match TcpListener::bind(&options.addr).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("duologue: {}", why_not_listening(&options.addr, &error));
            return ExitCode::from(NOT_CONNECTED);
        }
    };
    match listener.local_addr() {
        Ok(address) => announce(address, &options.path),
        Err(error) => warn!("the address is not known: {error}"),
    }
    serve(listener, Arc::new(options), stop_signal()).await;
    ExitCode::SUCCESS
}

fn announce(address: SocketAddr, path: &str) {
    println!("listening on {address}");
    info!("echo on ws://{address}{path}");
    info!("open http://{address}{path} in a browser to try it; Ctrl-C stops");
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

/// Completes when the process is asked to stop: Ctrl-C, or SIGTERM.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Accepts connections until `stop`, then closes all with 1001 and waits for them, within a bound.
async fn serve(listener: TcpListener, options: Arc<Options>, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    // The receiver ends when the last connection has dropped its sender.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection =
                    Connection { peer, options: Arc::clone(&options), stopped: stopped.clone() };
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
    info!("stopping: telling every connection (1001)");
    let _ = stopping.send(true);
    if tokio::time::timeout(GRACE, all_gone.recv()).await.is_err() {
        warn!("some connections did not close in time");
    }
    info!("stopped");
}

struct Connection {
    peer: SocketAddr,
    options: Arc<Options>,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        let peer = self.peer;
        let _ = stream.set_nodelay(true);
        let config = Config {
            max_message_length: self.options.max_message,
            max_frame_length: self.options.max_message,
            ..Config::DEFAULT
        };
        let server = ServerOptions::new().with_config(config);
        let decide = |request: &Request<'_>| {
            debug!("{peer} {} {}", request.method(), request.target());
            self.options.decide(request)
        };
        let websocket = match accept_with(stream, &server, decide).await {
            Ok(websocket) => websocket,
            Err(Error::Handshake(answer)) => {
                debug!("{peer} answered with {}", answer.status());
                return;
            }
            Err(error) => {
                debug!("{peer} no connection: {error}");
                return;
            }
        };
        info!("{peer} connected");
        match self.echo(websocket).await {
            Ok(end) => info!("{peer} {end}"),
            Err(error) => warn!("{peer} {error}"),
        }
    }

    /// Echoes until the end; returns how it ended.
    async fn echo(&mut self, mut websocket: WebSocket<TcpStream>) -> Result<String, Error> {
        loop {
            let message = tokio::select! {
                message = websocket.next() => message,
                () = until_stopped(&mut self.stopped) => {
                    websocket.close(CloseCode::GOING_AWAY, "the server stops").await?;
                    break;
                }
            };
            let Some(message) = message else { break };
            let message = message?;
            tracing::trace!("{} {:?} of {} bytes", self.peer, message.message_type(), message.len());
            websocket.feed(message).await?;
        }
        Ok(match websocket.close_outcome() {
            Some(outcome) if outcome.reason.is_empty() => format!("closed: {}", outcome.status),
            Some(outcome) => format!("closed: {} {:?}", outcome.status, outcome.reason),
            None => "ended".into(),
        })
    }
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same to a connection.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

impl Options {
    fn decide(&self, request: &Request<'_>) -> Decision {
        if request.path() != self.path {
            return HttpResponse::text(404, "There is nothing here.\n").into();
        }
        if request.wants_upgrade() {
            let supported: Vec<&str> = self.subprotocol.iter().map(String::as_str).collect();
            return Accept::new().subprotocol(request.choose_subprotocol(&supported)).into();
        }
        match request.method() {
            "GET" | "HEAD" => HttpResponse::html(200, PAGE)
                .field("Cache-Control", "no-cache")
                .field("Content-Security-Policy", POLICY)
                .field("X-Content-Type-Options", "nosniff")
                .into(),
            _ => HttpResponse::text(405, "Only GET and HEAD.\n").field("Allow", "GET, HEAD").into(),
        }
    }
}

/// The page runs its own script and style and connects to wherever its user says.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src data:; connect-src ws: wss:; form-action 'none'; base-uri 'none'";
