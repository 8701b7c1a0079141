//! Extensions (RFC 6455 section 9): the grammar of their lists, and the one place of negotiation.

use core::fmt;

#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, DeflateParameters, NAME as PERMESSAGE_DEFLATE};
#[cfg(feature = "deflate")]
use crate::frame::RSV1;
use crate::handshake::HandshakeError;
use crate::handshake::field::{Field, is_token_byte};
use crate::handshake::response::Writer;
use crate::utf8;

/// The extensions that this end is willing to use; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtensionConfig {
    /// permessage-deflate (RFC 7692).
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
}

/// The extensions that both ends agreed on; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedExtensions {
    /// permessage-deflate (RFC 7692).
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateParameters>,
}

impl NegotiatedExtensions {
    /// The reserved bits that they claim on a message's first frame: RSV1 0x40, RSV2 0x20,
    /// RSV3 0x10.
    #[must_use]
    pub const fn claimed_rsv(self) -> u8 {
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() {
            // RFC 7692 section 6.
            return RSV1;
        }
        0
    }

    /// Writes the server's answer, `Sec-WebSocket-Extensions`, if anything was agreed on.
    pub(crate) fn write_response(self, writer: &mut Writer<'_>) {
        #[cfg(feature = "deflate")]
        if let Some(parameters) = self.deflate {
            writer.put(FIELD);
            parameters.answer(&mut |piece| {
                writer.put(piece.as_bytes());
            });
            writer.put(b"\r\n");
        }
        let _ = writer;
    }
}

/// As the browser's `extensions` has it: what was agreed on, or nothing.
impl fmt::Display for NegotiatedExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "deflate")]
        if let Some(parameters) = &self.deflate {
            parameters.fmt(f)?;
        }
        let _ = f;
        Ok(())
    }
}

#[cfg(feature = "deflate")]
const FIELD: &[u8] = b"Sec-WebSocket-Extensions: ";

impl ExtensionConfig {
    /// A server's choice among the client's offers: each is accepted or passed over, in the
    /// client's order (RFC 6455 section 9.1).
    ///
    /// # Errors
    ///
    /// [`HandshakeError::MalformedExtensions`] if a list does not follow the grammar.
    pub fn negotiate<'a>(
        self,
        fields: impl Iterator<Item = Field<'a>>,
    ) -> Result<NegotiatedExtensions, HandshakeError> {
        let mut negotiated = NegotiatedExtensions::default();
        for field in fields.filter(is_extensions_field) {
            for extension in ExtensionList::parse(field.value)? {
                self.accept(&extension, &mut negotiated);
            }
        }
        Ok(negotiated)
    }

    /// Accepts one offer, or passes it over.
    fn accept(self, offer: &Extension<'_>, negotiated: &mut NegotiatedExtensions) {
        #[cfg(feature = "deflate")]
        if offer.name == PERMESSAGE_DEFLATE
            && negotiated.deflate.is_none()
            && let Some(config) = &self.deflate
        {
            negotiated.deflate = config.accept(offer);
        }
        let _ = (offer, negotiated);
    }

    /// Writes a client's offer, `Sec-WebSocket-Extensions`, if there is anything to offer.
    pub(crate) fn write_offer(self, writer: &mut Writer<'_>) {
        #[cfg(feature = "deflate")]
        if let Some(config) = self.deflate {
            writer.put(FIELD);
            config.offer(&mut |piece| {
                writer.put(piece.as_bytes());
            });
            writer.put(b"\r\n");
        }
        let _ = writer;
    }

    /// A client's judgement of the server's answer, over all its lines (erratum 3433).
    ///
    /// # Errors
    ///
    /// [`HandshakeError::UnofferedExtension`] for what was not offered,
    /// [`HandshakeError::UnacceptableExtension`] for what was, but not in this way, or stands
    /// twice;
    /// [`HandshakeError::MalformedExtensions`] if a list does not follow the grammar.
    pub fn verify<'a>(
        self,
        fields: impl Iterator<Item = Field<'a>>,
    ) -> Result<NegotiatedExtensions, HandshakeError> {
        let mut negotiated = NegotiatedExtensions::default();
        for field in fields.filter(is_extensions_field) {
            for extension in ExtensionList::parse(field.value)? {
                self.confirm(&extension, &mut negotiated)?;
            }
        }
        Ok(negotiated)
    }

    /// Judges one extension of an answer.
    fn confirm(
        self,
        answer: &Extension<'_>,
        negotiated: &mut NegotiatedExtensions,
    ) -> Result<(), HandshakeError> {
        #[cfg(feature = "deflate")]
        if answer.name == PERMESSAGE_DEFLATE
            && let Some(config) = &self.deflate
        {
            let parameters = config.confirm(answer);
            if negotiated.deflate.is_some() || parameters.is_none() {
                return Err(HandshakeError::UnacceptableExtension);
            }
            negotiated.deflate = parameters;
            return Ok(());
        }
        let _ = (answer, negotiated);
        Err(HandshakeError::UnofferedExtension)
    }
}

