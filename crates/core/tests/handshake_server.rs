//! The server's side of the opening handshake (RFC 6455 section 4.2).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use duologue_core::handshake::{
    AcceptError, Acceptance, ClientHandshake, ClientRequest, ExtensionConfig, Field,
    HandshakeError, HeadLimits, HttpVersion, NegotiatedExtensions, ServerHandshake, Upgrade,
    WriteError,
};

use handshake_support::{
    NONCE, REQUEST, RESPONSE, accepted, assert_accepted, assert_malformed, assert_refused, edited,
    judged, plain, request, well_formed, with_first_line, written,
};

#[test]
fn rfc_section_1_2_request_gets_its_response() {
    let request = request(REQUEST);
    assert_eq!((request.method(), request.target()), ("GET", "/chat"));
    assert_eq!(request.version(), HttpVersion::Http11);
    assert_eq!(request.host(), Some("server.example.com"));
    assert_eq!(request.origin(), Some("http://example.com"));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["chat", "superchat"]);
    assert_eq!(request.head_length(), REQUEST.len());
    let acceptance = Acceptance { subprotocol: Some("chat"), fields: &[] };
    assert_eq!(accepted(REQUEST, &acceptance).unwrap().as_bytes(), RESPONSE);
}

#[test]
fn rfc_section_1_3_both_sides_agree() {
    let offer = ClientRequest {
        origin: Some("http://example.com"),
        subprotocols: &["chat", "superchat"],
        ..ClientRequest::new("server.example.com", "/chat")
    };
    let mut client = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let sent = written(|out| client.write_request(&offer, out)).unwrap();
    assert_eq!(judged(sent.as_bytes()).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let request = request(sent.as_bytes());
    let chosen = request.choose_subprotocol(&["superchat", "chat"]);
    assert_eq!(chosen, Some("chat"), "the client's preference decides");
    let answer = accepted(sent.as_bytes(), &Acceptance { subprotocol: chosen, fields: &[] });
    let answer = answer.unwrap();
    let response = client.receive(answer.as_bytes()).unwrap().unwrap();
    assert_eq!(response.verify(&client, &offer).unwrap().subprotocol, Some("chat"));
}

#[test]
fn tutorial_handshake_gets_its_accept_value() {
    let bytes = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\
        Origin: http://example.com\r\n\r\n";
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\n";
    let acceptance = Acceptance { subprotocol: Some("chat"), fields: &[] };
    assert_eq!(accepted(bytes, &acceptance).unwrap(), expected);
}

#[test]
fn g01_method_must_be_get() {
    for method in ["POST", "HEAD", "PUT", "get", "Get", "CONNECT"] {
        let bytes = with_first_line(REQUEST, &format!("{method} /chat HTTP/1.1"));
        assert_refused(&bytes, HandshakeError::MethodNotGet, 405);
    }
    // What has no method at all is no HTTP.
    assert_malformed(&with_first_line(REQUEST, " /chat HTTP/1.1"));
    assert_malformed(&with_first_line(REQUEST, "G(T /chat HTTP/1.1"));
}

#[test]
fn g02_version_must_be_1_1() {
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/2"] {
        let bytes = with_first_line(REQUEST, &format!("GET /chat {version}"));
        assert_refused(&bytes, HandshakeError::UnsupportedHttpVersion, 505);
    }
    // RFC 9112 sections 2.3 and 3: three parts with one space between them, and HTTP in capitals.
    for line in [
        "GET /chat http/1.1",
        "GET /chat FTP/1.1",
        "GET /chat room HTTP/1.1",
        "GET /chat",
        "GET  /chat HTTP/1.1",
        "GET /chat HTTP/1.1 ",
        "GET /chat\tHTTP/1.1",
        "GET\t/chat HTTP/1.1",
        "GET /chat\0 HTTP/1.1",
        "GET /chat\rHTTP/1.1",
    ] {
        assert_malformed(&with_first_line(REQUEST, line));
    }
}

