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
        mask(data, self.key);
        self.key = turned(self.key, data.len());
    }

    /// Masks the payload's next bytes from `source` into `target`.
    ///
    /// As many bytes as the shorter of the two holds; their number is returned.
    pub fn apply_to(&mut self, source: &[u8], target: &mut [u8]) -> usize {
        let length = source.len().min(target.len());
        let sources = source.get(..length).unwrap_or_default().chunks(PIECE);
        for (from, to) in sources.zip(target.chunks_mut(PIECE)) {
            let to = to.get_mut(..from.len()).unwrap_or_default();
            to.copy_from_slice(from);
            self.apply(to);
        }
        length
    }

    /// Masks the payload's next bytes from `source` onto the end of `target`.
    #[cfg(feature = "alloc")]
    pub fn append_to(&mut self, source: &[u8], target: &mut alloc::vec::Vec<u8>) {
        #[cfg(feature = "simd")]
        if source.len() >= 4 {
            crate::simd::append_masked(source, target, self.key);
            self.key = turned(self.key, source.len());
            return;
        }
        if source.len() > PIECE {
            target.reserve(source.len());
        }
        let (mut piece, mut rest) = source.split_at_checked(PIECE).unwrap_or((source, &[]));
        loop {
            let end = target.len();
            target.extend_from_slice(piece);
            self.apply(target.get_mut(end..).unwrap_or_default());
            if rest.is_empty() {
                return;
            }
            (piece, rest) = rest.split_at_checked(PIECE).unwrap_or((rest, &[]));
        }
    }
}

/// What is copied in one piece before it is masked, in bytes: it is still in the first-level cache
/// then, where masking costs next to nothing.
const PIECE: usize = 4096;

/// `key`, turned past `length` bytes.
#[inline]
pub(crate) fn turned(key: [u8; 4], length: usize) -> [u8; 4] {
    #[expect(clippy::cast_possible_truncation, reason = "at most 24")]
    let bits = ((length % 4) as u32).wrapping_mul(8);
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

/// Masks `data`, `key` first.
///
/// Each length is covered by words of one size, the last of which overlaps the one before it: all
/// of them are loaded before any is stored where they overlap.
#[inline(always)]
fn mask(data: &mut [u8], key: [u8; 4]) {
    match data.len() {
        0..4 => {
            for (byte, key) in data.iter_mut().zip(key) {
                *byte ^= key;
            }
        }
        4..8 => mask_two::<4>(data, key, xor),
        8..=16 => mask_two(data, key, xor_word),
        17..=32 => mask_two::<16>(data, key, xor),
        _ => mask_long(data, key),
    }
}

/// Masks more than 32 bytes.
// Out of line, so that what few bytes take stays small enough to be inlined.
#[inline(never)]
fn mask_long(data: &mut [u8], key: [u8; 4]) {
    #[cfg(feature = "simd")]
    if data.len() >= WIDE && crate::simd::mask(data, key) {
        return;
    }
    mask_many(data, key);
}

/// From this length on wider words are worth asking for.
#[cfg(feature = "simd")]
const WIDE: usize = 128;

/// Masks the first and the last `N` bytes of `data`, which are all that there are, each by `xor`.
#[inline(always)]
fn mask_two<const N: usize>(
    data: &mut [u8],
    key: [u8; 4],
    xor: impl Fn([u8; N], [u8; 4]) -> [u8; N],
) {
    let last_key = turned(key, data.len());
    if let (Some(&first), Some(&last)) = (data.first_chunk::<N>(), data.last_chunk::<N>()) {
        if let Some(place) = data.first_chunk_mut::<N>() {
            *place = xor(first, key);
        }
        if let Some(place) = data.last_chunk_mut::<N>() {
            *place = xor(last, last_key);
        }
    }
}

/// Masks 16 bytes or more: all words of 16 bytes, and the last 16 bytes, which overlap them.
pub(crate) fn mask_many(data: &mut [u8], key: [u8; 4]) {
    let last_key = turned(key, data.len());
    let last = data.last_chunk::<16>().copied();
    let (words, _) = data.as_chunks_mut::<16>();
    for word in words {
        *word = xor(*word, key);
    }
    if let (Some(place), Some(last)) = (data.last_chunk_mut::<16>(), last) {
        *place = xor(last, last_key);
    }
}

/// As [`xor`], in a word of the processor: what is read soon after it was masked is had sooner from
/// that than from a vector.
#[inline]
fn xor_word(word: [u8; 8], key: [u8; 4]) -> [u8; 8] {
    let twice = u64::from(u32::from_ne_bytes(key)).wrapping_mul(0x1_0000_0001);
    (u64::from_ne_bytes(word) ^ twice).to_ne_bytes()
}

/// `word`, whose length is a multiple of 4, with `key` over it.
#[inline]
pub(crate) fn xor<const N: usize>(mut word: [u8; N], key: [u8; 4]) -> [u8; N] {
    let (quads, _) = word.as_chunks_mut::<4>();
    for quad in quads {
        *quad = (u32::from_ne_bytes(*quad) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    word
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
