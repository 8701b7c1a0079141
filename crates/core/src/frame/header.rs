//! The frame header (RFC 6455 section 5.2): two bytes, an extended length, a masking key.

use crate::error::ProtocolError;
use crate::frame::MAX_CONTROL_PAYLOAD;
use crate::opcode::Opcode;

/// The longest header, in bytes: 2, a 64-bit length and a masking key.
pub const MAX_HEADER_LENGTH: usize = 14;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
pub(crate) const RSV1: u8 = 0x40;
const MASK: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
const TOP_BIT: u8 = 0x80;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this is the message's last frame.
    pub fin: bool,
    /// The reserved bits where they lie in the first byte: RSV1 0x40, RSV2 0x20, RSV3 0x10.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key of a client's frame; `None` for a server's.
    pub masking_key: Option<[u8; 4]>,
    /// The payload's length in bytes; the top bit is never set.
    pub payload_length: u64,
}

/// The result of decoding a header from the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A whole header, which took up `length` bytes.
    Complete {
        /// The header.
        header: FrameHeader,
        /// Its length in bytes, 2 to 14.
        length: usize,
    },
    /// Nothing wrong so far, but the header goes on.
    Partial,
}

/// What a receiver expects of the next frame, beyond what every frame must keep to.
///
/// [`FrameRules::ANY`] leaves everything open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRules {
    /// The reserved bits that a data frame may carry, as in [`FrameHeader::rsv`]: those that an
    /// extension has claimed for it.
    pub claimed_rsv: u8,
    /// The reserved bits that a control frame may carry.
    pub claimed_control_rsv: u8,
    /// `Some(true)`: a server receives, every frame must be masked. `Some(false)`: a client
    /// receives, none may be (RFC 6455 section 5.1).
    pub masked: Option<bool>,
    /// `Some(true)`: inside a message, so a data frame must be a continuation. `Some(false)`:
    /// between messages, so it must not (RFC 6455 section 5.4).
    pub continuing: Option<bool>,
    /// The largest payload of a data frame, in bytes, inclusive.
    pub max_frame_length: u64,
    /// The bytes that the message may still take, inclusive. It does not hold for a frame with
    /// RSV1, whose message is compressed (RFC 7692 section 6).
    pub max_message_remainder: u64,
}

impl FrameRules {
    /// Any frame that RFC 6455 section 5.2 allows by itself.
    pub const ANY: Self = Self {
        claimed_rsv: RSV,
        claimed_control_rsv: RSV,
        masked: None,
        continuing: None,
        max_frame_length: u64::MAX,
        max_message_remainder: u64::MAX,
    };
}

impl FrameHeader {
    /// Decodes a header from the start of `bytes`, under the rules that hold for any frame.
    ///
    /// # Errors
    ///
    /// As [`FrameHeader::decode_with`].
    pub fn decode(bytes: &[u8]) -> Result<Decoded, ProtocolError> {
        Self::decode_with(bytes, &FrameRules::ANY)
    }

    /// Decodes a header from the start of `bytes` and judges it by `rules`.
    ///
    /// Each rule is judged as soon as the bytes it needs are there, in the order of the bytes: a
    /// header that is refused whole is refused for the same reason when it comes byte by byte.
    ///
    /// # Errors
    ///
    /// The first rule that the header breaks (RFC 6455 sections 5.1, 5.2, 5.4, 5.5 and 10.4).
    #[inline]
    pub fn decode_with(bytes: &[u8], rules: &FrameRules) -> Result<Decoded, ProtocolError> {
        Self::decode_inlined(bytes, rules)
    }

