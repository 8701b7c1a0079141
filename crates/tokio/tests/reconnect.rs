//! The client that connects again, over streams in memory, with the clock standing still unless
//! there is nothing else to do.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use duologue_tokio::reconnect::{
    Ending, ReconnectEvent, ReconnectOptions, ReconnectPolicy, ReconnectingSocket, UnsentReason,
    WhileDown,
};
use duologue_tokio::{
    ClientOptions, CloseCode, Config, Error, Keepalive, Message, ProtocolError, ReadyState,
    SendError,
};
use support::dialled::{Server, dialled};
use support::{QUIET, expect_close, expect_end, frame, read_frame, settle, unmasked, write};
use tokio::time::Instant;

/// 1 s, 2 s, 4 s; nothing left to chance.
const POLICY: ReconnectPolicy = ReconnectPolicy {
    first_delay: Duration::from_secs(1),
    factor: 2.0,
    jitter: 0.0,
    max_delay: Duration::from_secs(4),
    max_attempts: None,
    reset_after: Duration::from_secs(10),
};

fn options() -> ReconnectOptions {
    let client = ClientOptions::new("ws://example.com/").unwrap().with_config(QUIET);
    ReconnectOptions::new(client).with_policy(POLICY)
}

fn client(options: &ReconnectOptions) -> (ReconnectingSocket, Server) {
    let (connect, server) = dialled(4096);
    (ReconnectingSocket::with_connector(options, connect), server)
}

async fn up(socket: &mut ReconnectingSocket) {
    let event = socket.next().await;
    assert!(matches!(event, Some(ReconnectEvent::Up { .. })), "{event:?}");
}

/// The next event must be `Down`: its code, its cause, what was dropped and the delay.
async fn down(socket: &mut ReconnectingSocket) -> (u16, Option<Error>, usize, Option<Duration>) {
    match socket.next().await {
        Some(ReconnectEvent::Down { close, cause, dropped, retry_in }) => {
            (close.code, cause, dropped, retry_in)
        }
        event => panic!("{event:?}"),
    }
}

