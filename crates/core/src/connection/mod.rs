//! Layer 1: a connection, from the opening handshake to the end of TCP, without allocation.

mod config;
mod control;
mod event;
mod incoming;
mod lifecycle;
mod outgoing;
mod timers;

use core::fmt;
use core::time::Duration;

pub use config::{Config, Keepalive};
pub use control::{CloseFrame, ControlFrame, ControlPayload};
pub use event::{Chunk, Event, Received};
pub use outgoing::{OutgoingFrame, Transmit};

use crate::close_code::{CloseCode, CloseStatus};
use crate::error::{ProtocolError, SendError};
use crate::handshake::NegotiatedExtensions;
use crate::opcode::{MessageType, Opcode};
use crate::ready_state::ReadyState;
use crate::role::Role;
use crate::time::Timestamp;
use control::ControlBuffer;
#[cfg(feature = "alloc")]
pub(crate) use incoming::WholeMessage;
use incoming::{Arrival, Incoming};
use lifecycle::{Action, Effects, Phase};
use outgoing::Outgoing;
use timers::{Expired, Timers};

/// One end of a WebSocket connection, as a pure state machine over bytes.
///
/// The caller hands in what it reads ([`receive`](Self::receive),
/// [`receive_eof`](Self::receive_eof)), what time it is, and what the application wants; it
/// carries out what [`poll_transmit`](Self::poll_transmit) says, and calls
/// [`handle_timeout`](Self::handle_timeout) no earlier than [`next_deadline`](Self::next_deadline).
///
/// The order of calls that loses nothing:
///
/// 1. after each `receive`, command or `handle_timeout`, call `poll_transmit` until it is `None`;
/// 2. call `receive` again with the rest of the input until all of it is consumed;
/// 3. read more, or wait for the deadline.
///
/// After a fault of the peer the connection has failed itself: the Close frame and the shutdown are
/// queued and later input is swallowed, so the caller just goes on with these three steps until
/// [`Transmit::CloseTransport`] comes.
pub struct Connection<R> {
    role: R,
    phase: Phase,
    initiator: Option<Initiator>,
    automatic_pong: bool,
    peer_closed: bool,
    failure: Option<ProtocolError>,
    incoming: Incoming,
    outgoing: Outgoing,
    timers: Timers,
}

/// Who began to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// This end.
    Local,
    /// The peer.
    Peer,
}

/// How a connection ended (RFC 6455 sections 7.1.4 to 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseOutcome<'a> {
    /// The peer's close code; [`CloseStatus::Abnormal`] if no Close frame came.
    pub status: CloseStatus,
    /// The peer's reason, often empty.
    pub reason: &'a str,
    /// Our close code; `None` if we sent no Close frame.
    pub sent: Option<CloseStatus>,
    /// Who began to close; `None` if TCP ended before anybody did.
    pub initiator: Option<Initiator>,
    /// Whether both Close frames were exchanged before TCP ended.
    pub was_clean: bool,
    /// What the peer did wrong, if that ended the connection.
    pub failure: Option<ProtocolError>,
}

impl<R: Role> Connection<R> {
    /// A connection whose opening handshake begins now.
    ///
    /// The handshake itself is carried out by [`handshake`](crate::handshake); this only keeps its
    /// deadline, until [`open`](Self::open).
    pub fn new(role: R, config: &Config, now: Timestamp) -> Self {
        Self {
            phase: Phase::Connecting,
            initiator: None,
            automatic_pong: config.automatic_pong,
            peer_closed: false,
            failure: None,
            incoming: Incoming::new(config, role.is_client()),
            outgoing: Outgoing::new(),
            timers: Timers::new(config, now),
            role,
        }
    }

    /// The opening handshake succeeded with these extensions: messages can flow. Any other time than
    /// during the opening handshake it does nothing.
    pub fn open(&mut self, extensions: NegotiatedExtensions, now: Timestamp) {
        if self.phase == Phase::Connecting {
            self.incoming.open(extensions.claimed_rsv());
            self.timers.opened(now);
            self.act(Action::Opened, None, now);
        }
    }

