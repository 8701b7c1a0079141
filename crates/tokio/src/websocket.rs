//! A WebSocket in one task.

use std::future::poll_fn;
use std::pin::Pin;
use std::string::String;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use duologue_adapter::{Endpoint, Error, Event, Role};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    ChunkRef, CloseCode, CloseOutcome, Config, Message, MessageRef, MessageType, Prepared,
    ReadyState, Step,
};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::driver::{Driver, Mode, send_uncompressed_from};
use crate::split::{ReadHalf, WriteHalf, split};
use crate::writer::MessageWriter;

/// A WebSocket connection over `S`: any byte stream, such as a `TcpStream`.
///
/// It is a [`Stream`] and a [`Sink`] of [`Message`]s; the methods of the same names need no further
/// crate. Every method that waits is cancel-safe: dropped at any point, it has lost nothing, and a
/// message to be sent is queued whole or not at all.
///
/// The loop that is fastest is also the plain one. [`feed`](Self::feed) only queues; what is queued
/// goes out together, in one write, before [`next`](Self::next) waits for the peer:
///
/// ```
/// # use duologue_tokio::{Error, WebSocket};
/// # async fn echo<S>(mut websocket: WebSocket<S>) -> Result<(), Error>
/// # where S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {
/// while let Some(message) = websocket.next().await {
///     websocket.feed(message?).await?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it while it is open sends what can be sent of a Close frame (1001) without waiting.
#[derive(Debug)]
pub struct WebSocket<S: AsyncRead + AsyncWrite + Unpin> {
    driver: Driver<S>,
}

