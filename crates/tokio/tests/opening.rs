//! The opening handshake: what a server answers, what a client makes of it, and how long both wait.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use duologue_core::handshake::AcceptKey;
use duologue_tokio::{
    Accept, ClientOptions, ClientStream, Config, Decision, Error, HandshakeError, HttpResponse,
    Message, OriginPolicy, Request, ResponseHead, ServerOptions, WebSocket, accept, accept_with,
    client, connect, connect_with, receive_request,
};
use support::{masked, unmasked, write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// A valid upgrade, with the key of RFC 6455 section 1.3; `more` are further fields.
fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// What an application might decide.
fn decide(request: &Request<'_>) -> Decision {
    let same_origin = OriginPolicy::SameOrigin { secure: false };
    if let Err(error) = same_origin.judge(request) {
        return error.into();
    }
    match (request.path(), request.wants_upgrade()) {
        ("/chat", true) => Accept::new()
            .subprotocol(request.choose_subprotocol(&["v2", "v1"]))
            .field("X-Served-By", "test")
            .into(),
        ("/", false) => HttpResponse::html(200, "<h1>Hello</h1>").into(),
        ("/any", _) => Accept::new().into(),
        _ => HttpResponse::text(404, "not found").into(),
    }
}

/// What the server answers to `request`, to the end of its side, and what it tells its caller.
async fn answer(request: &[u8]) -> (String, Error) {
    let (near, mut raw) = duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let options = ServerOptions::default();
        accept_with(near, &options, decide).await.map(drop)
    });
    write(&mut raw, request).await;
    let mut response = String::new();
    raw.read_to_string(&mut response).await.unwrap();
    drop(raw);
    (response, server.await.unwrap().unwrap_err())
}

fn head(response: &str) -> (&str, &str) {
    response.split_once("\r\n\r\n").expect("a head")
}

#[tokio::test]
async fn accept_with_plain_get_gets_the_page() {
    let request = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let (response, error) = answer(request).await;
    let (head, body) = head(&response);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/html; charset=utf-8"));
    assert!(head.contains("Content-Length: 14") && head.contains("Connection: close"));
    assert_eq!(body, "<h1>Hello</h1>");
    assert!(matches!(error, Error::Handshake(HandshakeError::Rejected(200))), "{error:?}");
}