fn is_extensions_field(field: &Field<'_>) -> bool {
    field.is("sec-websocket-extensions")
}

/// The extensions in one `Sec-WebSocket-Extensions` field, each with its parameters, in order.
///
/// The whole list is judged when it is parsed, in one pass; walking it cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct ExtensionList<'b> {
    rest: Scanner<'b>,
}

/// One extension of a list.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'b> {
    /// The registered name.
    pub name: &'b str,
    parameters: Scanner<'b>,
}

/// One parameter of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'b> {
    /// The name.
    pub name: &'b str,
    /// The value, if there is one.
    pub value: Option<ParameterValue<'b>>,
}

/// A parameter's value: a token, or a quoted string whose content is a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterValue<'b> {
    /// Without the quotes, with the backslashes.
    raw: &'b [u8],
}

impl<'b> ParameterValue<'b> {
    /// The value's bytes, without quotes and backslashes.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + Clone + use<'b> {
        // A token holds no backslash, so each one here quotes the byte after it.
        self.raw.iter().copied().filter(|byte| *byte != b'\\')
    }
}

impl PartialEq<str> for ParameterValue<'_> {
    fn eq(&self, other: &str) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl<'b> ExtensionList<'b> {
    /// Judges a field's value against the grammar of RFC 6455 section 9.1, in linear time. Empty
    /// elements are passed over (RFC 9110 section 5.6.1).
    ///
    /// # Errors
    ///
    /// [`HandshakeError::MalformedExtensions`].
    pub fn parse(value: &'b [u8]) -> Result<Self, HandshakeError> {
        let start = Scanner { rest: value };
        if USUAL_OFFERS.contains(&value) {
            return Ok(Self { rest: start });
        }
        let mut scanner = start;
        while let Some(extension) = scanner.extension() {
            extension.ok_or(HandshakeError::MalformedExtensions)?;
        }
        Ok(Self { rest: start })
    }
}

impl<'b> Iterator for ExtensionList<'b> {
    type Item = Extension<'b>;

    fn next(&mut self) -> Option<Extension<'b>> {
        self.rest.extension().flatten()
    }
}

impl<'b> Extension<'b> {
    /// The parameters, in order; a repeated one is given again.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'b>> + Clone + use<'b> {
        let mut scanner = self.parameters;
        core::iter::from_fn(move || scanner.parameter().flatten())
    }
}

/// What browsers offer, which need not be judged each time.
const USUAL_OFFERS: [&[u8]; 2] =
    [b"permessage-deflate; client_max_window_bits", b"permessage-deflate"];

/// A place in a list.
#[derive(Clone, Copy, Debug)]
struct Scanner<'b> {
    rest: &'b [u8],
}

