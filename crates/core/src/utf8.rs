//! UTF-8 validated as it streams (RFC 6455 section 8.1).

use core::fmt;

/// The bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}

/// Validates UTF-8 that comes in pieces cut at any byte.
///
/// It fails at the first byte that no valid text could have at its place: an overlong form, a
/// surrogate and a code point past U+10FFFF are refused at their second byte.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8Validator {
    /// The start of a character that the last piece cut off.
    carried: [u8; 4],
    carried_length: u8,
}

impl Utf8Validator {
    /// A validator at the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { carried: [0; 4], carried_length: 0 }
    }

    /// Validates the text's next bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if no text can start with what has come so far.
    #[inline]
    pub fn validate(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        let rest = if self.carried_length == 0 { bytes } else { self.complete(bytes)? };
        #[cfg(feature = "simd")]
        let rest = behind_whole(rest);
        match core::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) => self.carry(rest, &error),
        }
    }

    /// Ends the text and makes ready for the next.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if the text ends inside a character.
    #[inline]
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        if self.carried_length == 0 {
            Ok(())
        } else {
            self.carried_length = 0;
            Err(InvalidUtf8)
        }
    }

    /// Whether the text so far ends between two characters.
    #[must_use]
    #[inline]
    pub const fn is_at_boundary(&self) -> bool {
        self.carried_length == 0
    }

    /// Keeps the unfinished character at the end of `rest`, if that is all that is wrong.
    #[cold]
    fn carry(&mut self, rest: &[u8], error: &core::str::Utf8Error) -> Result<(), InvalidUtf8> {
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let tail = rest.get(error.valid_up_to()..).unwrap_or_default();
        for (place, byte) in self.carried.iter_mut().zip(tail) {
            *place = *byte;
            self.carried_length = self.carried_length.wrapping_add(1);
        }
        Ok(())
    }

    /// Completes the carried character from the start of `bytes`; returns what follows it.
    #[cold]
    fn complete<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], InvalidUtf8> {
        while let Some((&byte, rest)) = bytes.split_first() {
            let at = usize::from(self.carried_length);
            let Some(place) = self.carried.get_mut(at) else {
                return Err(InvalidUtf8);
            };
            *place = byte;
            self.carried_length = self.carried_length.wrapping_add(1);
            bytes = rest;
            match core::str::from_utf8(self.carried.get(..=at).unwrap_or_default()) {
                Ok(_) => {
                    self.carried_length = 0;
                    break;
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        Ok(bytes)
    }
}

/// `bytes` as text, if they are UTF-8.
#[inline]
pub(crate) fn whole(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simd")]
    return crate::simd::text(bytes);
    #[cfg(not(feature = "simd"))]
    core::str::from_utf8(bytes).ok()
}

/// What is left of `bytes` behind all characters but one that is cut off at the end, if those are
/// valid; otherwise `bytes`, for a closer look.
#[cfg(feature = "simd")]
#[inline]
fn behind_whole(bytes: &[u8]) -> &[u8] {
    // A character's first byte tells its length; it is among the last three bytes if it is cut off.
    let cut = (1..=3).find_map(|back| {
        let at = bytes.len().checked_sub(back)?;
        let length = match bytes.get(at)? {
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 3,
            0xF0.. => 4,
            _ => return None,
        };
        (length > back).then_some(at)
    });
    match bytes.split_at_checked(cut.unwrap_or(bytes.len())) {
        Some((whole, rest)) if crate::simd::is_utf8(whole) => rest,
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use proptest::prelude::*;

    /// The number of bytes after which `bytes` can no longer be the start of a text.
    fn fails_after(bytes: &[u8]) -> Option<usize> {
        let mut validator = Utf8Validator::new();
        bytes.iter().position(|byte| validator.validate(&[*byte]).is_err()).map(|at| at + 1)
    }

    #[test]
    fn fails_at_the_first_impossible_byte() {
        let cases: [(&[u8], usize); 9] = [
            (b"\x80", 1),                         // a continuation byte alone
            (b"\xc0\xaf", 1),                     // overlong "/" in two bytes
            (b"\xe0\x80\xaf", 2),                 // ... in three
            (b"\xf0\x80\x80\xaf", 2),             // ... in four
            (b"\xed\xa0\x80", 2),                 // the surrogate U+D800
            (b"\xf4\x90\x80\x80", 2),             // U+110000
            (b"\xf5", 1),                         // would be past U+10FFFF
            (b"\xce\xba\xe1\xbd\xb9\xcf\xff", 7), // "κό", then a cut character
            (b"a\xff", 2),
        ];
        for (bytes, at) in cases {
            assert_eq!(fails_after(bytes), Some(at), "{bytes:02x?}");
        }
    }

    #[test]
    fn text_that_ends_inside_a_character_fails_at_its_end() {
        let mut validator = Utf8Validator::new();
        assert_eq!(validator.validate(b"\xf0\x9f\x98"), Ok(()));
        assert!(!validator.is_at_boundary());
        assert_eq!(validator.finish(), Err(InvalidUtf8));
        assert_eq!(validator.validate(b"next"), Ok(()));
        assert!(validator.is_at_boundary());
        assert_eq!(validator.finish(), Ok(()));
    }

    #[test]
    fn error_says_what_the_bytes_are_not() {
        assert_eq!(std::string::ToString::to_string(&InvalidUtf8), "not UTF-8");
    }

    #[test]
    fn every_pair_of_bytes_agrees_with_the_standard_library() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let bytes = [first, second];
                let mut validator = Utf8Validator::new();
                let whole = validator.validate(&bytes).and_then(|()| validator.finish());
                assert_eq!(whole.is_ok(), core::str::from_utf8(&bytes).is_ok(), "{bytes:02x?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_cut_agrees_with_the_standard_library(
            text in ".{0,40}",
            noise in proptest::collection::vec((0_usize..80, any::<u8>()), 0..2),
            cuts in proptest::collection::vec(0_usize..9, 0..20),
        ) {
            let mut bytes = text.into_bytes();
            for (at, byte) in noise {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let mut validator = Utf8Validator::new();
            let mut rest = &bytes[..];
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let verdict = pieces.iter().try_for_each(|piece| validator.validate(piece))
                .and_then(|()| validator.finish());
            prop_assert_eq!(verdict.is_ok(), core::str::from_utf8(&bytes).is_ok());
        }
    }
}
