//! A connection.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use duologue_adapter::handshake::NegotiatedExtensions;
use duologue_adapter::{
    ChunkRef, Clock, CloseCode, CloseOutcome, Config, Endpoint, Error, Event, Message, MessageRef,
    MessageType, Prepared, ReadyState, Role, SendError, Step, open_endpoint,
};

use crate::driver::Driver;
use crate::message_writer::MessageWriter;
use crate::split::{self, ReadHalf, WriteHalf};
use crate::transport::{Transport, TryClone};
use crate::wire::Wire;

/// A WebSocket connection, of either role, over a [`Transport`].
///
/// Reading drives everything: pings are answered, keepalive pings sent, deadlines kept and the
/// closing handshake carried out while [`read`](Self::read) (or one of its kin) waits. So read,
/// even if no message is expected; to send from another thread meanwhile, [`split`](Self::split).
///
/// What [`feed`](Self::feed) queues goes out before the next read waits: a loop that reads and
/// feeds makes one write for each read, however many messages that read brought.
///
/// # Non-blocking transports
///
/// Where the transport says `WouldBlock`, so does the method ([`Error::is_would_block`]), and
/// nothing is lost: make the same call again when the transport is ready. The methods that send
/// then have queued nothing; cloning a [`Message`] beforehand copies no payload. Once a message is
/// queued they return `Ok`, even if the transport has not taken all of it: [`flush`](Self::flush)
/// goes on with that, and [`buffered_amount`](Self::buffered_amount) tells whether it has to.
///
/// # Dropping
///
/// An open connection that is dropped makes one attempt to write Close(1001), which does not wait.
/// To end properly, [`close`](Self::close).
pub struct WebSocket<S: Transport> {
    driver: Driver<S>,
    subprotocol: Option<String>,
}

impl<S: Transport> WebSocket<S> {
    /// A connection over a stream on which the opening handshake is already done by other means,
    /// without extensions. `leftover` are the bytes that were read behind it.
    #[must_use]
    pub fn from_raw(stream: S, role: Role, config: &Config, leftover: BytesMut) -> Self {
        Self::from_raw_with(stream, role, config, NegotiatedExtensions::default(), leftover)
    }

    /// As [`from_raw`](Self::from_raw), with the extensions that were agreed on.
    #[must_use]
    pub fn from_raw_with(
        stream: S,
        role: Role,
        config: &Config,
        extensions: NegotiatedExtensions,
        leftover: BytesMut,
    ) -> Self {
        Self::open(Wire::new(stream, Clock::new()), role, config, extensions, leftover, None)
    }

    pub(crate) fn open(
        wire: Wire<S>,
        role: Role,
        config: &Config,
        extensions: NegotiatedExtensions,
        leftover: BytesMut,
        subprotocol: Option<String>,
    ) -> Self {
        let endpoint = open_endpoint(role, config, extensions, leftover, wire.clock.now());
        Self { driver: Driver::new(wire, endpoint, config), subprotocol }
    }

    /// Waits for the next message. `None` after a close that the peer's Close frame belongs to;
    /// [`close_outcome`](Self::close_outcome) then tells the codes.
    ///
    /// # Errors
    ///
    /// Told once, at the end; after it, `None`:
    ///
    /// - [`Error::Protocol`]: the peer broke the protocol, no longer answers, or no longer reads. A
    ///   Close frame with the code has been written, unless the peer took nothing any more, and the
    ///   peer has ended TCP or had the time of [`Config::closing_timeout`] to read it. On a
    ///   non-blocking transport that time passes between the calls.
    /// - [`Error::ConnectionLost`]: TCP ended without the peer's Close frame.
    /// - [`Error::Io`]: TCP broke. `WouldBlock` is no end.
    pub fn read(&mut self) -> Result<Option<Message>, Error> {
        while let Some(step) = self.driver.next(true)? {
            if step == Step::Message
                && let Some(message) = self.driver.endpoint.take_message()
            {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// As [`read`](Self::read), but lends the message where it lies: nothing is allocated.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        while let Some(step) = self.driver.next(true)? {
            if step == Step::Message {
                return Ok(self.driver.endpoint.message());
            }
        }
        Ok(None)
    }

    /// As [`read`](Self::read), but lends the messages in pieces as they come, so that one larger
    /// than memory can be received. [`Config::max_message_length`] still holds.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_chunk(&mut self) -> Result<Option<ChunkRef<'_>>, Error> {
        while let Some(step) = self.driver.next(false)? {
            if step == Step::Chunk {
                return Ok(self.driver.endpoint.chunk());
            }
        }
        Ok(None)
    }