// What is awaited for each message is a `poll_fn` and no `async fn`: that would be one place more
// that the message is moved through, and hold it twice, so that each connection's task is larger.
impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A WebSocket over a stream whose opening handshake somebody else has done, such as an HTTP
    /// server. `leftover` are the bytes that were read behind it.
    pub fn from_raw(transport: S, role: Role, config: &Config, leftover: BytesMut) -> Self {
        let extensions = NegotiatedExtensions::default();
        Self::from_raw_with(transport, role, config, extensions, leftover)
    }

    /// As [`from_raw`](Self::from_raw), with the extensions that were agreed on.
    pub fn from_raw_with(
        transport: S,
        role: Role,
        config: &Config,
        extensions: NegotiatedExtensions,
        leftover: BytesMut,
    ) -> Self {
        Self::opened(transport, role, config, extensions, leftover, None)
    }

    pub(crate) fn opened(
        transport: S,
        role: Role,
        config: &Config,
        extensions: NegotiatedExtensions,
        leftover: BytesMut,
        subprotocol: Option<String>,
    ) -> Self {
        Self { driver: Driver::new(transport, role, config, extensions, leftover, subprotocol) }
    }

    /// The next message; `None` after the peer has closed (see
    /// [`close_outcome`](Self::close_outcome)). Cancel-safe.
    ///
    /// # Errors
    ///
    /// Once, and then `None`: [`Error::Protocol`] after the peer broke a rule or no longer
    /// answered, told when it had the chance to read our Close frame; [`Error::ConnectionLost`]
    /// when TCP ended without a Close frame of the peer's (1006), or when none came within the
    /// closing timeout; [`Error::Io`].
    #[expect(clippy::should_implement_trait, reason = "it is what streams call it")]
    #[inline]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<Message, Error>>> {
        poll_fn(|context| poll_message(&mut self.driver, context))
    }

    /// The next message, ping or pong. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn next_event(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|context| {
            let step = ready!(self.driver.poll_step(Mode::Messages, context));
            Poll::Ready(event(&mut self.driver, step))
        })
        .await
    }

    /// The next message where it lies in the read buffer: nothing is allocated. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_ref(&mut self) -> impl Future<Output = Option<Result<MessageRef<'_>, Error>>> {
        next_lent(&mut self.driver, Mode::Messages, Endpoint::message)
    }

    /// The next piece of a message, as it comes, where it lies in the read buffer: a message larger
    /// than memory goes through flat memory. Raise the limits of [`Config`] for it. Cancel-safe.
    ///
    /// In the middle of a message one can change over to [`next`](Self::next), which gives the rest
    /// of it, and back.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_chunk(&mut self) -> impl Future<Output = Option<Result<ChunkRef<'_>, Error>>> {
        next_lent(&mut self.driver, Mode::Chunks, Endpoint::chunk)
    }

    /// Sends a message: queues it and waits until it is written. Cancel-safe: it is queued whole,
    /// and goes out later, or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the connection is closing; [`Error::Io`].
    pub fn send(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        poll_fn(move |context| self.driver.poll_send(&mut message, Endpoint::send_from, context))
    }

    /// Queues a message; waits only while more than the high-water mark is queued. It goes out with
    /// the next [`flush`](Self::flush), or before [`next`](Self::next) waits. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn feed(&mut self, message: impl Into<Message>) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        poll_fn(move |context| self.driver.poll_feed(&mut message, Endpoint::send_from, context))
    }

    /// Sends a message that is never compressed, whatever was agreed on: a secret, whose size must
    /// not depend on what else is sent (RFC 7692 section 8). As [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_uncompressed(
        &mut self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        let send = send_uncompressed_from;
        poll_fn(move |context| self.driver.poll_send(&mut message, send, context))
    }

    /// Queues a message that is never compressed; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_uncompressed(
        &mut self,
        message: impl Into<Message>,
    ) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        let send = send_uncompressed_from;
        poll_fn(move |context| self.driver.poll_feed(&mut message, send, context))
    }

    /// Queues a text, copied; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_text(&mut self, text: &str) -> impl Future<Output = Result<(), Error>> {
        let mut done = false;
        poll_fn(move |context| {
            self.driver.poll_queue(&mut done, |endpoint| endpoint.send_text(text), context)
        })
    }

    /// Queues bytes, copied; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_binary(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        let mut done = false;
        poll_fn(move |context| {
            self.driver.poll_queue(&mut done, |endpoint| endpoint.send_binary(bytes), context)
        })
    }

    /// Queues a prepared message; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_prepared(&mut self, message: &Prepared) -> impl Future<Output = Result<(), Error>> {
        let mut done = false;
        poll_fn(move |context| {
            self.driver.poll_queue(&mut done, |endpoint| endpoint.send_prepared(message), context)
        })
    }

    /// Sends a prepared message; as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.feed_prepared(message).await?;
        self.flush().await
    }

    /// Waits until a message may be queued without going past the high-water mark. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the transport broke.
    pub fn ready(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|context| self.driver.poll_ready(context))
    }

    /// Waits until everything queued is written. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the transport broke; [`Error::Send`] if the connection ended first.
    pub fn flush(&mut self) -> impl Future<Output = Result<(), Error>> {
        poll_fn(|context| self.driver.poll_flush(context))
    }

    /// Begins a message whose length is not known beforehand, to be sent in fragments.
    #[must_use]
    pub const fn begin_message(&mut self, message_type: MessageType) -> MessageWriter<'_, S> {
        MessageWriter::new(&mut self.driver, message_type)
    }

    /// Goes on with a message in fragments whose writer was dropped before its end; `None` if there
    /// is none.
    pub fn resume_message(&mut self) -> Option<MessageWriter<'_, S>> {
        let in_progress = self.driver.endpoint.connection().is_message_in_progress();
        in_progress.then(|| MessageWriter::resume(&mut self.driver))
    }

    /// Sends a ping with at most 125 bytes of payload; its pong comes by
    /// [`next_event`](Self::next_event). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ready().await?;
        self.driver.queue(|endpoint| endpoint.ping(payload))?;
        self.flush().await
    }

    /// Sends a pong that nobody asked for, with at most 125 bytes of payload. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.ready().await?;
        self.driver.queue(|endpoint| endpoint.pong(payload))?;
        self.flush().await
    }

    /// Queues a Close frame and goes on: what the peer still sends can be read with
    /// [`next`](Self::next) up to its own Close frame, which must come within the closing timeout.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason has over 123 bytes.
    pub fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.driver.start_close(code, reason)
    }

    /// As [`start_close`](Self::start_close), with an empty Close frame, which the peer reports as
    /// 1005.
    pub fn start_close_without_code(&mut self) {
        self.driver.start_close_without_code();
    }

    /// Closes: sends a Close frame and waits until the peer has answered and TCP has ended, within
    /// the closing timeout. Cancel-safe; called again, it goes on.
    ///
    /// Messages that still come are dropped. To have them, use [`start_close`](Self::start_close)
    /// and go on with [`next`](Self::next) until it gives `None` or an error.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason has over 123 bytes; what went wrong on the way, as
    /// [`next`](Self::next). That the peer did not answer is no error:
    /// [`close_outcome`](Self::close_outcome) tells.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.driver.start_close(code, reason)?;
        poll_fn(|context| self.driver.poll_end(context)).await
    }

    /// The extensions agreed on.
    #[must_use]
    pub fn extensions(&self) -> NegotiatedExtensions {
        self.driver.endpoint.extensions()
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. Pings are
    /// sent as [`Config::keepalive`](crate::Config::keepalive) says.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.driver.endpoint.round_trip_time()
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.driver.endpoint.ready_state()
    }

    /// Bytes that are queued and not yet taken by the transport, framing included.
    #[must_use]
    pub const fn buffered_amount(&self) -> usize {
        self.driver.endpoint.buffered_amount()
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.driver.subprotocol.as_deref()
    }

    /// How the connection ended; `None` before it has.
    #[must_use]
    pub fn close_outcome(&self) -> Option<CloseOutcome<'_>> {
        self.driver.endpoint.close_outcome()
    }

    /// Bytes of memory that the buffers of the connection take up; when it is idle none, but for
    /// what compression with context takeover keeps.
    #[must_use]
    pub fn buffer_capacity(&self) -> usize {
        self.driver.endpoint.buffer_capacity()
    }

    /// The transport, to look at.
    pub const fn get_ref(&self) -> &S {
        self.driver.transport()
    }

    /// The transport, to set options on. Reading or writing it breaks the connection.
    pub const fn get_mut(&mut self) -> &mut S {
        self.driver.transport_mut()
    }

    /// Two halves, for two tasks. Pongs and the reply to a Close go out whichever is driven, and
    /// neither waits for the other's payload.
    #[must_use]
    pub fn split(self) -> (ReadHalf<S>, WriteHalf<S>) {
        split(self.driver)
    }

    #[inline]
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        poll_message(&mut self.driver, context)
    }
}

