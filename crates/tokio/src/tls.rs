//! TLS for `wss://`, by `rustls`.
//!
//! A client gets it with a `wss://` URL;
//! [`ClientOptions::with_tls`](crate::ClientOptions::with_tls) says whom it trusts. A server does
//! the TLS handshake by [`accept`] before the opening handshake:
//!
//! ```
//! use duologue_tokio::tls::{self, ServerTls};
//! use duologue_tokio::{Accept, Error, ServerOptions, accept_with};
//!
//! async fn serve(stream: tokio::net::TcpStream, identity: &ServerTls) -> Result<(), Error> {
//!     let options = ServerOptions::new();
//!     let stream = tls::accept(stream, identity, &options).await?;
//!     let mut websocket = accept_with(stream, &options, |_| Accept::new().into()).await?;
//!     while let Some(message) = websocket.next().await {
//!         websocket.feed(message?).await?;
//!     }
//!     Ok(())
//! }
//! ```

use std::boxed::Box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use duologue_adapter::tls::into_tls_io_error;
pub use duologue_adapter::tls::{ClientTls, ClientTlsBuilder, ServerTls, rustls};
use duologue_adapter::{ClientOptions, Error, ServerOptions, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::nodelay::set_nodelay;
use crate::stream::{Stream, stream};
use crate::timer;

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

/// Does a server's TLS handshake, within the opening timeout of `options`; `TCP_NODELAY` is set as
/// they say. What it returns goes into [`accept_with`](crate::accept_with) or its like, whose
/// timeout begins then. Dropped before its end, it takes the stream with it.
///
/// # Errors
///
/// [`Error::Tls`], which the client has had the time to learn; [`Error::OpeningTimeout`];
/// [`Error::Io`].
pub async fn accept(
    stream: TcpStream,
    tls: &ServerTls,
    options: &ServerOptions,
) -> Result<ServerStream, Error> {
    set_nodelay(&stream, options.tcp_nodelay());
    let deadline = timer::instant(timer::now() + options.config().opening_timeout);
    let acceptor = TlsAcceptor::from(Arc::clone(tls.config()));
    let handshake = Box::pin(acceptor.accept(stream).into_fallible());
    match timeout_at(deadline, handshake).await {
        Ok(Ok(stream)) => Ok(ServerStream { inner: Stream::Tls(Box::new(stream.into())) }),
        Ok(Err((error, stream))) => {
            linger(stream, options.config().closing_timeout).await;
            Err(failure(error))
        }
        Err(_) => Err(Error::OpeningTimeout),
    }
}

/// A client's TLS handshake. The caller has a deadline.
pub(crate) async fn connect(stream: TcpStream, options: &ClientOptions) -> Result<Stream, Error> {
    let name = ClientTls::server_name(&options.address().host)?;
    let connector = TlsConnector::from(Arc::clone(options.tls()?.config()));
    let stream = connector.connect(name, stream).await.map_err(failure)?;
    Ok(Stream::Tls(Box::new(TlsStream::from(stream))))
}

/// Why a TLS handshake failed.
fn failure(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => TlsError::Ended.into(),
        _ => into_tls_io_error(error).into(),
    }
}

/// Ends the sending direction, and reads on without looking until the client has ended its own:
/// closing at once could reset the connection before it has read the alert that says why.
async fn linger(mut stream: TcpStream, patience: Duration) {
    let drain = async {
        stream.shutdown().await?;
        let mut sink = [0; 2048];
        let mut drained = 0_usize;
        while drained < MOST_DRAINED {
            match stream.read(&mut sink).await? {
                0 => break,
                count => drained = drained.saturating_add(count),
            }
        }
        io::Result::Ok(())
    };
    // However it ends, what failed is told.
    let _ = timeout(patience, drain).await;
}
