//! Lists of extensions: those that keep the grammar, and no others, are accepted, and hold what a
//! naive reading finds in them; what is negotiated was offered. Nothing is allocated.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::deflate::DeflateConfig;
use duologue_core::handshake::{ExtensionConfig, ExtensionList, Field, HandshakeError};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The list, written without spaces, quotes and empty elements; a token needs no quotes.
fn plain(list: ExtensionList<'_>) -> String {
    let extensions = list.map(|extension| {
        let parameters = extension.parameters().map(|parameter| {
            let value = parameter
                .value
                .map(|value| format!("={}", String::from_utf8(value.bytes().collect()).unwrap()));
            format!(";{}{}", parameter.name, value.unwrap_or_default())
        });
        format!("{}{}", extension.name, parameters.collect::<String>())
    });
    extensions.collect::<Vec<_>>().join(",")
}

/// The same of a list that keeps the grammar of RFC 6455 section 9.1, read naively: within quotes
/// stands a token too, so that commas and semicolons always separate.
fn naive(value: &[u8]) -> Option<String> {
    let mut extensions = Vec::new();
    for element in value.split(|byte| *byte == b',').map(trim) {
        if element.is_empty() {
            continue;
        }
        let mut parts = element.split(|byte| *byte == b';').map(trim);
        let mut extension = token(parts.next()?)?;
        for part in parts {
            extension.push(';');
            match part.iter().position(|byte| *byte == b'=') {
                None => extension.push_str(&token(part)?),
                Some(at) => {
                    let (name, value) = (trim(&part[..at]), trim(&part[at + 1..]));
                    let value = match value {
                        [b'"', inside @ .., b'"'] => token(&unescaped(inside)?)?,
                        value => token(value)?,
                    };
                    extension.push_str(&format!("{}={value}", token(name)?));
                }
            }
        }
        extensions.push(extension);
    }
    Some(extensions.join(","))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_black = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(is_black).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(is_black).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// What stands in a quoted string, without the backslashes that quote.
fn unescaped(inside: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = inside.iter().copied();
    let mut value = Vec::new();
    while let Some(byte) = bytes.next() {
        value.push(if byte == b'\\' { bytes.next()? } else { byte });
    }
    Some(value)
}

fn token(bytes: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(bytes).ok()?;
    is_token(text).then(|| text.into())
}

fn is_token(text: &str) -> bool {
    let is_separator = |byte: u8| b"()<>@,;:\\\"/[]?={} \t".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !is_separator(byte))
}

fuzz_target!(|bytes: &[u8]| {
    let (list, _, most) = counted(|| ExtensionList::parse(bytes));
    assert_eq!(most, 0, "parsing has allocated");
    let mut config = ExtensionConfig::default();
    config.deflate = Some(DeflateConfig::DEFAULT);
    let field = || [Field { name: "Sec-WebSocket-Extensions", value: bytes }].into_iter();
    let ((offered, answered), _, most) =
        counted(|| (config.negotiate(field()), config.verify(field())));
    assert_eq!(most, 0, "negotiating has allocated");

    let expected = naive(bytes);
    let Ok(list) = list else {
        assert_eq!(expected, None);
        assert_eq!(offered, Err(HandshakeError::MalformedExtensions));
        assert!(answered.is_err());
        return;
    };
    let written = plain(list);
    assert_eq!(Some(&written), expected.as_ref());
    let again = ExtensionList::parse(written.as_bytes()).unwrap();
    assert_eq!(plain(again), written);

    // Offers that cannot be met are passed over (RFC 7692 section 5.1); an answer must be met.
    let has_deflate = list.into_iter().any(|extension| extension.name == "permessage-deflate");
    let offered = offered.unwrap();
    assert!(offered.deflate.is_none() || has_deflate);
    if let Ok(answered) = answered {
        let count = list.into_iter().count();
        assert_eq!(answered.deflate.is_some(), has_deflate);
        assert_eq!(count, usize::from(has_deflate), "what was not offered was agreed on");
    }
    // A server's answer says what it has agreed on, and the client that made such an offer agrees.
    let written = offered.to_string();
    assert_eq!(written.is_empty(), offered.deflate.is_none());
    let list = ExtensionList::parse(written.as_bytes()).unwrap();
    assert_eq!(list.into_iter().count(), usize::from(offered.deflate.is_some()));
});
