//! The only unsafe code of the crate: wider instructions, chosen at run time by asking the
//! processor, and texts that are not checked a second time.
//!
//! Each function gives what the scalar code beside it gives, which is the oracle of its tests.
#![allow(unsafe_code)]

#[cfg(feature = "alloc")]
use core::mem::MaybeUninit;

#[cfg(feature = "alloc")]
use crate::frame::mask::{turned, xor};

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod x86 {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::{
        __m256i, __m512i, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_storeu_si256,
        _mm256_xor_si256, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512,
        _mm512_xor_si512,
    };
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::{
        __m256i, __m512i, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_storeu_si256,
        _mm256_xor_si256, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512,
        _mm512_xor_si512,
    };

    #[cfg(feature = "alloc")]
    use core::mem::MaybeUninit;

    use crate::frame::mask::turned;

    cpufeatures::new!(avx2, "avx2");
    cpufeatures::new!(avx512, "avx512f");

    /// From this length on it is worth asking for wider words in order to write.
    #[cfg(feature = "alloc")]
    const WIDE: usize = 128;

    /// From this length on the widest words pay.
    const WIDEST: usize = 512;

    /// As [`mask_many`](crate::frame::mask::mask_many), in words of 32 or 64 bytes. Returns whether
    /// it could.
    #[inline]
    pub(crate) fn mask(data: &mut [u8], key: [u8; 4]) -> bool {
        if data.len() >= WIDEST && avx512::get() {
            // SAFETY: the processor has AVX-512 F, which is all that the function asks for.
            unsafe { mask_avx512(data, key) };
            return true;
        }
        let supported = avx2::get();
        if supported {
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            unsafe { mask_avx2(data, key) };
        }
        supported
    }

    /// Defines a function that masks data of twice the width of a word or more: from the first
    /// address on that is a multiple of the width, all words; and the first and the last bytes that
    /// leaves, in words that overlap those. (Left to itself, the compiler gathers and scatters.)
    macro_rules! mask_in_words {
        ($name:ident, $feature:literal, $word:ty, $width:literal, $load:ident, $store:ident,
         $xor:ident, $repeat:ident) => {
            #[target_feature(enable = $feature)]
            fn $name(data: &mut [u8], key: [u8; 4]) {
                let xor = |bytes: &mut [u8; $width], key: $word| {
                    let place = bytes.as_mut_ptr().cast::<$word>();
                    // SAFETY: the word is as long as `bytes`, and need not be aligned.
                    unsafe { $store(place, $xor($load(place), key)) };
                };
                let repeated = |key: [u8; 4]| $repeat(i32::from_ne_bytes(key));

                let last_key = repeated(turned(key, data.len()));
                let skipped = data.as_ptr().align_offset($width).min($width);
                let (first, last) =
                    (data.first_chunk::<$width>().copied(), data.last_chunk::<$width>().copied());
                let aligned_key = repeated(turned(key, skipped));
                let (words, left) =
                    data.get_mut(skipped..).unwrap_or_default().as_chunks_mut::<$width>();
                let left = left.len();
                let (fours, rest) = words.as_chunks_mut::<4>();
                for [a, b, c, d] in fours {
                    xor(a, aligned_key);
                    xor(b, aligned_key);
                    xor(c, aligned_key);
                    xor(d, aligned_key);
                }
                for word in rest {
                    xor(word, aligned_key);
                }
                if left > 0
                    && let (Some(place), Some(mut last)) = (data.last_chunk_mut::<$width>(), last)
                {
                    xor(&mut last, last_key);
                    *place = last;
                }
                if skipped > 0
                    && let (Some(place), Some(mut first)) =
                        (data.first_chunk_mut::<$width>(), first)
                {
                    xor(&mut first, repeated(key));
                    *place = first;
                }
            }
        };
    }

    /// Writes `source` with `key` over it to `room`. Returns whether it could, and has written to
    /// all of `room` then.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(crate) fn write(source: &[u8], room: &mut [MaybeUninit<u8>], key: [u8; 4]) -> bool {
        if source.len() >= WIDEST && avx512::get() {
            // SAFETY: the processor has AVX-512 F, which is all that the function asks for.
            unsafe { write_avx512(source, room, key) }
        } else {
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            source.len() >= WIDE && avx2::get() && unsafe { write_avx2(source, room, key) }
        }
    }

    /// Defines a function that writes `source` with `key` over it to all of `room`, which is as
    /// long: the first bytes; from the first address in `room` on that is a multiple of the width,
    /// all words; and the last bytes, which overlap them. Returns whether there is one word at
    /// least; otherwise nothing is written.
    #[cfg(feature = "alloc")]
    macro_rules! write_in_words {
        ($name:ident, $feature:literal, $word:ty, $width:literal, $load:ident, $store:ident,
         $xor:ident, $repeat:ident) => {
            #[target_feature(enable = $feature)]
            fn $name(source: &[u8], room: &mut [MaybeUninit<u8>], key: [u8; 4]) -> bool {
                let write =
                    |bytes: &[u8; $width], place: &mut [MaybeUninit<u8>; $width], key: $word| {
                        let (bytes, place) = (bytes.as_ptr().cast(), place.as_mut_ptr().cast());
                        // SAFETY: the word is as long as either, and need not be aligned.
                        unsafe { $store(place, $xor($load(bytes), key)) };
                    };
                let repeated = |key: [u8; 4]| $repeat(i32::from_ne_bytes(key));

                let (Some(first), Some(last), true) = (
                    source.first_chunk::<$width>(),
                    source.last_chunk::<$width>(),
                    source.len() == room.len(),
                ) else {
                    return false;
                };
                if let Some(place) = room.first_chunk_mut::<$width>() {
                    write(first, place, repeated(key));
                }
                if let Some(place) = room.last_chunk_mut::<$width>() {
                    write(last, place, repeated(turned(key, source.len())));
                }
                let skipped = room.as_ptr().align_offset($width).min($width);
                let key = repeated(turned(key, skipped));
                let (words, _) = source.get(skipped..).unwrap_or_default().as_chunks::<$width>();
                let (places, _) =
                    room.get_mut(skipped..).unwrap_or_default().as_chunks_mut::<$width>();
                for (word, place) in words.iter().zip(places) {
                    write(word, place, key);
                }
                true
            }
        };
    }

    /// Has `define` define a function for each width there is.
    macro_rules! for_each_width {
        ($define:ident, $avx2:ident, $avx512:ident) => {
            $define!(
                $avx2,
                "avx2",
                __m256i,
                32,
                _mm256_loadu_si256,
                _mm256_storeu_si256,
                _mm256_xor_si256,
                _mm256_set1_epi32
            );
            $define!(
                $avx512,
                "avx512f",
                __m512i,
                64,
                _mm512_loadu_si512,
                _mm512_storeu_si512,
                _mm512_xor_si512,
                _mm512_set1_epi32
            );
        };
    }

    for_each_width!(mask_in_words, mask_avx2, mask_avx512);
    #[cfg(feature = "alloc")]
    for_each_width!(write_in_words, write_avx2, write_avx512);

    /// Whether `bytes` are UTF-8; `None` if it cannot tell faster than the standard library.
    #[inline]
    pub(crate) fn is_utf8(bytes: &[u8]) -> Option<bool> {
        avx2::get().then(|| {
            // SAFETY: the processor has AVX2, which is all that the function asks for.
            unsafe { simdutf8::basic::imp::x86::avx2::validate_utf8(bytes).is_ok() }
        })
    }
}

