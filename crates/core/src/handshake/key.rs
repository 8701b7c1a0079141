//! The key and its accept value (RFC 6455 sections 4.1 and 4.2.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// What is hashed behind the key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Decoding as RFC 6455's own examples need it: their keys have pad bits that are not zero
/// (erratum 3150).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The value of `Sec-WebSocket-Key`: 16 bytes in base64, 24 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecWebSocketKey([u8; 24]);

impl SecWebSocketKey {
    /// The key of a nonce, which must be fresh and random for each connection.
    #[must_use]
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        // Behind the nonce, zeros: as RFC 4648 section 4 fills up the last group.
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(nonce) {
            *to = from;
        }
        let mut key = [b'='; 24];
        // 16 bytes are 22 characters, and two of padding.
        for (to, from) in key.iter_mut().zip(base64(&bytes)).take(22) {
            *to = from;
        }
        Self(key)
    }

    /// The key as it stands in the request.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the server must answer.
    #[must_use]
    pub fn accept(&self) -> AcceptKey {
        AcceptKey::for_key(&self.0)
    }
}

/// 20 bytes in base64. All encoding goes through here, so that the lengths are known where it is
/// compiled, and nothing in it can panic.
fn base64(bytes: &[u8; 20]) -> [u8; 28] {
    // 27 characters, and one of padding.
    let mut out = [b'='; 28];
    let _ = STANDARD_NO_PAD.encode_slice(bytes, &mut out);
    out
}

/// Whether `key` is base64 of 16 bytes (RFC 6455 section 4.2.1).
pub(crate) fn is_valid_key(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && LENIENT.decode_slice(key, &mut nonce) == Ok(16)
}

/// The value of `Sec-WebSocket-Accept`: 28 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The accept value for the text of a key, without white space around it.
    #[must_use]
    pub fn for_key(key: &[u8]) -> Self {
        let mut sha1 = Sha1::new();
        sha1.update(key);
        sha1.update(GUID);
        Self(base64(&sha1.finalize().into()))
    }

    /// The value as it stands in the response.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_has_the_known_values() {
        for (key, accept) in [
            (b"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            (b"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
        ] {
            assert!(is_valid_key(key));
            assert_eq!(AcceptKey::for_key(key).as_str(), accept);
        }
    }

    #[test]
    fn key_is_the_nonce_in_base64() {
        let key = SecWebSocketKey::from_nonce(*b"the sample nonce");
        assert_eq!(key.as_bytes(), b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key.accept().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_base64_of_16_bytes_is_a_key() {
        assert!(is_valid_key(b"AQIDBAUGBwgJCgsMDQ4PEC==")); // pad bits that are not zero
        assert!(!is_valid_key(b""));
        assert!(!is_valid_key(b"dGhlIHNhbXBsZSBub25jZQ=")); // 23 characters
        assert!(!is_valid_key(b"dGhlIHNhbXBsZSBub25jZVE=")); // 17 bytes
        assert!(!is_valid_key(b"dGhlIHNhbXBsZSBub25jZSEh")); // 18 bytes
        assert!(!is_valid_key(b"dGhlIHNhbXBsZSBub25j!Q==")); // not the alphabet
    }
}