    /// [`decode_with`](Self::decode_with), so that a header just decoded is not moved through
    /// memory.
    #[inline(always)]
    pub(super) fn decode_inlined(
        bytes: &[u8],
        rules: &FrameRules,
    ) -> Result<Decoded, ProtocolError> {
        let Some(&first) = bytes.first() else {
            return Ok(Decoded::Partial);
        };
        let fin = first & FIN != 0;
        let rsv = first & RSV;
        let opcode = judge_first_byte(first, rules)?;

        let Some(&second) = bytes.get(1) else {
            return Ok(Decoded::Partial);
        };
        let masked = second & MASK != 0;
        if rules.masked.is_some_and(|expected| expected != masked) {
            return Err(if masked {
                ProtocolError::MaskedFrameFromServer
            } else {
                ProtocolError::UnmaskedFrameFromClient
            });
        }
        let short_length = second & !MASK;
        let (payload_length, key_at) = match short_length {
            LENGTH_16 | LENGTH_64 if opcode.is_control() => {
                return Err(ProtocolError::ControlFrameTooLong);
            }
            LENGTH_16 => {
                let Some(extended) = bytes.get(2..).and_then(|b| b.first_chunk::<2>()) else {
                    return Ok(Decoded::Partial);
                };
                let length = u16::from_be_bytes(*extended);
                if length < u16::from(LENGTH_16) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (u64::from(length), 4)
            }
            LENGTH_64 => {
                if bytes.get(2).is_some_and(|byte| byte & TOP_BIT != 0) {
                    return Err(ProtocolError::LengthTopBitSet);
                }
                let Some(extended) = bytes.get(2..).and_then(|b| b.first_chunk::<8>()) else {
                    return Ok(Decoded::Partial);
                };
                let length = u64::from_be_bytes(*extended);
                if length <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (length, 10)
            }
            length => (u64::from(length), 2),
        };
        if !opcode.is_control() {
            if payload_length > rules.max_frame_length {
                return Err(ProtocolError::FrameTooBig);
            }
            // How large a compressed message is shows when it is inflated.
            if payload_length > rules.max_message_remainder && rsv & RSV1 == 0 {
                return Err(ProtocolError::MessageTooBig);
            }
        }

        let masking_key = if masked {
            let Some(key) = bytes.get(key_at..).and_then(|b| b.first_chunk::<4>()) else {
                return Ok(Decoded::Partial);
            };
            Some(*key)
        } else {
            None
        };
        let length = if masked { key_at.wrapping_add(4) } else { key_at };
        Ok(Decoded::Complete {
            header: Self { fin, rsv, opcode, masking_key, payload_length },
            length,
        })
    }

    /// Encodes the header, with the shortest form of the length (RFC 6455 section 5.2).
    ///
    /// The length's top bit is cleared, for no header can say it.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        let first = if self.fin { FIN } else { 0 } | (self.rsv & RSV) | self.opcode as u8;
        let (mask, key) = match self.masking_key {
            Some(key) => (MASK, u32::from_le_bytes(key)),
            None => (0, 0),
        };
        // The bytes are put together in one word, the first of them lowest, and stored at once.
        let (second, extended, key_at): (u8, u64, u8) = match self.payload_length {
            #[expect(clippy::cast_possible_truncation, reason = "the pattern bounds it")]
            short @ 0..=125 => (short as u8, 0, 2),
            #[expect(clippy::cast_possible_truncation, reason = "the pattern bounds it")]
            medium @ 126..=0xFFFF => (LENGTH_16, u64::from((medium as u16).swap_bytes()), 4),
            long => (LENGTH_64, (long & (u64::MAX >> 1)).swap_bytes(), 10),
        };
        let word = u128::from(first)
            | u128::from(mask | second) << 8
            | u128::from(extended) << 16
            | u128::from(key) << key_at.wrapping_mul(8);
        let length = if self.masking_key.is_some() { key_at.wrapping_add(4) } else { key_at };
        EncodedHeader { bytes: word.to_le_bytes(), length }
    }
}

