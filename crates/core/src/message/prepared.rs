//! A message framed once and sent to many.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::frame::FrameHeader;
use crate::message::types::Message;
use crate::opcode::MessageType;

/// A whole message in its frame, ready to be sent on any number of connections.
///
/// A server sends the frame as it is: to queue it costs a reference, or below 4 KiB a copy. A
/// client has to mask each frame with a key of its own (RFC 6455 section 5.3), so it frames the
/// payload anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    message_type: MessageType,
    frame: Bytes,
    payload_at: usize,
}

impl Prepared {
    /// Frames `message`. The payload is copied, once.
    #[must_use]
    pub fn new(message: &Message) -> Self {
        let payload = message.payload();
        let message_type = message.message_type();
        let header = FrameHeader {
            fin: true,
            rsv: 0,
            opcode: message_type.into(),
            masking_key: None,
            payload_length: payload.len() as u64,
        }
        .encode();
        let header = header.as_slice();
        let mut frame = Vec::with_capacity(header.len().saturating_add(payload.len()));
        frame.extend_from_slice(header);
        frame.extend_from_slice(payload);
        Self { message_type, frame: frame.into(), payload_at: header.len() }
    }

    /// Whether it is text or binary.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The payload's bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.frame.get(self.payload_at..).unwrap_or_default()
    }

    /// The frame as a server sends it.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }
}

impl From<Message> for Prepared {
    fn from(message: Message) -> Self {
        Self::new(&message)
    }
}
