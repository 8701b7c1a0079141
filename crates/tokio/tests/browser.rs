//! The browser's object over streams in memory, with the clock standing still unless there is
//! nothing else to do.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duologue_tokio::browser::{
    BinaryType, BrowserEvent, BrowserHandle, BrowserOptions, BrowserSocket, DomException,
};
use duologue_tokio::{
    CloseCode, CloseStatus, Config, Error, HandshakeError, Keepalive, Message, ProtocolError,
    ReadyState, SendError,
};
use support::dialled::{Server, dialled, field, read_request, switching};
use support::{expect_close, expect_end, frame, read_frame, settle, unmasked, write};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

const NONE: &[&str] = &[];

fn options(protocols: &[&str]) -> BrowserOptions {
    BrowserOptions::new("ws://example.com/chat", protocols).unwrap().with_client(|client| {
        let config = Config { keepalive: None, deflate: None, ..*client.config() };
        client.with_config(config)
    })
}

/// An object whose streams hold this much, and its server.
fn object(protocols: &[&str], size: usize) -> (BrowserSocket, Server) {
    let (connect, server) = dialled(size);
    (BrowserSocket::with_connector(&options(protocols), connect), server)
}

/// An open object, and its server's raw stream.
async fn open_raw(size: usize) -> (BrowserSocket, tokio::io::DuplexStream) {
    let (mut socket, mut server) = object(NONE, size);
    let raw = server.accept_raw().await;
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    (socket, raw)
}

/// The next event must be `close`, and the last; its code, its reason and whether it was clean.
async fn closed(socket: &mut BrowserSocket) -> (u16, String, bool) {
    let event = socket.next().await;
    let Some(BrowserEvent::Close { code, reason, was_clean, .. }) = event else {
        panic!("{event:?}")
    };
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    assert!(socket.next().await.is_none());
    (code, reason, was_clean)
}

/// The next events must be `error` and `close` with 1006; what caused it.
async fn failed(socket: &mut BrowserSocket) -> Option<Error> {
    let event = socket.next().await;
    let Some(BrowserEvent::Error(cause)) = event else { panic!("{event:?}") };
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    assert_eq!(closed(socket).await, (1006, String::new(), false));
    cause
}

