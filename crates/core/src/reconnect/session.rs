//! A client that stays connected: one connection after the other, as a pure state machine.

use alloc::collections::VecDeque;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::close_code::CloseCode;
use crate::command::{CloseEvent, Command, MOST_REASON, counted};
use crate::error::SendError;
use crate::handshake::NegotiatedExtensions;
use crate::message::Message;
use crate::ready_state::ReadyState;
use crate::reconnect::policy::{Backoff, ReconnectPolicy};
use crate::time::Timestamp;

/// What becomes of messages that are sent while there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileDown {
    /// They are refused. This is the default: a message that is late may be worse than none.
    Refuse,
    /// Up to so many wait for the next connection, and go out with it, in order; further ones are
    /// refused. What was sent before, and was not handed to the connection that is lost, waits
    /// too, however much it is.
    Keep(usize),
}

/// What an application chooses about a [`Session`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionConfig {
    /// When to connect again.
    pub policy: ReconnectPolicy,
    /// What becomes of messages that are sent while there is no connection. Default: refused.
    pub while_down: WhileDown,
    /// How many bytes may wait to be sent, connected or not; a message past that is refused, unless
    /// nothing else waits. A message counts a little more than its payload. Default 1 MiB.
    pub max_buffered: usize,
}

impl SessionConfig {
    /// The defaults, each stated at its field.
    pub const DEFAULT: Self = Self {
        policy: ReconnectPolicy::DEFAULT,
        while_down: WhileDown::Refuse,
        max_buffered: 1 << 20,
    };
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What happens to a [`Session`]. `E` is what the driver knows of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent<E> {
    /// A connection is up.
    Up {
        /// The subprotocol agreed on.
        subprotocol: Option<String>,
        /// The extensions agreed on.
        extensions: NegotiatedExtensions,
    },
    /// A message came.
    Message(Message),
    /// The connection is down, or an attempt has failed.
    Down {
        /// How it ended; 1006 if it never was up.
        close: CloseEvent,
        /// Why, if it failed.
        cause: Option<E>,
        /// How many messages are given up because of it that have certainly not arrived: no byte of
        /// them had been handed to the transport. What had been, in part or whole, may have arrived
        /// or not, and is not counted. None of it is sent again.
        dropped: usize,
        /// How long until the next attempt; `None` if there is none, and then nothing follows.
        retry_in: Option<Duration>,
    },
}

/// A message that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The message.
    pub message: Message,
    /// Why it was refused.
    pub reason: UnsentReason,
}

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnsentReason {
    /// There is no connection, and none of the kept messages' room is left.
    Down,
    /// Too many bytes wait to be sent.
    Full,
    /// The session is being closed, or over.
    Closed,
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            UnsentReason::Down => "there is no connection to send the message with",
            UnsentReason::Full => "too many bytes wait to be sent already",
            UnsentReason::Closed => "the session is closed",
        })
    }
}

impl core::error::Error for Unsent {}

/// What a driver without a connection is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Connect.
    Connect,
    /// Wait until then, call `handle_timeout`, and look again.
    Wait(Timestamp),
    /// Nothing: it is over.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Waiting(Timestamp),
    Up,
    /// The application has closed, and the connection is to be closed behind what is sent.
    Closing,
    /// The application has closed, and the attempt to connect is to be given up.
    Abandoned,
    Over,
}

/// A client that connects again when its connection is lost.
///
/// A driver connects when [`next_action`](Self::next_action) says so, tells of it
/// ([`opened`](Self::opened)), carries out [commands](Self::poll_command), hands in what comes
/// ([`received`](Self::received),
/// [`transmitted`](Self::transmitted)), and tells of the end of each connection and of each attempt
/// that failed ([`closed`](Self::closed)). [`poll_event`](Self::poll_event) tells the application.
///
/// Nothing is sent twice. A message is handed to one connection at most; what that had begun to
/// write when it was lost may have arrived or not.
///
/// Events must be taken. Where nobody takes them, those of connections that come and go become one.
#[derive(Debug)]
pub struct Session<E> {
    config: SessionConfig,
    backoff: Backoff,
    phase: Phase,
    /// The closing handshake that is to begin when all is sent.
    close: Option<Command>,
    /// Messages that no connection has been handed.
    outbox: VecDeque<Message>,
    /// Their payload, in bytes.
    outbox_bytes: u64,
    /// What they count towards the limit.
    outbox_counted: usize,
    /// Bytes of payload that the connection was handed and has not written.
    in_flight: u64,
    events: VecDeque<SessionEvent<E>>,
    /// What the messages among them count.
    backlog: usize,
}

