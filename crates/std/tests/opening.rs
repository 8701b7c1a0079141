//! The opening handshake over sockets (RFC 6455 section 4).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use duologue_std::{
    Accept, ClientOptions, CloseCode, Config, Decision, Error, HandshakeError, HeadLimits,
    HttpResponse, InvalidRequest, Message, OriginPolicy, Request, ServerOptions, UrlError, accept,
    accept_with, client, connect, connect_with,
};
use support::{REQUEST, no_keepalive, read_to_end, short, sockets, takes_about};

/// What a server answers to `request`, up to the end of TCP, and what its `accept_with` returns.
fn answer_to(
    request: &[u8],
    options: ServerOptions,
    decide: impl FnOnce(&Request<'_>) -> Decision + Send + 'static,
) -> (String, Error) {
    let (mut ours, theirs) = sockets();
    let server = thread::spawn(move || accept_with(theirs, &options, decide).unwrap_err());
    ours.write_all(request).unwrap();
    let answer = String::from_utf8(read_to_end(&mut ours)).unwrap();
    drop(ours);
    (answer, server.join().unwrap())
}

fn welcome(_: &Request<'_>) -> Decision {
    Accept::new().into()
}

fn status_of(answer: &str) -> &str {
    assert_eq!(
        answer.matches("\r\nConnection: close").count(),
        1,
        "exactly one response: {answer}"
    );
    answer.split(' ').nth(1).unwrap()
}

#[test]
fn connect_and_accept_agree_on_a_subprotocol() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/room?n=1", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        accept_with(stream, &ServerOptions::new(), |request| {
            assert_eq!((request.path(), request.query()), ("/room", Some("n=1")));
            assert_eq!(request.field("x-token"), Some(&b"abc"[..]));
            assert_eq!(request.origin(), Some("http://example.com"));
            let chosen = request.choose_subprotocol(&["chat.v1", "chat.v2"]);
            Accept::new().subprotocol(chosen).field("Set-Cookie", "a=b").into()
        })
        .unwrap()
    });
    let options = ClientOptions::new(&url)
        .unwrap()
        .subprotocol("chat.v2")
        .subprotocol("chat.v1")
        .field("X-Token", "abc")
        .origin("http://example.com");
    let client = connect_with(&options).unwrap();
    assert_eq!(client.subprotocol(), Some("chat.v2"));
    assert!(client.get_ref().tcp().nodelay().unwrap());
    let server = server.join().unwrap();
    assert_eq!(server.subprotocol(), Some("chat.v2"));
    assert!(server.get_ref().nodelay().unwrap());
}

#[test]
fn without_a_common_subprotocol_none_is_chosen() {
    let (ours, theirs) = sockets();
    let server = thread::spawn(move || accept(theirs).unwrap());
    let options = ClientOptions::new("ws://localhost/").unwrap().subprotocol("chat");
    assert_eq!(client(ours, &options).unwrap().subprotocol(), None);
    assert_eq!(server.join().unwrap().subprotocol(), None);
}

#[test]
fn tcp_nodelay_can_be_left_off() {
    let (ours, theirs) = sockets();
    let options = ServerOptions::new().with_tcp_nodelay(false);
    let server = thread::spawn(move || accept_with(theirs, &options, welcome).unwrap());
    let options = ClientOptions::new("ws://localhost/").unwrap().with_tcp_nodelay(false);
    assert!(!client(ours, &options).unwrap().get_ref().nodelay().unwrap());
    assert!(!server.join().unwrap().get_ref().nodelay().unwrap());
}

#[test]
fn bytes_behind_the_request_are_kept() {
    let (mut ours, theirs) = sockets();
    ours.write_all(&[REQUEST, b"\x81\x85\0\0\0\0early"].concat()).unwrap();
    let mut server = accept(theirs).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("early")));
}

#[test]
fn the_application_refuses_with_a_status_and_a_body() {
    let (answer, error) = answer_to(REQUEST, ServerOptions::new(), |request| {
        assert_eq!(request.path(), "/chat");
        HttpResponse::text(404, "no such room").into()
    });
    assert_eq!(status_of(&answer), "404");
    assert!(answer.ends_with("\r\n\r\nno such room"), "{answer}");
    assert!(matches!(error, Error::Handshake(HandshakeError::Rejected(404))));
}

