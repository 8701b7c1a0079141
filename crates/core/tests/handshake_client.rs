//! The client's side of the opening handshake (RFC 6455 section 4.1).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use duologue_core::handshake::{
    ClientHandshake, ClientRequest, Field, HandshakeError, HeadLimits, InvalidField,
    InvalidRequest, RequestError, SecWebSocketKey, verify_parsed,
};

use handshake_support::{
    NONCE, REQUEST, RESPONSE, assert_accepted, edited, fields_of, request, with_first_line, written,
};

const SUBPROTOCOLS: &[&str] = &["chat", "superchat"];

/// What the client of RFC 6455 section 1.2 asks for.
fn offer() -> ClientRequest<'static> {
    ClientRequest {
        origin: Some("http://example.com"),
        subprotocols: SUBPROTOCOLS,
        ..ClientRequest::new("server.example.com", "/chat")
    }
}

/// The same without subprotocols.
fn bare() -> ClientRequest<'static> {
    ClientRequest::new("server.example.com", "/chat")
}

fn sent(request: &ClientRequest<'_>) -> Result<String, RequestError> {
    let handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    written(|out| handshake.write_request(request, out))
}

/// The subprotocol that `response` settles on, or why it is refused.
fn verdict(response: &[u8], request: &ClientRequest<'_>) -> Result<Option<String>, HandshakeError> {
    let mut handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let response = handshake.receive(response)?.expect("a whole head");
    response.verify(&handshake, request).map(|upgraded| upgraded.subprotocol.map(str::to_owned))
}

#[track_caller]
fn assert_fails(response: &[u8], request: &ClientRequest<'_>, error: HandshakeError) {
    assert_eq!(verdict(response, request), Err(error), "{}", response.escape_ascii());
    assert_eq!(error.status(), if error == HandshakeError::Malformed { 400 } else { 502 });
}

#[test]
fn rfc_section_1_2_response_is_taken() {
    assert_eq!(verdict(RESPONSE, &offer()), Ok(Some("chat".to_owned())));
}

#[test]
fn rfc_section_1_2_request_is_written() {
    let text = sent(&offer()).unwrap();
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.split("\r\n").map(str::to_owned).collect();
        lines[1..].sort();
        lines
    };
    // The order of the fields is free.
    assert_eq!(sorted(&text), sorted(core::str::from_utf8(REQUEST).unwrap()));
    assert_accepted(text.as_bytes());
}

#[test]
fn tutorial_response_is_taken() {
    let nonce = *b"\xc7\x72\x49\x1c\xc6\xc3\x2f\x51\x33\x2e\x48\x7d\x18\x18\x57\x0f";
    assert_eq!(SecWebSocketKey::from_nonce(nonce).as_bytes(), b"x3JJHMbDL1EzLkh9GBhXDw==");
    let mut handshake = ClientHandshake::new(nonce, HeadLimits::DEFAULT);
    let response = handshake.receive(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\
          Sec-WebSocket-Protocol: chat\r\n\r\n",
    );
    let upgraded = response.unwrap().unwrap().verify(&handshake, &offer()).unwrap();
    assert_eq!(upgraded.subprotocol, Some("chat"));
}

