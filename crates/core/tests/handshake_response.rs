//! What a server writes: the 101, and any other response.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use duologue_core::handshake::{
    AcceptError, Acceptance, BufferTooSmall, Field, HandshakeError, InvalidField, InvalidRequest,
    NegotiatedExtensions, RequestError, Response, ServerHandshake, WriteError, reason_phrase,
};

use handshake_support::{REQUEST, RESPONSE, accepted, request, written};

#[test]
fn g08_refusal_of_another_version_names_ours() {
    let response = written(|out| HandshakeError::UnsupportedVersion.response().write(out, false));
    assert_eq!(
        response.unwrap(),
        "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close, Upgrade\r\n\
         Content-Length: 32\r\n\r\nthe WebSocket version must be 13"
    );
}

#[test]
fn g19_application_fields_go_into_the_101() {
    let fields = [Field::new("Set-Cookie", "a=b; Secure"), Field::new("X-Name", "J\u{fc}rgen")];
    let answer = accepted(REQUEST, &Acceptance { subprotocol: None, fields: &fields }).unwrap();
    assert!(answer.ends_with("=\r\nSet-Cookie: a=b; Secure\r\nX-Name: J\u{fc}rgen\r\n\r\n"));
}

#[test]
fn h19_application_fields_cannot_break_out_or_override() {
    for (name, value, why) in [
        ("X", "websocket\r\nX: 1", InvalidField::Value),
        ("X", "a\rb", InvalidField::Value),
        ("X", "a\nb", InvalidField::Value),
        ("X", "a\0", InvalidField::Value),
        ("X", "a\u{7f}", InvalidField::Value),
        ("X\r\nY", "1", InvalidField::Name),
        ("X Y", "1", InvalidField::Name),
        ("X:", "1", InvalidField::Name),
        ("", "1", InvalidField::Name),
        ("\u{dc}", "1", InvalidField::Name),
        ("Upgrade", "h2c", InvalidField::Reserved),
        ("connection", "close", InvalidField::Reserved),
        ("SEC-WEBSOCKET-ACCEPT", "x", InvalidField::Reserved),
        ("Sec-WebSocket-Protocol", "x", InvalidField::Reserved),
        ("Sec-WebSocket-Extensions", "permessage-deflate", InvalidField::Reserved),
        ("Content-Length", "5", InvalidField::Reserved),
        ("Transfer-Encoding", "chunked", InvalidField::Reserved),
    ] {
        let fields = [Field::new("X-First", "fine"), Field::new(name, value)];
        let acceptance = Acceptance { subprotocol: None, fields: &fields };
        let error = WriteError::InvalidField(why);
        assert_eq!(accepted(REQUEST, &acceptance), Err(AcceptError::Write(error)), "{name}");
        let response = Response::new(403, &fields, b"");
        assert_eq!(written(|out| response.write(out, false)), Err(error), "{name}");
        // A refusal of our own is no way around the rule.
        let mut refusal: Response<'_> = HandshakeError::InvalidKey.response();
        refusal.fields = &fields;
        assert_eq!(written(|out| refusal.write(out, false)), Err(error), "{name}");
    }
}

#[test]
fn response_has_a_body_only_where_its_status_has_one() {
    let response = |status, head_only| {
        written(|out| Response::new(status, &[], b"hello").write(out, head_only))
    };
    assert_eq!(
        response(404, false).unwrap(),
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    );
    assert_eq!(
        response(404, true).unwrap(),
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
    );
    // RFC 9110 section 8.6: no Content-Length in a 204; in a 304 it would be another response's.
    assert_eq!(
        response(204, false).unwrap(),
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(
        response(304, false).unwrap(),
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    );
    let reset = response(205, false).unwrap();
    assert!(reset.ends_with("\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), "{reset}");
    for status in [0, 100, 101, 199, 600, u16::MAX] {
        assert_eq!(response(status, false), Err(WriteError::InvalidStatus), "{status}");
    }
}

#[test]
fn buffer_that_is_too_small_names_the_need() {
    let request = request(REQUEST);
    let acceptance = Acceptance { subprotocol: Some("chat"), fields: &[] };
    for size in 0..RESPONSE.len() {
        let mut out = vec![0; size];
        let error = ServerHandshake::accept(
            &request,
            &acceptance,
            NegotiatedExtensions::default(),
            &mut out,
        );
        let Err(AcceptError::Write(WriteError::BufferTooSmall(error))) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.needed, RESPONSE.len());
    }
    let mut out = vec![0; RESPONSE.len()];
    let length =
        ServerHandshake::accept(&request, &acceptance, NegotiatedExtensions::default(), &mut out);
    assert_eq!((length, &out[..]), (Ok(RESPONSE.len()), RESPONSE));
}

#[test]
fn reason_phrase_of_a_known_status_is_the_registered_one() {
    for (status, phrase) in [
        (200, "OK"),
        (201, "Created"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (408, "Request Timeout"),
        (409, "Conflict"),
        (410, "Gone"),
        (414, "URI Too Long"),
        (421, "Misdirected Request"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
        (505, "HTTP Version Not Supported"),
        // A client takes any phrase, but a line without one is not what RFC 9112 section 4 asks
        // a server to write.
        (299, "Status"),
        (418, "Status"),
    ] {
        assert_eq!(reason_phrase(status), phrase, "{status}");
    }
}

#[test]
fn every_error_tells_what_is_wrong_in_words_of_its_own() {
    let own = [
        InvalidRequest::Authority.to_string(),
        InvalidRequest::Target.to_string(),
        InvalidRequest::Origin.to_string(),
        InvalidRequest::Subprotocol.to_string(),
        InvalidField::Name.to_string(),
        InvalidField::Value.to_string(),
        InvalidField::Reserved.to_string(),
        WriteError::InvalidStatus.to_string(),
        WriteError::SubprotocolNotOffered.to_string(),
        BufferTooSmall { needed: 129 }.to_string(),
        BufferTooSmall { needed: 130 }.to_string(),
        HandshakeError::InvalidKey.to_string(),
        HandshakeError::Rejected(403).to_string(),
        HandshakeError::Rejected(404).to_string(),
        HandshakeError::UnexpectedStatus(403).to_string(),
        HandshakeError::UnexpectedStatus(404).to_string(),
    ];
    for (at, text) in own.iter().enumerate() {
        assert!(text.contains(' ') && !own[..at].contains(text), "{text:?}");
    }
    // A status and a length are told as numbers.
    assert!(own[9].contains("129") && own[13].contains("404") && own[15].contains("404"));
    // What only holds another error says what that one says.
    let (small, field) = (BufferTooSmall { needed: 129 }, InvalidField::Value);
    for (error, inner) in [
        (InvalidRequest::Field(field).to_string(), field.to_string()),
        (RequestError::Invalid(InvalidRequest::Origin).to_string(), own[2].clone()),
        (RequestError::BufferTooSmall(small).to_string(), small.to_string()),
        (WriteError::BufferTooSmall(small).to_string(), small.to_string()),
        (WriteError::InvalidField(field).to_string(), field.to_string()),
        (AcceptError::Request(HandshakeError::InvalidKey).to_string(), own[11].clone()),
        (AcceptError::Write(WriteError::InvalidStatus).to_string(), own[7].clone()),
    ] {
        assert_eq!(error, inner);
    }
}