/// As [`mask_many`](crate::frame::mask::mask_many), in the widest words there are. Returns whether
/// there are any wider ones.
#[inline]
pub(crate) fn mask(data: &mut [u8], key: [u8; 4]) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return x86::mask(data, key);
    // Elsewhere the compiler vectorises for the target as well as this would.
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        let _ = (data, key);
        false
    }
}

/// Appends `source`, which is 4 bytes long at least, to `target` with `key` over it, in one pass.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) fn append_masked(source: &[u8], target: &mut alloc::vec::Vec<u8>, key: [u8; 4]) {
    target.reserve(source.len());
    let room = target.spare_capacity_mut().get_mut(..source.len()).unwrap_or_default();
    let written = match source.len() {
        0..4 => false,
        4..8 => write_words::<4>(source, room, key),
        8..16 => write_words::<8>(source, room, key),
        16..64 => write_words::<16>(source, room, key),
        _ => write_long(source, room, key),
    };
    if written {
        // SAFETY: whichever it was has written to all of `room`, which is as long as `source` and
        // follows the bytes that `target` holds.
        unsafe { target.set_len(target.len().saturating_add(source.len())) };
    }
}

/// As [`write_words`], in the widest words there are.
#[cfg(feature = "alloc")]
#[inline]
fn write_long(source: &[u8], room: &mut [MaybeUninit<u8>], key: [u8; 4]) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if x86::write(source, room, key) {
        return true;
    }
    write_words::<32>(source, room, key)
}