#[test]
fn g20_key_is_the_nonce_and_nothing_else() {
    let key_of = |nonce| {
        let handshake = ClientHandshake::new(nonce, HeadLimits::DEFAULT);
        let sent = written(|out| handshake.write_request(&bare(), out)).unwrap();
        request(sent.as_bytes()).field("Sec-WebSocket-Key").unwrap().to_vec()
    };
    assert_eq!(key_of(NONCE), b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(key_of([0; 16]), b"AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(key_of([0xFF; 16]), b"/////////////////////w==");
}

#[test]
fn g21_any_other_status_is_told_with_its_fields_and_body() {
    let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\
        Content-Length: 4\r\n\r\nno.\n";
    let mut handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let response = handshake.receive(bytes).unwrap().unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.field("www-authenticate"), Some(&b"Basic realm=\"a\""[..]));
    let fields = [("WWW-Authenticate", "Basic realm=\"a\""), ("Content-Length", "4")];
    assert_eq!(fields_of(&response), fields.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(&bytes[response.head_length()..], b"no.\n");
    assert_eq!(response.verify(&handshake, &bare()), Err(HandshakeError::UnexpectedStatus(401)));
    // Even one that has all the right fields.
    for line in ["HTTP/1.1 200 OK", "HTTP/1.1 100 Continue", "HTTP/1.1 102 ", "HTTP/1.1 201"] {
        let status = line[9..12].parse().unwrap();
        let error = HandshakeError::UnexpectedStatus(status);
        assert_fails(&with_first_line(RESPONSE, line), &offer(), error);
    }
}

#[test]
fn g22_connection_and_upgrade_are_token_lists() {
    for (name, lines) in [
        ("Upgrade", &["upgrade:WebSocket"][..]),
        ("Upgrade", &["Upgrade: h2c,\twebsocket"]),
        ("Upgrade", &["Upgrade: h2c", "Upgrade: WEBSOCKET"]),
        ("Connection", &["Connection: keep-alive, upgrade"]),
        ("Connection", &["Connection: keep-alive", "Connection: UPGRADE"]),
    ] {
        assert_eq!(verdict(&edited(RESPONSE, name, lines), &offer()), Ok(Some("chat".to_owned())));
    }
    for (name, lines, error) in [
        ("Upgrade", &[][..], HandshakeError::UpgradeMissing),
        ("Upgrade", &["Upgrade:"], HandshakeError::UpgradeMissing),
        ("Upgrade", &["Upgrade: websockets"], HandshakeError::UpgradeMissing),
        ("Connection", &[], HandshakeError::ConnectionMissing),
        ("Connection", &["Connection: close"], HandshakeError::ConnectionMissing),
        ("Connection", &["Connection: xupgradex"], HandshakeError::ConnectionMissing),
    ] {
        assert_fails(&edited(RESPONSE, name, lines), &offer(), error);
    }
}

#[test]
fn g23_accept_compares_to_the_byte() {
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let trimmed = "sec-websocket-accept:\t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t";
    let response = edited(RESPONSE, "Sec-WebSocket-Accept", &[trimmed]);
    assert_eq!(verdict(&response, &offer()), Ok(Some("chat".to_owned())));
    for lines in [
        &[][..],
        &["Sec-WebSocket-Accept:"],
        &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], // another case
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"],  // no padding
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp="], // the same bytes, otherwise
        &["Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk="],
        &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= x"],
        &[ACCEPT, ACCEPT],
        &[ACCEPT, "Sec-WebSocket-Accept: x"],
    ] {
        let response = edited(RESPONSE, "Sec-WebSocket-Accept", lines);
        assert_fails(&response, &offer(), HandshakeError::WrongAccept);
    }
}

#[test]
fn g24_extension_that_was_not_offered_fails() {
    for (value, error) in [
        ("permessage-deflate", HandshakeError::UnofferedExtension),
        ("x; a=\"b\", y", HandshakeError::UnofferedExtension),
        ("x; a=\"b", HandshakeError::MalformedExtensions),
        ("x y", HandshakeError::MalformedExtensions),
    ] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        let response = edited(RESPONSE, "Sec-WebSocket-Extensions", &[&line]);
        assert_eq!(verdict(&response, &offer()), Err(error), "{value}");
    }
}

#[test]
fn g25_subprotocol_is_one_of_those_offered() {
    for (lines, error) in [
        (&["Sec-WebSocket-Protocol: mqtt"][..], HandshakeError::UnofferedSubprotocol),
        (&["Sec-WebSocket-Protocol: Chat"], HandshakeError::UnofferedSubprotocol),
        (&["Sec-WebSocket-Protocol:"], HandshakeError::UnofferedSubprotocol),
        (&["Sec-WebSocket-Protocol: chat,"], HandshakeError::UnofferedSubprotocol),
        (&["Sec-WebSocket-Protocol: \"chat\""], HandshakeError::UnofferedSubprotocol),
        (&["Sec-WebSocket-Protocol: \u{fc}"], HandshakeError::UnofferedSubprotocol),
        (&["Sec-WebSocket-Protocol: chat, superchat"], HandshakeError::SeveralSubprotocols),
        (&["Sec-WebSocket-Protocol: chat, chat"], HandshakeError::SeveralSubprotocols),
        (
            &["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"],
            HandshakeError::SeveralSubprotocols,
        ),
        (
            &["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"],
            HandshakeError::SeveralSubprotocols,
        ),
    ] {
        assert_fails(&edited(RESPONSE, "Sec-WebSocket-Protocol", lines), &offer(), error);
    }
    assert_fails(RESPONSE, &bare(), HandshakeError::UnofferedSubprotocol);
    // One that is no text is no less unoffered.
    let mut response = edited(RESPONSE, "Sec-WebSocket-Protocol", &["Sec-WebSocket-Protocol: ?"]);
    *response.iter_mut().rfind(|byte| **byte == b'?').unwrap() = 0xFF;
    assert_fails(&response, &offer(), HandshakeError::UnofferedSubprotocol);
    let spaced = ["sec-websocket-protocol: \tsuperchat "];
    let response = edited(RESPONSE, "Sec-WebSocket-Protocol", &spaced);
    assert_eq!(verdict(&response, &offer()), Ok(Some("superchat".to_owned())));
}

