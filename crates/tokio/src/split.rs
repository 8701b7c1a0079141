//! Two halves for two tasks.

use std::future::poll_fn;
use std::pin::Pin;
use std::string::String;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use duologue_adapter::{Endpoint, Error, Event};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{CloseCode, CloseStatus, Message, MessageType, Prepared, ReadyState};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::driver::{Driver, Mode, send_uncompressed_from};
use crate::websocket::{event, poll_message};

/// The driver that two halves share. It is locked only while it is polled, never across a wait.
struct Shared<S: AsyncRead + AsyncWrite + Unpin>(Arc<Mutex<Driver<S>>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Shared<S> {
    /// A driver keeps its own state whole at every step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Driver<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The half that receives: a [`Stream`] of messages.
///
/// It gives whole messages only: it shares the read buffer with the other half, so it cannot lend
/// from it as [`WebSocket::next_ref`](crate::WebSocket::next_ref) and
/// [`WebSocket::next_chunk`](crate::WebSocket::next_chunk) do.
///
/// Dropping one half leaves the connection to the other; dropping both ends it.
pub struct ReadHalf<S: AsyncRead + AsyncWrite + Unpin> {
    shared: Shared<S>,
}

/// The half that sends: a [`Sink`] of messages.
///
/// Dropping one half leaves the connection to the other; dropping both ends it.
pub struct WriteHalf<S: AsyncRead + AsyncWrite + Unpin> {
    shared: Shared<S>,
}

pub(crate) fn split<S: AsyncRead + AsyncWrite + Unpin>(
    driver: Driver<S>,
) -> (ReadHalf<S>, WriteHalf<S>) {
    let shared = Arc::new(Mutex::new(driver));
    let read = ReadHalf { shared: Shared(Arc::clone(&shared)) };
    (read, WriteHalf { shared: Shared(shared) })
}

impl<S: AsyncRead + AsyncWrite + Unpin> ReadHalf<S> {
    /// The next message; as [`WebSocket::next`](crate::WebSocket::next). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`](crate::WebSocket::next).
    #[expect(clippy::should_implement_trait, reason = "it is what streams call it")]
    #[inline]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<Message, Error>>> {
        poll_fn(|context| poll_message(&mut self.shared.lock(), context))
    }

    /// The next message, ping or pong. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`](crate::WebSocket::next).
    pub async fn next_event(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|context| {
            let mut driver = self.shared.lock();
            let step = ready!(driver.poll_step(Mode::Messages, context));
            Poll::Ready(event(&mut driver, step))
        })
        .await
    }

    /// The extensions agreed on.
    #[must_use]
    pub fn extensions(&self) -> NegotiatedExtensions {
        self.shared.lock().endpoint.extensions()
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<String> {
        self.shared.lock().subprotocol.as_deref().map(String::from)
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. Pings are
    /// sent as [`Config::keepalive`](crate::Config::keepalive) says.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.lock().endpoint.round_trip_time()
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.lock().endpoint.ready_state()
    }

    /// The peer's close status and reason, and whether the connection closed cleanly; `None` before
    /// the end.
    #[must_use]
    pub fn close_outcome(&self) -> Option<(CloseStatus, String, bool)> {
        let driver = self.shared.lock();
        let outcome = driver.endpoint.close_outcome()?;
        Some((outcome.status, outcome.reason.into(), outcome.was_clean))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WriteHalf<S> {
    /// Sends a message; as [`WebSocket::send`](crate::WebSocket::send). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn send(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        poll_fn(move |context| {
            self.shared.lock().poll_send(&mut message, Endpoint::send_from, context)
        })
    }

    /// Queues a message; as [`WebSocket::feed`](crate::WebSocket::feed). It goes out with the next
    /// [`flush`](Self::flush), or before the other half waits the next time: if that one already
    /// waits, flush. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        poll_fn(move |context| {
            self.shared.lock().poll_feed(&mut message, Endpoint::send_from, context)
        })
    }

    /// Sends a message that is never compressed, whatever was agreed on: a secret, whose size must
    /// not depend on what else is sent (RFC 7692 section 8). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn send_uncompressed(
        &mut self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        let send = send_uncompressed_from;
        poll_fn(move |context| self.shared.lock().poll_send(&mut message, send, context))
    }

    /// Queues a message that is never compressed; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_uncompressed(
        &mut self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        let send = send_uncompressed_from;
        poll_fn(move |context| self.shared.lock().poll_feed(&mut message, send, context))
    }

    /// Queues a text, copied; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_text(&mut self, text: &str) -> impl Future<Output = Result<(), Error>> {
        let mut done = false;
        poll_fn(move |context| {
            self.shared.lock().poll_queue(&mut done, |endpoint| endpoint.send_text(text), context)
        })
    }

    /// Queues bytes, copied; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_binary(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        let mut done = false;
        poll_fn(move |context| {
            self.shared.lock().poll_queue(
                &mut done,
                |endpoint| endpoint.send_binary(bytes),
                context,
            )
        })
    }

    /// Queues a prepared message; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_prepared(&mut self, message: &Prepared) -> impl Future<Output = Result<(), Error>> {
        let mut done = false;
        poll_fn(move |context| {
            self.shared.lock().poll_queue(
                &mut done,
                |endpoint| endpoint.send_prepared(message),
                context,
            )
        })
    }

    /// Sends a prepared message. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub async fn send_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.feed_prepared(message).await?;
        self.flush().await
    }

    /// Sends the first fragment of a message whose length need not be known (RFC 6455 section 5.4).
    /// Until the message has ended no other can be sent. Cancel-safe: the fragment is queued whole
    /// or not at all.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send), and [`Error::Send`] if no text can start
    /// with `payload`.
    pub async fn begin_message(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), Error> {
        self.ready().await?;
        self.shared.lock().queue(|endpoint| endpoint.begin_message(message_type, payload))?;
        self.flush().await
    }

    /// As [`begin_message`](Self::begin_message), of a message that is never compressed in any of
    /// its fragments (RFC 7692 section 8).
    ///
    /// # Errors
    ///
    /// As [`begin_message`](Self::begin_message).
    pub async fn begin_uncompressed_message(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), Error> {
        self.ready().await?;
        self.shared
            .lock()
            .queue(|endpoint| endpoint.begin_uncompressed_message(message_type, payload))?;
        self.flush().await
    }

    /// Sends a further fragment of it, the last one if `fin`. A text may be cut inside a character.
    /// Cancel-safe, as [`begin_message`](Self::begin_message).
    ///
    /// # Errors
    ///
    /// As [`begin_message`](Self::begin_message); a text that is not UTF-8 so far, or ends inside a
    /// character, is still in progress.
    pub async fn continue_message(&mut self, payload: &[u8], fin: bool) -> Result<(), Error> {
        self.ready().await?;
        self.shared.lock().queue(|endpoint| endpoint.continue_message(payload, fin))?;
        self.flush().await
    }

    /// Sends a ping with at most 125 bytes of payload. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ready().await?;
        self.shared.lock().queue(|endpoint| endpoint.ping(payload))?;
        self.flush().await
    }

    /// Sends a pong that nobody asked for, with at most 125 bytes of payload. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub async fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ready().await?;
        self.shared.lock().queue(|endpoint| endpoint.pong(payload))?;
        self.flush().await
    }

    /// Waits until a message may be queued without going past the high-water mark. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the transport broke.
    pub fn ready(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|context| self.shared.lock().poll_ready(context))
    }

    /// Waits until everything queued is written. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::flush`](crate::WebSocket::flush).
    pub fn flush(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|context| self.shared.lock().poll_flush(context))
    }

    /// Sends a Close frame; the reading half then sees the connection to its end. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::close`](crate::WebSocket::close).
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.shared.lock().start_close(code, reason)?;
        self.flush().await
    }

    /// As [`close`](Self::close), with an empty Close frame, which the peer reports as 1005.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub async fn close_without_code(&mut self) -> Result<(), Error> {
        self.shared.lock().start_close_without_code();
        self.flush().await
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. Pings are
    /// sent as [`Config::keepalive`](crate::Config::keepalive) says.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.lock().endpoint.round_trip_time()
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.lock().endpoint.ready_state()
    }

    /// Bytes that are queued and not yet taken by the transport, framing included.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.shared.lock().endpoint.buffered_amount()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for ReadHalf<S> {
    type Item = Result<Message, Error>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        poll_message(&mut self.shared.lock(), context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WriteHalf<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.lock().poll_ready(context)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.shared.lock().queue(|endpoint| endpoint.send(message))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.lock().poll_flush(context)
    }

    /// Sends a Close frame with 1000; the reading half sees the connection to its end.
    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut driver = self.shared.lock();
        driver.start_close(CloseCode::NORMAL, "")?;
        driver.poll_flush(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> std::fmt::Debug for ReadHalf<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReadHalf").field(&self.ready_state()).finish()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> std::fmt::Debug for WriteHalf<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WriteHalf").field(&self.ready_state()).finish()
    }
}