async fn refusal(response: &str) -> HandshakeError {
    let (mut socket, mut server) = object(NONE, 4096);
    let (_, stream) = server.answer(response).await;
    drop(stream);
    match failed(&mut socket).await {
        Some(Error::Opening(failure)) => failure.error,
        cause => panic!("{cause:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn w10_object_is_there_at_once_and_a_refused_connection_is_an_event() {
    let (connect, server) = dialled(64);
    drop(server);
    let mut socket = BrowserSocket::with_connector(&options(NONE), connect);
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    assert_eq!((socket.url(), socket.protocol()), ("ws://example.com/chat".into(), String::new()));
    assert_eq!((socket.extensions(), socket.buffered_amount()), (String::new(), 0));
    assert_eq!(socket.binary_type(), BinaryType::Blob);
    assert!(matches!(socket.send("early"), Err(DomException::StillConnecting)));
    let cause = failed(&mut socket).await;
    assert!(matches!(cause, Some(Error::Io(_))), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn w11_request_has_the_urls_credentials_and_wants_nothing_from_a_cache() {
    let (connect, mut server) = dialled(4096);
    let options = BrowserOptions::new("ws://user:pass@example.com/chat", NONE).unwrap();
    let _socket = BrowserSocket::with_connector(&options, connect);
    let request = read_request(&mut server.stream().await).await;
    assert!(request.starts_with("GET /chat HTTP/1.1\r\n"), "{request}");
    assert_eq!(field(&request, "Authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(field(&request, "Cache-Control"), Some("no-cache"));
    assert_eq!(field(&request, "Pragma"), Some("no-cache"));
    let extensions = "permessage-deflate; client_max_window_bits";
    assert_eq!(field(&request, "Sec-WebSocket-Extensions"), Some(extensions));
}

#[tokio::test(start_paused = true)]
async fn w11_redirect_is_not_followed() {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(refusal(redirect).await, HandshakeError::UnexpectedStatus(302));
}

#[tokio::test(start_paused = true)]
async fn w12_only_101_passes() {
    for status in [200_u16, 204, 401, 404, 426, 500, 503] {
        let response = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(refusal(&response).await, HandshakeError::UnexpectedStatus(status));
    }
}

#[tokio::test(start_paused = true)]
async fn w13_offered_protocols_and_none_or_another_in_the_response_fail() {
    for fields in ["", "Sec-WebSocket-Protocol: superchat\r\n", "Sec-WebSocket-Protocol: CHAT\r\n"]
    {
        let (mut socket, mut server) = object(&["chat"], 4096);
        let mut stream = server.stream().await;
        let request = read_request(&mut stream).await;
        assert_eq!(field(&request, "Sec-WebSocket-Protocol"), Some("chat"));
        write(&mut stream, switching(&request, fields).as_bytes()).await;
        let cause = failed(&mut socket).await;
        assert!(matches!(cause, Some(Error::Opening(_))), "{fields}: {cause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn w14_protocol_when_none_was_offered_fails() {
    let (mut socket, mut server) = object(NONE, 4096);
    let mut stream = server.stream().await;
    let request = read_request(&mut stream).await;
    assert_eq!(field(&request, "Sec-WebSocket-Protocol"), None);
    let fields = "Sec-WebSocket-Protocol: chat\r\n";
    write(&mut stream, switching(&request, fields).as_bytes()).await;
    let cause = failed(&mut socket).await;
    assert!(matches!(cause, Some(Error::Opening(_))), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn w16_key_is_16_bytes_in_base64_and_another_each_time() {
    let mut keys = Vec::new();
    for _ in 0..10 {
        let (_socket, mut server) = object(NONE, 4096);
        let request = read_request(&mut server.stream().await).await;
        let key = field(&request, "Sec-WebSocket-Key").unwrap().to_owned();
        // 16 bytes are 22 digits and two signs of padding; of the last digit two bits count.
        let (digits, padding) = key.split_at(22);
        assert!(digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b)), "{key}");
        assert!(padding == "==" && digits.ends_with(['A', 'Q', 'g', 'w']), "{key}");
        assert!(!keys.contains(&key));
        keys.push(key);
    }
}

#[tokio::test(start_paused = true)]
async fn w17_messages_go_both_ways_once_it_is_open() {
    let (mut socket, mut server) = object(&["chat", "superchat"], 4096);
    let mut server = server.accept().await;
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    assert_eq!((socket.ready_state(), socket.protocol()), (ReadyState::Open, "chat".into()));
    socket.send("text").unwrap();
    socket.send(vec![1, 2, 3]).unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("text"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::binary(vec![1, 2, 3]));
    socket.set_binary_type(BinaryType::ArrayBuffer);
    server.send(Message::binary(vec![9; 1000])).await.unwrap();
    let event = socket.next().await;
    let Some(BrowserEvent::Message { data, binary_type }) = event else { panic!("{event:?}") };
    assert_eq!(data, Message::binary(vec![9; 1000]));
    assert_eq!(binary_type, BinaryType::ArrayBuffer);
    server.start_close(CloseCode::new(4001).unwrap(), "enough").unwrap();
    let server = tokio::spawn(async move {
        assert!(server.next().await.is_none());
        server.close_outcome().unwrap().was_clean
    });
    assert_eq!(closed(&mut socket).await, (4001, "enough".into(), true));
    assert!(server.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn w18_close_while_connecting_ends_at_once() {
    let (mut socket, mut server) = object(NONE, 4096);
    let mut stream = server.stream().await;
    let begun = Instant::now();
    socket.close();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert!(failed(&mut socket).await.is_none(), "nobody but the application is to blame");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    // The request is written, and then the stream ends.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty() || rest.ends_with(b"\r\n\r\n"));
}

#[tokio::test(start_paused = true)]
async fn w18_server_that_never_answers_fails_at_the_opening_timeout() {
    let (mut socket, mut server) = object(NONE, 4096);
    let _stream = server.stream().await;
    let begun = Instant::now();
    let cause = failed(&mut socket).await;
    assert!(matches!(cause, Some(Error::OpeningTimeout)), "{cause:?}");
    assert!(begun.elapsed().abs_diff(Config::DEFAULT.opening_timeout) < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn w24_close_without_a_code_is_an_empty_close_frame_behind_the_messages() {
    let (mut socket, mut raw) = open_raw(4096).await;
    socket.send("one").unwrap();
    socket.send("two").unwrap();
    socket.close();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    socket.send("three").unwrap();
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"one")));
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"two")));
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x88, b"")));
    write(&mut raw, &unmasked(0x81, b"dropped")).await;
    write(&mut raw, &unmasked(0x88, b"")).await;
    drop(raw);
    assert_eq!(closed(&mut socket).await, (1005, String::new(), true));
    assert_eq!(socket.buffered_amount(), 5, "what was sent too late still counts");
}

/// The type has no way to say a reason without a code.
#[tokio::test(start_paused = true)]
async fn w26_reason_comes_with_a_code() {
    let _: fn(&BrowserHandle, u16, &str) -> Result<(), DomException> = BrowserHandle::close_with;
    let _: fn(&BrowserHandle) = BrowserHandle::close;
    let (mut socket, mut raw) = open_raw(4096).await;
    assert!(matches!(socket.close_with(1001, ""), Err(DomException::CloseCode(1001))));
    let long = "x".repeat(124);
    assert_eq!(socket.close_with(3000, &long), Err(DomException::CloseReasonTooLong));
    assert_eq!(socket.ready_state(), ReadyState::Open);
    socket.close_with(3000, &long[1..]).unwrap();
    assert_eq!(expect_close(&mut raw, 3000).await, long[1..]);
    write(&mut raw, &unmasked(0x88, b"\x0b\xb8because")).await;
    drop(raw);
    assert_eq!(closed(&mut socket).await, (3000, "because".into(), true));
}

#[tokio::test(start_paused = true)]
async fn w30_buffered_amount_falls_as_the_peer_reads_and_never_resets() {
    let (mut socket, mut raw) = open_raw(1000).await;
    let payload = vec![7; 100_000];
    socket.send(payload.clone()).unwrap();
    socket.send("tail").unwrap();
    assert_eq!(socket.buffered_amount(), 100_004, "nothing is out before send returns");
    settle().await;
    let mut amounts = vec![socket.buffered_amount()];
    assert!(amounts[0] < 100_004 && amounts[0] > 98_000, "{amounts:?}");
    let mut buffer = [0; 10_000];
    for _ in 0..40 {
        let _ = timeout(Duration::from_millis(1), raw.read(&mut buffer)).await;
        settle().await;
        amounts.push(socket.buffered_amount());
    }
    assert!(amounts.is_sorted_by(|a, b| a >= b), "{amounts:?}");
    assert!(amounts.windows(2).filter(|pair| pair[0] > pair[1]).count() > 30, "{amounts:?}");
    // The peer goes away in the middle.
    let left = socket.buffered_amount();
    assert!(left > 4);
    drop(raw);
    assert_eq!(closed(&mut socket).await, (1006, String::new(), false));
    assert_eq!(socket.buffered_amount(), left);
}

#[tokio::test(start_paused = true)]
async fn w30_buffered_amount_is_nothing_when_all_is_written() {
    let (mut socket, mut server) = object(NONE, 300);
    let mut server = server.accept().await;
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        socket.send(vec![0; length]).unwrap();
    }
    for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        assert_eq!(server.next().await.unwrap().unwrap().len(), length);
    }
    settle().await;
    assert_eq!(socket.buffered_amount(), 0);
}

#[tokio::test(start_paused = true)]
async fn w31_full_buffer_is_an_error_and_the_end() {
    let (connect, mut server) = dialled(100);
    let options = options(NONE).with_max_buffered(1000);
    let mut socket = BrowserSocket::with_connector(&options, connect);
    let _raw = server.accept_raw().await;
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    socket.send(vec![0; 1000]).unwrap();
    settle().await;
    let before = socket.buffered_amount();
    socket.send(vec![0; 1000]).unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    let cause = failed(&mut socket).await;
    assert!(matches!(cause, Some(Error::Send(SendError::BufferFull))), "{cause:?}");
    assert_eq!(socket.buffered_amount(), before + 1000);
}

#[tokio::test(start_paused = true)]
async fn w35_peers_close_shows_before_the_end() {
    let (mut socket, mut raw) = open_raw(4096).await;
    write(&mut raw, &unmasked(0x81, b"last")).await;
    write(&mut raw, &unmasked(0x88, b"\x03\xe8")).await;
    assert_eq!(expect_close(&mut raw, 1000).await, "");
    assert_eq!(socket.ready_state(), ReadyState::Open, "nothing is dispatched yet");
    let event = socket.next().await;
    assert!(matches!(event, Some(BrowserEvent::Message { .. })), "{event:?}");
    let next = timeout(Duration::from_millis(1), socket.next()).await;
    assert!(next.is_err(), "TCP has not ended: {next:?}");
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    socket.send("unsent").unwrap();
    drop(raw);
    assert_eq!(closed(&mut socket).await, (1000, String::new(), true));
}

#[tokio::test(start_paused = true)]
async fn w37_end_of_tcp_without_a_close_frame_is_not_clean_and_no_error() {
    let (mut socket, raw) = open_raw(4096).await;
    drop(raw);
    let event = socket.next().await;
    let Some(BrowserEvent::Close { code: 1006, reason, was_clean: false, cause }) = event else {
        panic!("{event:?}")
    };
    assert!(matches!((reason.as_str(), cause), ("", Some(Error::ConnectionLost))));
}

#[tokio::test(start_paused = true)]
async fn w37_close_that_is_never_answered_is_not_clean() {
    let (mut socket, mut raw) = open_raw(4096).await;
    socket.close_with(1000, "").unwrap();
    assert_eq!(expect_close(&mut raw, 1000).await, "");
    let begun = Instant::now();
    assert_eq!(closed(&mut socket).await, (1006, String::new(), false));
    assert!(begun.elapsed().abs_diff(Config::DEFAULT.closing_timeout) < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn w40_dropping_it_closes_with_1001() {
    let (socket, mut raw) = open_raw(4096).await;
    let handle = socket.handle().clone();
    handle.send("last").unwrap();
    drop(socket);
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"last")));
    assert_eq!(expect_close(&mut raw, 1001).await, "");
    assert_eq!(handle.ready_state(), ReadyState::Closing);
    write(&mut raw, &unmasked(0x88, b"\x03\xe9")).await;
    expect_end(&mut raw).await;
    drop(raw);
    settle().await;
    assert_eq!(handle.ready_state(), ReadyState::Closed, "with nobody to take its events");
}