impl<E> Session<E> {
    /// A session that is to connect.
    #[must_use]
    pub const fn new(config: SessionConfig) -> Self {
        Self {
            config,
            backoff: Backoff::new(config.policy),
            phase: Phase::Connecting,
            close: None,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            outbox_counted: 0,
            in_flight: 0,
            events: VecDeque::new(),
            backlog: 0,
        }
    }

    /// Sends a message; or keeps it, as [`WhileDown`] says.
    ///
    /// # Errors
    ///
    /// [`Unsent`], with the message.
    pub fn send(&mut self, message: Message) -> Result<(), Unsent> {
        let reason = match (self.phase, self.config.while_down) {
            (Phase::Closing | Phase::Abandoned | Phase::Over, _) => Some(UnsentReason::Closed),
            (Phase::Connecting | Phase::Waiting(_), WhileDown::Refuse) => Some(UnsentReason::Down),
            (Phase::Connecting | Phase::Waiting(_), WhileDown::Keep(most))
                if self.outbox.len() >= most =>
            {
                Some(UnsentReason::Down)
            }
            _ if self.is_full(&message) => Some(UnsentReason::Full),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(Unsent { message, reason });
        }
        self.outbox_bytes = self.outbox_bytes.saturating_add(message.len() as u64);
        self.outbox_counted = self.outbox_counted.saturating_add(counted(&message));
        self.outbox.push_back(message);
        Ok(())
    }

    /// One message may always wait, however large.
    fn is_full(&self, further: &Message) -> bool {
        let waiting = self.in_flight.saturating_add(self.outbox_counted as u64);
        let after = waiting.saturating_add(counted(further) as u64);
        waiting > 0 && after > self.config.max_buffered as u64
    }

    /// Ends the session: with a closing handshake behind what is sent, if there is a connection,
    /// and at once if there is none. `None` is a Close frame without a code. Once it is closed, it
    /// does nothing.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseReasonTooLong`], past 123 bytes.
    pub fn close(&mut self, close: Option<(CloseCode, &str)>) -> Result<(), SendError> {
        if close.is_some_and(|(_, reason)| reason.len() > MOST_REASON) {
            return Err(SendError::CloseReasonTooLong);
        }
        match self.phase {
            Phase::Up => {
                let close = close.map(|(code, reason)| (code, reason.into()));
                self.close = Some(Command::Close(close));
                self.phase = Phase::Closing;
            }
            // The driver gives the attempt up, and tells so.
            Phase::Connecting => self.phase = Phase::Abandoned,
            Phase::Waiting(_) => self.end(CloseEvent::abnormal(), None, 0),
            Phase::Closing | Phase::Abandoned | Phase::Over => {}
        }
        Ok(())
    }

    /// Gives up at once: the connection, without a closing handshake and without what is sent, and
    /// all further attempts.
    pub fn give_up(&mut self) {
        match self.phase {
            Phase::Connecting | Phase::Up | Phase::Closing => self.phase = Phase::Abandoned,
            Phase::Waiting(_) => self.end(CloseEvent::abnormal(), None, 0),
            Phase::Abandoned | Phase::Over => {}
        }
    }

    /// Makes the next attempt now instead of later: the network is back, perhaps. It does nothing
    /// unless the session waits.
    pub fn retry_now(&mut self) {
        if matches!(self.phase, Phase::Waiting(_)) {
            self.phase = Phase::Connecting;
        }
    }

    /// Nobody can reach the session any more: it closes with 1001.
    pub fn discard(&mut self) {
        let _ = self.close(Some((CloseCode::GOING_AWAY, "")));
    }

    /// What a driver without a connection is to do.
    #[must_use]
    pub const fn next_action(&self) -> Next {
        match self.phase {
            Phase::Waiting(at) => Next::Wait(at),
            Phase::Over => Next::Stop,
            Phase::Connecting | Phase::Up | Phase::Closing | Phase::Abandoned => Next::Connect,
        }
    }

    /// Whether the connection, or the attempt to connect, is to be given up at once, and
    /// [`closed`](Self::closed) to be told.
    #[must_use]
    pub const fn is_aborted(&self) -> bool {
        matches!(self.phase, Phase::Abandoned)
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if let Phase::Waiting(at) = self.phase
            && at <= now
        {
            self.phase = Phase::Connecting;
        }
    }

    /// The opening handshake is done.
    pub fn opened(
        &mut self,
        subprotocol: Option<&str>,
        extensions: NegotiatedExtensions,
        now: Timestamp,
    ) {
        if self.phase == Phase::Connecting {
            self.phase = Phase::Up;
            self.backoff.connected(now);
            let subprotocol = subprotocol.map(String::from);
            self.events.push_back(SessionEvent::Up { subprotocol, extensions });
        }
    }

