//! A server's side: from a stream to a WebSocket, or to an HTTP answer.

use std::boxed::Box;
use std::time::Duration;

use duologue_adapter::{Error, Role, ServerOptions};
use duologue_core::handshake::{HandshakeError, Request};
use duologue_core::opening::{Accept, Decision, HttpResponse, Outcome, Refused, ServerOpening};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::nodelay::set_nodelay;
use crate::timer;
use crate::websocket::WebSocket;

/// The most bytes that are read and thrown away after a refusal.
const MOST_DRAINED: usize = 256 * 1024;

/// Accepts whatever request is a valid upgrade, with the default options and no subprotocol.
/// Dropped before its end, it takes the stream with it.
///
/// # Errors
///
/// As [`accept_with`].
pub fn accept<S>(stream: S) -> impl Future<Output = Result<WebSocket<S>, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    Box::pin(async {
        let request = receive_request(stream, &ServerOptions::default()).await?;
        request.accept(Accept::new()).await
    })
}

/// Reads a request and lets the application decide: accept it, or answer with any HTTP response.
///
/// A request that wants a WebSocket and is no valid upgrade is refused without asking. One that
/// wants none, such as for a page, is the application's to answer; if it accepts that, the refusal
/// is 426. Dropped before its end, it takes the stream with it.
///
/// If the stream is a [`TcpStream`](tokio::net::TcpStream), `TCP_NODELAY` is set as the options
/// say; on what lies under another stream, such as TLS, set it yourself.
///
/// ```
/// use duologue_tokio::{Accept, HttpResponse, Request, ServerOptions, accept_with};
///
/// # async fn serve(stream: tokio::net::TcpStream) -> Result<(), duologue_tokio::Error> {
/// let decide = |request: &Request<'_>| match (request.path(), request.wants_upgrade()) {
///     ("/chat", true) => {
///         Accept::new().subprotocol(request.choose_subprotocol(&["chat"])).into()
///     }
///     ("/", false) => HttpResponse::html(200, "<h1>Hello</h1>").into(),
///     _ => HttpResponse::text(404, "not found").into(),
/// };
/// let websocket = accept_with(stream, &ServerOptions::default(), decide).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Handshake`] if the request was answered with HTTP, which the client has had the time to
/// read; [`Error::OpeningTimeout`] if it did not take the 101 in time; [`Error::ConnectionLost`] if
/// it went away inside its request; [`Error::Io`].
pub fn accept_with<S>(
    stream: S,
    options: &ServerOptions,
    decide: impl FnOnce(&Request<'_>) -> Decision,
) -> impl Future<Output = Result<WebSocket<S>, Error>>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // What the handshake needs is given back before the connection begins, and so takes up no room
    // in the task that goes on with it; nor does an `async fn` around it.
    Box::pin(async { receive_request(stream, options).await?.decide(decide).await })
}

/// Reads a request and stops there, for an application that has to wait before it can decide.
/// Otherwise it is as [`accept_with`].
///
/// # Errors
///
/// As [`accept_with`].
pub async fn receive_request<S>(
    mut stream: S,
    options: &ServerOptions,
) -> Result<PendingRequest<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    set_nodelay(&stream, options.tcp_nodelay());
    let deadline = timer::instant(timer::now() + options.config().opening_timeout);
    let mut opening = options.opening();
    loop {
        match opening.poll() {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => {
                let refused = opening.refuse(error);
                return Err(refuse(stream, refused, options.config().closing_timeout).await);
            }
        }
        match timeout_at(deadline, stream.read_buf(opening.read_room())).await {
            Ok(Ok(0)) => return Err(Error::ConnectionLost),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Error::from(error)),
            Err(_) => {
                let refused = opening.refuse(HandshakeError::TimedOut);
                return Err(refuse(stream, refused, options.config().closing_timeout).await);
            }
        }
    }
    Ok(PendingRequest { stream, opening, options: *options, deadline })
}

/// A request that waits for its answer. Dropped, it ends without one.
#[derive(Debug)]
pub struct PendingRequest<S> {
    stream: S,
    opening: ServerOpening,
    options: ServerOptions,
    deadline: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PendingRequest<S> {
    /// The request.
    #[must_use]
    pub fn request(&self) -> Option<Request<'_>> {
        self.opening.request()
    }

    /// Accepts it; refused with the status that says so, if it is no valid upgrade. Dropped before
    /// its end, it takes the stream with it.
    ///
    /// # Errors
    ///
    /// As [`accept_with`].
    pub async fn accept(self, accept: Accept) -> Result<WebSocket<S>, Error> {
        let Self { stream, opening, options, deadline } = self;
        conclude(stream, opening.accept(accept), options, deadline).await
    }

    /// Answers it with HTTP, and gives the client the time to read that. Dropped before its end, it
    /// takes the stream with it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the answer could not be written.
    pub async fn respond(self, response: &HttpResponse) -> Result<(), Error> {
        let refused = self.opening.respond(response);
        match refuse(self.stream, refused, self.options.config().closing_timeout).await {
            Error::Handshake(_) => Ok(()),
            error => Err(error),
        }
    }

    /// Lets `decide` decide, as in [`accept_with`].
    ///
    /// # Errors
    ///
    /// As [`accept_with`].
    pub async fn decide(
        self,
        decide: impl FnOnce(&Request<'_>) -> Decision,
    ) -> Result<WebSocket<S>, Error> {
        let Self { stream, opening, options, deadline } = self;
        conclude(stream, opening.decide(decide), options, deadline).await
    }
}

async fn conclude<S>(
    mut stream: S,
    outcome: Outcome,
    options: ServerOptions,
    deadline: Instant,
) -> Result<WebSocket<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = match outcome {
        Outcome::Accepted(accepted) => accepted,
        Outcome::Refused(refused) => {
            return Err(refuse(stream, refused, options.config().closing_timeout).await);
        }
    };
    let write = async {
        stream.write_all(&accepted.response).await?;
        stream.flush().await
    };
    timeout_at(deadline, write).await.map_err(|_| Error::OpeningTimeout)??;
    Ok(WebSocket::opened(
        stream,
        Role::Server,
        options.config(),
        accepted.extensions,
        accepted.leftover,
        accepted.subprotocol,
    ))
}

/// Writes the one response, ends the sending direction, and reads on without looking until the
/// client has ended its own: closing at once could reset the connection before it has read.
async fn refuse<S>(mut stream: S, refused: Refused, patience: Duration) -> Error
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let say = async {
        stream.write_all(&refused.response).await?;
        stream.shutdown().await?;
        let mut sink = [0; 2048];
        let mut drained = 0_usize;
        while drained < MOST_DRAINED {
            match stream.read(&mut sink).await {
                Ok(0) | Err(_) => break,
                Ok(count) => drained = drained.saturating_add(count),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    match timeout(patience, say).await {
        Ok(Err(error)) => Error::from(error),
        Ok(Ok(())) | Err(_) => Error::Handshake(refused.error),
    }
}
