//! The opening handshake over owned buffers, as an adapter drives it.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use core::cell::Cell;

use duologue_core::handshake::{
    HandshakeError, HeadLimits, InvalidField, InvalidRequest, OriginPolicy, Request,
};
use duologue_core::opening::{
    Accept, Accepted, ClientOpening, ConnectRequest, Decision, HttpResponse, Opened,
    OpeningFailure, Outcome, Refused, ServerOpening,
};

use handshake_support::{NONCE, REQUEST, RESPONSE, edited, plain, with_first_line};

/// A server that has read `bytes` in pieces of `size`, up to the verdict.
fn server_in_pieces(bytes: &[u8], size: usize) -> (ServerOpening, Result<bool, HandshakeError>) {
    let mut server = ServerOpening::new(HeadLimits::DEFAULT);
    let mut verdict = Ok(false);
    for piece in bytes.chunks(size) {
        server.read_room().extend_from_slice(piece);
        // Polling again does no harm, and what comes behind the request is kept.
        verdict = server.poll();
        assert_eq!(server.poll(), verdict);
    }
    (server, verdict)
}

/// A server that has read `bytes`, a well-formed request.
fn server(bytes: &[u8]) -> ServerOpening {
    let (server, verdict) = server_in_pieces(bytes, usize::MAX);
    assert_eq!(verdict, Ok(true), "{}", bytes.escape_ascii());
    server
}

fn client(request: ConnectRequest) -> ClientOpening {
    ClientOpening::new(request, HeadLimits::DEFAULT, NONCE).unwrap()
}

/// The request of RFC 6455 section 1.2.
fn rfc_request() -> ConnectRequest {
    ConnectRequest::new("server.example.com", "/chat")
        .origin("http://example.com")
        .subprotocol("chat")
        .subprotocol("superchat")
}

/// What the client of RFC 6455 section 1.2 makes of `bytes`.
fn polled(bytes: &[u8]) -> Result<Option<Opened>, OpeningFailure> {
    let mut client = client(rfc_request());
    client.read_room().extend_from_slice(bytes);
    client.poll()
}