/// The next message of a driver.
#[inline(always)]
pub(crate) fn poll_message<S: AsyncRead + AsyncWrite + Unpin>(
    driver: &mut Driver<S>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Message, Error>>> {
    Poll::Ready(match ready!(driver.poll_data(Mode::Messages, context)) {
        Ok(Some(())) => taken(&mut driver.endpoint),
        Ok(None) => None,
        Err(error) => failed(error),
    })
}

/// What `lend` has of the endpoint when the next message, or piece of one, has been found.
#[inline]
fn next_lent<'d, S: AsyncRead + AsyncWrite + Unpin, T>(
    driver: &'d mut Driver<S>,
    mode: Mode,
    lend: impl Fn(&'d Endpoint) -> Option<T>,
) -> impl Future<Output = Option<Result<T, Error>>> {
    let mut driver = Some(driver);
    poll_fn(move |context| {
        // It is gone once something of it has been lent.
        let found = driver.as_mut().map(|driver| driver.poll_data(mode, context));
        Poll::Ready(match ready!(found.unwrap_or(Poll::Ready(Ok(None)))) {
            Ok(Some(())) => driver.take().and_then(|driver| lend(&driver.endpoint)).map(Ok),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
    })
}

// These three are out of line so that a message is written where it is wanted, and then moved only
// in words: inlined, it is moved in the pieces that an error consists of, and each time waits for
// its own stores, which comes to more than all of its receiving.

/// The message that has been found.
#[inline(never)]
fn taken(endpoint: &mut Endpoint) -> Option<Result<Message, Error>> {
    match endpoint.take_small() {
        Some(payload) => Some(Ok(Message::Binary(payload))),
        None => taken_large(endpoint),
    }
}

#[inline(never)]
fn taken_large(endpoint: &mut Endpoint) -> Option<Result<Message, Error>> {
    endpoint.take_message().map(Ok)
}

#[cold]
#[inline(never)]
const fn failed(error: Error) -> Option<Result<Message, Error>> {
    Some(Err(error))
}

/// A step as an event.
pub(crate) fn event<S: AsyncRead + AsyncWrite + Unpin>(
    driver: &mut Driver<S>,
    step: Result<Option<Step>, Error>,
) -> Option<Result<Event, Error>> {
    match step {
        Ok(Some(Step::Ping(payload))) => Some(Ok(Event::Ping(payload))),
        Ok(Some(Step::Pong(payload))) => Some(Ok(Event::Pong(payload))),
        Ok(Some(_)) => driver.endpoint.take_message().map(|message| Ok(Event::Message(message))),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    #[inline]
    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        self.poll_message(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FusedStream for WebSocket<S> {
    fn is_terminated(&self) -> bool {
        self.driver.is_terminated()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.driver.poll_ready(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.driver.queue(|endpoint| endpoint.send(message))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.driver.poll_flush(context)
    }

    /// Closes with 1000 and drives the closing handshake to its end, as
    /// [`close`](WebSocket::close). Messages that still come are dropped; to have them, use
    /// [`start_close`](WebSocket::start_close) and go on reading.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.driver.start_close(CloseCode::NORMAL, "")?;
        self.driver.poll_end(context)
    }
}

// With it, and what a task adds, an idle connection stays below the next of the allocator's sizes.
const _: () = assert!(size_of::<WebSocket<TcpStream>>() <= size_of::<TcpStream>() + 816);