    /// Takes in bytes from the peer, up to the end of the first event.
    ///
    /// The payload is unmasked in place, and the event borrows it. Without an event all of `input`
    /// is consumed: what is unfinished is carried inside the connection. Once the peer's Close has
    /// come, or the connection has failed, input is swallowed (RFC 6455 section 7.1.7); so it is
    /// before [`open`](Self::open), for a handshake's bytes are no frames.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke. It is told once; the connection has then failed itself, and
    /// all of `input` is consumed.
    #[inline]
    pub fn receive<'b>(
        &mut self,
        input: &'b mut [u8],
        now: Timestamp,
    ) -> Result<Received<'b>, ProtocolError> {
        let is_client = self.role.is_client();
        let Some(whole) = self.incoming.peek_whole(input, is_client) else {
            return self.receive_frames(input, now);
        };
        self.timers.heard(now);
        match whole.open(input, is_client) {
            Ok(chunk) => {
                Ok(Received { consumed: whole.frame_length(), event: Some(Event::Data(chunk)) })
            }
            Err(error) => {
                self.fault(error, now);
                Err(error)
            }
        }
    }

    /// [`receive`](Self::receive), if `input` begins with a message in one frame that is at hand
    /// whole: where it lies, unmasked and validated. `None`, and nothing is touched, if not.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn receive_whole(
        &mut self,
        input: &mut [u8],
        now: Timestamp,
    ) -> Option<Result<WholeMessage, ProtocolError>> {
        let is_client = self.role.is_client();
        let whole = self.incoming.peek_whole(input, is_client)?;
        self.timers.heard(now);
        if let Err(error) = whole.open(input, is_client) {
            self.fault(error, now);
            return Some(Err(error));
        }
        Some(Ok(whole))
    }

    /// [`receive`](Self::receive) of whatever is not a message that is at hand whole.
    #[inline(never)]
    fn receive_frames<'b>(
        &mut self,
        input: &'b mut [u8],
        now: Timestamp,
    ) -> Result<Received<'b>, ProtocolError> {
        let length = input.len();
        if length > 0 {
            self.timers.heard(now);
        }
        if !self.phase.reads_frames() {
            return Ok(Received { consumed: length, event: None });
        }
        match self.incoming.receive(input) {
            Ok((rest, arrival)) => {
                let consumed = length.wrapping_sub(rest.len());
                let event = match arrival {
                    None => None,
                    Some(Arrival::Data(chunk)) => Some(Event::Data(chunk)),
                    Some(Arrival::Control(opcode, payload)) => {
                        Some(self.receive_control(opcode, payload, now)?)
                    }
                };
                Ok(Received { consumed, event })
            }
            Err(error) => {
                self.fault(error, now);
                Err(error)
            }
        }
    }

    /// A control frame came: it is answered.
    #[inline(never)]
    fn receive_control<'b>(
        &mut self,
        opcode: Opcode,
        payload: Option<&'b [u8]>,
        now: Timestamp,
    ) -> Result<Event<'b>, ProtocolError> {
        let event = self.incoming.control_event(opcode, payload);
        match &event {
            Ok(Event::Data(_)) => {}
            Ok(Event::Pong(payload)) => self.timers.pong(payload, now),
            Ok(Event::Ping(payload)) => self.answer_ping(payload),
            Ok(Event::Close(_)) => self.answer_close(now),
            Err(error) => self.fault(*error, now),
        }
        event
    }

    /// The peer ended its side of TCP. Without a Close frame the outcome is 1006.
    pub fn receive_eof(&mut self, now: Timestamp) {
        self.act(Action::Eof, None, now);
    }

    /// TCP broke, such as by a reset: nothing can be sent any more.
    pub fn transport_failed(&mut self, now: Timestamp) {
        self.act(Action::TransportFailed, None, now);
    }

    /// Does what is due at `now`: sends a keepalive ping, or ends what took too long. Harmless
    /// when nothing is due.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::PongTimeout`], once, when the peer no longer answers.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        match self.timers.expire(self.phase, now) {
            None => Ok(()),
            Some(Expired::Handshake) => {
                self.act(Action::Deadline, None, now);
                Ok(())
            }
            Some(Expired::KeepaliveDue) => {
                self.outgoing.queue_keepalive_ping();
                Ok(())
            }
            Some(Expired::PongTimeout) => {
                self.fault(ProtocolError::PongTimeout, now);
                Err(ProtocolError::PongTimeout)
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called. Receiving moves it back,
    /// so it is enough to look again when it has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next_deadline(self.phase)
    }

    /// Lets the closing timeout run from `now`, if it was the peer's bytes that began to close: for
    /// a caller that handed in an older time with them. It does so once; a closing handshake that
    /// this end began has one deadline, whatever the peer answers.
    pub fn restart_closing_timeout(&mut self, now: Timestamp) {
        if self.phase.ready_state() == ReadyState::Closing {
            self.timers.restart_closing(now);
        }
    }

    /// The pong deadline, if it is past, moves on: bytes wait to be written, or did until lately,
    /// and perhaps the ping is among them, so the peer is not to blame for its silence.
    #[cfg(feature = "alloc")]
    pub(crate) fn postpone_pong_deadline(&mut self, now: Timestamp) {
        self.timers.postpone_pong_deadline(now);
    }

    /// The Close frame that was handed out did not reach the transport.
    #[cfg(feature = "alloc")]
    pub(crate) fn close_frame_lost(&mut self) {
        self.outgoing.close_frame_lost();
    }

    /// Notes what the peer did wrong, where that is known outside.
    #[cfg(feature = "alloc")]
    pub(crate) fn note_failure(&mut self, failure: ProtocolError) {
        self.failure.get_or_insert(failure);
    }

    /// What is to be done on the transport now, or `None`.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outgoing.poll(&mut self.role, self.timers.ping_number())
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has something.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) const fn has_transmit(&self) -> bool {
        !self.outgoing.is_idle()
    }

    /// Begins a message: whole, if `fin`, or its first fragment (RFC 6455 section 5.4).
    ///
    /// A text's bytes must be UTF-8; the caller sees to that, here the payload is never seen.
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`], [`SendError::Closing`], [`SendError::MessageInProgress`].
    #[inline]
    pub fn begin_message(
        &mut self,
        message_type: MessageType,
        fin: bool,
        payload_length: u64,
    ) -> Result<OutgoingFrame, SendError> {
        self.must_be_open()?;
        self.outgoing.begin_message(message_type, 0, fin, payload_length, &mut self.role)
    }

    /// As [`begin_message`](Self::begin_message), of a message whose payload is compressed, in all
    /// its fragments together: RSV1 says so (RFC 7692 section 6).
    ///
    /// # Errors
    ///
    /// As [`begin_message`](Self::begin_message); [`SendError::CompressionNotAgreed`].
    #[cfg(feature = "deflate")]
    #[inline]
    pub fn begin_compressed_message(
        &mut self,
        message_type: MessageType,
        fin: bool,
        payload_length: u64,
    ) -> Result<OutgoingFrame, SendError> {
        self.must_be_open()?;
        let rsv = self.incoming.claimed_rsv();
        if rsv == 0 {
            return Err(SendError::CompressionNotAgreed);
        }
        self.outgoing.begin_message(message_type, rsv, fin, payload_length, &mut self.role)
    }

    /// Whether a message can be begun now.
    #[cfg(feature = "deflate")]
    #[inline]
    pub(crate) fn may_begin_message(&self) -> Result<(), SendError> {
        self.must_be_open()?;
        if self.outgoing.is_message_in_progress() {
            return Err(SendError::MessageInProgress);
        }
        Ok(())
    }

    /// Whether the message in progress can go on.
    #[cfg(feature = "deflate")]
    #[inline]
    pub(crate) fn may_continue_message(&self) -> Result<(), SendError> {
        self.must_be_open()?;
        if self.outgoing.is_message_in_progress() {
            Ok(())
        } else {
            Err(SendError::NoMessageInProgress)
        }
    }

    /// The largest message received.
    #[cfg(feature = "deflate")]
    pub(crate) const fn max_message_length(&self) -> u64 {
        self.incoming.max_message_length()
    }

    /// Whether frames are still received.
    #[cfg(feature = "deflate")]
    pub(crate) fn reads_frames(&self) -> bool {
        self.phase.reads_frames()
    }

    /// The peer broke a rule that is judged outside: the connection fails.
    #[cfg(feature = "deflate")]
    pub(crate) fn peer_broke(&mut self, error: ProtocolError, now: Timestamp) {
        self.fault(error, now);
    }

    /// Goes on with the message begun; its last fragment, if `fin`.
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`], [`SendError::Closing`], [`SendError::NoMessageInProgress`].
    #[inline]
    pub fn continue_message(
        &mut self,
        fin: bool,
        payload_length: u64,
    ) -> Result<OutgoingFrame, SendError> {
        self.must_be_open()?;
        self.outgoing.continue_message(fin, payload_length, &mut self.role)
    }

    /// A ping of the application's, to be written at once, between two frames.
    ///
    /// # Errors
    ///
    /// [`SendError::NotOpen`], [`SendError::Closing`], [`SendError::ControlPayloadTooLong`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<ControlFrame, SendError> {
        self.control_frame(Opcode::Ping, payload)
    }

    /// A pong of the application's, to be written at once, between two frames: an answer where
    /// automatic ones are off, or a one-way heartbeat (RFC 6455 section 5.5.3).
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<ControlFrame, SendError> {
        self.control_frame(Opcode::Pong, payload)
    }

    /// Begins the closing handshake with a code and a reason of at most 123 bytes. Messages
    /// already on their way in are still received. When closing or closed, nothing happens.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseReasonTooLong`], in every state.
    pub fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), SendError> {
        let body = outgoing::close_body(code, reason)?;
        self.act(Action::LocalClose, Some(body), now);
        Ok(())
    }

    /// Begins the closing handshake with an empty Close frame, which the peer reports as 1005.
    pub fn close_without_code(&mut self, now: Timestamp) {
        self.act(Action::LocalClose, None, now);
    }

    /// Fails the connection (RFC 6455 section 7.1.7): Close with the code and a reason of at most
    /// 123 bytes, and nothing more is read. For an application that cannot go on.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseReasonTooLong`], in every state.
    pub fn fail(&mut self, code: CloseCode, reason: &str, now: Timestamp) -> Result<(), SendError> {
        let body = outgoing::close_body(code, reason)?;
        self.act(Action::Fault, Some(body), now);
        Ok(())
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    #[inline]
    pub fn ready_state(&self) -> ReadyState {
        self.phase.ready_state()
    }

    /// Payload bytes of the data frame in progress that have not come yet; 0 between frames. A
    /// hint for sizing a buffer, never a promise: the peer only declared it.
    #[must_use]
    #[inline]
    pub fn payload_remaining(&self) -> u64 {
        self.incoming.payload_remaining()
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. It counts
    /// from the `now` at which the ping was due to the one that came with the pong.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.timers.round_trip_time()
    }

    /// Whether a message is being sent in fragments and has not ended.
    #[must_use]
    pub const fn is_message_in_progress(&self) -> bool {
        self.outgoing.is_message_in_progress()
    }

    /// Which end this is.
    #[must_use]
    pub const fn role(&self) -> &R {
        &self.role
    }

    /// How the connection ended; `None` before it has.
    #[must_use]
    pub fn close_outcome(&self) -> Option<CloseOutcome<'_>> {
        if self.phase != Phase::Closed {
            return None;
        }
        let sent = self.outgoing.close_body().map(control::close_status);
        let (status, reason) = if self.peer_closed {
            let body = self.incoming.close_body();
            (control::close_status(body), control::close_reason(body))
        } else {
            (CloseStatus::Abnormal, "")
        };
        Some(CloseOutcome {
            status,
            reason,
            sent,
            initiator: self.initiator,
            was_clean: self.peer_closed && sent.is_some(),
            failure: self.failure,
        })
    }

    fn must_be_open(&self) -> Result<(), SendError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Connecting => Err(SendError::NotOpen),
            _ => Err(SendError::Closing),
        }
    }

    fn control_frame(&mut self, opcode: Opcode, payload: &[u8]) -> Result<ControlFrame, SendError> {
        let payload = ControlBuffer::new(payload).ok_or(SendError::ControlPayloadTooLong)?;
        self.must_be_open()?;
        Ok(ControlFrame::encode(opcode, &payload, self.role.masking_key()))
    }

    /// No pong follows our Close (RFC 6455 section 5.5.1).
    fn answer_ping(&mut self, payload: &ControlPayload<'_>) {
        if self.automatic_pong && self.phase == Phase::Open {
            self.outgoing.queue_pong(payload);
        }
    }

    /// The reply echoes the code, without the reason (section 5.5.1).
    fn answer_close(&mut self, now: Timestamp) {
        self.peer_closed = true;
        let code = self.incoming.close_body().get(..2).and_then(ControlBuffer::new);
        self.act(Action::PeerClose, code, now);
    }

    #[cold]
    fn fault(&mut self, error: ProtocolError, now: Timestamp) {
        self.failure = Some(error);
        let body = outgoing::close_body(error.close_code(), error.reason()).ok();
        self.act(Action::Fault, body, now);
    }

    /// The one place where the phase changes.
    fn act(&mut self, action: Action, close_body: Option<ControlBuffer>, now: Timestamp) {
        let (next, effects) = self.phase.after(action, self.role.is_client());
        if effects == (Effects::default()) && next == self.phase {
            return;
        }
        if self.initiator.is_none() {
            self.initiator = match action {
                Action::PeerClose => Some(Initiator::Peer),
                Action::LocalClose | Action::Fault => Some(Initiator::Local),
                Action::Opened | Action::Eof | Action::Deadline | Action::TransportFailed => None,
            };
        }
        if next.ready_state() == ReadyState::Closing
            && self.phase.ready_state() != ReadyState::Closing
        {
            let since_input = matches!(action, Action::PeerClose | Action::Fault);
            self.timers.begin_closing(now, since_input);
        }
        self.phase = next;
        if !next.reads_frames() {
            self.incoming.stop();
        }
        self.outgoing.carry_out(effects, close_body.unwrap_or(ControlBuffer::EMPTY));
    }
}

impl<R> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("phase", &self.phase)
            .field("initiator", &self.initiator)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

// What an idle connection costs is part of the promise: docs/architecture.md states it.
const _: () = assert!(size_of::<Connection<crate::Server>>() <= 512);
