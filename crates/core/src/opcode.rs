//! Opcodes (RFC 6455 section 5.2).

/// What a frame is, from the low four bits of its first byte (RFC 6455 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// 0: a further fragment of a message.
    Continuation = 0,
    /// 1: a text message, or its first fragment.
    Text = 1,
    /// 2: a binary message, or its first fragment.
    Binary = 2,
    /// 8: a Close frame.
    Close = 8,
    /// 9: a Ping frame.
    Ping = 9,
    /// 10: a Pong frame.
    Pong = 10,
}

impl Opcode {
    /// The opcode numbered by the low four bits of `nibble`; `None` for the reserved 3-7 and 11-15.
    #[must_use]
    #[inline]
    pub const fn from_nibble(nibble: u8) -> Option<Self> {
        match nibble & 0x0F {
            0 => Some(Self::Continuation),
            1 => Some(Self::Text),
            2 => Some(Self::Binary),
            8 => Some(Self::Close),
            9 => Some(Self::Ping),
            10 => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether this is Close, Ping or Pong (RFC 6455 section 5.5).
    #[must_use]
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x08 != 0
    }
}

/// The two kinds of message (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

impl From<MessageType> for Opcode {
    #[inline]
    fn from(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Text => Self::Text,
            MessageType::Binary => Self::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nibble_is_a_known_opcode_or_reserved() {
        for nibble in 0..16 {
            let known = matches!(nibble, 0..=2 | 8..=10);
            let opcode = Opcode::from_nibble(nibble);
            assert_eq!(opcode.is_some(), known, "{nibble}");
            if let Some(opcode) = opcode {
                assert_eq!(opcode as u8, nibble);
                assert_eq!(opcode.is_control(), nibble >= 8);
            }
        }
    }
}
