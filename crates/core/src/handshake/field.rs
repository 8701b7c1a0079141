//! Header fields: token lists, and what an application may add.

use core::fmt;

/// A header field: its name, and its value without white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, to be compared without regard to case.
    pub name: &'a str,
    /// The value.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// A field of text.
    #[must_use]
    pub const fn new(name: &'a str, value: &'a str) -> Self {
        Self { name, value: value.as_bytes() }
    }

    /// Whether this is the field called `name`, without regard to case.
    #[must_use]
    #[inline]
    pub fn is(&self, name: &str) -> bool {
        // Most write it as the RFC does.
        self.name == name || self.name.eq_ignore_ascii_case(name)
    }

    /// The elements of the value as a comma-separated list, without white space around them and
    /// without empty ones (RFC 9110 section 5.6.1).
    pub fn elements(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
    }

    /// Whether the value, as a list, holds `token`, without regard to case.
    #[inline]
    pub(crate) fn lists(&self, token: &str) -> bool {
        // Most often it is all there is.
        self.value == token.as_bytes() || self.lists_among(token)
    }

    fn lists_among(&self, token: &str) -> bool {
        self.elements().any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// A field that may not be added to a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidField {
    /// The name is no token.
    Name,
    /// The value holds CR, LF or another control character.
    Value,
    /// The handshake sets this field itself.
    Reserved,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a header field's name is not a token",
            Self::Value => "a header field's value holds a control character",
            Self::Reserved => "a header field is one that the handshake sets itself",
        })
    }
}

impl core::error::Error for InvalidField {}

/// Judges a field that the application adds.
pub(crate) fn judge_added(field: &Field<'_>) -> Result<(), InvalidField> {
    const RESERVED: [&str; 5] =
        ["connection", "upgrade", "content-length", "transfer-encoding", "host"];
    const PREFIX: &[u8] = b"sec-websocket-";
    if !is_token(field.name.as_bytes()) {
        return Err(InvalidField::Name);
    }
    if !field.value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F)) {
        return Err(InvalidField::Value);
    }
    let handshakes = field
        .name
        .as_bytes()
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    if handshakes || RESERVED.iter().any(|name| field.is(name)) {
        return Err(InvalidField::Reserved);
    }
    Ok(())
}

/// `bytes` without spaces and tabs around it.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether `bytes` is a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

/// Whether `bytes` can be a Host: what a name, an address and a port are written with, and at
/// least one such byte (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
pub(crate) fn is_host(bytes: &[u8]) -> bool {
    let is_host_byte = |byte: &u8| {
        matches!(byte,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%' | b'!'
            | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'['
            | b']')
    };
    !bytes.is_empty() && bytes.iter().all(is_host_byte)
}

/// Whether a token can hold `byte` (RFC 9110 section 5.6.2).
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES.get(usize::from(byte)).is_some_and(|is_token| *is_token)
}

/// For each byte, whether a token can hold it.
static TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let (mut rest, mut byte) = (table.as_mut_slice(), 0_u8);
    while let [place, behind @ ..] = rest {
        *place = matches!(byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        rest = behind;
        byte = byte.wrapping_add(1);
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_whole_tokens_only() {
        let field = Field::new("Connection", "keep-alive ,, \tUPGRADE");
        assert!(field.lists("upgrade") && field.lists("Keep-Alive"));
        assert!(!Field::new("Connection", "xupgradex").lists("upgrade"));
        assert!(!Field::new("Connection", "").lists("upgrade"));
    }

    #[test]
    fn added_fields_cannot_break_out_of_their_line() {
        for (name, value, verdict) in [
            ("X-Trace", "a b\tc", Ok(())),
            ("X-Empty", "", Ok(())),
            ("X Trace", "a", Err(InvalidField::Name)),
            ("", "a", Err(InvalidField::Name)),
            ("X-Trace:", "a", Err(InvalidField::Name)),
            ("X-Trace", "websocket\r\nX: 1", Err(InvalidField::Value)),
            ("X-Trace", "a\0", Err(InvalidField::Value)),
            ("sec-websocket-accept", "a", Err(InvalidField::Reserved)),
            ("UPGRADE", "a", Err(InvalidField::Reserved)),
        ] {
            assert_eq!(judge_added(&Field::new(name, value)), verdict, "{name} {value}");
        }
    }
}
