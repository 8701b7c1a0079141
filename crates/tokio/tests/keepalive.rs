//! Keepalive, with the clock standing still unless there is nothing else to do.
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
    CloseStatus, Config, Error, Keepalive, Message, ProtocolError, ReadyState, SendError,
};
use support::{QUIET, expect_close, expect_end, frame, masked, poll_once, read_frame};
use support::{server_and_raw, write};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::{Instant, sleep};

const CONFIG: Config = Config {
    keepalive: Some(Keepalive {
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        ..Keepalive::DEFAULT
    }),
    ..Config::DEFAULT
};

fn assert_about(took: Duration, expected: u64) {
    let millis = took.as_millis();
    let expected = u128::from(expected);
    assert!((expected - 20..expected + 100).contains(&millis), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn ping_goes_out_after_the_interval_and_a_pong_keeps_the_connection_alive() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    let server = tokio::spawn(async move {
        let message = server.next().await;
        (server, message)
    });
    let mut begun = Instant::now();
    for number in 1..=20 {
        assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, &[0, number])));
        assert_about(begun.elapsed(), 10_000);
        sleep(Duration::from_millis(2500)).await;
        begun = Instant::now();
        write(&mut raw, &masked(0x8a, &[0, number])).await;
    }
    write(&mut raw, &masked(0x81, b"alive")).await;
    let (server, message) = server.await.unwrap();
    assert_eq!(message.unwrap().unwrap(), Message::text("alive"));
    assert_eq!(server.ready_state(), ReadyState::Open);
    assert_about(server.round_trip_time().unwrap(), 2500);
}

#[tokio::test(start_paused = true)]
async fn any_byte_counts_as_life_and_no_ping_is_sent() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    let server = tokio::spawn(async move { (server.next().await, server) });
    // The bytes of one message, 9 seconds apart.
    for byte in masked(0x81, b"slow") {
        write(&mut raw, &[byte]).await;
        sleep(Duration::from_secs(9)).await;
        let mut reply = Box::pin(read_frame(&mut raw));
        assert!(poll_once(&mut reply).is_pending());
    }
    assert_eq!(server.await.unwrap().0.unwrap().unwrap(), Message::text("slow"));
}

#[tokio::test(start_paused = true)]
async fn any_byte_after_the_ping_takes_the_place_of_the_pong() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    let server = tokio::spawn(async move { server.next().await });
    for (byte, number) in masked(0x81, b"slow").into_iter().zip(1..) {
        assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, &[0, number])));
        sleep(Duration::from_millis(2900)).await;
        write(&mut raw, &[byte]).await;
    }
    assert_eq!(server.await.unwrap().unwrap().unwrap(), Message::text("slow"));
}

/// The Close frame is out when the error is told, which is after the closing timeout: the peer may
/// still have ended its side.
#[tokio::test(start_paused = true)]
async fn pong_that_does_not_come_ends_with_pong_timeout() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    let begun = Instant::now();
    let told = server.next().await;
    assert!(matches!(told, Some(Err(Error::Protocol(ProtocolError::PongTimeout)))), "{told:?}");
    assert_about(begun.elapsed(), 10_000 + 3000 + 5000);
    assert!(server.next().await.is_none());
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, b"\x00\x01")));
    assert_eq!(expect_close(&mut raw, 1011).await, "keepalive timeout");
    expect_end(&mut raw).await;
    let outcome = server.close_outcome().unwrap();
    assert_eq!((outcome.status, outcome.was_clean), (CloseStatus::Abnormal, false));
}

/// The ping waits behind bytes that the peer does not take, so that it cannot be answered: that is
/// a stall, and told after the stall timeout of 30 s.
#[tokio::test(start_paused = true)]
async fn peer_that_takes_nothing_with_keepalive_ends_with_write_stalled() {
    let (mut server, _raw) = server_and_raw(100, &CONFIG);
    let begun = Instant::now();
    let sent = server.send(vec![0; 10_000]).await;
    assert!(matches!(sent, Err(Error::Send(SendError::Closing))), "{sent:?}");
    assert_about(begun.elapsed(), 30_000);
    let told = server.next().await;
    assert!(matches!(told, Some(Err(Error::Protocol(ProtocolError::WriteStalled)))), "{told:?}");
    assert_about(begun.elapsed(), 30_000);
}

