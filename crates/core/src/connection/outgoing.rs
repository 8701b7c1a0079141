//! The way out: frames of messages, and what the connection itself has to send.

use crate::close_code::CloseCode;
use crate::connection::control::{ControlBuffer, ControlFrame};
use crate::connection::lifecycle::Effects;
use crate::connection::timers::PingNumber;
use crate::error::SendError;
use crate::frame::{EncodedHeader, FrameHeader, Masker};
use crate::opcode::{MessageType, Opcode};
use crate::role::Role;

/// What the caller is to do next on its transport, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Write this frame, between two frames of messages, never inside one.
    Frame(ControlFrame),
    /// End the sending direction (TCP FIN), after everything before it is written, and go on
    /// reading.
    ShutdownWrite,
    /// Close the transport, after everything before it is written. Nothing follows.
    CloseTransport,
    /// Close the transport at once: it broke, or a deadline passed. What is not written yet is
    /// lost, and nothing follows.
    AbortTransport,
}

/// The start of a data frame: write the header, then exactly the announced number of payload
/// bytes, passed through the masker if there is one, before anything else.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingFrame {
    /// The header's bytes.
    pub header: EncodedHeader,
    /// A client's masker, at the payload's start; `None` for a server.
    pub masker: Option<Masker>,
}

/// The sending half of a connection. One slot for each thing to be sent: constant memory.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing {
    /// The answer to the newest ping (RFC 6455 section 5.5.2).
    pong: ControlBuffer,
    /// The body of our Close frame, once there is one.
    close: ControlBuffer,
    /// What waits to be done.
    pending: Pending,
    /// A Close frame has been queued, and perhaps sent.
    closed: bool,
    /// A message is being sent in fragments.
    in_message: bool,
}

/// A set of things to be done, in one byte: it is looked at for every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending(u8);

impl Pending {
    const NOTHING: Self = Self(0);
    const PONG: Self = Self(1);
    const PING: Self = Self(1 << 1);
    const CLOSE: Self = Self(1 << 2);
    const SHUTDOWN_WRITE: Self = Self(1 << 3);
    const CLOSE_TRANSPORT: Self = Self(1 << 4);
    const ABORT_TRANSPORT: Self = Self(1 << 5);

    const fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Removes `other`; whether it was in the set.
    const fn take(&mut self, other: Self) -> bool {
        let contained = self.contains(other);
        self.remove(other);
        contained
    }
}

impl Outgoing {
    pub(crate) const fn new() -> Self {
        Self {
            pong: ControlBuffer::EMPTY,
            close: ControlBuffer::EMPTY,
            pending: Pending::NOTHING,
            closed: false,
            in_message: false,
        }
    }

