//! Incremental decoding of headers that arrive cut at any byte.

use crate::error::ProtocolError;
use crate::frame::header::{Decoded, FrameHeader, FrameRules, MAX_HEADER_LENGTH};

/// Decodes one header after another from input that may be cut anywhere.
///
/// It carries the bytes of an unfinished header inside itself, so the caller never has to.
#[derive(Clone, Copy, Debug)]
pub struct FrameDecoder {
    carried: [u8; MAX_HEADER_LENGTH],
    carried_length: u8,
}

impl FrameDecoder {
    /// A decoder at the start of a header.
    #[must_use]
    pub const fn new() -> Self {
        Self { carried: [0; MAX_HEADER_LENGTH], carried_length: 0 }
    }

    /// Whether nothing is carried.
    #[must_use]
    #[inline]
    pub const fn is_at_boundary(&self) -> bool {
        self.carried_length == 0
    }

    /// Decodes a header from what was carried and the start of `input`.
    ///
    /// `Some` with the header and the number of bytes of `input` that it took, or `None` when the
    /// header goes on past `input`, all of which is then carried.
    ///
    /// # Errors
    ///
    /// As [`FrameHeader::decode_with`].
    #[inline]
    pub fn decode(
        &mut self,
        input: &[u8],
        rules: &FrameRules,
    ) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        if self.carried_length == 0
            && let Decoded::Complete { header, length } = FrameHeader::decode_inlined(input, rules)?
        {
            return Ok(Some((header, length)));
        }
        self.decode_carried(input, rules)
    }

    #[cold]
    fn decode_carried(
        &mut self,
        input: &[u8],
        rules: &FrameRules,
    ) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        let before = self.carried_length;
        let mut total = before;
        let room = self.carried.get_mut(usize::from(before)..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(input) {
            *place = *byte;
            total = total.wrapping_add(1);
        }
        let bytes = self.carried.get(..usize::from(total)).unwrap_or_default();
        match FrameHeader::decode_with(bytes, rules)? {
            Decoded::Complete { header, length } => {
                self.carried_length = 0;
                Ok(Some((header, length.saturating_sub(usize::from(before)))))
            }
            Decoded::Partial => {
                self.carried_length = total;
                Ok(None)
            }
        }
    }
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_cut_at_every_byte_decodes_as_a_whole() {
        // Binary, masked, 65,536 bytes: the longest form.
        let bytes = b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04";
        for cut in 0..bytes.len() {
            let mut decoder = FrameDecoder::new();
            assert_eq!(decoder.decode(&bytes[..cut], &FrameRules::ANY), Ok(None));
            // Payload follows in the same input, and is not taken.
            let mut rest = [0xEE; 40];
            rest[..bytes.len() - cut].copy_from_slice(&bytes[cut..]);
            let (header, taken) = decoder.decode(&rest, &FrameRules::ANY).unwrap().unwrap();
            assert_eq!(taken, bytes.len() - cut);
            assert_eq!(header.payload_length, 65_536);
            assert_eq!(header.masking_key, Some([1, 2, 3, 4]));
        }
    }
}