#[test]
fn a_plain_get_is_answered_with_a_page() {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (answer, error) = answer_to(request, ServerOptions::new(), |request| {
        assert!(!request.wants_upgrade());
        HttpResponse::html(200, "<h1>Hello</h1>").into()
    });
    assert_eq!(status_of(&answer), "200");
    assert!(answer.ends_with("<h1>Hello</h1>"));
    assert!(matches!(error, Error::Handshake(HandshakeError::Rejected(200))));
}

#[test]
fn a_plain_get_that_nobody_answers_gets_426() {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (answer, error) = answer_to(request, ServerOptions::new(), welcome);
    assert_eq!(status_of(&answer), "426");
    assert!(matches!(error, Error::Handshake(HandshakeError::NotAnUpgrade)));
}

#[test]
fn a_faulty_upgrade_is_refused_without_asking() {
    let request = REQUEST.to_vec();
    let text = String::from_utf8(request).unwrap();
    for (from, to, status) in [
        ("Version: 13", "Version: 8", "426"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", "400"),
        ("GET", "POST", "405"),
        ("HTTP/1.1", "HTTP/2.7", "505"),
        ("Host: localhost\r\n", "", "400"),
    ] {
        let request = text.replace(from, to);
        let (answer, error) = answer_to(request.as_bytes(), ServerOptions::new(), |_| panic!());
        assert_eq!(status_of(&answer), status, "{from} -> {to}");
        let Error::Handshake(error) = error else { panic!("{error}") };
        assert_eq!(error.status().to_string(), status);
    }
}

#[test]
fn a_foreign_origin_is_refused_with_403() {
    let request = String::from_utf8(REQUEST.to_vec()).unwrap();
    let request =
        request.replace("Upgrade: websocket", "Upgrade: websocket\r\nOrigin: http://evil");
    let (answer, error) = answer_to(request.as_bytes(), ServerOptions::new(), |request| {
        match (OriginPolicy::SameOrigin { secure: false }).judge(request) {
            Ok(()) => Accept::new().into(),
            Err(error) => error.into(),
        }
    });
    assert_eq!(status_of(&answer), "403");
    assert!(matches!(error, Error::Handshake(HandshakeError::ForbiddenOrigin)), "{error}");
}

#[test]
fn a_pipelined_request_behind_a_refused_one_is_never_answered() {
    let pipelined = [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"GET /internal HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[b'x'; 100_000],
    ]
    .concat();
    let (answer, _) =
        answer_to(&pipelined, ServerOptions::new(), |_| HttpResponse::new(404).into());
    assert_eq!(status_of(&answer), "404");
}

#[test]
fn a_head_over_its_limits_gets_431() {
    let limits = HeadLimits { max_bytes: 400, ..HeadLimits::DEFAULT };
    let options = ServerOptions::new().with_head_limits(limits);
    let request = [&b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "[..], &[b'x'; 1000]].concat();
    let (answer, error) = answer_to(&request, options, welcome);
    assert_eq!(status_of(&answer), "431");
    assert!(matches!(error, Error::Handshake(HandshakeError::HeadTooLarge)));
}

#[test]
fn a_client_that_goes_away_inside_its_request_is_no_mystery() {
    let (mut ours, theirs) = sockets();
    ours.write_all(&REQUEST[..30]).unwrap();
    drop(ours);
    assert!(matches!(accept(theirs), Err(Error::ConnectionLost)));
}

/// The deadline is absolute: a byte now and then does not move it.
#[test]
fn a_request_that_drips_in_is_answered_with_408_at_the_deadline() {
    let (mut ours, theirs) = sockets();
    let mut writer = ours.try_clone().unwrap();
    let dripping = thread::spawn(move || {
        for byte in REQUEST {
            if writer.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    let options = ServerOptions::new().with_config(short());
    let reader = thread::spawn(move || read_to_end(&mut ours));
    let error = takes_about(Duration::from_millis(200), || {
        accept_with(theirs, &options, welcome).unwrap_err()
    });
    assert!(matches!(error, Error::Handshake(HandshakeError::TimedOut)), "{error}");
    let answer = String::from_utf8(reader.join().unwrap()).unwrap();
    assert_eq!(status_of(&answer), "408");
    dripping.join().unwrap();
}

#[test]
fn a_client_that_does_not_leave_after_a_refusal_is_left_at_the_deadline() {
    let (mut ours, theirs) = sockets();
    ours.write_all(b"nonsense\r\n\r\n").unwrap();
    let options = ServerOptions::new().with_config(short());
    takes_about(Duration::from_millis(200), || accept_with(theirs, &options, welcome).unwrap_err());
    assert_eq!(status_of(&String::from_utf8(read_to_end(&mut ours)).unwrap()), "400");
}

#[test]
fn a_server_that_does_not_answer_is_left_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let options = ClientOptions::new(&url).unwrap().with_config(short());
    let error = takes_about(Duration::from_millis(200), || connect_with(&options).unwrap_err());
    assert!(matches!(error, Error::OpeningTimeout));
}

/// A client's error for a server that answers with `response`.
fn error_for(response: &'static [u8]) -> Error {
    let (ours, mut theirs) = sockets();
    let server = thread::spawn(move || {
        support::read_head(&mut theirs);
        theirs.write_all(response).unwrap();
    });
    let error = client(ours, &ClientOptions::new("ws://localhost/").unwrap()).unwrap_err();
    server.join().unwrap();
    error
}

#[test]
fn a_client_shows_the_response_that_is_no_101() {
    let error =
        error_for(b"HTTP/1.1 404 Not Found\r\nX-Why: gone\r\nContent-Length: 7\r\n\r\nno room");
    assert_eq!(
        error.to_string(),
        "the server answered 404 Not Found instead of 101 Switching Protocols"
    );
    let Error::Opening(failure) = error else { panic!() };
    let response = failure.response.unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(response.field("x-why"), Some(&b"gone"[..]));
    assert_eq!(&response.body[..], b"no room");
}

/// The head comes first, the body a while after it, and the server does not hang up.
#[test]
fn a_client_shows_the_body_that_comes_after_the_head() {
    let (ours, mut theirs) = sockets();
    let server = thread::spawn(move || {
        support::read_head(&mut theirs);
        for piece in [&b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n"[..], b"no ", b"room"]
        {
            theirs.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(30));
        }
        theirs
    });
    let error = client(ours, &ClientOptions::new("ws://localhost/").unwrap()).unwrap_err();
    assert_eq!(body_of(error), b"no room");
    drop(server.join().unwrap());
}

#[test]
fn the_body_of_a_refusal_ends_at_4_kib_with_tcp_or_at_the_deadline() {
    let head = b"HTTP/1.1 404 Not Found\r\n\r\n";
    let refused = |behind: &'static [u8], hangs_up: bool| {
        let (ours, mut theirs) = sockets();
        let server = thread::spawn(move || {
            support::read_head(&mut theirs);
            theirs.write_all(head).unwrap();
            thread::sleep(Duration::from_millis(30));
            theirs.write_all(behind).unwrap();
            (!hangs_up).then_some(theirs)
        });
        let options = ClientOptions::new("ws://localhost/").unwrap().with_config(short());
        let body = body_of(client(ours, &options).unwrap_err());
        drop(server.join().unwrap());
        body
    };
    assert_eq!(refused(b"all of it", true), b"all of it");
    assert_eq!(refused(&[b'a'; 5000], false), [b'a'; 4096]);
    takes_about(Duration::from_millis(200), || {
        assert_eq!(refused(b"the start", false), b"the start");
    });
}

fn body_of(error: Error) -> Vec<u8> {
    let Error::Opening(failure) = error else { panic!("{error}") };
    assert_eq!(failure.error, HandshakeError::UnexpectedStatus(404));
    failure.response.unwrap().body.to_vec()
}

/// As long as one likes: no deadline overflows.
#[test]
fn an_opening_timeout_without_end_is_no_error() {
    let config = Config { opening_timeout: Duration::MAX, ..no_keepalive() };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let options = ServerOptions::new().with_config(config);
        let mut server = accept_with(stream, &options, welcome).unwrap();
        server.send("hello").unwrap();
        server.read().unwrap()
    });
    let options = ClientOptions::new(&url).unwrap().with_config(config);
    let mut client = connect_with(&options).unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::text("hello")));
    client.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(server.join().unwrap(), None);
}