    /// The next thing to do; `ping` is the number of the newest keepalive ping.
    #[inline]
    pub(crate) fn poll(&mut self, role: &mut impl Role, ping: PingNumber) -> Option<Transmit> {
        if self.is_idle() { None } else { self.poll_queued(role, ping) }
    }

    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        self.pending.0 == 0
    }

    fn poll_queued(&mut self, role: &mut impl Role, ping: PingNumber) -> Option<Transmit> {
        if self.pending.take(Pending::ABORT_TRANSPORT) {
            return Some(Transmit::AbortTransport);
        }
        if self.pending.take(Pending::PONG) {
            return Some(frame(Opcode::Pong, &self.pong, role));
        }
        if self.pending.take(Pending::PING) {
            let mut payload = ControlBuffer::EMPTY;
            payload.append(&ping);
            return Some(frame(Opcode::Ping, &payload, role));
        }
        if self.pending.take(Pending::CLOSE) {
            return Some(frame(Opcode::Close, &self.close, role));
        }
        if self.pending.take(Pending::SHUTDOWN_WRITE) {
            return Some(Transmit::ShutdownWrite);
        }
        self.pending.take(Pending::CLOSE_TRANSPORT).then_some(Transmit::CloseTransport)
    }

    /// Queues the answer to a ping, in place of one that has not been sent yet.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) {
        if let Some(payload) = ControlBuffer::new(payload) {
            self.pong = payload;
            self.pending.insert(Pending::PONG);
        }
    }

    pub(crate) const fn queue_keepalive_ping(&mut self) {
        self.pending.insert(Pending::PING);
    }

    /// Carries out a transition; `body` is that of the Close frame, if one is asked for.
    pub(crate) fn carry_out(&mut self, effects: Effects, body: ControlBuffer) {
        if effects.abort_transport {
            self.pending.remove(Pending::PONG);
            // A Close frame that is still queued is never sent, and is not told as sent.
            self.closed &= !self.pending.contains(Pending::CLOSE);
            self.pending.remove(Pending::PING);
            self.pending.remove(Pending::CLOSE);
            self.pending.remove(Pending::SHUTDOWN_WRITE);
            self.pending.insert(Pending::ABORT_TRANSPORT);
        }
        if effects.send_close {
            self.close = body;
            self.closed = true;
            self.pending.insert(Pending::CLOSE);
            // Nothing but what is already owed goes out before Close, and nothing after it.
            self.pending.remove(Pending::PING);
        }
        if effects.shutdown_write {
            self.pending.insert(Pending::SHUTDOWN_WRITE);
        }
        if effects.close_transport {
            // Closing the transport ends both directions.
            self.pending.remove(Pending::SHUTDOWN_WRITE);
            self.pending.insert(Pending::CLOSE_TRANSPORT);
        }
    }

    /// The Close frame that was handed out did not reach the transport.
    #[cfg(feature = "alloc")]
    pub(crate) const fn close_frame_lost(&mut self) {
        self.closed = false;
    }

    pub(crate) const fn is_message_in_progress(&self) -> bool {
        self.in_message
    }

    /// The body of our Close frame, if one has been queued or sent.
    pub(crate) fn close_body(&self) -> Option<&[u8]> {
        self.closed.then(|| self.close.as_slice())
    }

    /// Begins a frame of a new message.
    #[inline]
    pub(crate) fn begin_message(
        &mut self,
        message_type: MessageType,
        rsv: u8,
        fin: bool,
        payload_length: u64,
        role: &mut impl Role,
    ) -> Result<OutgoingFrame, SendError> {
        if self.in_message {
            return Err(SendError::MessageInProgress);
        }
        self.in_message = !fin;
        Ok(data_frame(message_type.into(), rsv, fin, payload_length, role))
    }

    /// Begins a further frame of the message in progress.
    #[inline]
    pub(crate) fn continue_message(
        &mut self,
        fin: bool,
        payload_length: u64,
        role: &mut impl Role,
    ) -> Result<OutgoingFrame, SendError> {
        if !self.in_message {
            return Err(SendError::NoMessageInProgress);
        }
        self.in_message = !fin;
        Ok(data_frame(Opcode::Continuation, 0, fin, payload_length, role))
    }
}

#[inline]
fn data_frame(
    opcode: Opcode,
    rsv: u8,
    fin: bool,
    payload_length: u64,
    role: &mut impl Role,
) -> OutgoingFrame {
    let masking_key = role.masking_key();
    let header = FrameHeader { fin, rsv, opcode, masking_key, payload_length }.encode();
    OutgoingFrame { header, masker: masking_key.map(Masker::new) }
}

fn frame(opcode: Opcode, payload: &ControlBuffer, role: &mut impl Role) -> Transmit {
    Transmit::Frame(ControlFrame::encode(opcode, payload, role.masking_key()))
}

/// The body of a Close frame (RFC 6455 section 5.5.1).
pub(crate) fn close_body(code: CloseCode, reason: &str) -> Result<ControlBuffer, SendError> {
    let mut body = ControlBuffer::EMPTY;
    body.append(&code.get().to_be_bytes());
    if body.append(reason.as_bytes()) == reason.len() {
        Ok(body)
    } else {
        Err(SendError::CloseReasonTooLong)
    }
}