#[track_caller]
fn accepted(outcome: Outcome) -> Accepted {
    match outcome {
        Outcome::Accepted(accepted) => accepted,
        Outcome::Refused(refused) => panic!("{refused:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> Refused {
    match outcome {
        Outcome::Refused(refused) => refused,
        Outcome::Accepted(accepted) => panic!("{accepted:?}"),
    }
}

/// The refusal of `bytes`, about which the application is not asked.
#[track_caller]
fn refused_unasked(bytes: &[u8]) -> Refused {
    refused(server(bytes).decide(|request| panic!("asked about {request:?}")))
}

fn accept_chat(request: &Request<'_>) -> Decision {
    Accept::new().subprotocol(request.choose_subprotocol(&["chat"])).into()
}

/// `response` is exactly one response, with this status and body, and nothing behind it.
#[track_caller]
fn assert_one_response(response: &[u8], first_line: &str, fields: &[&str], body: &str) {
    let text = core::str::from_utf8(response).unwrap();
    let (head, behind) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some(first_line));
    let mut written: Vec<_> = lines.collect();
    let mut expected = fields.to_vec();
    written.sort_unstable();
    expected.sort_unstable();
    assert_eq!(written, expected);
    assert_eq!(behind, body);
}

/// `refused` is one of our own refusals: text, its length, and the end of the connection.
#[track_caller]
fn assert_own_refusal(refused: &Refused, error: HandshakeError, line: &str, fields: &[&str]) {
    assert_eq!(refused.error, error);
    let length = format!("Content-Length: {}", error.to_string().len());
    let own = ["Content-Type: text/plain; charset=utf-8", length.as_str()];
    assert_one_response(&refused.response, line, &[&own, fields].concat(), &error.to_string());
}

const CLOSE: &str = "Connection: close";

#[test]
fn rfc_section_1_2_both_sides_open() {
    let mut client = client(rfc_request());
    let mut server = server(client.request_bytes());
    assert_eq!(server.request().unwrap().path(), "/chat");
    server.read_room().extend_from_slice(b"\x89\x80\0\0\0\0");
    let accepted = accepted(server.decide(accept_chat));
    assert_eq!(accepted.response, RESPONSE);
    assert_eq!(accepted.subprotocol.as_deref(), Some("chat"));
    assert_eq!(&accepted.leftover[..], b"\x89\x80\0\0\0\0");

    client.read_room().extend_from_slice(&accepted.response);
    client.read_room().extend_from_slice(b"\x81\x02Hi");
    let opened = client.poll().unwrap().unwrap();
    assert_eq!(opened.subprotocol.as_deref(), Some("chat"));
    assert_eq!(opened.extensions, accepted.extensions);
    assert_eq!(&opened.leftover[..], b"\x81\x02Hi");
    assert_eq!(opened.fields.len(), 4);
    assert_eq!(opened.fields[0], ("Upgrade".to_owned(), b"websocket".to_vec()));
}

#[test]
fn g16_g28_leftover_is_the_same_however_cut() {
    let frames = b"\x82\x83\0\0\0\0\r\n\r\x89\x80\0\0\0\0";
    for size in 1..=REQUEST.len() + frames.len() {
        let (server, verdict) = server_in_pieces(&[REQUEST, frames].concat(), size);
        assert_eq!(verdict, Ok(true));
        let accepted = accepted(server.decide(accept_chat));
        assert_eq!((&accepted.leftover[..], &accepted.response[..]), (&frames[..], RESPONSE));
    }
    // An adapter polls the client after each read, and takes what came with the last one.
    for cut in 0..=RESPONSE.len() {
        let mut client = client(rfc_request());
        client.read_room().extend_from_slice(&RESPONSE[..cut]);
        let early = client.poll().unwrap();
        assert_eq!(early.is_some(), cut == RESPONSE.len(), "{cut}");
        if early.is_none() {
            client.read_room().extend_from_slice(&[&RESPONSE[cut..], frames].concat());
            assert_eq!(&client.poll().unwrap().unwrap().leftover[..], frames);
        }
    }
}

#[test]
fn plain_get_is_answered_by_the_application() {
    let page = |request: &Request<'_>| {
        assert_eq!((request.method(), request.path()), ("GET", "/index.html"));
        HttpResponse::html(200, "<p>Hi</p>").field("Cache-Control", "no-store").into()
    };
    let refused = refused(server(&plain("GET", "/index.html")).decide(page));
    assert_eq!(refused.error, HandshakeError::Rejected(200));
    assert_one_response(
        &refused.response,
        "HTTP/1.1 200 OK",
        &[
            "Content-Type: text/html; charset=utf-8",
            "Cache-Control: no-store",
            CLOSE,
            "Content-Length: 9",
        ],
        "<p>Hi</p>",
    );
}

#[test]
fn head_is_answered_without_a_body() {
    let page = |_: &Request<'_>| HttpResponse::text(200, "Hi").into();
    let text = ["Content-Type: text/plain; charset=utf-8", CLOSE];
    let answer = refused(server(&plain("HEAD", "/")).decide(page)).response;
    let fields = [&text[..], &["Content-Length: 2"]].concat();
    assert_one_response(&answer, "HTTP/1.1 200 OK", &fields, "");
    // So is one whose head is no HTTP otherwise.
    let (server, verdict) = server_in_pieces(b"HEAD / HTTP/1.1\r\n\r\n", 7);
    let error = verdict.unwrap_err();
    let answer = server.refuse(error).response;
    let fields = [&text[..], &["Content-Length: 28"]].concat();
    assert_one_response(&answer, "HTTP/1.1 400 Bad Request", &fields, "");
}