#[test]
fn field_whose_name_is_merely_as_long_is_another() {
    for (name, line, error) in [
        ("Upgrade", "Xpgrade: websocket", HandshakeError::UpgradeMissing),
        ("Connection", "Xonnection: Upgrade", HandshakeError::ConnectionMissing),
        (
            "Sec-WebSocket-Accept",
            "Xec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            HandshakeError::WrongAccept,
        ),
    ] {
        assert_fails(&edited(RESPONSE, name, &[line]), &offer(), error);
    }
    let response =
        edited(RESPONSE, "Sec-WebSocket-Protocol", &["Xec-WebSocket-Protocol: superchat"]);
    assert_eq!(verdict(&response, &offer()), Ok(None));
    let line = "Xec-WebSocket-Extensions: x; a=\"b";
    let response = edited(RESPONSE, "Sec-WebSocket-Extensions", &[line]);
    assert_eq!(verdict(&response, &offer()), Ok(Some("chat".to_owned())));
}

#[test]
fn g26_no_subprotocol_fails_only_by_choice() {
    let response = edited(RESPONSE, "Sec-WebSocket-Protocol", &[]);
    assert_eq!(verdict(&response, &offer()), Ok(None));
    let strict = ClientRequest { require_subprotocol: true, ..offer() };
    assert_fails(&response, &strict, HandshakeError::SubprotocolMissing);
    assert_eq!(verdict(RESPONSE, &strict), Ok(Some("chat".to_owned())));
    // Who offers none cannot miss one.
    let strict = ClientRequest { require_subprotocol: true, ..bare() };
    assert_eq!(verdict(&response, &strict), Ok(None));
}

#[test]
fn g27_extensions_are_judged_over_all_lines() {
    let response = edited(
        RESPONSE,
        "Sec-WebSocket-Extensions",
        &["Sec-WebSocket-Extensions: ,", "Sec-WebSocket-Extensions: x"],
    );
    assert_fails(&response, &offer(), HandshakeError::UnofferedExtension);
    let response = edited(
        RESPONSE,
        "Sec-WebSocket-Extensions",
        &["Sec-WebSocket-Extensions: ,", "Sec-WebSocket-Extensions:"],
    );
    assert_eq!(verdict(&response, &offer()), Ok(Some("chat".to_owned())));
}

#[test]
fn g28_bytes_behind_the_response_are_told_apart() {
    // An unmasked text frame "Hi" right behind the head.
    let bytes = [RESPONSE, b"\x81\x02Hi"].concat();
    let mut handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let response = handshake.receive(&bytes).unwrap().unwrap();
    assert_eq!(&bytes[response.head_length()..], b"\x81\x02Hi");
    assert!(response.verify(&handshake, &offer()).is_ok());
}

#[test]
fn h18_response_that_is_no_http_is_refused() {
    for line in [
        "HTTP/2.0 101 Switching Protocols",
        "HTTP/1.1 1O1 Switching Protocols",
        "HTTP/1.1 1010",
        "HTTP/1.1  101 Switching Protocols",
        "HTTP/1.1",
        "http/1.1 101",
        "ICY 200 OK",
        "HTTP/1.1 101 a\0b",
        "HTTP/1.1 101 a\rb",
    ] {
        assert_fails(&with_first_line(RESPONSE, line), &offer(), HandshakeError::Malformed);
    }
    for lines in [
        &["X: a\r\n b"][..],
        &["X: a\nY: b"],
        &["X: a\nY: b\nZ: c"],
        &["X : a"],
        &["X: a\0"],
        &["X"],
        &["X: a\rY: b"],
    ] {
        assert_fails(&edited(RESPONSE, "X", lines), &offer(), HandshakeError::Malformed);
    }
    let bare_lf: Vec<_> = RESPONSE.iter().copied().filter(|byte| *byte != b'\r').collect();
    assert_fails(&bare_lf, &offer(), HandshakeError::Malformed);
    assert_fails(&[b"\r\n", RESPONSE].concat(), &offer(), HandshakeError::Malformed);
    assert_fails(b"\x15\x03\x01", &offer(), HandshakeError::Malformed);
}