#[test]
fn g02_plain_http_1_0_is_a_request_all_the_same() {
    let request = request(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!((request.version(), request.host()), (HttpVersion::Http10, None));
    assert!(!request.wants_upgrade());
}

#[test]
fn g03_connection_is_a_token_list() {
    for lines in [
        &["Connection: upgrade"][..],
        &["connection:UPGRADE"],
        &["Connection: keep-alive, Upgrade"],
        &["Connection: Upgrade,keep-alive"],
        &["Connection: ,, keep-alive\t,\tUpgrade ,"],
        &["Connection: keep-alive", "Connection: Upgrade"],
        &["Connection: Upgrade", "Connection: keep-alive", "Connection:"],
    ] {
        assert_accepted(&edited(REQUEST, "Connection", lines));
    }
    for lines in [
        &[][..],
        &["Connection:"],
        &["Connection: close"],
        &["Connection: xupgradex"],
        &["Connection: up grade"],
        &["Connection: upgrade;q=1"],
        &["Connection: \"Upgrade\""],
        &["Connection: Upg", "Connection: rade"],
        &["X-Connection: Upgrade"],
    ] {
        let bytes = edited(REQUEST, "Connection", lines);
        assert_refused(&bytes, HandshakeError::ConnectionNotUpgrade, 400);
    }
}

#[test]
fn g04_upgrade_is_a_token_list() {
    for lines in [
        &["Upgrade: WebSocket"][..],
        &["UPGRADE: h2c, websocket"],
        &["Upgrade: websocket , h2c"],
        &["Upgrade: h2c", "Upgrade: WEBSOCKET"],
    ] {
        assert_accepted(&edited(REQUEST, "Upgrade", lines));
    }
    for lines in [
        &[][..],
        &["Upgrade: h2c"],
        &["Upgrade: websockets"],
        &["Upgrade: websocket/13"],
        &["Upgrade: web,socket"],
    ] {
        let bytes = edited(REQUEST, "Upgrade", lines);
        assert_refused(&bytes, HandshakeError::NotAnUpgrade, 426);
        assert!(!request(&bytes).wants_upgrade());
    }
}

#[test]
fn g05_key_is_one_and_base64_of_16_bytes() {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for lines in [
        &[][..],
        &[KEY, KEY],
        &[KEY, "Sec-WebSocket-Key:"],
        &["Sec-WebSocket-Key:"],
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], // no padding
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="], // half the padding
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==="],
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"], // 15 bytes
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZVE="], // 17 bytes
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh"], // 18 bytes
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25-ZQ=="], // the alphabet of URLs
        &["Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ="],
        &["Sec-WebSocket-Key: ========================"],
        &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="],
    ] {
        let bytes = edited(REQUEST, "Sec-WebSocket-Key", lines);
        assert_refused(&bytes, HandshakeError::InvalidKey, 400);
    }
}

#[test]
fn field_whose_name_is_merely_as_long_is_another() {
    for (name, line, error, status) in [
        ("Host", "Xost: server.example.com", HandshakeError::HostNotSingle, 400),
        ("Upgrade", "Xpgrade: websocket", HandshakeError::NotAnUpgrade, 426),
        ("Connection", "Xonnection: Upgrade", HandshakeError::ConnectionNotUpgrade, 400),
        (
            "Sec-WebSocket-Key",
            "Xec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            HandshakeError::InvalidKey,
            400,
        ),
        (
            "Sec-WebSocket-Version",
            "Xec-WebSocket-Version: 13",
            HandshakeError::MalformedVersion,
            400,
        ),
    ] {
        assert_refused(&edited(REQUEST, name, &[line]), error, status);
    }
    for line in [
        "Xost: a b",
        "Xontent-Length: 5",
        "Xransfer-Encoding: chunked",
        "Xec-WebSocket-Key: x",
        "Xec-WebSocket-Version: 8",
        "Xec-WebSocket-Protocol: a b",
        "Xec-WebSocket-Extensions: x; a=\"b",
    ] {
        assert_accepted(&edited(REQUEST, "X", &[line]));
    }
}

#[test]
fn g06_key_with_pad_bits_is_accepted() {
    // Erratum 3150: the last quantum "EC==" ends in bits that are not zero.
    let line = "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==";
    assert_accepted(&edited(REQUEST, "Sec-WebSocket-Key", &[line]));
}