#[tokio::test(start_paused = true)]
async fn w42_why_it_failed_is_told_beside_the_event() {
    // A reserved opcode.
    let (mut socket, mut raw) = open_raw(4096).await;
    write(&mut raw, &unmasked(0x83, b"")).await;
    let reader = tokio::spawn(async move {
        let reason = expect_close(&mut raw, 1002).await;
        drop(raw);
        reason
    });
    let event = socket.next().await;
    let Some(BrowserEvent::Error(Some(Error::Protocol(error)))) = event else {
        panic!("{event:?}")
    };
    assert_eq!(error, ProtocolError::ReservedOpcode);
    assert_eq!(closed(&mut socket).await.0, 1006);
    assert!(!reader.await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn w42_missed_pong_is_told_and_the_round_trip_can_be_read() {
    let (connect, mut server) = dialled(4096);
    let options = options(NONE).with_client(|client| {
        let seconds = Duration::from_secs;
        let keepalive = Keepalive { interval: seconds(10), timeout: seconds(3), always: false };
        client.with_config(Config { keepalive: Some(keepalive), ..Config::DEFAULT })
    });
    let mut socket = BrowserSocket::with_connector(&options, connect);
    let mut raw = server.accept_raw().await;
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    assert_eq!(socket.round_trip_time(), None);
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, b"\x00\x01")));
    sleep(Duration::from_millis(250)).await;
    write(&mut raw, &unmasked(0x8a, b"\x00\x01")).await;
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, b"\x00\x02")));
    let round_trip = socket.round_trip_time().unwrap().as_millis();
    assert!((250..260).contains(&round_trip), "{round_trip}");
    // No answer this time.
    let reader = tokio::spawn(async move { expect_close(&mut raw, 1011).await });
    let event = socket.next().await;
    let Some(BrowserEvent::Error(Some(Error::Protocol(error)))) = event else {
        panic!("{event:?}")
    };
    assert_eq!(error, ProtocolError::PongTimeout);
    assert_eq!(reader.await.unwrap(), "keepalive timeout");
}