impl<'b> Scanner<'b> {
    /// The next extension: `None` at the list's end, `Some(None)` if it is malformed.
    fn extension(&mut self) -> Option<Option<Extension<'b>>> {
        while self.eat_after_space(b',') {}
        if self.rest.is_empty() {
            return None;
        }
        let Some(name) = self.token() else {
            return Some(None);
        };
        let extension = Extension { name, parameters: *self };
        while let Some(parameter) = self.parameter() {
            if parameter.is_none() {
                return Some(None);
            }
        }
        if self.eat_after_space(b',') || self.rest.is_empty() {
            Some(Some(extension))
        } else {
            Some(None)
        }
    }

    /// The next parameter: `None` at their end, `Some(None)` if it is malformed.
    fn parameter(&mut self) -> Option<Option<Parameter<'b>>> {
        if !self.eat_after_space(b';') {
            return None;
        }
        self.skip_space();
        let Some(name) = self.token() else {
            return Some(None);
        };
        if !self.eat_after_space(b'=') {
            return Some(Some(Parameter { name, value: None }));
        }
        self.skip_space();
        let raw = match self.rest.strip_prefix(b"\"") {
            Some(rest) => {
                self.rest = rest;
                self.quoted()
            }
            None => self.token().map(str::as_bytes),
        };
        Some(raw.map(|raw| Parameter { name, value: Some(ParameterValue { raw }) }))
    }

    fn token(&mut self) -> Option<&'b str> {
        let end = self.rest.iter().position(|byte| !is_token_byte(*byte));
        let (token, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest;
        if token.is_empty() { None } else { utf8::whole(token) }
    }

    /// The inside of a quoted string, whose content must be a token; its opening quote is eaten.
    fn quoted(&mut self) -> Option<&'b [u8]> {
        let mut escaped = false;
        let end = self.rest.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        let (raw, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix(b"\"")?;
        // A backslash is no token byte, so two in a row, or one at the end, have nothing to quote.
        let value = ParameterValue { raw };
        let quotes_well = !raw.windows(2).any(|pair| pair == br"\\");
        let is_token_inside =
            value.bytes().next().is_some() && value.bytes().all(is_token_byte) && quotes_well;
        is_token_inside.then_some(raw)
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn eat_after_space(&mut self, wanted: u8) -> bool {
        self.skip_space();
        match self.rest {
            [byte, rest @ ..] if *byte == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn shown(value: &str) -> Option<Vec<String>> {
        let list = ExtensionList::parse(value.as_bytes()).ok()?;
        Some(
            list.map(|extension| {
                let parameters: Vec<String> = extension
                    .parameters()
                    .map(|parameter| match parameter.value {
                        Some(value) => {
                            let value: Vec<u8> = value.bytes().collect();
                            format!("{}={}", parameter.name, String::from_utf8(value).unwrap())
                        }
                        None => parameter.name.into(),
                    })
                    .collect();
                format!("{}[{}]", extension.name, parameters.join(" "))
            })
            .collect(),
        )
    }

    #[test]
    fn what_browsers_offer_is_well_formed() {
        for value in USUAL_OFFERS {
            let mut scanner = Scanner { rest: value };
            assert!(scanner.extension().unwrap().is_some());
            assert!(scanner.extension().is_none());
        }
    }

    #[test]
    fn lists_of_the_rfcs_examples_are_read() {
        for (value, expected) in [
            ("", &[][..]),
            ("foo", &["foo[]"]),
            ("foo, bar; baz=2", &["foo[]", "bar[baz=2]"]),
            ("deflate-stream", &["deflate-stream[]"]),
            (
                "mux; max-channels=4; flow-control, deflate-stream",
                &["mux[max-channels=4 flow-control]", "deflate-stream[]"],
            ),
            (" , a ;b=\"c\" ,, d\t;\te = f , ", &["a[b=c]", "d[e=f]"]),
            ("a; b=\"\\1\\5\"", &["a[b=15]"]),
        ] {
            assert_eq!(shown(value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn lists_against_the_grammar_are_refused() {
        for value in [
            "a b",
            ";",
            "a;",
            "a;;b",
            "a;=",
            "a;b=",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"c",
            "a;b=\"c d\"",
            "a;b=\"c\"d",
            "a=b",
            "a;b=c=d",
            "\"a\"",
            "a;b=\"\\\\\"",
            "a;b=\"\\\"",
            "a;b=\"c\\\"",
            "\u{e9}",
        ] {
            assert_eq!(shown(value), None, "{value}");
        }
    }

    #[test]
    fn h16_a_long_quoted_value_is_read_in_one_pass() {
        let value = format!("a; b=\"{}", "\\c".repeat(8_000));
        assert_eq!(shown(&value), None);
        assert_eq!(shown(&format!("{value}\"")).unwrap().len(), 1);
    }
}
