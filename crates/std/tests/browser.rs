//! The browser's object, from its beginning to its end, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/object.rs"]
mod object;
mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use clients::{
    LONG, Watch, Watched, echo, eventually, listen, nowhere, promptly, serve, soon,
    with_opening_timeout,
};
use duologue_std::browser::{BinaryType, BrowserEvent, BrowserSocket, DomException};
use duologue_std::deflate::DeflateConfig;
use duologue_std::{
    Accept, CloseCode, CloseStatus, Config, Error, HttpResponse, Keepalive, Message, ProtocolError,
    ReadyState, Request, ServerOptions, WebSocket, accept_with,
};
use object::{
    expect_abnormal_close, expect_close, expect_error, expect_message, expect_open, new, options,
    raw_server, with_config,
};
use support::{close_frame, read_to_end};

#[test]
fn an_object_at_first_is_connecting_and_empty() {
    let (_listener, url) = listen();
    let mut socket = BrowserSocket::new(&url, &["chat", "superchat"]).unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    assert_eq!(socket.url(), url);
    assert_eq!((socket.protocol(), socket.extensions()), (String::new(), String::new()));
    assert_eq!((socket.buffered_amount(), socket.binary_type()), (0, BinaryType::Blob));
    assert_eq!(socket.send("early"), Err(DomException::StillConnecting));
    assert_eq!(socket.close_with(1001, ""), Err(DomException::CloseCode(1001)));
    assert!(matches!(socket.try_next(), Poll::Pending));
}

#[test]
fn an_invalid_url_is_a_syntax_error_at_once() {
    assert!(BrowserSocket::new("no URL", &[""; 0]).is_err());
    assert!(BrowserSocket::new("ws://localhost/#part", &[""; 0]).is_err());
    assert!(BrowserSocket::new("ws://localhost/", &["twice", "twice"]).is_err());
}

#[test]
fn an_echo_comes_between_open_and_close() {
    let (url, server) = serve(echo);
    let mut socket = new(&url);
    expect_open(&mut socket);
    assert_eq!(socket.ready_state(), ReadyState::Open);
    for number in 0..100_u32 {
        socket.send(number.to_string()).unwrap();
        socket.send(vec![7; number as usize]).unwrap();
    }
    for number in 0..100_u32 {
        assert_eq!(expect_message(&mut socket), Message::text(number.to_string()));
        assert_eq!(expect_message(&mut socket), Message::binary(vec![7; number as usize]));
    }
    socket.close();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    let (code, reason, was_clean, cause) = expect_close(&mut socket);
    assert_eq!((code, reason.as_str(), was_clean), (1005, "", true), "{cause:?}");
    assert!(server.join().unwrap().unwrap().close_outcome().unwrap().was_clean);
}

#[test]
fn a_subprotocol_and_an_extension_show_once_open_is_taken() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let config = Config { deflate: Some(DeflateConfig::DEFAULT), ..Config::DEFAULT };
        let options = ServerOptions::new().with_config(config);
        let accept = |_: &Request<'_>| Accept::new().subprotocol("chat").into();
        echo(accept_with(listener.accept().unwrap().0, &options, accept).unwrap()).unwrap();
    });
    let mut socket = BrowserSocket::new(&url, &["chat"]).unwrap();
    expect_open(&mut socket);
    assert_eq!(socket.protocol(), "chat");
    assert!(socket.extensions().starts_with("permessage-deflate"), "{}", socket.extensions());
    socket.send("a".repeat(1 << 20)).unwrap();
    assert_eq!(expect_message(&mut socket).len(), 1 << 20);
    eventually("all is out", || socket.buffered_amount() == 0);
    socket.close();
    expect_close(&mut socket);
    server.join().unwrap();
}

#[test]
fn a_close_code_of_ours_reaches_the_peer_and_comes_back() {
    for code in [1000, 3000, 4999] {
        let (url, server) = serve(echo);
        let mut socket = new(&url);
        expect_open(&mut socket);
        socket.close_with(code, "enough").unwrap();
        let (given, _, was_clean, _) = expect_close(&mut socket);
        assert_eq!((given, was_clean), (code, true));
        let server = server.join().unwrap().unwrap();
        let outcome = server.close_outcome().unwrap();
        assert_eq!((outcome.status.to_u16(), outcome.reason), (code, "enough"));
    }
}

#[test]
fn a_close_without_a_code_is_1005_to_the_peer() {
    let (url, server) = serve(echo);
    let mut socket = new(&url);
    expect_open(&mut socket);
    socket.close();
    expect_close(&mut socket);
    let server = server.join().unwrap().unwrap();
    assert_eq!(server.close_outcome().unwrap().status, CloseStatus::NoStatus);
}

