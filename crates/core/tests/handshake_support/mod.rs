//! What the handshake's tests share: the heads of RFC 6455, and edits of them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use duologue_core::handshake::{
    AcceptError, Acceptance, HandshakeError, HeadLimits, NegotiatedExtensions, Request,
    ServerHandshake, ServerResponse,
};

/// RFC 6455 section 1.2: the client's half.
pub(crate) const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// RFC 6455 section 1.2: the server's half.
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\
    \r\n";

/// The nonce behind the key of RFC 6455 section 1.3.
pub(crate) const NONCE: [u8; 16] = *b"the sample nonce";

/// `head` with `lines` in place of the field called `name`; behind all others if there is none.
pub(crate) fn edited(head: &[u8], name: &str, lines: &[&str]) -> Vec<u8> {
    let text = core::str::from_utf8(head).expect("the RFC's heads are ASCII");
    let old: Vec<&str> = text.trim_end().split("\r\n").collect();
    let is_named = |line: &&str| line.split_once(':').is_some_and(|(n, _)| n == name);
    let at = old.iter().position(is_named);
    let (before, after) = old.split_at(at.unwrap_or(old.len()));
    let after = after.get(1..).unwrap_or_default();
    let mut new = [before, lines, after].concat().join("\r\n").into_bytes();
    new.extend_from_slice(b"\r\n\r\n");
    new
}

/// `head` with another first line.
pub(crate) fn with_first_line(head: &[u8], line: &str) -> Vec<u8> {
    let at = head.windows(2).position(|pair| pair == b"\r\n").expect("a whole head");
    [line.as_bytes(), &head[at..]].concat()
}

/// A plain request of a browser that wants a page.
pub(crate) fn plain(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: server.example.com\r\n\r\n").into_bytes()
}

/// The request in `bytes`, whole and well-formed.
pub(crate) fn request(bytes: &[u8]) -> Request<'_> {
    well_formed(bytes).unwrap_or_else(|error| panic!("{error:?}: {}", shown(bytes)))
}

/// The request in `bytes`, which are whole, or what is wrong with it as HTTP.
pub(crate) fn well_formed(bytes: &[u8]) -> Result<Request<'_>, HandshakeError> {
    let received = ServerHandshake::new(HeadLimits::DEFAULT).receive(bytes)?;
    Ok(received.unwrap_or_else(|| panic!("not whole: {}", shown(bytes))))
}

/// The accept value that answers `bytes`, or why they are refused.
pub(crate) fn judged(bytes: &[u8]) -> Result<String, HandshakeError> {
    let upgrade = well_formed(bytes)?.upgrade()?;
    Ok(upgrade.accept_key().as_str().to_owned())
}

/// `bytes` are accepted as an upgrade.
#[track_caller]
pub(crate) fn assert_accepted(bytes: &[u8]) {
    assert!(judged(bytes).is_ok(), "{:?}: {}", judged(bytes), shown(bytes));
}

/// `bytes` are refused for `error`, with `status`.
#[track_caller]
pub(crate) fn assert_refused(bytes: &[u8], error: HandshakeError, status: u16) {
    assert_eq!(judged(bytes), Err(error), "{}", shown(bytes));
    assert_eq!(error.status(), status);
}

/// `bytes` are no well-formed HTTP.
#[track_caller]
pub(crate) fn assert_malformed(bytes: &[u8]) {
    assert_refused(bytes, HandshakeError::Malformed, 400);
}

/// What `handshake` writes into a buffer that is large enough.
pub(crate) fn written<E: core::fmt::Debug>(
    write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<String, E> {
    let mut out = [0; 4096];
    let length = write(&mut out)?;
    Ok(String::from_utf8(out[..length].to_vec()).expect("heads are text here"))
}

/// The 101 that answers `bytes`, a well-formed request.
pub(crate) fn accepted(bytes: &[u8], acceptance: &Acceptance<'_>) -> Result<String, AcceptError> {
    let request = request(bytes);
    let extensions = NegotiatedExtensions::default();
    written(|out| ServerHandshake::accept(&request, acceptance, extensions, out))
}

/// All fields of a response, as text.
pub(crate) fn fields_of(response: &ServerResponse<'_>) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    response.fields().map(|field| (field.name.to_owned(), text(field.value))).collect()
}

/// The start of `bytes`, to be read in a failure.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(500)].escape_ascii().to_string()
}