/// Writes `source` with `key` over it to all of `room`, which is as long: in words of `N` bytes,
/// and one at the end that overlaps the last of them. Returns whether there are `N` bytes at all;
/// otherwise nothing is written.
#[cfg(feature = "alloc")]
#[inline]
fn write_words<const N: usize>(source: &[u8], room: &mut [MaybeUninit<u8>], key: [u8; 4]) -> bool {
    let (Some(last), true) = (source.last_chunk::<N>(), source.len() == room.len()) else {
        return false;
    };
    let last = xor(*last, turned(key, source.len()));
    let (words, _) = source.as_chunks::<N>();
    let (places, _) = room.as_chunks_mut::<N>();
    for (place, word) in places.iter_mut().zip(words) {
        place.write_copy_of_slice(&xor(*word, key));
    }
    if let Some(place) = room.last_chunk_mut::<N>() {
        place.write_copy_of_slice(&last);
    }
    true
}

/// The least that the vectorised validation takes in one step.
const LONG: usize = 64;

/// Below this length it is worth looking for ASCII first.
const ASCII_FIRST: usize = 256;

/// Whether `bytes` are UTF-8.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    if bytes.len() < ASCII_FIRST && is_ascii(bytes) {
        true
    } else if bytes.len() < LONG {
        core::str::from_utf8(bytes).is_ok()
    } else {
        is_long_utf8(bytes)
    }
}

/// Whether all of `bytes` are below 0x80; short ones are looked at in words that overlap.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let (words, _) = bytes.as_chunks::<16>();
        let high = |seen, word: &[u8; 16]| seen | u128::from_ne_bytes(*word);
        words.iter().fold(high(0, last), high) & u128::from_ne_bytes([0x80; 16]) == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let seen = u64::from_ne_bytes(*first) | u64::from_ne_bytes(*last);
        seen & u64::from_ne_bytes([0x80; 8]) == 0
    } else {
        bytes.iter().fold(0, |seen, byte| seen | byte) < 0x80
    }
}

fn is_long_utf8(bytes: &[u8]) -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(verdict) = x86::is_utf8(bytes) {
        return verdict;
    }
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// `bytes` as text, if they are UTF-8.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    // SAFETY: they have just been found to be UTF-8.
    is_utf8(bytes).then(|| unsafe { core::str::from_utf8_unchecked(bytes) })
}

/// `bytes` as text, if they are UTF-8.
#[cfg(feature = "alloc")]
#[inline]
pub(crate) fn owned_text(bytes: bytes::Bytes) -> Option<bytestring::ByteString> {
    // SAFETY: they have just been found to be UTF-8.
    is_utf8(&bytes).then(|| unsafe { bytestring::ByteString::from_bytes_unchecked(bytes) })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn masking_agrees_with_the_scalar_code_at_every_length_and_alignment() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let data: Vec<u8> = (0..=255_u8).cycle().take(1100).collect();
        for start in 0..65 {
            for end in (start + 64)..data.len() {
                let (mut wide, mut scalar) = (data.clone(), data.clone());
                if mask(&mut wide[start..end], key) {
                    crate::frame::mask::mask_many(&mut scalar[start..end], key);
                    assert_eq!(wide, scalar, "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_wherever_it_stands() {
        for length in 0..100 {
            let mut bytes = std::vec![b'x'; length];
            assert!(is_ascii(&bytes));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes), "{length} {at}");
                bytes[at] = b'x';
            }
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn masking_while_appending_agrees_with_the_scalar_code_wherever_it_writes() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        let source: Vec<u8> = (0..=255).cycle().take(1500).collect();
        let mut expected = source.clone();
        for (at, byte) in expected.iter_mut().enumerate() {
            *byte ^= key[at % 4];
        }
        for before in [0, 1, 3, 14, 31, 32, 33, 63, 64] {
            for length in 4..source.len() {
                let mut target = std::vec![0xEE; before];
                append_masked(&source[..length], &mut target, key);
                assert_eq!(target[..before], [0xEE; 64][..before]);
                assert_eq!(target[before..], expected[..length], "{before} {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn validation_agrees_with_the_standard_library(
            text in ".{0,400}",
            spoiled in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = text.into_bytes();
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Some((at, byte)) = spoiled.filter(|_| !bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let expected = core::str::from_utf8(&bytes).ok();
            prop_assert_eq!(super::text(&bytes), expected);
            prop_assert_eq!(is_long_utf8(&bytes), expected.is_some());
            #[cfg(feature = "alloc")]
            {
                let owned = owned_text(bytes.clone().into());
                prop_assert_eq!(owned.as_deref(), expected);
            }
        }
    }
}