#[test]
fn a_close_code_of_the_peer_is_told() {
    for code in [1000, 1001, 3000, 4999] {
        let (url, server) = serve(move |mut server: WebSocket<TcpStream>| {
            server.send("before").unwrap();
            server.close(CloseCode::new(code).unwrap(), "enough").unwrap();
        });
        let mut socket = new(&url);
        expect_open(&mut socket);
        expect_message(&mut socket);
        let (given, reason, was_clean, cause) = expect_close(&mut socket);
        assert_eq!((given, reason.as_str(), was_clean), (code, "enough", true), "{cause:?}");
        server.join().unwrap();
    }
}

#[test]
fn a_close_of_the_peer_without_a_code_is_1005() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        server.start_close_without_code().unwrap();
        server.read()
    });
    let mut socket = new(&url);
    expect_open(&mut socket);
    let (code, reason, was_clean, _) = expect_close(&mut socket);
    assert_eq!((code, reason.as_str(), was_clean), (1005, "", true));
    assert!(matches!(server.join().unwrap(), Ok(None)));
}

#[test]
fn a_close_of_the_peer_shows_before_tcp_ends() {
    let (url, server) = raw_server(Vec::new());
    let mut socket = new(&url);
    expect_open(&mut socket);
    let mut raw = server.join().unwrap();
    // The writer is there and has nothing to do.
    socket.send("hi").unwrap();
    raw.read_exact(&mut [0; 2 + 4 + 2]).unwrap();
    thread::sleep(Duration::from_millis(20));
    raw.write_all(&close_frame(1000)).unwrap();
    eventually("it is closing", || {
        assert!(matches!(socket.try_next(), Poll::Pending));
        socket.ready_state() == ReadyState::Closing
    });
    // What is sent now goes nowhere, and is counted all the same.
    assert_eq!(socket.buffered_amount(), 0);
    socket.send("late").unwrap();
    assert_eq!(socket.buffered_amount(), 4);
    raw.shutdown(Shutdown::Write).unwrap();
    let (code, _, was_clean, _) = expect_close(&mut socket);
    assert_eq!((code, was_clean), (1000, true));
    assert_eq!(read_to_end(&mut raw).len(), 2 + 4 + 2, "a masked Close frame with a code");
    assert_eq!(socket.buffered_amount(), 4);
}

#[test]
fn a_peer_that_is_gone_without_a_word_is_1006_and_no_failure() {
    let (url, server) = raw_server(vec![0x81, 2, b'h', b'i']);
    let mut socket = new(&url);
    expect_open(&mut socket);
    assert_eq!(expect_message(&mut socket), Message::text("hi"));
    drop(server.join().unwrap());
    let (code, reason, was_clean, cause) = expect_close(&mut socket);
    assert_eq!((code, reason.as_str(), was_clean), (1006, "", false));
    assert!(matches!(cause, Some(Error::ConnectionLost | Error::Io(_))), "{cause:?}");
}

#[test]
fn a_refused_connection_is_an_error_and_1006() {
    let mut socket = new(&nowhere());
    let cause = expect_error(&mut socket);
    assert!(matches!(cause, Some(Error::Io(_))), "{cause:?}");
    expect_abnormal_close(&mut socket);
}

#[test]
fn a_404_is_an_error_with_the_answer() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let refuse = |_: &Request<'_>| HttpResponse::text(404, "not here").into();
        accept_with(listener.accept().unwrap().0, &ServerOptions::new(), refuse).is_err()
    });
    let mut socket = new(&url);
    match expect_error(&mut socket) {
        Some(Error::Opening(failure)) => assert_eq!(failure.response.unwrap().status, 404),
        cause => panic!("{cause:?}"),
    }
    expect_abnormal_close(&mut socket);
    assert!(server.join().unwrap());
}

#[cfg(not(feature = "rustls"))]
#[test]
fn a_wss_url_without_tls_is_an_error() {
    let mut socket = new("wss://127.0.0.1:1/");
    let cause = expect_error(&mut socket);
    assert!(matches!(cause, Some(Error::TlsUnavailable)), "{cause:?}");
    expect_abnormal_close(&mut socket);
}