/// The next event must be the last one, with this code; its cause.
async fn over(socket: &mut ReconnectingSocket, expected: u16) -> Option<Error> {
    let (code, cause, _, retry_in) = down(socket).await;
    assert_eq!((code, retry_in), (expected, None));
    assert!(socket.next().await.is_none());
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    cause
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn lost_connection_is_made_again_after_the_delays() {
    let (mut socket, mut server) = client(&options());
    let mut raw = server.accept_raw().await;
    for delay in [1, 2, 4, 4] {
        up(&mut socket).await;
        assert_eq!(socket.ready_state(), ReadyState::Open);
        drop(raw);
        let (code, cause, dropped, retry_in) = down(&mut socket).await;
        assert!(matches!(cause, Some(Error::ConnectionLost)), "{cause:?}");
        assert_eq!((code, dropped, retry_in), (1006, 0, seconds(delay)));
        assert_eq!(socket.ready_state(), ReadyState::Connecting);
        let begun = Instant::now();
        assert!(server.try_stream().is_none());
        raw = server.accept_raw().await;
        let early_or_late = begun.elapsed().abs_diff(Duration::from_secs(delay));
        assert!(early_or_late < Duration::from_millis(5), "{early_or_late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_attempts_wait_longer_and_longer_and_end() {
    let policy = ReconnectPolicy { max_attempts: Some(4), ..POLICY };
    let (connect, server) = dialled(64);
    drop(server);
    let mut socket = ReconnectingSocket::with_connector(&options().with_policy(policy), connect);
    let begun = Instant::now();
    for delay in [1, 2, 4, 4] {
        let (code, cause, _, retry_in) = down(&mut socket).await;
        assert!(matches!(cause, Some(Error::Io(_))), "{cause:?}");
        assert_eq!((code, retry_in), (1006, seconds(delay)));
    }
    assert!(matches!(over(&mut socket, 1006).await, Some(Error::Io(_))));
    assert!(begun.elapsed().abs_diff(Duration::from_secs(11)) < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn connection_that_stays_up_begins_the_delays_anew() {
    let (mut socket, mut server) = client(&options());
    for _ in 0..5 {
        let raw = server.accept_raw().await;
        up(&mut socket).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(raw);
        assert_eq!(down(&mut socket).await.3, seconds(1));
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_by_policy_is_the_end() {
    for (status, retried) in
        [(401, false), (403, false), (407, false), (404, true), (429, true), (503, true)]
    {
        let (mut socket, mut server) = client(&options());
        let response = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
        let _ = server.answer(&response).await;
        let (code, cause, _, retry_in) = down(&mut socket).await;
        assert!(matches!(cause, Some(Error::Opening(_))), "{cause:?}");
        assert_eq!((code, retry_in.is_some()), (1006, retried), "{status}");
    }
    for (code, retried) in [(1000, false), (1008, false), (1001, true), (1011, true), (4000, true)]
    {
        let (mut socket, mut server) = client(&options());
        let mut server = server.accept().await;
        up(&mut socket).await;
        server.start_close(CloseCode::new(code).unwrap(), "").unwrap();
        let closing = tokio::spawn(async move { server.next().await.is_none() });
        let (told, cause, _, retry_in) = down(&mut socket).await;
        assert!(cause.is_none() && closing.await.unwrap());
        assert_eq!((told, retry_in.is_some()), (code, retried));
    }
}

#[tokio::test(start_paused = true)]
async fn application_may_judge_by_itself() {
    let options = options().retry_if(|ending: &Ending| ending.close.code == 1000);
    let (mut socket, mut server) = client(&options);
    let mut closing = server.accept().await;
    up(&mut socket).await;
    closing.start_close(CloseCode::NORMAL, "").unwrap();
    tokio::spawn(async move { closing.next().await.is_none() });
    assert_eq!(down(&mut socket).await.3, seconds(1));
    let raw = server.accept_raw().await;
    up(&mut socket).await;
    drop(raw);
    over(&mut socket, 1006).await;
}

#[tokio::test(start_paused = true)]
async fn judge_that_panics_ends_the_client() {
    let options = options().retry_if(|_| panic!("a judge that panics, as the test wants"));
    let (connect, server) = dialled(64);
    drop(server);
    let mut socket = ReconnectingSocket::with_connector(&options, connect);
    assert!(over(&mut socket, 1006).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn messages_sent_while_down_are_refused_and_come_back() {
    let (mut socket, mut server) = client(&options());
    let unsent = socket.send("early").unwrap_err();
    assert_eq!((unsent.message, unsent.reason), (Message::text("early"), UnsentReason::Down));
    let mut accepted = server.accept().await;
    up(&mut socket).await;
    socket.send("hello").unwrap();
    assert_eq!(accepted.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test(start_paused = true)]
async fn messages_sent_while_down_are_kept_and_go_out_in_order() {
    let (mut socket, mut server) = client(&options().with_while_down(WhileDown::Keep(3)));
    socket.send("1").unwrap();
    let raw = server.accept_raw().await;
    up(&mut socket).await;
    drop(raw);
    let (_, _, dropped, _) = down(&mut socket).await;
    assert_eq!(dropped, 0);
    for text in ["2", "3", "4"] {
        socket.send(text).unwrap();
    }
    assert_eq!(socket.send("5").unwrap_err().reason, UnsentReason::Down);
    let mut accepted = server.accept().await;
    up(&mut socket).await;
    for text in ["2", "3", "4"] {
        assert_eq!(accepted.next().await.unwrap().unwrap(), Message::text(text));
    }
    settle().await;
    assert_eq!(socket.buffered_amount(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_connection_was_not_handed_is_kept_or_told_as_dropped() {
    for keeps in [false, true] {
        let mut options = options();
        if keeps {
            options = options.with_while_down(WhileDown::Keep(1));
        }
        let (mut socket, mut server) = client(&options);
        let raw = server.accept_raw().await;
        up(&mut socket).await;
        // The peer reads nothing: 64 KiB are queued, the rest waits.
        for number in 0..10_u8 {
            socket.send(vec![number; 50_000]).unwrap();
        }
        settle().await;
        drop(raw);
        let (_, _, dropped, _) = down(&mut socket).await;
        // Of the first, 4,096 bytes went out; the second was queued behind it.
        assert_eq!(dropped, if keeps { 1 } else { 9 });
        let mut accepted = server.accept().await;
        up(&mut socket).await;
        if keeps {
            for number in 2..10_u8 {
                let message = accepted.next().await.unwrap().unwrap();
                assert_eq!(message, Message::binary(vec![number; 50_000]));
            }
        }
        socket.send("next").unwrap();
        assert_eq!(accepted.next().await.unwrap().unwrap(), Message::text("next"));
    }
}

#[tokio::test(start_paused = true)]
async fn request_is_made_anew_for_each_attempt() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let options = options().with_request(move |client| {
        let token = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        client.field("Authorization", format!("Bearer {token}"))
    });
    let (mut socket, mut server) = client(&options);
    for token in 0..3 {
        let (request, stream) = server.answer("HTTP/1.1 503 Busy\r\n\r\n").await;
        drop(stream);
        let expected = format!("Bearer {token}");
        assert_eq!(support::dialled::field(&request, "Authorization"), Some(expected.as_str()));
        assert!(down(&mut socket).await.3.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_can_be_cut_short_and_all_given_up() {
    let (mut socket, mut server) = client(&options());
    drop(server.accept_raw().await);
    up(&mut socket).await;
    assert_eq!(down(&mut socket).await.3, seconds(1));
    let begun = Instant::now();
    socket.retry_now();
    let mut raw = server.accept_raw().await;
    up(&mut socket).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    socket.abort();
    assert!(over(&mut socket, 1006).await.is_none());
    // Dropped as any connection is: without waiting for anybody.
    expect_close(&mut raw, 1001).await;
    expect_end(&mut raw).await;
}

#[tokio::test(start_paused = true)]
async fn judge_may_call_its_client() {
    let handle = std::sync::Arc::new(std::sync::OnceLock::new());
    let judged = std::sync::Arc::clone(&handle);
    let options = options().retry_if(move |_| {
        let handle: &duologue_tokio::reconnect::ReconnectingHandle = judged.get().unwrap();
        handle.buffered_amount() > 0 || handle.ready_state() == ReadyState::Open
    });
    let (mut socket, mut server) = client(&options);
    handle.set(socket.handle().clone()).unwrap();
    drop(server.accept_raw().await);
    up(&mut socket).await;
    assert_eq!(down(&mut socket).await.3, seconds(1));
}

#[tokio::test(start_paused = true)]
async fn close_comes_to_its_end_though_nobody_takes_the_messages() {
    let (mut socket, mut server) = client(&options());
    let mut accepted = server.accept().await;
    up(&mut socket).await;
    let sender = tokio::spawn(async move {
        for _ in 0..30 {
            accepted.send(vec![7; 100_000]).await.unwrap();
        }
        while accepted.next().await.is_some() {}
    });
    settle().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!sender.is_finished(), "more than may wait");
    socket.close(CloseCode::NORMAL, "").unwrap();
    sender.await.unwrap();
    settle().await;
    assert_eq!(socket.ready_state(), ReadyState::Closed);
    // Those that waited are there all the same.
    let mut messages = 0;
    while let Some(event) = socket.next().await {
        messages += usize::from(matches!(event, ReconnectEvent::Message(_)));
    }
    assert!((10..=12).contains(&messages), "{messages}");
}

#[tokio::test(start_paused = true)]
async fn peer_that_dies_without_a_word_is_found_out_by_the_heartbeat() {
    let keepalive = Keepalive {
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        always: true,
    };
    let config = Config { keepalive: Some(keepalive), ..Config::DEFAULT };
    let client_options = ClientOptions::new("ws://example.com/").unwrap().with_config(config);
    let options = ReconnectOptions::new(client_options).with_policy(POLICY);
    let (mut socket, mut server) = client(&options);
    let mut raw = server.accept_raw().await;
    up(&mut socket).await;
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, b"\x00\x01")));
    tokio::time::sleep(Duration::from_millis(40)).await;
    write(&mut raw, &unmasked(0x8a, b"\x00\x01")).await;
    settle().await;
    let round_trip = socket.round_trip_time().unwrap().as_millis();
    assert!((40..45).contains(&round_trip), "{round_trip}");
    let begun = Instant::now();
    let (code, cause, _, retry_in) = down(&mut socket).await;
    assert!(matches!(cause, Some(Error::Protocol(ProtocolError::PongTimeout))), "{cause:?}");
    // The closing timeout is for the peer that might still read our Close frame.
    let took = begun.elapsed().as_secs();
    assert!((12..=18).contains(&took), "{took}");
    assert_eq!((code, retry_in), (1006, seconds(1)));
    let _alive = server.accept_raw().await;
    up(&mut socket).await;
    assert_eq!(socket.round_trip_time(), None, "another connection, another path");
}

#[tokio::test(start_paused = true)]
async fn close_ends_it_with_a_closing_handshake() {
    let (mut socket, mut server) = client(&options());
    let mut raw = server.accept_raw().await;
    up(&mut socket).await;
    socket.send("last").unwrap();
    let long = "x".repeat(124);
    let refused = socket.close(CloseCode::NORMAL, &long);
    assert!(matches!(refused, Err(Error::Send(SendError::CloseReasonTooLong))), "{refused:?}");
    socket.close(CloseCode::NORMAL, "bye").unwrap();
    assert_eq!(socket.ready_state(), ReadyState::Closing);
    assert_eq!(socket.send("late").unwrap_err().reason, UnsentReason::Closed);
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"last")));
    assert_eq!(expect_close(&mut raw, 1000).await, "bye");
    write(&mut raw, &unmasked(0x88, b"\x03\xe8")).await;
    drop(raw);
    assert!(over(&mut socket, 1000).await.is_none());
    assert!(server.try_stream().is_none());
}

#[tokio::test(start_paused = true)]
async fn close_without_a_connection_ends_at_once() {
    // While it connects.
    let (mut connecting, mut server) = client(&options());
    let mut stream = server.stream().await;
    connecting.close(CloseCode::NORMAL, "").unwrap();
    let begun = Instant::now();
    assert!(over(&mut connecting, 1006).await.is_none());
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await.unwrap();
    // While it waits.
    let (mut waiting, mut server) = client(&options());
    drop(server.accept_raw().await);
    up(&mut waiting).await;
    assert_eq!(down(&mut waiting).await.3, seconds(1));
    waiting.close(CloseCode::NORMAL, "").unwrap();
    assert!(over(&mut waiting, 1006).await.is_none());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    settle().await;
    assert!(server.try_stream().is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_it_closes_with_1001_and_ends_the_attempts() {
    let (mut socket, mut server) = client(&options());
    let mut raw = server.accept_raw().await;
    up(&mut socket).await;
    drop(socket);
    assert_eq!(expect_close(&mut raw, 1001).await, "");
    write(&mut raw, &unmasked(0x88, b"\x03\xe9")).await;
    expect_end(&mut raw).await;
    drop(raw);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(server.try_stream().is_none());

    // And so does one that waits: its connector is dropped with its task.
    let (mut socket, mut server) = client(&options());
    drop(server.accept_raw().await);
    up(&mut socket).await;
    assert_eq!(down(&mut socket).await.3, seconds(1));
    drop(socket);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(server.try_stream().is_none());
}

#[tokio::test]
async fn it_works_over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let policy = ReconnectPolicy { first_delay: Duration::from_millis(1), ..POLICY };
    let options = ReconnectOptions::new(ClientOptions::new(&url).unwrap()).with_policy(policy);
    let mut socket = ReconnectingSocket::new(&options);
    for number in 0..3 {
        let (stream, _) = listener.accept().await.unwrap();
        let mut server = duologue_tokio::accept(stream).await.unwrap();
        up(&mut socket).await;
        socket.send(format!("{number}")).unwrap();
        let message = server.next().await.unwrap().unwrap();
        assert_eq!(message, Message::text(format!("{number}")));
        // Dropped: Close(1001) goes out.
        drop(server);
        assert_eq!(down(&mut socket).await.0, 1001);
    }
}
