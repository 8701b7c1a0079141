//! The half that writes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use duologue_adapter::handshake::NegotiatedExtensions;
use duologue_adapter::{CloseCode, Endpoint, Error, Message, MessageType, Prepared, ReadyState};

use super::Shared;
use crate::transport::TryClone;

/// The half of a connection that writes, made by [`WebSocket::split`](crate::WebSocket::split).
///
/// It needs the [`ReadHalf`](super::ReadHalf) to be driven: that is where deadlines are kept, and
/// where the peer's Close frame is read. Dropping it does not close the connection; dropping both
/// does, as for [`WebSocket`](crate::WebSocket).
pub struct WriteHalf<S: TryClone> {
    shared: Arc<Shared<S>>,
}

impl<S: TryClone> WriteHalf<S> {
    pub(super) const fn new(shared: Arc<Shared<S>>) -> Self {
        Self { shared }
    }

    /// Sends a message; as [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.shared.send(true, |endpoint| endpoint.send(message))
    }

    /// Queues a message, which is written with the next [`flush`](Self::flush) or
    /// [`send`](Self::send), or past the high-water mark; or before that, if the read half has a
    /// control frame to write. Unlike with [`WebSocket::feed`](crate::WebSocket::feed), reading
    /// alone does not write it: so flush in the end.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.shared.send(false, |endpoint| endpoint.send(message))
    }

    /// Sends a message that is never compressed, whatever was agreed on: a secret, whose size must
    /// not depend on what else is sent (RFC 7692 section 8).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn send_uncompressed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.shared.send(true, |endpoint| endpoint.send_uncompressed(message))
    }

    /// Queues a message that is never compressed; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_uncompressed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.shared.send(false, |endpoint| endpoint.send_uncompressed(message))
    }

    /// [`feed`](Self::feed) for borrowed text.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_text(&mut self, text: &str) -> Result<(), Error> {
        self.shared.send(false, |endpoint| endpoint.send_text(text))
    }

    /// [`feed`](Self::feed) for borrowed bytes.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_binary(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.shared.send(false, |endpoint| endpoint.send_binary(bytes))
    }

    /// Sends a message that was framed once, to be sent to many.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.shared.send(true, |endpoint| endpoint.send_prepared(message))
    }

    /// [`feed`](Self::feed) for a message that was framed once.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn feed_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.shared.send(false, |endpoint| endpoint.send_prepared(message))
    }

    /// Sends the first fragment of a message whose length need not be known (RFC 6455 section 5.4).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send), and [`Error::Send`] if no text can start
    /// with `payload`.
    pub fn begin_message(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), Error> {
        self.shared.send(true, |endpoint| endpoint.begin_message(message_type, payload))
    }

    /// As [`begin_message`](Self::begin_message), of a message that is never compressed in any of
    /// its fragments (RFC 7692 section 8).
    ///
    /// # Errors
    ///
    /// As [`begin_message`](Self::begin_message).
    pub fn begin_uncompressed_message(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), Error> {
        self.shared
            .send(true, |endpoint| endpoint.begin_uncompressed_message(message_type, payload))
    }

    /// Sends a further fragment, the last one if `fin`.
    ///
    /// # Errors
    ///
    /// As [`begin_message`](Self::begin_message).
    pub fn continue_message(&mut self, payload: &[u8], fin: bool) -> Result<(), Error> {
        self.shared.send(true, |endpoint| endpoint.continue_message(payload, fin))
    }

    /// Writes out all that is queued.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::flush`](crate::WebSocket::flush).
    pub fn flush(&mut self) -> Result<(), Error> {
        self.shared.flush()
    }

    /// Hands the endpoint to `queue`, under the lock, if the connection is open and can be written
    /// to; `None` without a call if not. So what `queue` takes from elsewhere is not taken in vain.
    /// What it queues waits for [`flush`](Self::flush).
    pub(crate) fn queue_if_open<T>(&self, queue: impl FnOnce(&mut Endpoint) -> T) -> Option<T> {
        self.shared.queue_if_open(queue)
    }

    /// Sends a ping; as [`WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::ping`](crate::WebSocket::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.shared.send(true, |endpoint| endpoint.ping(payload))
    }

    /// Sends a pong; as [`WebSocket::pong`](crate::WebSocket::pong).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::ping`](crate::WebSocket::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.shared.send(true, |endpoint| endpoint.pong(payload))
    }

    /// Sends a Close frame with a reason of at most 123 bytes. The read half carries the closing
    /// handshake to its end, and hands out the messages that are still on their way.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is too long; [`Error::Io`].
    pub fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.shared.start_close(code, reason)
    }

    /// As [`start_close`](Self::start_close), with an empty Close frame, which the peer reports as
    /// 1005.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn start_close_without_code(&mut self) -> Result<(), Error> {
        self.shared.start_close_without_code()
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. Pings are
    /// sent as [`Config::keepalive`](crate::Config::keepalive) says.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.state().endpoint.round_trip_time()
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.ready_state()
    }

    /// Bytes that wait to be written, framing included.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.shared.state().endpoint.buffered_amount()
    }

    /// The extensions agreed on.
    #[must_use]
    pub fn extensions(&self) -> NegotiatedExtensions {
        self.shared.state().endpoint.extensions()
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.subprotocol.as_deref()
    }
}

impl<S: TryClone> fmt::Debug for WriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf")
            .field("ready_state", &self.ready_state())
            .finish_non_exhaustive()
    }
}