#[test]
fn a_server_that_never_answers_is_given_up_after_the_opening_timeout() {
    let (listener, url) = listen();
    let mut socket = with_config(&url, with_opening_timeout(100));
    let (mut raw, _) = listener.accept().unwrap();
    let cause = promptly(|| expect_error(&mut socket));
    assert!(matches!(cause, Some(Error::OpeningTimeout)), "{cause:?}");
    expect_abnormal_close(&mut socket);
    raw.set_read_timeout(Some(LONG)).unwrap();
    assert!(read_to_end(&mut raw).starts_with(b"GET /chat HTTP/1.1\r\n"));
}

#[test]
fn close_while_connecting_is_prompt_and_closes_the_socket() {
    let (listener, url) = listen();
    let mut socket = new(&url);
    let (mut raw, _) = listener.accept().unwrap();
    raw.set_read_timeout(Some(LONG)).unwrap();
    raw.read_exact(&mut [0]).unwrap();
    promptly(|| {
        socket.close_with(3000, "never mind").unwrap();
        assert_eq!(socket.ready_state(), ReadyState::Closing);
        assert!(expect_error(&mut socket).is_none());
        expect_abnormal_close(&mut socket);
        read_to_end(&mut raw);
    });
}

#[test]
fn close_while_the_connector_is_stuck_is_prompt_and_its_stream_is_dropped() {
    let (listener, url) = listen();
    let (go_on, stuck) = mpsc::channel::<()>();
    let (called, is_called) = mpsc::channel::<()>();
    let (watch, token) = Watch::new();
    let address = listener.local_addr().unwrap();
    let mut socket = BrowserSocket::with_connector(&options(&url), move |_| {
        called.send(()).unwrap();
        stuck.recv().unwrap();
        Ok(Watched::new(TcpStream::connect(address)?, &token))
    });
    is_called.recv_timeout(LONG).unwrap();
    promptly(|| {
        socket.close();
        assert!(expect_error(&mut socket).is_none());
        expect_abnormal_close(&mut socket);
    });
    go_on.send(()).unwrap();
    let (mut raw, _) = listener.accept().unwrap();
    raw.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(read_to_end(&mut raw), b"", "no request is sent any more");
    watch.assert_all_gone();
}

#[test]
fn callbacks_are_called_in_order_until_the_end() {
    let (url, server) = serve(echo);
    let mut socket = new(&url);
    let log = Arc::new(Mutex::new(Vec::new()));
    let logger = |log: &Arc<Mutex<Vec<String>>>| {
        let log = Arc::clone(log);
        move |line: String| log.lock().unwrap().push(line)
    };
    let (open, message, close) = (logger(&log), logger(&log), logger(&log));
    socket.on_open(move |socket| {
        open(format!("open {:?}", socket.ready_state()));
        socket.send("Hello").unwrap();
    });
    socket.on_message(move |socket, data| {
        message(format!("message {}", data.as_text().unwrap()));
        socket.close_with(4000, "bye").unwrap();
    });
    socket.on_error(|_, cause| panic!("{cause:?}"));
    socket.on_close(move |_, code, _, was_clean, _| close(format!("close {code} {was_clean}")));
    socket.run();
    assert_eq!(*log.lock().unwrap(), ["open Open", "message Hello", "close 4000 true"]);
    server.join().unwrap().unwrap();
}

#[test]
fn an_error_callback_gets_the_cause() {
    let mut socket = new(&nowhere());
    let (send, receive) = mpsc::channel();
    socket.on_error(move |_, cause| send.send(matches!(cause, Some(Error::Io(_)))).unwrap());
    socket.run();
    assert_eq!(receive.into_iter().collect::<Vec<_>>(), [true]);
}

#[test]
fn nothing_yet_is_told_from_the_end() {
    let (url, server) = serve(echo);
    let mut socket = new(&url);
    expect_open(&mut socket);
    assert!(matches!(socket.try_next(), Poll::Pending));
    let patience = Duration::from_millis(20);
    support::takes_about(patience, || {
        assert!(matches!(socket.next_timeout(patience), Poll::Pending));
    });
    socket.close();
    let last = soon(socket.next_timeout(Duration::MAX));
    assert!(matches!(last, Some(BrowserEvent::Close { .. })), "{last:?}");
    assert!(matches!(socket.try_next(), Poll::Ready(None)));
    assert!(matches!(socket.next_timeout(LONG), Poll::Ready(None)));
    assert!(Iterator::next(&mut socket).is_none());
    server.join().unwrap().unwrap();
}