#[test]
fn g01_upgrade_with_another_method_is_refused_unasked() {
    let refused = refused_unasked(&with_first_line(REQUEST, "POST /chat HTTP/1.1"));
    let line = "HTTP/1.1 405 Method Not Allowed";
    assert_own_refusal(&refused, HandshakeError::MethodNotGet, line, &[CLOSE, "Allow: GET"]);
}

#[test]
fn g02_upgrade_over_http_1_0_is_refused_unasked() {
    let refused = refused_unasked(&with_first_line(REQUEST, "GET /chat HTTP/1.0"));
    let line = "HTTP/1.1 505 HTTP Version Not Supported";
    assert_own_refusal(&refused, HandshakeError::UnsupportedHttpVersion, line, &[CLOSE]);
}

#[test]
fn g08_version_8_is_told_what_to_use() {
    let bytes = edited(REQUEST, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]);
    let refused = refused_unasked(&bytes);
    let fields = ["Connection: close, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let line = "HTTP/1.1 426 Upgrade Required";
    assert_own_refusal(&refused, HandshakeError::UnsupportedVersion, line, &fields);
}

#[test]
fn plain_get_that_is_accepted_gets_426() {
    let refused = refused(server(&plain("GET", "/")).decide(|_| Accept::new().into()));
    let fields = ["Connection: close, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let line = "HTTP/1.1 426 Upgrade Required";
    assert_own_refusal(&refused, HandshakeError::NotAnUpgrade, line, &fields);
    // The application's own 426 says the same.
    let outcome = server(&plain("GET", "/")).decide(|_| HttpResponse::new(426).into());
    let Outcome::Refused(refused) = outcome else { panic!("accepted") };
    let fields = [&fields[..], &["Content-Length: 0"]].concat();
    assert_one_response(&refused.response, line, &fields, "");
}

#[test]
fn faulty_upgrade_is_refused_unasked() {
    for (name, lines, error) in [
        ("Connection", &[][..], HandshakeError::ConnectionNotUpgrade),
        ("Sec-WebSocket-Key", &["Sec-WebSocket-Key: short"], HandshakeError::InvalidKey),
        ("Sec-WebSocket-Version", &[], HandshakeError::MalformedVersion),
        (
            "Sec-WebSocket-Protocol",
            &["Sec-WebSocket-Protocol: a b"],
            HandshakeError::MalformedSubprotocol,
        ),
        ("X", &["Sec-WebSocket-Extensions: ;"], HandshakeError::MalformedExtensions),
    ] {
        let refused = refused_unasked(&edited(REQUEST, name, lines));
        assert_own_refusal(&refused, error, "HTTP/1.1 400 Bad Request", &[CLOSE]);
    }
}

#[test]
fn request_that_is_no_http_has_its_status() {
    let long_line = with_first_line(REQUEST, &format!("GET /{} HTTP/1.1", "a".repeat(9_000)));
    let long_field = edited(REQUEST, "X", &[&format!("X: {}", "a".repeat(9_000))]);
    for (bytes, error, line) in [
        (b"\x16\x03\x01".to_vec(), HandshakeError::Malformed, "HTTP/1.1 400 Bad Request"),
        (edited(REQUEST, "Host", &[]), HandshakeError::HostNotSingle, "HTTP/1.1 400 Bad Request"),
        (
            edited(REQUEST, "X", &["Content-Length: 5"]),
            HandshakeError::RequestHasBody,
            "HTTP/1.1 400 Bad Request",
        ),
        (long_line, HandshakeError::RequestLineTooLong, "HTTP/1.1 414 URI Too Long"),
        (long_field, HandshakeError::FieldTooLong, "HTTP/1.1 431 Request Header Fields Too Large"),
    ] {
        for size in [1, 1_000, usize::MAX] {
            let (server, verdict) = server_in_pieces(&bytes, size);
            assert_eq!(verdict, Err(error));
            assert!(server.request().is_none());
            assert_own_refusal(&server.refuse(error), error, line, &[CLOSE]);
        }
    }
}

#[test]
fn g17_slow_request_gets_408() {
    let (server, verdict) = server_in_pieces(&REQUEST[..100], usize::MAX);
    assert_eq!(verdict, Ok(false));
    let refused = server.refuse(HandshakeError::TimedOut);
    let line = "HTTP/1.1 408 Request Timeout";
    assert_own_refusal(&refused, HandshakeError::TimedOut, line, &[CLOSE]);
}

#[test]
fn g15_origin_policy_refuses_with_403() {
    let server = server(REQUEST);
    let policy = OriginPolicy::List(&["https://example.com"]);
    let error = policy.judge(&server.request().unwrap()).unwrap_err();
    let line = "HTTP/1.1 403 Forbidden";
    assert_own_refusal(&server.refuse(error), HandshakeError::ForbiddenOrigin, line, &[CLOSE]);
}

/// The same as a decision: `?` inside a function that decides.
#[test]
fn g15_decision_to_refuse_is_written_as_the_error_says() {
    let policy = OriginPolicy::List(&["https://example.com"]);
    let refused = refused(server(REQUEST).decide(|request| match policy.judge(request) {
        Ok(()) => Accept::new().into(),
        Err(error) => error.into(),
    }));
    let line = "HTTP/1.1 403 Forbidden";
    assert_own_refusal(&refused, HandshakeError::ForbiddenOrigin, line, &[CLOSE]);
}

#[test]
fn unfinished_request_is_not_put_to_the_application() {
    let (server, _) = server_in_pieces(&REQUEST[..100], usize::MAX);
    let refused = refused(server.decide(|request| panic!("asked about {request:?}")));
    assert_own_refusal(&refused, HandshakeError::Malformed, "HTTP/1.1 400 Bad Request", &[CLOSE]);
}

#[test]
fn application_is_asked_once() {
    let asked = Cell::new(0);
    let outcome = server(REQUEST).decide(|request| {
        asked.set(asked.get() + 1);
        assert!(request.upgrade().is_ok());
        HttpResponse::text(403, "members only").into()
    });
    let refused = refused(outcome);
    assert_eq!((asked.get(), refused.error), (1, HandshakeError::Rejected(403)));
    assert_one_response(
        &refused.response,
        "HTTP/1.1 403 Forbidden",
        &["Content-Type: text/plain; charset=utf-8", CLOSE, "Content-Length: 12"],
        "members only",
    );
}

#[test]
fn h18_refusal_answers_nothing_behind_the_request() {
    let bytes = edited(REQUEST, "Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"]);
    let pipelined = [&bytes[..], b"GET /internal HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let alone = refused_unasked(&bytes);
    let refused = refused_unasked(&pipelined);
    assert_eq!(refused.response, alone.response);
    // It says that the connection ends: there is no second response.
    assert!(refused.response.windows(18).any(|part| part == b"Connection: close,"));
}

#[test]
fn g19_fields_of_an_acceptance_go_into_the_101() {
    let accept = Accept::new().field("Set-Cookie", "a=b").field("X-Room", "1");
    let accepted = accepted(server(REQUEST).decide(|_| accept.into()));
    assert_eq!(accepted.subprotocol, None);
    assert!(accepted.response.ends_with(b"=\r\nSet-Cookie: a=b\r\nX-Room: 1\r\n\r\n"));
}

#[test]
fn h19_answer_that_cannot_be_written_becomes_500() {
    let fields = [
        ("X", "websocket\r\nX: 1"),
        ("X Y", "1"),
        ("Connection", "keep-alive"),
        ("Content-Length", "100"),
        ("Sec-WebSocket-Accept", "x"),
    ];
    let decisions = fields.iter().flat_map(|(name, value)| {
        [
            Decision::from(Accept::new().field(*name, *value)),
            Decision::from(HttpResponse::new(200).field(*name, *value)),
        ]
    });
    let others = [
        Accept::new().subprotocol("mqtt").into(),
        Accept::new().subprotocol("chat\r\nX: 1").into(),
        HttpResponse::new(101).into(),
        HttpResponse::new(99).into(),
        HttpResponse::new(600).into(),
    ];
    for decision in decisions.chain(others) {
        let refused = refused(server(REQUEST).decide(|_| decision));
        let error = HandshakeError::InvalidAcceptance;
        let line = "HTTP/1.1 500 Internal Server Error";
        assert_own_refusal(&refused, error, line, &[CLOSE]);
    }
}

#[test]
fn answer_of_any_length_is_written_whole() {
    let body = "a".repeat(100_000);
    let outcome = server(&plain("GET", "/")).decide(|_| HttpResponse::text(200, &*body).into());
    let refused = refused(outcome);
    let text = ["Content-Type: text/plain; charset=utf-8", CLOSE, "Content-Length: 100000"];
    assert_one_response(&refused.response, "HTTP/1.1 200 OK", &text, &body);
    let outcome = server(&plain("GET", "/")).decide(|_| HttpResponse::new(204).body(body).into());
    let Outcome::Refused(refused) = outcome else { panic!("accepted") };
    assert_one_response(&refused.response, "HTTP/1.1 204 No Content", &[CLOSE], "");
}

#[test]
fn g21_other_status_surfaces_fields_and_body_start() {
    let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\
        WWW-Authenticate: Bearer\r\nContent-Length: 100\r\n\r\nYou are no";
    for cut in 0..bytes.len() - 10 {
        let mut client = client(rfc_request());
        client.read_room().extend_from_slice(&bytes[..cut]);
        assert!(client.poll().unwrap().is_none());
        client.read_room().extend_from_slice(&bytes[cut..]);
        let failure = client.poll().unwrap_err();
        assert_eq!(failure.error, HandshakeError::UnexpectedStatus(401));
        let response = failure.response.as_ref().unwrap();
        assert_eq!((response.status, response.fields.len()), (401, 3));
        assert_eq!(response.field("www-authenticate"), Some(&b"Basic realm=\"a\""[..]));
        assert_eq!(response.field("location"), None);
        assert_eq!(response.body, "You are no");
        assert_eq!(
            failure.to_string(),
            "the server answered 401 Unauthorized instead of 101 Switching Protocols"
        );
    }
}

/// The rest of the body may come later; how much of it there is, the fields tell.
#[test]
fn g21_body_that_comes_later_is_appended_up_to_4_kib() {
    for (head, missing) in [
        ("404 Not Found\r\nContent-Length: 10\r\n\r\n0123", 6),
        ("404 Not Found\r\nContent-Length: 4\r\n\r\n0123", 0),
        ("404 Not Found\r\nContent-Length: 3\r\n\r\n0123", 0),
        ("404 Not Found\r\nContent-Length: 5000\r\n\r\n0123", 4092),
        ("404 Not Found\r\nContent-Length: -1\r\n\r\n0123", 4092),
        ("404 Not Found\r\nContent-Length: 99999999999999999999999\r\n\r\n0123", 4092),
        // Without a length the body goes on to the end of TCP (RFC 9112 section 6.3).
        ("404 Not Found\r\n\r\n0123", 4092),
        ("404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n01", 4091),
        ("404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n01\r\n0\r\n\r\n", 0),
        ("204 No Content\r\n\r\n", 0),
        ("304 Not Modified\r\nContent-Length: 10\r\n\r\n", 0),
    ] {
        let failure = polled(format!("HTTP/1.1 {head}").as_bytes()).unwrap_err();
        let mut response = failure.response.unwrap();
        assert_eq!(response.missing_body(), missing, "{head}");
        let start = response.body.clone();
        let later = vec![b'x'; 5000];
        response.extend_body(&later[..100]);
        assert_eq!(response.body[start.len()..], later[..100]);
        response.extend_body(&later);
        assert_eq!((response.body.len(), response.missing_body()), (4096, 0));
        assert!(response.body.starts_with(&start));
    }
}

#[test]
fn connect_request_knows_the_fields_added() {
    let request = rfc_request().field("Authorization", "Bearer abc");
    assert!(request.has_field("authorization"));
    assert!(!request.has_field("origin") && !request.has_field("Cookie"));
}

#[test]
fn g30_redirect_is_surfaced_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let bytes = format!("HTTP/1.1 {status} See\r\nLocation: wss://b.example/x\r\n\r\n");
        let failure = polled(bytes.as_bytes()).unwrap_err();
        assert_eq!(failure.error, HandshakeError::UnexpectedStatus(status));
        let response = failure.response.unwrap();
        assert_eq!(response.field("LOCATION"), Some(&b"wss://b.example/x"[..]));
        assert_eq!(response.body, "");
    }
}