/// A peer that takes 4 KB a second, and answers pings when it comes to them, lives: whatever the
/// keepalive, and whether somebody reads or only writes.
#[tokio::test(start_paused = true)]
async fn slow_peer_that_takes_400_kilobytes_at_4_a_second_is_not_disconnected() {
    // The pong deadline comes around several times while bytes wait to be written, and with some of
    // these in the two seconds in which the last of them and the ping lie in the pipe.
    for timeout in [3, 4, 5, 6, 7, 8, 20, 30] {
        let timeout = Duration::from_secs(timeout);
        let keepalive =
            Some(Keepalive { interval: Duration::from_secs(20), timeout, ..Keepalive::DEFAULT });
        let config = Config { keepalive, ..Config::DEFAULT };
        for only_writes in [false, true] {
            let (mut server, raw) = server_and_raw(4096, &config);
            let peer = tokio::spawn(slow_peer(raw));
            let begun = Instant::now();
            server.feed(vec![7; 400_000]).await.unwrap();
            if only_writes {
                server.flush().await.unwrap();
            }
            let told = server.next().await;
            assert!(matches!(told, Some(Ok(_))), "{told:?} after {:?}", begun.elapsed());
            assert!(begun.elapsed() > Duration::from_secs(95));
            assert_eq!(peer.await.unwrap(), 400_000);
            assert_eq!(server.ready_state(), ReadyState::Open);
        }
    }
}

/// Takes 4 KB a second; after the first ping, answers it and sends a message. Returns how many
/// bytes of payload came before.
async fn slow_peer(mut raw: DuplexStream) -> usize {
    let mut received = Vec::new();
    let mut buffer = [0; 4000];
    loop {
        sleep(Duration::from_secs(1)).await;
        let count = raw.read(&mut buffer).await.unwrap();
        assert!(count > 0, "disconnected after {} bytes", received.len());
        received.extend_from_slice(&buffer[..count]);
        // 82 7f and 8 bytes of length; 89 02 00 01 is the ping.
        if received.ends_with(&[0x89, 2, 0, 1]) {
            write(&mut raw, &masked(0x8a, b"\x00\x01")).await;
            write(&mut raw, &masked(0x81, b"alive")).await;
            return received.len() - 10 - 4;
        }
    }
}

/// The application was busy for longer than interval and timeout. What came meanwhile counts.
#[tokio::test(start_paused = true)]
async fn app_that_was_busy_does_not_blame_the_peer() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    assert!(poll_once(&mut Box::pin(server.next())).is_pending());
    sleep(Duration::from_secs(11)).await;
    assert!(poll_once(&mut Box::pin(server.next())).is_pending());
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x89, b"\x00\x01")));
    write(&mut raw, &masked(0x8a, b"\x00\x01")).await;
    sleep(Duration::from_secs(60)).await;
    write(&mut raw, &masked(0x81, b"x")).await;
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("x"));
}

#[tokio::test(start_paused = true)]
async fn keepalive_off_no_timer_runs() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    // With no other timer in the runtime, the clock would jump to this connection's, if it had one.
    let begun = Instant::now();
    tokio::select! {
        biased;
        _ = server.next() => panic!("nothing was sent"),
        () = sleep(Duration::from_secs(1_000_000)) => {}
    }
    assert_about(begun.elapsed(), 1_000_000_000);
    assert!(poll_once(&mut Box::pin(read_frame(&mut raw))).is_pending());
    assert_eq!(server.ready_state(), ReadyState::Open);
}

#[tokio::test(start_paused = true)]
async fn keepalive_after_start_close_sends_no_ping() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    let code = duologue_tokio::CloseCode::NORMAL;
    server.start_close(code, "").unwrap();
    assert!(matches!(server.next().await, Some(Err(Error::ConnectionLost))));
    expect_close(&mut raw, 1000).await;
    expect_end(&mut raw).await;
}