#[test]
fn an_object_that_is_dropped_closes_with_1001_behind_what_was_sent() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        let mut count = 0;
        while server.read().unwrap().is_some() {
            count += 1;
        }
        (count, server.close_outcome().unwrap().status.to_u16())
    });
    let (watch, token) = Watch::new();
    let address = url.trim_start_matches("ws://").trim_end_matches("/chat").to_owned();
    let mut socket = BrowserSocket::with_connector(&options(&url), move |_| {
        Ok(Watched::new(TcpStream::connect(&*address)?, &token))
    });
    expect_open(&mut socket);
    for _ in 0..1000 {
        socket.send("sent before").unwrap();
    }
    drop(socket);
    assert_eq!(server.join().unwrap(), (1000, 1001));
    watch.assert_all_gone();
}

#[test]
fn an_object_whose_connection_is_over_has_no_threads() {
    let (url, server) = serve(echo);
    let (watch, token) = Watch::new();
    let address = url.trim_start_matches("ws://").trim_end_matches("/chat").to_owned();
    let mut socket = BrowserSocket::with_connector(&options(&url), move |_| {
        Ok(Watched::new(TcpStream::connect(&*address)?, &token))
    });
    expect_open(&mut socket);
    socket.close();
    expect_close(&mut socket);
    watch.assert_all_gone();
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    server.join().unwrap().unwrap();
}

#[test]
fn an_object_that_is_dropped_while_connecting_closes_the_socket() {
    let (listener, url) = listen();
    let socket = new(&url);
    let (mut raw, _) = listener.accept().unwrap();
    raw.set_read_timeout(Some(LONG)).unwrap();
    raw.read_exact(&mut [0]).unwrap();
    drop(socket);
    promptly(|| read_to_end(&mut raw));
}

#[test]
fn a_handle_outlives_its_object_and_does_nothing() {
    let (url, server) = serve(echo);
    let mut socket = new(&url);
    expect_open(&mut socket);
    let handle = socket.handle().clone();
    drop(socket);
    server.join().unwrap().unwrap();
    eventually("it is closed", || handle.ready_state() == ReadyState::Closed);
    handle.send("to nobody").unwrap();
    handle.close();
    assert_eq!(handle.buffered_amount(), 9);
}

#[test]
fn a_peer_that_breaks_the_protocol_is_an_error_with_the_cause() {
    let (url, server) = raw_server(vec![0x83, 0]);
    let mut socket = new(&url);
    let mut raw = server.join().unwrap();
    expect_open(&mut socket);
    raw.shutdown(Shutdown::Write).unwrap();
    let close = read_to_end(&mut raw);
    assert_eq!((close[0], close[1] & 0x80), (0x88, 0x80), "a masked Close frame");
    let code = u16::from_be_bytes([close[6] ^ close[2], close[7] ^ close[3]]);
    assert_eq!(code, 1002);
    let cause = expect_error(&mut socket);
    let is_protocol = matches!(cause, Some(Error::Protocol(ProtocolError::ReservedOpcode)));
    assert!(is_protocol, "{cause:?}");
    expect_abnormal_close(&mut socket);
}

#[test]
fn a_silent_peer_is_found_out_and_an_answering_one_is_measured() {
    let timeout = Duration::from_millis(50);
    let keepalive = Keepalive { interval: timeout, timeout: LONG, ..Keepalive::DEFAULT };
    let config = Config { keepalive: Some(keepalive), ..Config::DEFAULT };
    let (url, server) = serve(echo);
    let mut socket = with_config(&url, config);
    expect_open(&mut socket);
    assert_eq!(socket.round_trip_time(), None);
    eventually("a pong came", || socket.round_trip_time().is_some());
    socket.close();
    expect_close(&mut socket);
    server.join().unwrap().unwrap();

    let keepalive = Keepalive { interval: timeout, timeout, ..Keepalive::DEFAULT };
    let config = Config { keepalive: Some(keepalive), closing_timeout: timeout, ..Config::DEFAULT };
    let (url, server) = raw_server(Vec::new());
    let mut socket = with_config(&url, config);
    expect_open(&mut socket);
    let _raw = server.join().unwrap();
    let cause = expect_error(&mut socket);
    assert!(matches!(cause, Some(Error::Protocol(ProtocolError::PongTimeout))), "{cause:?}");
    expect_abnormal_close(&mut socket);
}

#[test]
fn a_connector_that_panics_leaves_nobody_waiting() {
    let (watch, token) = Watch::new();
    let mut socket = BrowserSocket::with_connector(
        &options("ws://localhost/"),
        move |_| -> Result<Watched, _> {
            let _token = &token;
            panic!("a connector that panics, as this test wants");
        },
    );
    promptly(|| {
        assert!(expect_error(&mut socket).is_none());
        expect_abnormal_close(&mut socket);
    });
    watch.assert_all_gone();
}