#[test]
fn response_that_breaks_a_rule_is_shown_with_its_fault() {
    let bytes = edited(RESPONSE, "Sec-WebSocket-Accept", &["Sec-WebSocket-Accept: x"]);
    let failure = polled(&bytes).unwrap_err();
    assert_eq!(failure.error, HandshakeError::WrongAccept);
    assert_eq!(failure.response.unwrap().status, 101);
    // What is no HTTP has no response to show.
    let failure = polled(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").unwrap_err();
    assert_eq!((failure.error, failure.response), (HandshakeError::Malformed, None));
    let failure = polled(format!("HTTP/1.1 200 {}", "a".repeat(9_000)).as_bytes()).unwrap_err();
    assert_eq!(failure.error, HandshakeError::RequestLineTooLong);
}

#[test]
fn g26_missing_subprotocol_fails_only_by_choice() {
    let response = edited(RESPONSE, "Sec-WebSocket-Protocol", &[]);
    for (required, error) in [(false, None), (true, Some(HandshakeError::SubprotocolMissing))] {
        let mut client = client(rfc_request().require_subprotocol(required));
        client.read_room().extend_from_slice(&response);
        assert_eq!(
            client.poll().map(|opened| opened.is_some()).map_err(|f| f.error),
            error.map_or(Ok(true), Err)
        );
    }
}

#[test]
fn h19_request_that_cannot_be_sent_is_never_begun() {
    let refusal = |request| ClientOpening::new(request, HeadLimits::DEFAULT, NONCE).unwrap_err();
    let request = || ConnectRequest::new("a", "/");
    assert_eq!(refusal(ConnectRequest::new("a\r\nX: 1", "/")), InvalidRequest::Authority);
    assert_eq!(refusal(ConnectRequest::new("a", "/a b")), InvalidRequest::Target);
    assert_eq!(refusal(request().origin("http://a b")), InvalidRequest::Origin);
    assert_eq!(refusal(request().subprotocol("a,b")), InvalidRequest::Subprotocol);
    let error = InvalidRequest::Field(InvalidField::Value);
    assert_eq!(refusal(request().field("X", "websocket\r\nX: 1")), error);
    // A long request is written whole.
    let client = client(request().field("Cookie", "a".repeat(5_000)));
    assert!(client.request_bytes().ends_with(b"aaaa\r\n\r\n"));
}

#[test]
fn accepting_what_is_no_upgrade_is_refused_as_such_whatever_its_extensions() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: a b\r\n\r\n";
    let mut server = ServerOpening::new(HeadLimits::DEFAULT);
    server.read_room().extend_from_slice(request);
    assert_eq!(server.poll(), Ok(true));
    let Outcome::Refused(refused) = server.decide(|_| Accept::new().into()) else { panic!() };
    assert_eq!(refused.error, HandshakeError::NotAnUpgrade);
    assert!(refused.response.starts_with(b"HTTP/1.1 426 "));
}

#[test]
fn debug_output_of_a_request_shows_no_value_of_a_field() {
    let request = ConnectRequest::new("example.com", "/chat")
        .field("Authorization", "Bearer of-a-secret")
        .field("Cookie", "session=of-a-secret");
    let shown = format!("{request:?}");
    assert!(shown.contains("Authorization") && shown.contains("Cookie"), "{shown}");
    assert!(!shown.contains("of-a-secret"), "{shown}");
}