/// The wait itself, too: neither end is there at once.
#[test]
fn an_opening_timeout_without_end_waits() {
    let config = Config { opening_timeout: Duration::MAX, ..no_keepalive() };
    let (mut raw, theirs) = sockets();
    let options = ServerOptions::new().with_config(config);
    let server = thread::spawn(move || accept_with(theirs, &options, welcome).map(drop));
    thread::sleep(Duration::from_millis(50));
    raw.write_all(REQUEST).unwrap();
    server.join().unwrap().unwrap();

    let (ours, mut raw) = sockets();
    let options = ClientOptions::new("ws://localhost/").unwrap().with_config(config);
    let client = thread::spawn(move || client(ours, &options).map(drop));
    thread::sleep(Duration::from_millis(50));
    support::accept_raw(&mut raw, b"");
    client.join().unwrap().unwrap();
}

#[test]
fn a_client_refuses_a_101_with_the_wrong_accept() {
    let error = error_for(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    let Error::Opening(failure) = error else { panic!() };
    assert_eq!(failure.error, HandshakeError::WrongAccept);
}

#[test]
fn a_client_tells_of_a_server_that_hangs_up() {
    let Error::Opening(failure) = error_for(b"HTTP/1.1 101 Swi") else { panic!() };
    assert_eq!(failure.error, HandshakeError::EndedEarly);
}

#[test]
fn a_server_and_a_client_of_ours_agree_on_a_refusal() {
    let (ours, theirs) = sockets();
    let server = thread::spawn(move || {
        accept_with(theirs, &ServerOptions::new(), |_| HttpResponse::text(503, "full").into())
    });
    let error = client(ours, &ClientOptions::new("ws://localhost/").unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server answered 503 Service Unavailable instead of 101 Switching Protocols"
    );
    assert!(server.join().unwrap().is_err());
}

#[test]
fn what_cannot_be_connected_to_is_told_apart() {
    #[cfg(not(feature = "rustls"))]
    assert!(matches!(connect("wss://localhost/"), Err(Error::TlsUnavailable)));
    assert!(matches!(connect("ftp://localhost/"), Err(Error::Url(UrlError::Scheme(_)))));
    assert!(matches!(connect("ws://localhost/#x"), Err(Error::Url(UrlError::Fragment))));
    let options = ClientOptions::new("ws://localhost/").unwrap().field("X", "a\r\nb");
    assert!(matches!(connect_with(&options), Err(Error::InvalidRequest(InvalidRequest::Field(_)))));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let Err(Error::Io(refused)) = connect(&format!("ws://127.0.0.1:{port}/")) else { panic!() };
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn the_host_and_credentials_of_a_url_are_sent() {
    let (ours, mut theirs) = sockets();
    let server = thread::spawn(move || support::read_head(&mut theirs));
    let options = ClientOptions::new("ws://user:pass@example.com:81/a?b").unwrap();
    let _ = client(ours, &options);
    let head = server.join().unwrap();
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nHost: example.com:81\r\n"), "{head}");
    assert!(head.contains("\r\nAuthorization: Basic dXNlcjpwYXNz\r\n"), "{head}");
    assert_eq!(head.matches("Authorization").count(), 1);
}

#[test]
fn a_client_that_never_reads_its_refusal_does_not_hold_the_server() {
    let config = Config { closing_timeout: Duration::from_millis(200), ..no_keepalive() };
    let (ours, theirs) = sockets();
    let mut writer = ours.try_clone().unwrap();
    let flood = thread::spawn(move || {
        let _ = writer.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        while writer.write_all(&[0; 4096]).is_ok() {}
    });
    let started = Instant::now();
    let options = ServerOptions::new().with_config(config);
    accept_with(theirs, &options, |_| HttpResponse::new(404).into()).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5));
    flood.join().unwrap();
    drop::<TcpStream>(ours);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let request = b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (answer, _) =
        answer_to(request, ServerOptions::new(), |_| HttpResponse::text(200, "page").into());
    assert_eq!(status_of(&answer), "200");
    assert!(answer.ends_with("\r\n\r\n") && answer.contains("Content-Length: 4\r\n"), "{answer}");
}
