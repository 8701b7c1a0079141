//! What comes out of a connection's way in.

use crate::connection::control::{CloseFrame, ControlPayload};
use crate::opcode::MessageType;

/// What the bytes received amount to. It borrows the caller's buffer, never the connection, so
/// the caller can answer while holding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A piece of a message.
    Data(Chunk<'b>),
    /// A Ping frame. Unless the configuration says otherwise, its Pong is already queued.
    Ping(ControlPayload<'b>),
    /// A Pong frame, asked for or not (RFC 6455 section 5.5.3).
    Pong(ControlPayload<'b>),
    /// The peer's Close frame; no event follows it.
    Close(CloseFrame<'b>),
}

/// A piece of a message: as much of one frame's payload as was at hand, unmasked in place.
///
/// A message that lies in the buffer whole, in one frame, is one chunk that is both first and
/// last. Pieces are cut where the input was cut; only what they join to is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'b> {
    pub(crate) message_type: MessageType,
    pub(crate) payload: &'b [u8],
    pub(crate) text: Option<&'b str>,
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) compressed: bool,
}

impl<'b> Chunk<'b> {
    /// The type of the message that this is a piece of.
    #[must_use]
    #[inline]
    pub const fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The bytes, unmasked. Of a text, they are valid so far, but may end inside a character.
    #[must_use]
    #[inline]
    pub const fn payload(&self) -> &'b [u8] {
        self.payload
    }

    /// The text, if this is the whole of a text message.
    #[must_use]
    #[inline]
    pub const fn text(&self) -> Option<&'b str> {
        self.text
    }

    /// Whether the message begins with this chunk.
    #[must_use]
    #[inline]
    pub const fn is_first(&self) -> bool {
        self.first
    }

    /// Whether the message ends with this chunk.
    #[must_use]
    #[inline]
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Whether the bytes are compressed by an extension (RSV1, RFC 7692 section 6). Then the limit
    /// on a message's length, and on a text the UTF-8, are for whoever inflates them to see to.
    #[must_use]
    #[inline]
    pub const fn is_compressed(&self) -> bool {
        self.compressed
    }
}

/// The result of one call of [`Connection::receive`](super::Connection::receive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'b> {
    /// How many bytes of the input are used up. Without an event, all of them.
    pub consumed: usize,
    /// The event that those bytes complete.
    pub event: Option<Event<'b>>,
}