#[tokio::test(start_paused = true)]
async fn callbacks_are_called_in_order() {
    let (mut socket, mut server) = object(NONE, 4096);
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |log: &Arc<Mutex<Vec<String>>>| {
        let log = Arc::clone(log);
        move |line: String| log.lock().unwrap().push(line)
    };
    let (open, message, close) = (note(&log), note(&log), note(&log));
    socket.on_error(|_, cause| panic!("{cause:?}"));
    socket.on_message(|_, _| panic!("this one is replaced"));
    socket.on_open(move |socket| {
        open(format!("open {:?}", socket.ready_state()));
        socket.send("hello").unwrap();
    });
    socket.on_message(move |socket, data| {
        message(format!("message {}", data.as_text().unwrap()));
        socket.close_with(1000, "done").unwrap();
    });
    socket.on_close(move |_, code, reason, was_clean, _| {
        close(format!("close {code} {reason} {was_clean}"));
    });
    let running = tokio::spawn(socket.run());
    let mut server = server.accept().await;
    let message = server.next().await.unwrap().unwrap();
    server.send(message).await.unwrap();
    assert!(server.next().await.is_none());
    running.await.unwrap();
    let expected = ["open Open", "message hello", "close 1000  true"];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn messages_that_nobody_takes_hold_the_peer_up_and_are_not_lost() {
    let (mut socket, mut server) = object(NONE, 4096);
    let mut server = server.accept().await;
    let sender = tokio::spawn(async move {
        for number in 0..100_u8 {
            server.send(vec![number; 100_000]).await.unwrap();
        }
        server
    });
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    settle().await;
    sleep(Duration::from_millis(10)).await;
    assert!(!sender.is_finished(), "10 MB are more than may wait");
    // It still sends meanwhile.
    socket.send("meanwhile").unwrap();
    settle().await;
    assert_eq!(socket.buffered_amount(), 0);
    for number in 0..100_u8 {
        let event = socket.next().await;
        let Some(BrowserEvent::Message { data, .. }) = event else { panic!("{event:?}") };
        assert_eq!(data, Message::binary(vec![number; 100_000]));
    }
    let mut server = sender.await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("meanwhile"));
}

