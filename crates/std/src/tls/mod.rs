//! TLS for `wss://`, by `rustls`.
//!
//! A client gets it with a `wss://` URL;
//! [`ClientOptions::with_tls`](crate::ClientOptions::with_tls) says whom it trusts. A server does
//! the TLS handshake by [`accept`] before the opening handshake:
//!
//! ```
//! use duologue_std::tls::{self, ServerTls};
//! use duologue_std::{Accept, Error, ServerOptions, accept_with};
//!
//! fn serve(stream: std::net::TcpStream, identity: &ServerTls) -> Result<(), Error> {
//!     let options = ServerOptions::new();
//!     let stream = tls::accept(stream, identity, &options)?;
//!     let mut websocket = accept_with(stream, &options, |_| Accept::new().into())?;
//!     while let Some(message) = websocket.read()? {
//!         websocket.feed(message)?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! A connection over TLS can be [split](crate::WebSocket::split) as one over TCP can.

mod stream;

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

pub use duologue_adapter::tls::{ClientTls, ClientTlsBuilder, ServerTls, rustls};
use duologue_adapter::{ClientOptions, Clock, Error, ServerOptions, Timestamp, TlsError};
use rustls::{ClientConnection, Connection, ServerConnection};

use crate::stream::{Stream, stream};
use crate::transport::Transport;
pub(crate) use stream::TlsStream;

/// The most bytes that are read and thrown away after a TLS handshake that failed.
const MOST_DRAINED: usize = 64 * 1024;

stream! {
    /// What a server's connection from [`accept`] runs over. One without TLS is made
    /// of a TCP stream by `from`, for a server that has both.
    ServerStream
}

impl From<TcpStream> for ServerStream {
    fn from(stream: TcpStream) -> Self {
        Self { inner: Stream::Tcp(stream) }
    }
}

/// Does a server's TLS handshake over a blocking stream, within the opening timeout of `options`;
/// `TCP_NODELAY` is set as they say. What it returns goes into
/// [`accept_with`](crate::accept_with) or its like, whose timeout begins then.
///
/// # Errors
///
/// [`Error::Tls`], which the client has had the time to learn; [`Error::OpeningTimeout`];
/// [`Error::Io`].
pub fn accept(
    stream: TcpStream,
    tls: &ServerTls,
    options: &ServerOptions,
) -> Result<ServerStream, Error> {
    // That it cannot be set is no reason to refuse a client.
    let _ = stream.set_nodelay(options.tcp_nodelay());
    let clock = Clock::new();
    let deadline = clock.now() + options.config().opening_timeout;
    let session =
        ServerConnection::new(Arc::clone(tls.config())).map_err(|error| failed(&error))?;
    let mut stream = TlsStream::new(stream, Connection::Server(session));
    match shake_hands(&mut stream, clock, deadline) {
        Ok(()) => Ok(ServerStream { inner: Stream::Tls(Box::new(stream)) }),
        Err(error) => {
            if matches!(error, Error::Tls(_)) {
                linger(stream.tcp(), clock, clock.now() + options.config().closing_timeout);
            }
            Err(error)
        }
    }
}

/// A client's TLS handshake.
pub(crate) fn connect(
    stream: TcpStream,
    options: &ClientOptions,
    clock: Clock,
    deadline: Timestamp,
) -> Result<Stream, Error> {
    let name = ClientTls::server_name(&options.address().host)?;
    let config = Arc::clone(options.tls()?.config());
    let session = ClientConnection::new(config, name).map_err(|error| failed(&error))?;
    let mut stream = TlsStream::new(stream, Connection::Client(session));
    shake_hands(&mut stream, clock, deadline)?;
    Ok(Stream::Tls(Box::new(stream)))
}

fn failed(error: &rustls::Error) -> Error {
    Error::from(duologue_adapter::tls::into_tls_error(error))
}

/// Carries out the TLS handshake. The socket's timeouts are left as they come to be; whoever reads
/// or writes next sets them.
fn shake_hands(stream: &mut TlsStream, clock: Clock, deadline: Timestamp) -> Result<(), Error> {
    loop {
        let left = deadline.saturating_since(clock.now());
        if left.is_zero() {
            return Err(Error::OpeningTimeout);
        }
        let left = left.max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        stream.set_write_timeout(Some(left))?;
        match stream.shake_hands() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The time is up, which is seen above; a wait may end a little early. A non-blocking
            // stream is not for this, and must not make it spin.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if clock.now() < deadline && is_non_blocking(left, clock, deadline) {
                    return Err(Error::Io(error));
                }
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(TlsError::Ended.into());
            }
            Err(error) => return Err(Error::from(error)),
        }
    }
}

/// Whether a wait of `patience` that has just ended was none.
fn is_non_blocking(patience: Duration, clock: Clock, deadline: Timestamp) -> bool {
    deadline.saturating_since(clock.now()) > patience / 2
}

/// Ends the sending direction, and reads on without looking until the client has ended its own:
/// closing at once could reset the connection before it has read the alert that says why.
fn linger(mut tcp: &TcpStream, clock: Clock, deadline: Timestamp) {
    if tcp.shutdown(std::net::Shutdown::Write).is_err() {
        return;
    }
    let mut sink = [0; 2048];
    let mut drained = 0_usize;
    while drained < MOST_DRAINED {
        let left = deadline.saturating_since(clock.now());
        if left.is_zero() || tcp.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match tcp.read(&mut sink) {
            Ok(0) => return,
            Ok(count) => drained = drained.saturating_add(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