#[tokio::test]
async fn accept_with_unknown_path_gets_404() {
    let (response, error) = answer(upgrade("/nowhere", "").as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 404 Not Found\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\nnot found"));
    assert!(matches!(error, Error::Handshake(HandshakeError::Rejected(404))), "{error:?}");
}

#[tokio::test]
async fn accept_with_foreign_origin_gets_403() {
    let request = upgrade("/chat", "Origin: http://evil.example\r\n");
    let (response, error) = answer(request.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{response}");
    assert!(matches!(error, Error::Handshake(HandshakeError::ForbiddenOrigin)), "{error:?}");
}

#[tokio::test]
async fn accept_with_acceptance_of_a_plain_get_gets_426() {
    let (response, error) = answer(b"GET /any HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
    assert!(matches!(error, Error::Handshake(HandshakeError::NotAnUpgrade)), "{error:?}");
}

#[tokio::test]
async fn accept_with_subprotocol_answers_with_the_accept_of_section_1_3() {
    let (near, mut raw) = duplex(64 * 1024);
    let request =
        upgrade("/chat", "Sec-WebSocket-Protocol: v0, v1, v2\r\nOrigin: http://example.com\r\n");
    write(&mut raw, request.as_bytes()).await;
    let server = accept_with(near, &ServerOptions::default(), decide).await.unwrap();
    // The client's preference decides.
    assert_eq!(server.subprotocol(), Some("v1"));
    let mut response = [0; 1024];
    let count = raw.read(&mut response).await.unwrap();
    let response = std::str::from_utf8(&response[..count]).unwrap();
    assert!(response.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{response}");
    assert!(response.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(response.contains("Sec-WebSocket-Protocol: v1\r\n"));
    assert!(response.contains("X-Served-By: test\r\n") && response.ends_with("\r\n\r\n"));
}

/// HOSTILE H18: what is pipelined behind a refused request never becomes a request. There is one
/// response, and then the end.
#[tokio::test]
async fn h18_refused_upgrade_with_bytes_behind_it_gets_one_response_then_the_end() {
    let good = upgrade("/chat", "");
    let internal = "GET /internal HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let faulty = [
        (good.replace("Version: 13", "Version: 8"), 426),
        (good.replace("Host: example.com\r\n", ""), 400),
        (good.replace("Host: example.com", "Host: a\r\nHost: b"), 400),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dG9vIHNob3J0"), 400),
        (good.replace("Sec-WebSocket-Version", "Sec-WebSocket-Version "), 400),
        (good.replace("Connection: Upgrade", "Connection: keep-alive"), 400),
        (good.replace("GET ", "POST "), 405),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 505),
        (good.replace("/chat", &format!("/{}", "x".repeat(9000))), 414),
        (upgrade("/chat", &format!("X: {}\r\n", "x".repeat(9000))), 431),
        (upgrade("/chat", "Content-Length: 5\r\n"), 400),
        (upgrade("/nowhere", ""), 404),
    ];
    for (request, status) in faulty {
        let request = format!("{request}{internal}{internal}");
        let (response, error) = answer(request.as_bytes()).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
        assert_eq!(response.matches("Content-Length: ").count(), 1, "{response}");
        assert!(response.contains("Connection: close"), "{response}");
        assert!(matches!(error, Error::Handshake(error) if error.status() == status), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn accept_client_that_is_silent_gets_408_at_the_opening_timeout() {
    let (near, mut raw) = duplex(1024);
    let begun = Instant::now();
    let server = tokio::spawn(async move { accept(near).await.map(drop) });
    let mut response = String::new();
    raw.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{response}");
    assert!((9_990..10_100).contains(&begun.elapsed().as_millis()));
    drop(raw);
    let error = server.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::TimedOut)), "{error:?}");
}

/// The client has said everything and takes nothing of the answer.
#[tokio::test(start_paused = true)]
async fn accept_client_that_does_not_take_the_101_is_opening_timeout() {
    let (near, mut raw) = duplex(10);
    let begun = Instant::now();
    let server = tokio::spawn(async move { accept(near).await.map(drop) });
    write(&mut raw, upgrade("/", "").as_bytes()).await;
    let told = server.await.unwrap();
    assert!(matches!(told, Err(Error::OpeningTimeout)), "{told:?}");
    assert!((9_990..10_100).contains(&begun.elapsed().as_millis()));
}

/// HOSTILE H29: a byte a second does not move the deadline.
#[tokio::test(start_paused = true)]
async fn h29_slow_head_gets_408_at_the_opening_timeout() {
    let (near, raw) = duplex(1024);
    let begun = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(raw);
    let drip = tokio::spawn(async move {
        for byte in upgrade("/", "").bytes() {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let server = tokio::spawn(async move { accept(near).await.map(drop) });
    let mut response = String::new();
    reader.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!((9_990..10_100).contains(&begun.elapsed().as_millis()));
    // A client that goes on all the same is gone after the closing timeout.
    let error = server.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::TimedOut)), "{error:?}");
    assert!((14_990..15_100).contains(&begun.elapsed().as_millis()));
    drip.abort();
}

#[tokio::test]
async fn accept_client_that_goes_away_inside_its_request_is_connection_lost() {
    let (near, mut raw) = duplex(1024);
    write(&mut raw, b"GET / HTTP/1.1\r\nHo").await;
    drop(raw);
    assert!(matches!(accept(near).await, Err(Error::ConnectionLost)));
}

/// A request cut at every byte, and frames behind it.
#[tokio::test]
async fn accept_frames_together_with_the_request_are_not_lost() {
    let mut bytes = upgrade("/", "").into_bytes();
    let head_length = bytes.len();
    bytes.extend_from_slice(&masked(0x81, b"early"));
    bytes.extend_from_slice(&masked(0x81, b"bird"));
    for cut in [1, 17, head_length - 1, head_length, head_length + 1, bytes.len() - 1, bytes.len()]
    {
        let (near, mut raw) = duplex(4096);
        write(&mut raw, &bytes[..cut]).await;
        let server = tokio::spawn(async move {
            let mut websocket = accept(near).await?;
            let first = websocket.next().await.unwrap()?;
            Ok::<_, Error>((first, websocket.next().await.unwrap()?))
        });
        support::settle().await;
        write(&mut raw, &bytes[cut..]).await;
        let received = server.await.unwrap().unwrap();
        assert_eq!(received, (Message::text("early"), Message::text("bird")));
    }
}

/// The application waits, such as for a database, before it decides.
#[tokio::test]
async fn receive_request_decision_may_wait() {
    let (near, mut raw) = duplex(4096);
    let mut bytes = upgrade("/room?id=7", "").into_bytes();
    bytes.extend_from_slice(&masked(0x81, b"early"));
    write(&mut raw, &bytes).await;
    let pending = receive_request(near, &ServerOptions::default()).await.unwrap();
    assert_eq!(pending.request().unwrap().path(), "/room");
    tokio::task::yield_now().await;
    let mut server = pending.accept(Accept::new()).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("early"));

    let (near, mut raw) = duplex(4096);
    write(&mut raw, upgrade("/room", "").as_bytes()).await;
    let pending = receive_request(near, &ServerOptions::default()).await.unwrap();
    let respond =
        tokio::spawn(async move { pending.respond(&HttpResponse::text(503, "full")).await });
    let mut response = String::new();
    raw.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 503 ") && response.ends_with("full"), "{response}");
    drop(raw);
    respond.await.unwrap().unwrap();
}

/// The head of a request or a response, and not a byte more.
async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A server that reads the request and then says what it is told to.
async fn scripted(mut raw: DuplexStream, response: &[u8]) -> DuplexStream {
    read_head(&mut raw).await;
    // What the client does with it is seen at the client.
    let _ = raw.write_all(response).await;
    raw
}

#[tokio::test]
async fn client_that_gets_404_has_its_status_fields_and_body() {
    let (near, far) = duplex(4096);
    let options = ClientOptions::new("ws://example.com/").unwrap();
    let response = b"HTTP/1.1 404 Not Found\r\nX-Why: gone\r\nContent-Length: 5\r\n\r\nsorry";
    let (opened, _raw) = tokio::join!(client(near, &options), scripted(far, response));
    let Err(Error::Opening(failure)) = opened else { panic!("{opened:?}") };
    assert_eq!(failure.error, HandshakeError::UnexpectedStatus(404));
    let response = failure.response.as_ref().unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(response.field("x-why"), Some(&b"gone"[..]));
    assert_eq!(response.body, "sorry");
}

#[tokio::test]
async fn client_with_a_wrong_accept_fails() {
    let (near, far) = duplex(4096);
    let options = ClientOptions::new("ws://example.com/").unwrap();
    let response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let (opened, _raw) = tokio::join!(client(near, &options), scripted(far, response));
    assert!(
        matches!(&opened, Err(Error::Opening(failure))
            if failure.error == HandshakeError::WrongAccept),
        "{opened:?}"
    );
}

#[tokio::test]
async fn client_server_that_ends_early_is_an_opening_failure() {
    for response in [&b""[..], b"HTTP/1.1 101 Switching Pro"] {
        let (near, far) = duplex(4096);
        let options = ClientOptions::new("ws://example.com/").unwrap();
        let ending = async { drop(scripted(far, response).await) };
        let (opened, ()) = tokio::join!(client(near, &options), ending);
        assert!(
            matches!(&opened, Err(Error::Opening(failure))
                if failure.error == HandshakeError::EndedEarly && failure.response.is_none()),
            "{opened:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn client_server_that_never_answers_is_opening_timeout() {
    let (near, _far) = duplex(4096);
    let config = Config { opening_timeout: Duration::from_secs(3), ..Config::DEFAULT };
    let options = ClientOptions::new("ws://example.com/").unwrap().with_config(config);
    let begun = Instant::now();
    assert!(matches!(client(near, &options).await, Err(Error::OpeningTimeout)));
    assert!((2990..3100).contains(&begun.elapsed().as_millis()));
}

#[tokio::test]
async fn connect_to_a_port_where_nobody_listens_is_io() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = connect(&format!("ws://{address}/")).await;
    assert!(
        matches!(&refused, Err(Error::Io(error))
            if error.kind() == std::io::ErrorKind::ConnectionRefused),
        "{refused:?}"
    );
}

#[tokio::test]
async fn connect_with_what_cannot_be_is_told_before_anything_is_sent() {
    #[cfg(not(feature = "rustls"))]
    assert!(matches!(connect("wss://localhost/").await, Err(Error::TlsUnavailable)));
    for url in ["ftp://localhost/", "ws://", "not a url", "ws://localhost/#fragment"] {
        let refused = connect(url).await;
        assert!(matches!(refused, Err(Error::Url(_))), "{url}: {refused:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    // HOSTILE H19: a line break in a caller's field.
    let options = ClientOptions::new(&url).unwrap().field("X", "a\r\nY: b");
    let refused = connect_with(&options).await;
    assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{refused:?}");
}

/// The 101 and frames in one segment, and a subprotocol.
#[tokio::test]
async fn connect_frames_together_with_the_101_are_not_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_head(&mut stream).await;
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = AcceptKey::for_key(key.unwrap().as_bytes());
        let accept = accept.as_str();
        // The response goes out together with a frame.
        let mut bytes = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend(unmasked(0x81, b"early"));
        write(&mut stream, &bytes).await;
        stream
    });
    let options = ClientOptions::new(&url).unwrap().subprotocol("v2").subprotocol("v1");
    let mut websocket = connect_with(&options).await.unwrap();
    assert_eq!(websocket.subprotocol(), Some("v1"));
    assert_eq!(websocket.next().await.unwrap().unwrap(), Message::text("early"));
    let _stream = server.await.unwrap();
}

/// Both ends of a connection over loopback, opened with these options.
async fn opened(
    server: ServerOptions,
    tcp_nodelay: bool,
) -> (WebSocket<TcpStream>, WebSocket<ClientStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let options = ClientOptions::new(&url).unwrap().with_tcp_nodelay(tcp_nodelay);
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept_with(stream, &server, |_| Accept::new().into()).await
    };
    let (server, client) = tokio::join!(accepting, connect_with(&options));
    (server.unwrap(), client.unwrap())
}

#[tokio::test]
async fn tcp_nodelay_is_set_on_both_ends_unless_the_options_say_no() {
    for nodelay in [true, false] {
        let options = ServerOptions::default().with_tcp_nodelay(nodelay);
        let (server, client) = opened(options, nodelay).await;
        assert_eq!(server.get_ref().nodelay().unwrap(), nodelay);
        assert_eq!(client.get_ref().tcp().nodelay().unwrap(), nodelay);
    }

    // By default, and on a stream that the caller has connected.
    let (near, far) = support::tcp().await;
    assert!(!near.nodelay().unwrap() && !far.nodelay().unwrap());
    let options = ClientOptions::new("ws://localhost/").unwrap();
    let (server, client) = tokio::join!(accept(near), client(far, &options));
    assert!(server.unwrap().get_ref().nodelay().unwrap());
    assert!(client.unwrap().get_ref().nodelay().unwrap());
}

/// A timeout past the end of the clock is none.
#[tokio::test]
async fn opening_timeout_of_the_longest_duration_neither_panics_nor_fails() {
    let config = Config { opening_timeout: Duration::MAX, ..Config::DEFAULT };
    let (near, far) = duplex(4096);
    let server = ServerOptions::default().with_config(config);
    let options = ClientOptions::new("ws://localhost/").unwrap().with_config(config);
    let accepting = accept_with(near, &server, |_| Accept::new().into());
    let (accepted, opened) = tokio::join!(accepting, client(far, &options));
    assert!(accepted.is_ok() && opened.is_ok(), "{accepted:?} {opened:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let options = ClientOptions::new(&url).unwrap().with_config(config);
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        accept_with(stream, &server, |_| Accept::new().into()).await
    };
    let (accepted, opened) = tokio::join!(accepting, connect_with(&options));
    assert!(accepted.is_ok() && opened.is_ok(), "{accepted:?} {opened:?}");
}

/// What a client is told, whose server says `head`, and after 0.4 s each of `pieces`; and
/// when. At the end the server's side ends, if `ends`.
async fn refusal(head: &str, pieces: &[&[u8]], ends: bool) -> (Box<ResponseHead>, Duration) {
    let (near, far) = duplex(8192);
    let options = ClientOptions::new("ws://example.com/").unwrap();
    let begun = Instant::now();
    let saying = async {
        let mut raw = scripted(far, head.as_bytes()).await;
        for piece in pieces {
            tokio::time::sleep(Duration::from_millis(400)).await;
            // A client that has heard enough is gone.
            let _ = raw.write_all(piece).await;
        }
        let _raw = Some(raw).filter(|_| !ends);
        std::future::pending::<()>().await;
    };
    let opened = tokio::select! {
        opened = client(near, &options) => opened,
        () = saying => unreachable!("it stays"),
    };
    let Err(Error::Opening(failure)) = opened else { panic!("{opened:?}") };
    assert_eq!(failure.error, HandshakeError::UnexpectedStatus(404));
    (failure.response.unwrap(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn client_that_gets_404_has_the_body_that_comes_after_the_head() {
    let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n";
    let (response, took) = refusal(head, &[b"sorry", b"again"], false).await;
    assert_eq!(response.body, "sorryagain");
    assert!((790..900).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn client_that_gets_404_end_or_timeout_inside_the_body_tells_the_404() {
    let announced = "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n";
    let (response, took) = refusal(announced, &[b"sorry"], true).await;
    assert_eq!(response.body, "sorry");
    assert!((390..500).contains(&took.as_millis()), "{took:?}");
    let (response, took) = refusal(announced, &[b"sorry"], false).await;
    assert_eq!(response.body, "sorry");
    // Whoever announces more and then says nothing is waited for as long as this.
    assert!((990..1100).contains(&took.as_millis()), "{took:?}");

    // Without a length the body goes on to the end of the stream, and 4 KiB of it are kept.
    let endless = "HTTP/1.1 404 Not Found\r\n\r\n";
    let (response, _) = refusal(endless, &[b"so", b"rry"], true).await;
    assert_eq!(response.body, "sorry");
    let (response, took) = refusal(endless, &[&[b'x'; 4000], &[b'x'; 4000]], false).await;
    assert_eq!(response.body.len(), 4096);
    assert!((790..900).contains(&took.as_millis()), "{took:?}");

    // A body in chunks ends with the last one, though the connection stays open.
    let chunked = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (response, took) = refusal(chunked, &[b"5\r\nsorry\r\n", b"0\r\n\r\n"], false).await;
    assert_eq!(response.body, "5\r\nsorry\r\n0\r\n\r\n");
    assert!((790..900).contains(&took.as_millis()), "{took:?}");

    // None is waited for where there is none.
    let empty = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let (response, took) = refusal(empty, &[], false).await;
    assert!(response.body.is_empty() && took.as_millis() < 100, "{took:?}");
}
