//! What a client's state machine has its driver do.

use alloc::string::String;

use crate::close_code::{CloseCode, CloseStatus};
use crate::message::Message;

/// What the driver is to do with the connection, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Queue this message.
    Send(Message),
    /// Begin the closing handshake, behind what is queued, with a code and a reason or with an
    /// empty Close frame.
    Close(Option<(CloseCode, String)>),
    /// Give the connection up, whatever its state.
    Abort,
}

/// How a connection ended, as the browser's `CloseEvent` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseEvent {
    /// The peer's code; 1005 if it sent a Close frame without one, 1006 if it sent none.
    pub code: u16,
    /// The peer's reason.
    pub reason: String,
    /// Whether both Close frames were exchanged.
    pub was_clean: bool,
}

impl CloseEvent {
    /// The end that the peer's Close frame tells of, or its absence
    /// ([`CloseStatus::Abnormal`]).
    #[must_use]
    pub fn new(status: CloseStatus, reason: &str, was_clean: bool) -> Self {
        Self { code: status.to_u16(), reason: reason.into(), was_clean }
    }

    /// The end of a connection that never opened, or was lost.
    #[must_use]
    pub const fn abnormal() -> Self {
        Self { code: 1006, reason: String::new(), was_clean: false }
    }
}

/// The longest close reason, in bytes (RFC 6455 section 5.5).
pub(crate) const MOST_REASON: usize = 123;

/// What a message that waits to be taken counts, in bytes: a little more than its payload, so that
/// empty ones are bounded too.
pub(crate) fn counted(message: &Message) -> usize {
    message.len().saturating_add(64)
}
