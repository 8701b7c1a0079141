//! A client's side: from a URL, or a stream, to a WebSocket.

use std::boxed::Box;
use std::io;
use std::net::SocketAddr;

use duologue_adapter::{ClientOptions, Error, OsKeys, RefusalBody, Role};
use duologue_core::opening::{ClientOpening, Opened};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::nodelay::set_nodelay;
use crate::stream::{ClientStream, Stream};
use crate::timer;
use crate::websocket::WebSocket;

/// Connects to a `ws://` or `wss://` URL with the default options.
///
/// # Errors
///
/// As [`connect_with`].
pub fn connect(url: &str) -> impl Future<Output = Result<WebSocket<ClientStream>, Error>> {
    Box::pin(async { connect_with(&ClientOptions::new(url)?).await })
}

/// Connects to the server of `options`, with TLS if its URL is a `wss://` one, all within its
/// opening timeout. Of several addresses of the server, each gets its share of what is left of that
/// time.
///
/// Dropped before its end, it connects to nothing.
///
/// # Errors
///
/// [`Error::Io`] if there is no connection to be had; [`Error::Opening`] if the server does not
/// become a WebSocket, with its response and up to 4 KiB of the body as far as they come in time;
/// [`Error::OpeningTimeout`]; [`Error::InvalidRequest`]; [`Error::Tls`]; [`Error::TlsUnavailable`]
/// for `wss://` without the feature `rustls`: make the TLS connection yourself and use [`client`].
pub fn connect_with(
    options: &ClientOptions,
) -> impl Future<Output = Result<WebSocket<ClientStream>, Error>> {
    // What this needs is given back before the connection begins, and so takes up no room in the
    // task that goes on with it; nor does an `async fn` around it.
    Box::pin(async {
        let opening = options.opening()?;
        let deadline = deadline(options);
        let stream = connect_stream_until(options, deadline).await?;
        open(stream, options, opening, deadline).await
    })
}

/// A stream to the server of `options`, within its opening timeout.
pub(crate) async fn connect_stream(options: &ClientOptions) -> Result<ClientStream, Error> {
    connect_stream_until(options, deadline(options)).await
}

async fn connect_stream_until(
    options: &ClientOptions,
    deadline: Instant,
) -> Result<ClientStream, Error> {
    let address = options.address();
    if address.secure && !cfg!(feature = "rustls") {
        return Err(Error::TlsUnavailable);
    }
    let connect = async {
        let addresses = lookup_host((address.host.as_str(), address.port)).await?;
        let stream = connect_tcp(&addresses.collect::<Vec<_>>(), deadline).await?;
        set_nodelay(&stream, options.tcp_nodelay());
        #[cfg(feature = "rustls")]
        if address.secure {
            return crate::tls::connect(stream, options).await;
        }
        Ok(Stream::Tcp(stream))
    };
    let inner = timeout_at(deadline, connect).await.unwrap_or(Err(Error::OpeningTimeout))?;
    Ok(ClientStream { inner })
}

/// The opening handshake over a stream that is already connected, such as one with TLS, all within
/// the opening timeout. Dropped before its end, it takes the stream with it.
///
/// If the stream is a [`TcpStream`], `TCP_NODELAY` is set as the options say; on what lies under
/// another stream, such as TLS, set it yourself.
///
/// # Errors
///
/// As [`connect_with`].
pub fn client<S>(
    stream: S,
    options: &ClientOptions,
) -> impl Future<Output = Result<WebSocket<S>, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    Box::pin(async { open(stream, options, options.opening()?, deadline(options)).await })
}

/// When an opening handshake that begins now is to be done. A timeout that is longer than the clock
/// reaches leads to a time far away.
fn deadline(options: &ClientOptions) -> Instant {
    timer::instant(timer::now() + options.config().opening_timeout)
}

/// Tries the addresses in turn, so that one from which nothing comes back does not take the time of
/// the others.
async fn connect_tcp(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Error> {
    let mut failure = Error::Io(io::ErrorKind::AddrNotAvailable.into());
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len().saturating_sub(index)).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = Error::Io(error),
            Err(_) => failure = Error::OpeningTimeout,
        }
    }
    Err(failure)
}

async fn open<S>(
    mut stream: S,
    options: &ClientOptions,
    mut opening: ClientOpening,
    deadline: Instant,
) -> Result<WebSocket<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    set_nodelay(&stream, options.tcp_nodelay());
    let exchange = timeout_at(deadline, exchange(&mut stream, &mut opening));
    match exchange.await.unwrap_or(Err(Error::OpeningTimeout)) {
        Ok(opened) => Ok(WebSocket::opened(
            stream,
            Role::Client(OsKeys),
            options.config(),
            opened.extensions,
            opened.leftover,
            opened.subprotocol,
        )),
        Err(Error::Opening(failure)) => {
            let mut refusal = RefusalBody::new(*failure);
            let deadline = deadline.min(Instant::now() + RefusalBody::PATIENCE);
            // Whatever ends the body, and if it is the time: the refusal is what is told.
            let _ = timeout_at(deadline, read_refusal(&mut stream, &mut refusal)).await;
            Err(refusal.into_error())
        }
        Err(error) => Err(error),
    }
}

/// Writes the request and reads the response's head.
async fn exchange<S>(stream: &mut S, opening: &mut ClientOpening) -> Result<Opened, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(opening.request_bytes()).await?;
    stream.flush().await?;
    loop {
        if stream.read_buf(opening.read_room()).await? == 0 {
            return Err(ClientOptions::ended_early());
        }
        if let Some(opened) = opening.poll()? {
            return Ok(opened);
        }
    }
}

/// Reads on in the body of a refusal, which may come after its head. The end of the stream and an
/// error end it too.
async fn read_refusal<S: AsyncRead + Unpin>(stream: &mut S, refusal: &mut RefusalBody) {
    while !refusal.poll() {
        if !matches!(stream.read_buf(refusal.read_room()).await, Ok(1..)) {
            return;
        }
    }
}

// Only Linux is known to leave an attempt to connect without an answer when the queue is full.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::time::Duration;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A listener whose queue is full, so that no further attempt to connect is answered; and what
    /// fills it.
    async fn silent() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        loop {
            let patience = Duration::from_millis(100);
            match timeout(patience, TcpStream::connect(address)).await {
                Ok(stream) => filling.push(stream.unwrap()),
                Err(_) => return (listener, filling),
            }
            assert!(filling.len() < 100, "the queue does not fill");
        }
    }

    #[tokio::test]
    async fn addresses_that_do_not_answer_leave_time_for_the_next() {
        let (silent, _filling) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (silent, good) = (silent.local_addr().unwrap(), listener.local_addr().unwrap());
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(2);
        // Two silent ones have two thirds of the time.
        let stream = connect_tcp(&[silent, silent, good], deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(begun.elapsed() >= Duration::from_millis(1300), "{:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

        let deadline = Instant::now() + Duration::from_millis(100);
        let failed = connect_tcp(&[silent, silent], deadline).await;
        assert!(matches!(failed, Err(Error::OpeningTimeout)), "{failed:?}");
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test]
    async fn no_address_is_io() {
        let failed = connect_tcp(&[], Instant::now()).await;
        assert!(matches!(failed, Err(Error::Io(_))), "{failed:?}");
    }
}
