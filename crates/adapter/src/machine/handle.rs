//! What an application calls from anywhere.

use std::sync::Arc;
use std::time::Duration;

use duologue_core::browser::{BinaryType, DomException};
use duologue_core::reconnect::Unsent;
use duologue_core::{CloseCode, Message, ReadyState, SendError};

use crate::error::Error;
use crate::machine::{BrowserMachine, SessionMachine, Shared};

/// The calls and attributes of a browser's `WebSocket`, to be used from any thread or task. None of
/// them waits.
#[derive(Clone, Debug)]
pub struct BrowserHandle {
    shared: Arc<Shared<BrowserMachine>>,
}

impl BrowserHandle {
    /// A handle to this object.
    #[must_use]
    pub const fn new(shared: Arc<Shared<BrowserMachine>>) -> Self {
        Self { shared }
    }

    /// `send(data)`: queues a message, without waiting. When the connection is closing or closed it
    /// is no error, and nothing is sent.
    ///
    /// # Errors
    ///
    /// [`DomException::StillConnecting`] before the `open` event.
    pub fn send(&self, data: impl Into<Message>) -> Result<(), DomException> {
        let message = data.into();
        self.shared.ask(|machine| machine.object.send(message))
    }

    /// `close()`: an empty Close frame, behind what is queued.
    pub fn close(&self) {
        self.shared.ask(|machine| machine.object.close());
    }

    /// Gives the connection up at once, without a closing handshake and without what is queued,
    /// which no page can do. It ends with `error` and `close` (1006).
    pub fn abort(&self) {
        self.shared.ask(|machine| machine.object.give_up());
    }

    /// `close(code, reason)`. Without a code there is no reason.
    ///
    /// # Errors
    ///
    /// [`DomException::CloseCode`] if the code is neither 1000 nor in the range 3000 to 4999;
    /// [`DomException::CloseReasonTooLong`] past 123 bytes of UTF-8.
    pub fn close_with(&self, code: u16, reason: &str) -> Result<(), DomException> {
        self.shared.ask(|machine| machine.object.close_with(code, reason))
    }

    /// `readyState`. As in a browser, it changes when events are dispatched: when they are taken.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.look(|machine| machine.object.ready_state())
    }

    /// `bufferedAmount`: bytes of payload, uncompressed, that have not reached the network. It does
    /// not fall when the connection ends.
    #[must_use]
    pub fn buffered_amount(&self) -> u64 {
        self.shared.look(|machine| machine.object.buffered_amount())
    }

    /// `url`, serialised.
    #[must_use]
    pub fn url(&self) -> String {
        self.shared.look(|machine| machine.object.url().into())
    }

    /// `protocol`: the subprotocol agreed on; empty before `open`, and if there is none.
    #[must_use]
    pub fn protocol(&self) -> String {
        self.shared.look(|machine| machine.object.protocol().into())
    }

    /// `extensions`: those agreed on; empty before `open`, and if there are none.
    #[must_use]
    pub fn extensions(&self) -> String {
        self.shared.look(|machine| machine.object.extensions().into())
    }

    /// `binaryType`.
    #[must_use]
    pub fn binary_type(&self) -> BinaryType {
        self.shared.look(|machine| machine.object.binary_type())
    }

    /// Sets `binaryType`, for the messages dispatched from now on.
    pub fn set_binary_type(&self, binary_type: BinaryType) {
        self.shared.ask(|machine| machine.object.set_binary_type(binary_type));
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. A browser
    /// has no such thing.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.round_trip_time()
    }
}

/// The calls of a client that connects again, to be used from any thread or task. None of them
/// waits.
#[derive(Clone, Debug)]
pub struct ReconnectingHandle {
    shared: Arc<Shared<SessionMachine>>,
}

impl ReconnectingHandle {
    /// A handle to this client.
    #[must_use]
    pub const fn new(shared: Arc<Shared<SessionMachine>>) -> Self {
        Self { shared }
    }

    /// Sends a message, without waiting; while there is no connection it is refused or kept, as was
    /// chosen.
    ///
    /// # Errors
    ///
    /// [`Unsent`], with the message.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), Unsent> {
        let message = message.into();
        self.shared.ask(|machine| machine.session.send(message))
    }

    /// Ends it: with a closing handshake behind what is sent, or at once if there is no connection.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the reason has over 123 bytes.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        let close = |machine: &mut SessionMachine| machine.session.close(Some((code, reason)));
        self.shared.ask(close).map_err(|error: SendError| Error::Send(error))
    }

    /// As [`close`](Self::close), with an empty Close frame, which the peer reports as 1005.
    pub fn close_without_code(&self) {
        // Without a reason there is nothing to refuse.
        let _ = self.shared.ask(|machine| machine.session.close(None));
    }

    /// Gives up at once: the connection, without a closing handshake and without what is sent, and
    /// all further attempts.
    pub fn abort(&self) {
        self.shared.ask(|machine| machine.session.give_up());
    }

    /// Makes the next attempt now instead of later: the network is back, perhaps. It does nothing
    /// while there is a connection or an attempt.
    pub fn retry_now(&self) {
        self.shared.ask(|machine| machine.session.retry_now());
    }

    /// `Connecting` also between two attempts; `Closed` when none is to come.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.look(|machine| machine.session.ready_state())
    }

    /// Bytes of payload that are sent or kept and have not reached the network.
    #[must_use]
    pub fn buffered_amount(&self) -> u64 {
        self.shared.look(|machine| machine.session.buffered_amount())
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong of a
    /// connection.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.round_trip_time()
    }
}