    /// As [`read`](Self::read), but shows pings and pongs too. Unless
    /// [`Config::automatic_pong`] is off, a ping is already being answered.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_event(&mut self) -> Result<Option<Event>, Error> {
        while let Some(step) = self.driver.next(true)? {
            match step {
                Step::Message => {
                    if let Some(message) = self.driver.endpoint.take_message() {
                        return Ok(Some(Event::Message(message)));
                    }
                }
                Step::Ping(payload) => return Ok(Some(Event::Ping(payload))),
                Step::Pong(payload) => return Ok(Some(Event::Pong(payload))),
                Step::Chunk | Step::Close => {}
            }
        }
        Ok(None)
    }

    /// Sends a message: queues it, and writes out all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the connection is closing or a message in fragments is unfinished;
    /// [`Error::Io`]; [`Error::Protocol`] with
    /// [`WriteStalled`](crate::ProtocolError::WriteStalled) if the peer has taken nothing for
    /// [`Config::write_stall_timeout`].
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.driver.send_message(message.into(), true)
    }

    /// Queues a message. It is written before the next read waits, with the next
    /// [`flush`](Self::flush) or [`send`](Self::send), or once [`Config::write_high_water`] is
    /// passed.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        self.driver.send_message(message.into(), false)
    }

    /// Sends a message that is never compressed, whatever was agreed on: a secret, whose size must
    /// not depend on what else is sent (RFC 7692 section 8).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_uncompressed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.driver.send(true, |endpoint| endpoint.send_uncompressed(message))
    }

    /// Queues a message that is never compressed; as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_uncompressed(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let message = message.into();
        self.driver.send(false, |endpoint| endpoint.send_uncompressed(message))
    }

    /// [`feed`](Self::feed) for borrowed text, which is copied straight into the queue.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_text(&mut self, text: &str) -> Result<(), Error> {
        self.driver.send(false, |endpoint| endpoint.send_text(text))
    }

    /// [`feed`](Self::feed) for borrowed bytes, which are copied straight into the queue.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_binary(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.driver.send(false, |endpoint| endpoint.send_binary(bytes))
    }

    /// Sends a message that was framed once, to be sent to many.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.driver.send_prepared(message, true)
    }

    /// [`feed`](Self::feed) for a message that was framed once.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed_prepared(&mut self, message: &Prepared) -> Result<(), Error> {
        self.driver.send_prepared(message, false)
    }

    /// Begins a message that is sent in fragments, whose length need not be known (RFC 6455 section
    /// 5.4).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the connection is closing or a message in fragments is unfinished.
    pub fn begin_message(
        &mut self,
        message_type: MessageType,
    ) -> Result<MessageWriter<'_, S>, Error> {
        if self.ready_state() > ReadyState::Open {
            return Err(SendError::Closing.into());
        }
        if self.driver.endpoint.connection().is_message_in_progress() {
            return Err(SendError::MessageInProgress.into());
        }
        Ok(MessageWriter::begin(&mut self.driver, message_type))
    }

    /// Goes on with a message in fragments whose writer was dropped before its end; `None` if there
    /// is none.
    pub fn resume_message(&mut self) -> Option<MessageWriter<'_, S>> {
        let in_progress = self.driver.endpoint.connection().is_message_in_progress();
        in_progress.then(|| MessageWriter::resume(&mut self.driver))
    }

    /// Writes out all that is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], which may be `WouldBlock`; [`Error::Protocol`] if the peer has stalled.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.driver.write_out()
    }

    /// Sends a ping with at most 125 bytes of payload. Its pong is an
    /// [`Event::Pong`](crate::Event::Pong) of [`read_event`](Self::read_event).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::Send`] if the payload is too long.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.driver.send(true, |endpoint| endpoint.ping(payload))
    }

    /// Sends a pong that no ping asked for, with at most 125 bytes of payload; or the answer to
    /// one, where [`Config::automatic_pong`] is off.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.driver.send(true, |endpoint| endpoint.pong(payload))
    }

    /// Closes the connection: sends a Close frame with a reason of at most 123 bytes, waits for the
    /// peer's and for the end of TCP, within [`Config::closing_timeout`] in all. Messages that come
    /// meanwhile are dropped; to read them, use [`start_close`](Self::start_close).
    ///
    /// On a connection that is closing or closed, only waits for the end.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is too long; nothing has happened then. As
    /// [`read`](Self::read) if the closing handshake does not come to its end.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.driver.close(code, reason)
    }

    /// Sends a Close frame and does not wait: the messages still on their way are had by
    /// [`read`](Self::read), which carries the closing handshake to its end and then says `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason is over 123 bytes; [`Error::Io`].
    pub fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.driver.start_close(code, reason)
    }

    /// As [`start_close`](Self::start_close), with an empty Close frame, which the peer reports as
    /// 1005.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn start_close_without_code(&mut self) -> Result<(), Error> {
        self.driver.start_close_without_code()
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

    /// Bytes that wait to be written, framing included.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.driver.endpoint.buffered_amount()
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// How the connection ended; `None` before it has.
    #[must_use]
    pub fn close_outcome(&self) -> Option<CloseOutcome<'_>> {
        self.driver.endpoint.close_outcome()
    }

    /// Bytes of memory that the buffers take up, payloads apart that are queued without a copy.
    #[must_use]
    pub fn buffer_capacity(&self) -> usize {
        self.driver.endpoint.buffer_capacity()
    }

    /// The transport.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.driver.wire.stream
    }
}

impl<S: TryClone> WebSocket<S> {
    /// Splits the connection in two halves, for two threads.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there can be no further handle to the transport. The connection is then
    /// dropped.
    pub fn split(mut self) -> Result<(ReadHalf<S>, WriteHalf<S>), Error> {
        let reader = self.driver.wire.beside(self.get_ref().try_clone()?);
        let writer = self.driver.wire.beside(self.get_ref().try_clone()?);
        Ok(split::halves(&mut self.driver, reader, writer, self.subprotocol.take()))
    }
}

impl<S: Transport> Drop for WebSocket<S> {
    fn drop(&mut self) {
        self.driver.abandon();
    }
}

impl<S: Transport> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint: &Endpoint = &self.driver.endpoint;
        f.debug_struct("WebSocket")
            .field("endpoint", endpoint)
            .field("subprotocol", &self.subprotocol)
            .finish_non_exhaustive()
    }
}