#[tokio::test(start_paused = true)]
async fn close_with_large_messages_waiting_comes_to_its_end() {
    let (mut socket, mut server) = object(NONE, 4096);
    let mut server = server.accept().await;
    let sender = tokio::spawn(async move {
        for _ in 0..4 {
            server.send(vec![7; 2 << 20]).await.unwrap();
        }
        while server.next().await.is_some() {}
    });
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    let event = socket.next().await;
    assert!(matches!(event, Some(BrowserEvent::Message { .. })), "{event:?}");
    // The next one fills the room by itself.
    settle().await;
    sleep(Duration::from_millis(1)).await;
    socket.close();
    assert_eq!(closed(&mut socket).await, (1005, String::new(), true));
    sender.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_aborted_ends_at_once() {
    let (mut socket, _raw) = open_raw(100).await;
    socket.send(vec![0; 10_000]).unwrap();
    let begun = Instant::now();
    socket.abort();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert!(failed(&mut socket).await.is_none());
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn handles_work_from_many_tasks() {
    let (mut socket, mut server) = object(NONE, 512);
    let mut server = server.accept().await;
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    for task in 0..10 {
        let handle = socket.handle().clone();
        tokio::spawn(async move {
            for number in 0..100 {
                handle.send(format!("{task} {number}")).unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    let mut next = [0; 10];
    for _ in 0..1000 {
        let message = server.next().await.unwrap().unwrap();
        let (task, number) = message.as_text().unwrap().split_once(' ').unwrap();
        let task: usize = task.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[task]));
        next[task] += 1;
    }
    assert_eq!(next, [100; 10]);
}

#[test]
fn runtime_that_ends_takes_the_connection_with_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut socket, raw) = runtime.block_on(open_raw(4096));
    let handle = socket.handle().clone();
    drop(runtime);
    let mut events = Vec::new();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        let mut next = Box::pin(socket.next());
        match next.as_mut().poll(&mut context) {
            std::task::Poll::Ready(Some(event)) => events.push(event),
            std::task::Poll::Ready(None) => break,
            std::task::Poll::Pending => panic!("nobody would ever wake it"),
        }
    }
    assert!(matches!(events.last(), Some(BrowserEvent::Close { code: 1006, .. })), "{events:?}");
    assert_eq!(handle.ready_state(), ReadyState::Closed);
    let _ = raw;
}

#[tokio::test]
async fn object_works_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = duologue_tokio::accept(stream).await.unwrap();
        let message = server.next().await.unwrap().unwrap();
        server.send(message).await.unwrap();
        assert!(server.next().await.is_none());
        server.close_outcome().unwrap().status
    });
    let mut socket = BrowserSocket::new(&url, NONE).unwrap();
    assert_eq!(socket.url(), format!("ws{}/", &url[4..]));
    assert!(matches!(socket.next().await, Some(BrowserEvent::Open)));
    socket.send("over TCP").unwrap();
    let event = socket.next().await;
    let Some(BrowserEvent::Message { data, .. }) = event else { panic!("{event:?}") };
    assert_eq!(data, Message::text("over TCP"));
    socket.close_with(4999, "").unwrap();
    assert_eq!(closed(&mut socket).await, (4999, String::new(), true));
    assert_eq!(server.await.unwrap(), CloseStatus::Code(CloseCode::new(4999).unwrap()));
}