    /// A message came. It is delivered even while the closing handshake is under way.
    pub fn received(&mut self, message: Message) {
        self.backlog = self.backlog.saturating_add(counted(&message));
        self.events.push_back(SessionEvent::Message(message));
    }

    /// So many bytes of payload have reached the network.
    pub fn transmitted(&mut self, bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
    }

    /// The connection is over, or the attempt has failed: with the peer's code and reason, the
    /// `cause` if it failed, and how many of the messages that it was handed it had not begun to
    /// write. `retry` tells whether another attempt makes sense; `random` is 64 random bits.
    pub fn closed(
        &mut self,
        close: CloseEvent,
        cause: Option<E>,
        unbegun: usize,
        retry: bool,
        now: Timestamp,
        random: u64,
    ) {
        self.in_flight = 0;
        if !matches!(self.phase, Phase::Connecting | Phase::Up) || !retry {
            return self.end(close, cause, unbegun);
        }
        let Some(at) = self.backoff.disconnected(now, random) else {
            return self.end(close, cause, unbegun);
        };
        self.phase = Phase::Waiting(at);
        let dropped = match self.config.while_down {
            WhileDown::Keep(_) => unbegun,
            WhileDown::Refuse => unbegun.saturating_add(self.empty_outbox()),
        };
        self.tell_down(close, cause, dropped, Some(at.saturating_since(now)));
    }

    fn end(&mut self, close: CloseEvent, cause: Option<E>, unbegun: usize) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            let dropped = unbegun.saturating_add(self.empty_outbox());
            self.tell_down(close, cause, dropped, None);
        }
    }

    /// Tells that the connection is down. Where that was told before and nobody has heard it, it is
    /// told once, and what came up in between is not told at all: so however often the connection
    /// comes and goes, few events wait.
    fn tell_down(
        &mut self,
        close: CloseEvent,
        cause: Option<E>,
        mut dropped: usize,
        retry_in: Option<Duration>,
    ) {
        let before_last = self.events.len().checked_sub(2).and_then(|at| self.events.get(at));
        if matches!(self.events.back(), Some(SessionEvent::Up { .. }))
            && matches!(before_last, Some(SessionEvent::Down { .. }))
        {
            self.events.pop_back();
        }
        if let Some(SessionEvent::Down { dropped: earlier, .. }) = self.events.back() {
            dropped = dropped.saturating_add(*earlier);
            self.events.pop_back();
        }
        self.events.push_back(SessionEvent::Down { close, cause, dropped, retry_in });
    }

    fn empty_outbox(&mut self) -> usize {
        let dropped = self.outbox.len();
        self.outbox.clear();
        self.outbox_bytes = 0;
        self.outbox_counted = 0;
        dropped
    }

    /// The next thing to be done on the connection.
    pub fn poll_command(&mut self) -> Option<Command> {
        match self.phase {
            Phase::Connecting | Phase::Waiting(_) | Phase::Over => return None,
            Phase::Abandoned => return Some(Command::Abort),
            Phase::Up | Phase::Closing => {}
        }
        if let Some(message) = self.outbox.pop_front() {
            self.outbox_bytes = self.outbox_bytes.saturating_sub(message.len() as u64);
            self.outbox_counted = self.outbox_counted.saturating_sub(counted(&message));
            self.in_flight = self.in_flight.saturating_add(message.len() as u64);
            return Some(Command::Send(message));
        }
        self.close.take()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SessionEvent<E>> {
        let event = self.events.pop_front()?;
        if let SessionEvent::Message(message) = &event {
            self.backlog = self.backlog.saturating_sub(counted(message));
        }
        Some(event)
    }

    /// What has come and waits to be taken, in bytes: a driver stops to read past a bound.
    #[must_use]
    pub const fn backlog(&self) -> usize {
        self.backlog
    }

    /// `Connecting` also between two attempts; `Closed` when there is none to come.
    #[must_use]
    pub const fn ready_state(&self) -> ReadyState {
        match self.phase {
            Phase::Connecting | Phase::Waiting(_) => ReadyState::Connecting,
            Phase::Up => ReadyState::Open,
            Phase::Closing | Phase::Abandoned => ReadyState::Closing,
            Phase::Over => ReadyState::Closed,
        }
    }

    /// Bytes of payload that are sent or kept and have not reached the network.
    #[must_use]
    pub const fn buffered_amount(&self) -> u64 {
        self.in_flight.saturating_add(self.outbox_bytes)
    }
}
