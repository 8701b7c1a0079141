//! Masking (RFC 6455 section 5.3): XOR with a 4-byte key that repeats over the payload.

/// Masks or unmasks one payload, in pieces of any size.
///
/// It keeps the key's phase between calls: however a payload is cut, the same bytes come out.
/// Masking and unmasking are the same operation.
///
/// ```
/// use duologue_core::frame::Masker;
///
/// // RFC 6455 section 5.7: a masked "Hello".
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58";
/// let mut masker = Masker::new([0x37, 0xfa, 0x21, 0x3d]);
/// let (start, end) = payload.split_at_mut(3);
/// masker.apply(start);
/// masker.apply(end);
/// assert_eq!(&payload, b"Hello");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masker {
    /// The key, turned so that its first byte is the one for the next byte of payload.
    key: [u8; 4],
}

impl Masker {
    /// A masker at the start of a payload.
    #[must_use]
    #[inline]
    pub const fn new(masking_key: [u8; 4]) -> Self {
        Self { key: masking_key }
    }

    /// Masks the payload's next bytes in place.
    #[inline]
    pub fn apply(&mut self, data: &mut [u8]) {
        let word = self.word();
        let length = data.len();
        let (blocks, tail) = data.as_chunks_mut::<16>();
        for block in blocks {
            *block = (u128::from_ne_bytes(*block) ^ word).to_ne_bytes();
        }
        let key = self.key;
        let (quads, rest) = tail.as_chunks_mut::<4>();
        for quad in quads {
            *quad = (u32::from_ne_bytes(*quad) ^ u32::from_ne_bytes(key)).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(key) {
            *byte ^= key;
        }
        self.advance(length);
    }

    /// Masks the payload's next bytes from `source` into `target`, in one pass.
    ///
    /// As many bytes as the shorter of the two holds; their number is returned.
    #[inline]
    pub fn apply_to(&mut self, source: &[u8], target: &mut [u8]) -> usize {
        let length = source.len().min(target.len());
        let word = self.word();
        let (source, _) = source.split_at_checked(length).unwrap_or_default();
        let (target, _) = target.split_at_mut_checked(length).unwrap_or_default();
        let (from, from_tail) = source.as_chunks::<16>();
        let (to, to_tail) = target.as_chunks_mut::<16>();
        for (to, from) in to.iter_mut().zip(from) {
            *to = (u128::from_ne_bytes(*from) ^ word).to_ne_bytes();
        }
        for ((to, from), key) in to_tail.iter_mut().zip(from_tail).zip(word.to_ne_bytes()) {
            *to = from ^ key;
        }
        self.advance(length);
        length
    }

    /// Masks the payload's next bytes from `source` onto the end of `target`, in one pass.
    #[cfg(feature = "alloc")]
    pub fn append_to(&mut self, source: &[u8], target: &mut alloc::vec::Vec<u8>) {
        target.reserve(source.len());
        let word = self.word();
        let (blocks, tail) = source.as_chunks::<64>();
        for block in blocks {
            let mut masked = *block;
            let (words, _) = masked.as_chunks_mut::<16>();
            for w in words {
                *w = (u128::from_ne_bytes(*w) ^ word).to_ne_bytes();
            }
            target.extend_from_slice(&masked);
        }
        let mut masked = [0; 64];
        let length = self.apply_to(tail, &mut masked);
        target.extend_from_slice(masked.get(..length).unwrap_or_default());
    }

    /// The key four times over, in memory order.
    #[inline]
    fn word(self) -> u128 {
        let [a, b, c, d] = self.key;
        u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d])
    }

    /// Turns the key past `length` bytes.
    #[inline]
    fn advance(&mut self, length: usize) {
        let turn = match length % 4 {
            0 => 0,
            1 => 8,
            2 => 16,
            _ => 24,
        };
        self.key = u32::from_le_bytes(self.key).rotate_right(turn).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    /// RFC 6455 section 5.3, to the letter.
    fn oracle(key: [u8; 4], data: &[u8]) -> Vec<u8> {
        data.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
    }

    #[test]
    fn every_short_length_alignment_and_phase_agrees_with_the_rfc() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let data: Vec<u8> = (0..200_u8).collect();
        let expected = oracle(key, &data);
        for skip in 0..20 {
            for length in 0..150 {
                let mut masker = Masker::new(key);
                let mut copy = data.clone();
                masker.apply(&mut copy[..skip]);
                masker.apply(&mut copy[skip..skip + length]);
                masker.apply(&mut copy[skip + length..]);
                assert_eq!(copy, expected, "{skip} {length}");
            }
        }
    }

    #[test]
    fn masking_while_copying_stops_at_the_shorter_side() {
        let mut masker = Masker::new([1, 2, 3, 4]);
        let mut target = [0; 3];
        assert_eq!(masker.apply_to(&[0; 5], &mut target), 3);
        assert_eq!(target, [1, 2, 3]);
        let mut rest = [0; 5];
        assert_eq!(masker.apply_to(&[0; 2], &mut rest), 2);
        assert_eq!(rest, [4, 1, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn any_cut_in_place_or_copying_agrees_with_the_rfc(
            key: [u8; 4],
            data in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(0_usize..120, 0..6),
        ) {
            let expected = oracle(key, &data);
            let mut in_place = data.clone();
            let mut copied = std::vec![0; data.len()];
            let (mut a, mut b) = (Masker::new(key), Masker::new(key));
            let mut at = 0_usize;
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let end = at.saturating_add(cut).min(data.len());
                a.apply(&mut in_place[at..end]);
                prop_assert_eq!(b.apply_to(&data[at..end], &mut copied[at..end]), end - at);
                at = end;
            }
            prop_assert_eq!(&in_place, &expected);
            prop_assert_eq!(&copied, &expected);
            #[cfg(feature = "alloc")]
            {
                let mut appended = Vec::new();
                Masker::new(key).append_to(&data, &mut appended);
                prop_assert_eq!(&appended, &expected);
            }
        }
    }
}
