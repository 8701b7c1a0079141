//! A client's side: from a URL, or a stream, to a WebSocket.

use duologue_adapter::{ClientOptions, Error, OsKeys, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::websocket::WebSocket;

/// Connects to a `ws://` URL with the default options.
///
/// # Errors
///
/// As [`connect_with`].
pub async fn connect(url: &str) -> Result<WebSocket<TcpStream>, Error> {
    connect_with(&ClientOptions::new(url)?).await
}

/// Connects to the server of `options`, all within its opening timeout.
///
/// # Errors
///
/// [`Error::Io`] if there is no connection to be had; [`Error::Opening`] if the server does not
/// become a WebSocket, with its response; [`Error::OpeningTimeout`]; [`Error::InvalidRequest`];
/// [`Error::TlsUnavailable`] for `wss://`: make the TLS connection yourself and use [`client`].
pub async fn connect_with(options: &ClientOptions) -> Result<WebSocket<TcpStream>, Error> {
    let address = options.address();
    if address.secure {
        return Err(Error::TlsUnavailable);
    }
    let connect = async {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(options.tcp_nodelay())?;
        open(stream, options).await
    };
    timeout(options.config().opening_timeout, connect).await.unwrap_or(Err(Error::OpeningTimeout))
}

/// The opening handshake over a stream that is already connected, such as one with TLS, all within
/// the opening timeout.
///
/// # Errors
///
/// As [`connect_with`].
pub async fn client<S>(stream: S, options: &ClientOptions) -> Result<WebSocket<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let opening = open(stream, options);
    timeout(options.config().opening_timeout, opening).await.unwrap_or(Err(Error::OpeningTimeout))
}

async fn open<S>(mut stream: S, options: &ClientOptions) -> Result<WebSocket<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut opening = options.opening()?;
    stream.write_all(opening.request_bytes()).await?;
    stream.flush().await?;
    loop {
        if stream.read_buf(opening.read_room()).await? == 0 {
            return Err(ClientOptions::ended_early());
        }
        if let Some(opened) = opening.poll()? {
            return Ok(WebSocket::opened(
                stream,
                Role::Client(OsKeys),
                options.config(),
                opened.extensions,
                opened.leftover,
                opened.subprotocol,
            ));
        }
    }
}