#[test]
fn reason_phrase_means_nothing() {
    for line in ["HTTP/1.1 101", "HTTP/1.1 101 ", "HTTP/1.1 101 OK", "HTTP/1.1 101 \u{fc}"] {
        assert!(verdict(&with_first_line(RESPONSE, line), &offer()).is_ok(), "{line}");
    }
}

#[test]
fn h19_options_cannot_break_out_of_their_line() {
    let request = |authority, target| ClientRequest::new(authority, target);
    for authority in ["", "a b", "a\r\nX: 1", "a/b", "user@a", "b\u{fc}cher.example", "a\0", "a#b"]
    {
        let error = Err(RequestError::Invalid(InvalidRequest::Authority));
        assert_eq!(sent(&request(authority, "/")), error, "{authority}");
    }
    for target in ["", "chat", "?a", "http://a/", "/a b", "/a\r\nX: 1", "/#a", "/\u{fc}", "/\0"] {
        let error = Err(RequestError::Invalid(InvalidRequest::Target));
        assert_eq!(sent(&request("a", target)), error, "{target}");
    }
    for origin in ["", "http://a b", "http://a\r\nX: 1", "http://\u{fc}"] {
        let error = Err(RequestError::Invalid(InvalidRequest::Origin));
        assert_eq!(sent(&ClientRequest { origin: Some(origin), ..bare() }), error, "{origin}");
    }
    for subprotocols in
        [&["websocket\r\nX: 1"][..], &[""], &["a b"], &["a,b"], &["a", "b", "a"], &["\u{fc}"]]
    {
        let error = Err(RequestError::Invalid(InvalidRequest::Subprotocol));
        assert_eq!(sent(&ClientRequest { subprotocols, ..bare() }), error, "{subprotocols:?}");
    }
    for (name, value, why) in [
        ("X", "websocket\r\nX: 1", InvalidField::Value),
        ("X\r\nY", "1", InvalidField::Name),
        ("host", "evil.example", InvalidField::Reserved),
        ("Connection", "close", InvalidField::Reserved),
        ("Content-Length", "5", InvalidField::Reserved),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", InvalidField::Reserved),
        ("origin", "http://other.example.com", InvalidField::Reserved),
    ] {
        let fields = &[Field::new(name, value)];
        let error = Err(RequestError::Invalid(InvalidRequest::Field(why)));
        assert_eq!(sent(&ClientRequest { fields, ..offer() }), error, "{name}");
    }
    // The application may set an Origin in either way, but not in both.
    let fields = &[Field::new("Origin", "http://a"), Field::new("Cookie", "a=b")];
    let text = sent(&ClientRequest { fields, ..bare() }).unwrap();
    assert!(text.ends_with("\r\nOrigin: http://a\r\nCookie: a=b\r\n\r\n"));
}

#[test]
fn g29_host_and_target_are_written_as_given() {
    for (authority, target) in [("a", "/"), ("[::1]:9001", "/?a=b"), ("a:8080", "/%20//x?/")] {
        let text = sent(&ClientRequest::new(authority, target)).unwrap();
        assert!(text.starts_with(&format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n")));
        assert_accepted(text.as_bytes());
    }
}

#[test]
fn buffer_that_is_too_small_names_the_need() {
    let needed = sent(&offer()).unwrap().len();
    let handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    for size in 0..needed {
        let error = handshake.write_request(&offer(), &mut vec![0; size]);
        let Err(RequestError::BufferTooSmall(error)) = error else { panic!("{error:?}") };
        assert_eq!(error.needed, needed);
    }
    assert_eq!(handshake.write_request(&offer(), &mut vec![0; needed]), Ok(needed));
}

#[test]
fn parsed_response_is_judged_alike() {
    let expected = SecWebSocketKey::from_nonce(NONCE).accept();
    let fields = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-accept", " s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "),
        ("sec-websocket-protocol", "chat "),
    ]
    .map(|(name, value)| Field::new(name, value));
    let verdict = |status, count| {
        let fields = fields.into_iter().take(count);
        verify_parsed(status, fields, expected, &offer()).map(|upgraded| upgraded.subprotocol)
    };
    assert_eq!(verdict(101, 4), Ok(Some("chat")));
    assert_eq!(verdict(101, 3), Ok(None));
    assert_eq!(verdict(101, 2), Err(HandshakeError::WrongAccept));
    assert_eq!(verdict(101, 1), Err(HandshakeError::ConnectionMissing));
    assert_eq!(verdict(101, 0), Err(HandshakeError::UpgradeMissing));
    assert_eq!(verdict(403, 4), Err(HandshakeError::UnexpectedStatus(403)));
}
