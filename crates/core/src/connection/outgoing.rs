//! The way out: frames of messages, and what the connection itself has to send.

use crate::close_code::CloseCode;
use crate::connection::control::{ControlBuffer, ControlFrame};
use crate::connection::lifecycle::Effects;
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
    pong: Option<ControlBuffer>,
    keepalive_ping: bool,
    /// The body of our Close frame, once there is one.
    close: ControlBuffer,
    /// A Close frame waits to be sent.
    close_queued: bool,
    /// A Close frame has been queued, and perhaps sent.
    closed: bool,
    shutdown_write: bool,
    close_transport: bool,
    abort_transport: bool,
    /// A message is being sent in fragments.
    in_message: bool,
}

impl Outgoing {
    pub(crate) const fn new() -> Self {
        Self {
            pong: None,
            keepalive_ping: false,
            close: ControlBuffer::EMPTY,
            close_queued: false,
            closed: false,
            shutdown_write: false,
            close_transport: false,
            abort_transport: false,
            in_message: false,
        }
    }

    /// The next thing to do.
    #[inline]
    pub(crate) fn poll(&mut self, role: &mut impl Role) -> Option<Transmit> {
        if self.is_idle() { None } else { self.poll_queued(role) }
    }

    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        self.pong.is_none()
            && !(self.keepalive_ping
                | self.close_queued
                | self.shutdown_write
                | self.close_transport
                | self.abort_transport)
    }

    fn poll_queued(&mut self, role: &mut impl Role) -> Option<Transmit> {
        if core::mem::take(&mut self.abort_transport) {
            return Some(Transmit::AbortTransport);
        }
        if let Some(payload) = self.pong.take() {
            return Some(frame(Opcode::Pong, &payload, role));
        }
        if core::mem::take(&mut self.keepalive_ping) {
            return Some(frame(Opcode::Ping, &ControlBuffer::EMPTY, role));
        }
        if core::mem::take(&mut self.close_queued) {
            return Some(frame(Opcode::Close, &self.close, role));
        }
        if core::mem::take(&mut self.shutdown_write) {
            return Some(Transmit::ShutdownWrite);
        }
        core::mem::take(&mut self.close_transport).then_some(Transmit::CloseTransport)
    }

    /// Queues the answer to a ping, in place of one that has not been sent yet.
    pub(crate) fn queue_pong(&mut self, payload: &[u8]) {
        self.pong = ControlBuffer::new(payload);
    }

    pub(crate) const fn queue_keepalive_ping(&mut self) {
        self.keepalive_ping = true;
    }

    /// Carries out a transition; `body` is that of the Close frame, if one is asked for.
    pub(crate) fn carry_out(&mut self, effects: Effects, body: ControlBuffer) {
        if effects.abort_transport {
            self.pong = None;
            self.keepalive_ping = false;
            // A Close frame that is still queued is never sent, and is not told as sent.
            self.closed &= !self.close_queued;
            self.close_queued = false;
            self.shutdown_write = false;
            self.abort_transport = true;
        }
        if effects.send_close {
            self.close = body;
            self.close_queued = true;
            self.closed = true;
            // Nothing but what is already owed goes out before Close, and nothing after it.
            self.keepalive_ping = false;
        }
        self.shutdown_write |= effects.shutdown_write;
        if effects.close_transport {
            // Closing the transport ends both directions.
            self.shutdown_write = false;
            self.close_transport = true;
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