/// Judges what the first byte alone can tell: RSV bits, opcode, fragmentation.
#[inline]
fn judge_first_byte(first: u8, rules: &FrameRules) -> Result<Opcode, ProtocolError> {
    let Some(opcode) = Opcode::from_nibble(first) else {
        return Err(ProtocolError::ReservedOpcode);
    };
    if opcode.is_control() {
        if first & RSV & !rules.claimed_control_rsv != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        if first & FIN == 0 {
            return Err(ProtocolError::FragmentedControlFrame);
        }
    } else {
        if first & RSV & !rules.claimed_rsv != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        match rules.continuing {
            Some(true) if opcode != Opcode::Continuation => {
                return Err(ProtocolError::ExpectedContinuation);
            }
            Some(false) if opcode == Opcode::Continuation => {
                return Err(ProtocolError::UnexpectedContinuation);
            }
            _ => {}
        }
    }
    Ok(opcode)
}

/// A header as it stands on the wire: at most 14 bytes, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EncodedHeader {
    /// The header, and zeros behind it.
    bytes: [u8; 16],
    length: u8,
}

impl EncodedHeader {
    /// The header's bytes.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Appends the header to `target`.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn append_to(&self, target: &mut alloc::vec::Vec<u8>) {
        let end = target.len().saturating_add(usize::from(self.length));
        // Copying a number of bytes that is known beforehand takes no call.
        target.extend_from_slice(&self.bytes);
        target.truncate(end);
    }
}

impl AsRef<[u8]> for EncodedHeader {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl core::fmt::Debug for EncodedHeader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "EncodedHeader({:02x?})", self.as_slice())
    }
}

const _: () = assert!(MAX_CONTROL_PAYLOAD == LENGTH_16 as usize - 1);

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;

    fn complete(bytes: &[u8]) -> (FrameHeader, usize) {
        match FrameHeader::decode(bytes) {
            Ok(Decoded::Complete { header, length }) => (header, length),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rfc_section_5_7_examples_decode_and_encode() {
        let text = FrameHeader {
            fin: true,
            rsv: 0,
            opcode: Opcode::Text,
            masking_key: None,
            payload_length: 5,
        };
        let cases: [(&[u8], FrameHeader); 6] = [
            (b"\x81\x05", text),
            (
                b"\x81\x85\x37\xfa\x21\x3d",
                FrameHeader { masking_key: Some([0x37, 0xfa, 0x21, 0x3d]), ..text },
            ),
            (b"\x01\x03", FrameHeader { fin: false, payload_length: 3, ..text }),
            (b"\x80\x02", FrameHeader { opcode: Opcode::Continuation, payload_length: 2, ..text }),
            (
                b"\x82\x7e\x01\x00",
                FrameHeader { opcode: Opcode::Binary, payload_length: 256, ..text },
            ),
            (
                b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
                FrameHeader { opcode: Opcode::Binary, payload_length: 65536, ..text },
            ),
        ];
        for (bytes, header) in cases {
            assert_eq!(complete(bytes), (header, bytes.len()));
            assert_eq!(header.encode().as_slice(), bytes);
            for cut in 0..bytes.len() {
                assert_eq!(FrameHeader::decode(&bytes[..cut]), Ok(Decoded::Partial));
            }
        }
    }

    #[test]
    fn lengths_at_the_borders_take_the_shortest_form() {
        for (payload_length, bytes) in
            [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (u64::MAX >> 1, 10)]
        {
            for masking_key in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader {
                    fin: false,
                    rsv: 0x40,
                    opcode: Opcode::Binary,
                    masking_key,
                    payload_length,
                };
                let encoded = header.encode();
                let expected = bytes + if masking_key.is_some() { 4 } else { 0 };
                assert_eq!(complete(encoded.as_slice()), (header, expected));
            }
        }
    }

    #[test]
    fn encoded_header_is_shown_as_its_bytes() {
        let header = FrameHeader {
            fin: true,
            rsv: 0,
            opcode: Opcode::Ping,
            masking_key: None,
            payload_length: 2,
        };
        let encoded = header.encode();
        assert_eq!(encoded.as_ref(), b"\x89\x02");
        assert_eq!(format!("{encoded:?}"), "EncodedHeader([89, 02])");
    }
}
