//! What broke other servers, tried on this one: the rows of `docs/security.md` that take a
//! transport. The clock stands still unless there is nothing else to do.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use duologue_tokio::{
    Accept, CloseCode, Error, HandshakeError, ProtocolError, SendError, ServerOptions, accept,
    accept_with,
};
use support::counting::{Counting, live_bytes};
use support::{QUIET, expect_close, masked, server_and_raw, write};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn assert_about(took: Duration, expected: Duration) {
    assert!(took.abs_diff(expected) < Duration::from_millis(100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn h24_peer_that_never_answers_a_close_is_dropped_at_the_deadline() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let begun = Instant::now();
    // It even goes on sending.
    let peer = tokio::spawn(async move {
        assert_eq!(expect_close(&mut raw, 1000).await, "");
        while raw.write_all(&masked(0x81, b"still here")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    server.close(CloseCode::NORMAL, "").await.unwrap();
    assert_about(begun.elapsed(), QUIET.closing_timeout);
    drop(server);
    peer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn h24_peer_that_answers_and_never_ends_tcp_is_dropped_at_the_deadline() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    write(&mut raw, &masked(0x88, b"\x03\xe8")).await;
    let begun = Instant::now();
    // A server ends TCP itself; it is the peer's end that does not come.
    let mut next = Box::pin(server.next());
    assert!(timeout(Duration::from_secs(60), &mut next).await.unwrap().is_none());
    assert!(begun.elapsed() <= QUIET.closing_timeout + Duration::from_millis(100));
}

/// The kinds of ends that a client may put to a handshake or a connection.
async fn abort(mut client: DuplexStream, round: usize) {
    let cut = round % (REQUEST.len() + 1);
    let _ = client.write_all(&REQUEST[..cut]).await;
    if cut == REQUEST.len() {
        // A whole handshake; then half a frame.
        let _ = client.read(&mut [0; 512]).await;
        let _ = client.write_all(&masked(0x81, b"half a frame")[..round % 9]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn h25_aborted_connections_end_once_and_leave_nothing() {
    let mut after_warm_up = 0;
    for round in 0..100_000 {
        let (near, far) = tokio::io::duplex(1024);
        let (outcome, ()) = tokio::join!(
            async {
                let mut websocket = accept(near).await?;
                let end = websocket.next().await;
                assert!(websocket.next().await.is_none(), "the end is told once");
                end.unwrap_or(Err(Error::ConnectionLost))
            },
            abort(far, round)
        );
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::ConnectionLost), "{error}");
        if round == 1000 {
            after_warm_up = live_bytes();
        }
    }
    let grown = live_bytes() - after_warm_up;
    assert!(grown < 100_000, "{grown} bytes in 99,000 connections");
}

#[tokio::test(start_paused = true)]
async fn h26_peer_that_never_reads_takes_no_more_than_the_high_water_mark() {
    let (mut server, raw) = server_and_raw(4096, &QUIET);
    let before = live_bytes();
    let begun = Instant::now();
    let mut most = 0;
    let mut sent = 0_usize;
    // A server that would send 1 GiB.
    let error = loop {
        match server.feed(vec![7; 16 * 1024]).await {
            Ok(()) => sent += 16 * 1024,
            Err(error) => break error,
        }
        most = most.max(live_bytes() - before);
        assert!(sent < 1 << 20, "it takes what nobody reads");
    };
    assert!(matches!(error, Error::Send(SendError::Closing)), "{error}");
    assert_about(begun.elapsed(), QUIET.write_stall_timeout);
    // The mark, one message, and the pipe itself.
    let formula = QUIET.write_high_water + 2 * 16 * 1024 + 3 * 4096;
    assert!(most.cast_unsigned() < 2 * formula, "{most} bytes");
    let end = server.next().await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Protocol(ProtocolError::WriteStalled)), "{end}");
    drop(raw);
}

/// A client that sends one byte a second is gone at the deadline, and keeps nobody waiting.
#[tokio::test(start_paused = true)]
async fn h29_slow_handshakes_end_at_the_deadline_and_hold_nobody_up() {
    let begun = Instant::now();
    let mut servers = Vec::new();
    for _ in 0..5000 {
        let (near, mut far) = tokio::io::duplex(256);
        servers.push(tokio::spawn(async move { accept(near).await.map(drop) }));
        tokio::spawn(async move {
            for byte in REQUEST {
                if far.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    // Honest clients among them.
    for _ in 0..100 {
        let (near, mut far) = tokio::io::duplex(1024);
        let asked = Instant::now();
        let server = tokio::spawn(async move { accept(near).await.map(drop) });
        far.write_all(REQUEST).await.unwrap();
        far.read_exact(&mut [0; 64]).await.unwrap();
        assert!(server.await.unwrap().is_ok());
        assert!(asked.elapsed() < Duration::from_millis(10));
    }
    for server in servers {
        let error = server.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Handshake(HandshakeError::TimedOut)), "{error}");
    }
    // The refusal lingers for the client to read it, within the closing timeout.
    let deadline = QUIET.opening_timeout + QUIET.closing_timeout;
    assert!(begun.elapsed() <= deadline + Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn h31_credentials_do_not_follow_a_redirect() {
    let (near, mut far) = tokio::io::duplex(4096);
    let options = duologue_tokio::ClientOptions::new("ws://user:secret@example.com/").unwrap();
    let client =
        tokio::spawn(async move { duologue_tokio::client(near, &options).await.map(drop) });
    far.read_exact(&mut [0; 100]).await.unwrap();
    let elsewhere =
        b"HTTP/1.1 302 Found\r\nLocation: ws://evil.example/\r\nContent-Length: 0\r\n\r\n";
    far.write_all(elsewhere).await.unwrap();
    let mut rest = Vec::new();
    // Nothing more is asked, of anybody: the stream ends, and the answer is told.
    far.read_to_end(&mut rest).await.unwrap();
    let error = client.await.unwrap().unwrap_err();
    let Error::Opening(failure) = error else { panic!("{error}") };
    assert_eq!(failure.error, HandshakeError::UnexpectedStatus(302));
    let location = failure.response.unwrap().field("location").unwrap().to_vec();
    assert_eq!(location, b"ws://evil.example/");
}

/// What is refused is not read any further (see `h18_..` for the core).
#[tokio::test(start_paused = true)]
async fn h18_request_behind_a_refused_one_is_never_answered() {
    let (near, mut far) = tokio::io::duplex(4096);
    let refused = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n\
        GET /internal HTTP/1.1\r\nHost: a\r\n\r\n";
    far.write_all(refused).await.unwrap();
    let asked = std::cell::Cell::new(0);
    let options = ServerOptions::new();
    let server = accept_with(near, &options, |_| {
        asked.set(asked.get() + 1);
        Accept::new().into()
    });
    let mut answer = Vec::new();
    let (outcome, _) = tokio::join!(server, async {
        far.shutdown().await.unwrap();
        far.read_to_end(&mut answer).await.unwrap()
    });
    assert!(matches!(outcome, Err(Error::Handshake(_))));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert_eq!((answer.matches("HTTP/1.1").count(), asked.get()), (1, 0), "{answer}");
}
