//! What a client sends, built beforehand.

use duologue_core::frame::{FrameHeader, Masker};
use duologue_core::{MessageType, Opcode};

use crate::memory::{binary, text};

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Masked frames of one size, about 64 KiB of them and one message at least.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The frames.
    pub bytes: Vec<u8>,
    /// How many messages they are.
    pub messages: usize,
    /// The payload of each.
    pub payload: Vec<u8>,
    /// Whether they are text.
    pub message_type: MessageType,
    /// The longest frame.
    pub longest_frame: usize,
}

impl Batch {
    /// Messages of `size` bytes in `fragments` frames each.
    #[must_use]
    pub fn new(message_type: MessageType, size: usize, fragments: usize) -> Self {
        let payload = match message_type {
            MessageType::Text => text(size, false).into_bytes(),
            MessageType::Binary => binary(size),
        };
        let mut message = Vec::new();
        let mut longest_frame = 0;
        for index in 0..fragments {
            let piece = &payload[size * index / fragments..size * (index + 1) / fragments];
            let before = message.len();
            let header = FrameHeader {
                fin: index + 1 == fragments,
                rsv: 0,
                opcode: if index == 0 { message_type.into() } else { Opcode::Continuation },
                masking_key: Some(KEY),
                payload_length: piece.len() as u64,
            };
            message.extend_from_slice(header.encode().as_slice());
            Masker::new(KEY).append_to(piece, &mut message);
            longest_frame = longest_frame.max(message.len() - before);
        }
        let messages = (64 * 1024 / message.len()).max(1);
        Self { bytes: message.repeat(messages), messages, payload, message_type, longest_frame }
    }

    /// The payload bytes of the whole batch.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        (self.payload.len() * self.messages) as u64
    }
}