#[test]
fn g07_accept_is_computed_over_the_trimmed_text() {
    for (line, accept) in [
        ("Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-key: \t dGhlIHNhbXBsZSBub25jZQ==\t ", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("SEC-WEBSOCKET-KEY:  x3JJHMbDL1EzLkh9GBhXDw== ", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
    ] {
        assert_eq!(judged(&edited(REQUEST, "Sec-WebSocket-Key", &[line])).unwrap(), accept);
    }
}

#[test]
fn g08_other_versions_get_426_and_ours() {
    for version in ["0", "7", "8", "12", "14", "255"] {
        let line = format!("Sec-WebSocket-Version: {version}");
        let bytes = edited(REQUEST, "Sec-WebSocket-Version", &[&line]);
        assert_refused(&bytes, HandshakeError::UnsupportedVersion, 426);
    }
}

#[test]
fn g09_version_is_one_and_a_number() {
    const VERSION: &str = "Sec-WebSocket-Version: 13";
    for lines in [
        &[][..],
        &[VERSION, VERSION],
        &[VERSION, "Sec-WebSocket-Version: 8"],
        &["Sec-WebSocket-Version:", VERSION],
        &["Sec-WebSocket-Version: 13, 8"],
        &["Sec-WebSocket-Version: 13,"],
        &["Sec-WebSocket-Version:"],
        &["Sec-WebSocket-Version: +13"],
        &["Sec-WebSocket-Version: 13.0"],
        &["Sec-WebSocket-Version: thirteen"],
        &["Sec-WebSocket-Version: 0000000000000013"],
    ] {
        let bytes = edited(REQUEST, "Sec-WebSocket-Version", lines);
        assert_refused(&bytes, HandshakeError::MalformedVersion, 400);
    }
}

#[test]
fn g10_host_is_required_once() {
    const HOST: &str = "Host: server.example.com";
    for lines in [
        &[][..],
        &[HOST, HOST],
        &[HOST, "host: other.example.com"],
        &[HOST, "Host:"],
        &["Host:"],
        &["Host: a b"],
        &["Host: server.example.com, other.example.com"],
        &["Host: user@server.example.com"],
        &["Host: server.example.com/chat"],
        &["Host: b\u{fc}cher.example"],
    ] {
        assert_refused(&edited(REQUEST, "Host", lines), HandshakeError::HostNotSingle, 400);
    }
    for host in ["a", "a:80", "127.0.0.1:9001", "[::1]", "[::1]:9001", "xn--bcher-kva.example"] {
        let bytes = edited(REQUEST, "Host", &[&format!("Host: {host}")]);
        assert_eq!(request(&bytes).host(), Some(host));
        assert_accepted(&bytes);
    }
}

#[test]
fn g10_host_of_a_whole_url_is_in_the_target() {
    for (target, host, path, query) in [
        ("http://other.example.com/chat?room=1", "other.example.com", "/chat", Some("room=1")),
        ("HTTPS://a:8443/", "a:8443", "/", None),
        ("ws://a", "a", "/", None),
        ("wss://[::1]:9001?room=1", "[::1]:9001", "/", Some("room=1")),
    ] {
        let bytes = with_first_line(REQUEST, &format!("GET {target} HTTP/1.1"));
        let request = request(&bytes);
        assert_eq!(request.target(), target);
        assert_eq!((request.host(), request.path()), (Some(host), path), "{target}");
        assert_eq!(request.query(), query, "{target}");
        assert_accepted(&bytes);
    }
    // RFC 9112 section 3.2: a target is a path or a URL.
    for target in ["chat", "*", "server.example.com:80", "ftp://a/", "http://", "http://a@b/", "?a"]
    {
        assert_malformed(&with_first_line(REQUEST, &format!("GET {target} HTTP/1.1")));
    }
    // A path that merely holds a URL is a path.
    let bytes = plain("GET", "/proxy/http://other.example.com/?u=ws://a");
    assert_eq!(request(&bytes).path(), "/proxy/http://other.example.com/");
    assert_eq!(request(&bytes).query(), Some("u=ws://a"));
    assert_eq!(request(&bytes).host(), Some("server.example.com"));
    assert_eq!(request(&plain("OPTIONS", "*")).path(), "*");
}

#[test]
fn g11_subprotocol_lines_merge_in_order() {
    let bytes = edited(
        REQUEST,
        "Sec-WebSocket-Protocol",
        &[
            "Sec-WebSocket-Protocol: c,b",
            "sec-websocket-protocol:",
            "SEC-WEBSOCKET-PROTOCOL: , a ,",
        ],
    );
    assert_eq!(request(&bytes).subprotocols().collect::<Vec<_>>(), ["c", "b", "a"]);
    assert_eq!(request(&bytes).choose_subprotocol(&["a", "b"]), Some("b"));
    assert_accepted(&bytes);
}

#[test]
fn g12_at_most_one_subprotocol_is_chosen() {
    let answer = accepted(REQUEST, &Acceptance::default()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Protocol:"), "{answer}");
    assert_eq!(request(REQUEST).choose_subprotocol(&["mqtt"]), None);
    for name in ["mqtt", "chat, superchat", "CHAT", "", "chat\r\nX: 1"] {
        let acceptance = Acceptance { subprotocol: Some(name), fields: &[] };
        let refused = Err(AcceptError::Write(WriteError::SubprotocolNotOffered));
        assert_eq!(accepted(REQUEST, &acceptance), refused, "{name}");
    }
}

#[test]
fn g13_subprotocols_are_tokens_and_keep_their_case() {
    let bytes = edited(
        REQUEST,
        "Sec-WebSocket-Protocol",
        &["Sec-WebSocket-Protocol: \t Chat\t,v10.stomp , urn+a!1 "],
    );
    let request = request(&bytes);
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["Chat", "v10.stomp", "urn+a!1"]);
    assert_eq!(request.choose_subprotocol(&["chat", "CHAT"]), None);
    for value in ["a b", "a;b", "a, \"b\"", "a, b(c)", "urn:a", "caf\u{e9}", "a, b=c"] {
        let line = format!("Sec-WebSocket-Protocol: {value}");
        let bytes = edited(REQUEST, "Sec-WebSocket-Protocol", &[&line]);
        assert_refused(&bytes, HandshakeError::MalformedSubprotocol, 400);
    }
}

#[test]
fn g14_first_of_two_equal_subprotocols_stands() {
    let line = "Sec-WebSocket-Protocol: a, b, a";
    let bytes = edited(REQUEST, "Sec-WebSocket-Protocol", &[line]);
    assert_eq!(request(&bytes).choose_subprotocol(&["b", "a"]), Some("a"));
    let acceptance = Acceptance { subprotocol: Some("a"), fields: &[] };
    let answer = accepted(&bytes, &acceptance).unwrap();
    assert_eq!(answer.matches("Sec-WebSocket-Protocol: a\r\n").count(), 1);
}

#[test]
fn g16_bytes_behind_the_request_are_told_apart() {
    // A masked ping, key 0, right behind the head.
    let bytes = [REQUEST, b"\x89\x80\0\0\0\0"].concat();
    assert_eq!(bytes[request(&bytes).head_length()..], *b"\x89\x80\0\0\0\0");
    // A line break behind the head is no part of it either.
    let bytes = [REQUEST, b"\r\n\r\n"].concat();
    assert_eq!(request(&bytes).head_length(), REQUEST.len());
}

#[test]
fn g17_each_limit_is_inclusive_and_has_its_status() {
    // The head is 230 bytes long; its longest line 45, its first one 20, its fields are 7.
    let longest = REQUEST.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    let exact = HeadLimits { max_bytes: REQUEST.len(), max_fields: 7, max_line: longest };
    let verdict =
        |limits| ServerHandshake::new(limits).receive(REQUEST).map(|request| request.is_some());
    assert_eq!(verdict(exact), Ok(true));
    for (limits, error, status) in [
        (HeadLimits { max_bytes: REQUEST.len() - 1, ..exact }, HandshakeError::HeadTooLarge, 431),
        (HeadLimits { max_fields: 6, ..exact }, HandshakeError::TooManyFields, 431),
        (HeadLimits { max_line: longest - 1, ..exact }, HandshakeError::FieldTooLong, 431),
        (HeadLimits { max_line: 19, ..exact }, HandshakeError::RequestLineTooLong, 414),
        (HeadLimits { max_bytes: 0, ..exact }, HandshakeError::HeadTooLarge, 431),
        // At a byte that goes over both limits, the one on the line is told.
        (
            HeadLimits { max_bytes: 19, max_line: 19, ..exact },
            HandshakeError::RequestLineTooLong,
            414,
        ),
    ] {
        assert_eq!(verdict(limits), Err(error), "{limits:?}");
        assert_eq!(error.status(), status);
    }
    assert_eq!(verdict(HeadLimits { max_line: 20, ..exact }), Err(HandshakeError::FieldTooLong));
    assert_eq!(HandshakeError::TimedOut.status(), 408);
}

#[test]
fn g17_default_limits_hold() {
    let with_target = |length: usize| {
        // "GET " and " HTTP/1.1\r\n" are 15 bytes.
        with_first_line(REQUEST, &format!("GET /{} HTTP/1.1", "a".repeat(length - 16)))
    };
    assert_accepted(&with_target(8 * 1024));
    assert_refused(&with_target(8 * 1024 + 1), HandshakeError::RequestLineTooLong, 414);
    let with_field =
        |length: usize| edited(REQUEST, "X", &[&format!("X:{}", "a".repeat(length - 4))]);
    assert_accepted(&with_field(8 * 1024));
    assert_refused(&with_field(8 * 1024 + 1), HandshakeError::FieldTooLong, 431);
    let with_fields = |count: usize| edited(REQUEST, "X", &vec!["X:"; count - 7]);
    assert_accepted(&with_fields(100));
    assert_refused(&with_fields(101), HandshakeError::TooManyFields, 431);
}

#[test]
fn g18_request_with_a_body_is_refused() {
    for lines in [
        &["Content-Length: 1"][..],
        &["content-length: 0, 0"],
        &["Content-Length:"],
        &["Content-Length: 00"],
        &["Content-Length: +0"],
        &["Content-Length: -1"],
        &["Content-Length: 0", "Content-Length: 5"],
        &["Transfer-Encoding: chunked"],
        &["Transfer-Encoding: identity"],
        &["TRANSFER-ENCODING:"],
    ] {
        let bytes = edited(REQUEST, "X", lines);
        assert_refused(&bytes, HandshakeError::RequestHasBody, 400);
        let bytes = edited(&plain("POST", "/"), "X", lines);
        assert_refused(&bytes, HandshakeError::RequestHasBody, 400);
    }
    assert_accepted(&edited(REQUEST, "X", &["Content-Length: 0"]));
}

#[test]
fn h17_two_thousand_fields_without_upgrade() {
    let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for number in 0..2_000 {
        bytes.extend(format!("X{number}: 1\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    assert_refused(&bytes, HandshakeError::TooManyFields, 431);
}

#[test]
fn h18_lines_that_hide_a_request_are_refused() {
    for lines in [
        &["X: a\r\n b"][..], // a folded line
        &["X: a\r\n\tb"],
        &["X: a\nY: b"], // a bare LF
        &["X: a\nY: b\nZ: c"],
        &["X: a\rY: b"], // a bare CR
        &["X: a\r\r\nY: b"],
        &["X: a\0"],
        &["X: a\u{1}"],
        &["X: a\u{7f}"],
        &["Content-Length : 5"], // white space before the colon
        &["Transfer-Encoding\t: chunked"],
        &[" X: a"],
        &[": a"],
        &["X"],
        &["X a"],
        &["X(Y): a"],
        &["\u{dc}: a"],
    ] {
        assert_malformed(&edited(REQUEST, "X", lines));
    }
    // Nor may the head itself begin or end in another way.
    assert_malformed(&[b"\r\n", REQUEST].concat());
    assert_malformed(&[b" ", REQUEST].concat());
    assert_malformed(&[&REQUEST[..REQUEST.len() - 2], b"\n"].concat());
    assert_malformed(&REQUEST.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<_>>());
    // A TLS greeting on a plain port is told at its first byte.
    assert_malformed(b"\x16\x03\x01");
}

#[test]
fn field_values_may_hold_what_is_not_ascii() {
    let bytes = edited(REQUEST, "X", &["X-Name: J\u{fc}rgen\t1"]);
    assert_eq!(request(&bytes).field("x-name"), Some("J\u{fc}rgen\t1".as_bytes()));
    let at = bytes.windows(2).position(|pair| pair == "\u{fc}".as_bytes()).unwrap();
    let latin1 = [&bytes[..at], b"\xfc", &bytes[at + 2..]].concat();
    assert_eq!(request(&latin1).field("X-NAME"), Some(&b"J\xfcrgen\t1"[..]));
    assert_accepted(&latin1);
}

#[test]
fn fields_are_walked_in_order() {
    let fields: Vec<_> = request(REQUEST).fields().map(|field| field.name).collect();
    assert_eq!(
        fields,
        [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Origin",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Version",
        ]
    );
    assert_eq!(request(REQUEST).field("x"), None);
}

#[test]
fn extensions_offered_are_passed_over() {
    let line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x; a=\"b\"";
    let bytes = edited(REQUEST, "X", &[line]);
    let negotiated = request(&bytes).negotiate(ExtensionConfig::default());
    assert_eq!(negotiated, Ok(NegotiatedExtensions::default()));
    assert!(!accepted(&bytes, &Acceptance::default()).unwrap().contains("Extensions"));
    // A quoted comma ends no element, but what it quotes is no token (RFC 6455 section 9.1).
    for value in ["x; a=\"b,c\"", "x; a=\"b", "x y", "x;", "x; a=", "\u{fc}"] {
        let bytes = edited(REQUEST, "X", &[&format!("Sec-WebSocket-Extensions: {value}")]);
        assert_refused(&bytes, HandshakeError::MalformedExtensions, 400);
    }
}

#[test]
fn parsed_request_is_judged_alike() {
    let parsed = |method, version, bytes: &[u8]| {
        let upgrade = Upgrade::of_parsed(method, version, request(bytes).fields())?;
        Ok::<_, HandshakeError>(upgrade.accept_key().as_str().to_owned())
    };
    let accept = Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
    assert_eq!(parsed("GET", HttpVersion::Http11, REQUEST), accept);
    let error = Err(HandshakeError::MethodNotGet);
    assert_eq!(parsed("POST", HttpVersion::Http11, REQUEST), error);
    let error = Err(HandshakeError::UnsupportedHttpVersion);
    assert_eq!(parsed("GET", HttpVersion::Http10, REQUEST), error);
    let version_8 = edited(REQUEST, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]);
    let error = Err(HandshakeError::UnsupportedVersion);
    assert_eq!(parsed("GET", HttpVersion::Http11, &version_8), error);
    // White space that another parser has left around the values is passed over.
    let fields = [
        ("host", " a "),
        ("upgrade", "websocket "),
        ("connection", "\tupgrade"),
        ("sec-websocket-key", " dGhlIHNhbXBsZSBub25jZQ==\t"),
        ("sec-websocket-version", " 13"),
        ("content-length", "0 "),
    ]
    .map(|(name, value)| Field::new(name, value));
    let upgrade = Upgrade::of_parsed("GET", HttpVersion::Http11, fields.into_iter()).unwrap();
    assert_eq!(upgrade.accept_key().as_str(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    // The caller sees to it that the subprotocol was offered; it cannot be anything but a token.
    let acceptance = Acceptance { subprotocol: Some("a\r\nX: 1"), fields: &[] };
    let answer = written(|out| upgrade.accept(&acceptance, NegotiatedExtensions::default(), out));
    assert_eq!(answer, Err(WriteError::SubprotocolNotOffered));
}

#[test]
fn plain_request_is_well_formed_and_no_upgrade() {
    let bytes = plain("GET", "/index.html?a=b?c");
    let request = well_formed(&bytes).unwrap();
    assert_eq!((request.path(), request.query()), ("/index.html", Some("a=b?c")));
    assert_eq!(request.upgrade(), Err(HandshakeError::NotAnUpgrade));
}
