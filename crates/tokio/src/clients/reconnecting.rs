//! A client that connects again when its connection is lost.

use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use duologue_adapter::machine::{ReconnectOptions, ReconnectingHandle, SessionMachine, Shared};
use duologue_adapter::reconnect::SessionEvent;
use duologue_adapter::{ClientOptions, Error};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::spawn;
use crate::connect::connect_stream;

/// What happens to a [`ReconnectingSocket`].
pub type ReconnectEvent = SessionEvent<Error>;

/// A client that stays connected: when its connection is lost, it waits a little and connects
/// again, as its [`ReconnectOptions`] say.
///
/// A task of the runtime does the work; its calls never wait, and what happens comes as events. All
/// calls are those of [`ReconnectingHandle`], which can be cloned and sent elsewhere. While 1 MiB
/// of messages waits to be taken, nothing more is read.
///
/// What is sent while there is no connection is refused or kept, as was chosen. Nothing is sent
/// twice: what a connection had begun to write when it was lost may have arrived or not. Nothing is
/// driven either while those messages wait, so take the events; where the application closes, the
/// rest is read and dropped.
///
/// A connection that dies without a word is found out by the keepalive pings of
/// [`Config`](crate::Config).
///
/// ```no_run
/// use duologue_tokio::ClientOptions;
/// use duologue_tokio::reconnect::{
///     ReconnectEvent, ReconnectOptions, ReconnectPolicy, ReconnectingSocket, WhileDown,
/// };
///
/// # async fn example() -> Result<(), duologue_tokio::Error> {
/// let options = ReconnectOptions::new(ClientOptions::new("ws://127.0.0.1:9001/")?)
///     .with_policy(ReconnectPolicy { max_attempts: Some(10), ..ReconnectPolicy::DEFAULT })
///     .with_while_down(WhileDown::Keep(100));
/// let mut socket = ReconnectingSocket::new(&options);
/// while let Some(event) = socket.next().await {
///     match event {
///         ReconnectEvent::Up { .. } => println!("up"),
///         ReconnectEvent::Message(message) => println!("{message:?}"),
///         ReconnectEvent::Down { cause, retry_in, .. } => {
///             println!("down: {cause:?}; the next attempt in {retry_in:?}");
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it closes the connection with 1001, in the background, and ends the attempts.
#[derive(Debug)]
pub struct ReconnectingSocket {
    handle: ReconnectingHandle,
    shared: Arc<Shared<SessionMachine>>,
}

impl ReconnectingSocket {
    /// A client that connects at once. It needs a tokio runtime around it, as [`tokio::spawn`]
    /// does, and panics without one.
    #[must_use]
    pub fn new(options: &ReconnectOptions) -> Self {
        Self::with_connector(options, |client| {
            let client = client.clone();
            async move { connect_stream(&client).await }
        })
    }

    /// As [`new`](Self::new), over streams of the caller's: through a proxy, or with a TLS of its
    /// own. `connect` is called for each attempt, and has the opening timeout, together with the
    /// handshake.
    #[must_use]
    pub fn with_connector<S, C, F>(options: &ReconnectOptions, connect: C) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        C: FnMut(&ClientOptions) -> F + Send + 'static,
        F: Future<Output = Result<S, Error>> + Send,
    {
        let machine = SessionMachine::new(options);
        let shared = spawn(machine, options.requests(), connect);
        Self { handle: ReconnectingHandle::new(Arc::clone(&shared)), shared }
    }

    /// The next event; `None` after a [`ReconnectEvent::Down`] without another attempt.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<ReconnectEvent> {
        poll_fn(|context| self.shared.poll_event(context)).await
    }

    /// The handle: its clones work from anywhere.
    #[must_use]
    pub const fn handle(&self) -> &ReconnectingHandle {
        &self.handle
    }
}

/// All of a [`ReconnectingHandle`] can be called on the client itself.
impl Deref for ReconnectingSocket {
    type Target = ReconnectingHandle;

    fn deref(&self) -> &ReconnectingHandle {
        &self.handle
    }
}

impl Stream for ReconnectingSocket {
    type Item = ReconnectEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ReconnectEvent>> {
        self.shared.poll_event(context)
    }
}

impl Drop for ReconnectingSocket {
    fn drop(&mut self) {
        self.shared.detach();
    }
}
