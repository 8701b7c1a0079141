//! How messages become writes, and that it does not matter how bytes are cut.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use duologue_tokio::{CloseCode, Message};
use support::wire::Wire;
use support::{QUIET, frame, frames, masked, poll_once};

/// The plain loop of the documentation.
async fn echo(websocket: &mut duologue_tokio::WebSocket<support::wire::WireEnd>) {
    while let Some(message) = websocket.next().await {
        websocket.feed(message.unwrap()).await.unwrap();
    }
}

#[test]
fn plain_loop_64_messages_in_one_read_go_out_in_one_write() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    let mut running = Box::pin(echo(&mut server));
    for batch in 1..=10 {
        wire.put(&masked(0x82, &[5; 100]).repeat(64));
        assert!(poll_once(&mut running).is_pending());
        let counts = wire.with(|state| (state.writes, state.flushes));
        assert_eq!(counts, (batch, batch));
        assert_eq!(frames(&wire.take_output()), vec![frame(0x82, &[5; 100]); 64]);
        // One read that has the batch, and one that waits.
        assert_eq!(wire.with(|state| state.reads), 2 * batch);
    }
}

/// Payloads of 4 KiB and more are not copied: one vectored write of at most 16 slices.
#[test]
fn plain_loop_large_messages_go_out_in_one_vectored_write_for_each_read() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    let mut running = Box::pin(echo(&mut server));
    wire.put(&masked(0x82, &[5; 5000]).repeat(3));
    assert!(poll_once(&mut running).is_pending());
    let (reads, writes) = wire.with(|state| (state.reads, state.writes));
    // All 15,024 bytes lie in one read of 16 KiB.
    assert_eq!((reads, writes), (2, 1));
    assert_eq!(frames(&wire.take_output()), vec![frame(0x82, &[5; 5000]); 3]);
}

/// A pong, the replies and the reply to a Close that came in one read: one write.
#[test]
fn plain_loop_pongs_and_replies_share_a_write() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    let mut running = Box::pin(echo(&mut server));
    wire.put(&masked(0x81, b"a"));
    wire.put(&masked(0x89, b"p"));
    wire.put(&masked(0x81, b"b"));
    assert!(poll_once(&mut running).is_pending());
    assert_eq!(wire.with(|state| state.writes), 1);
    let expected = [frame(0x81, b"a"), frame(0x8a, b"p"), frame(0x81, b"b")];
    assert_eq!(frames(&wire.take_output()), expected);
}

#[test]
fn send_flushes_at_once() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    for count in 1..=5 {
        assert!(poll_once(&mut Box::pin(server.send("now"))).is_ready());
        assert_eq!(wire.with(|state| (state.writes, state.flushes)), (count, count));
    }
}

/// What is fed and not flushed goes out together at the high-water mark.
#[test]
fn feed_alone_writes_once_for_each_high_water_mark() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    for _ in 0..6425 {
        assert!(poll_once(&mut Box::pin(server.feed_binary(&[1; 100]))).is_ready());
    }
    // 6,425 frames of 102 bytes are 10 times 64 KiB, less 10 bytes.
    let writes = wire.with(|state| state.writes);
    assert!((9..=10).contains(&writes), "{writes}");
}

/// The same conversation over a transport that moves one byte at a time gives the same bytes.
#[tokio::test(start_paused = true)]
async fn one_byte_at_a_time_gives_identical_bytes() {
    let mut outputs = Vec::new();
    for wire in [Wire::new(), Wire::stuttering()] {
        let mut server = support::server(wire.end(), &QUIET);
        let mut input = masked(0x81, "κόσμε".as_bytes());
        input.extend_from_slice(&masked(0x02, &[1; 300]));
        input.extend_from_slice(&masked(0x80, &[2; 300]));
        input.extend_from_slice(&masked(0x82, &[3; 70_000]));
        wire.put(&input);
        wire.end_input();
        for _ in 0..3 {
            let message = server.next().await.unwrap().unwrap();
            server.feed(message).await.unwrap();
        }
        server.ping(b"ping").await.unwrap();
        server.feed(Message::text("end")).await.unwrap();
        server.close(CloseCode::NORMAL, "bye").await.unwrap();
        outputs.push(wire.take_output());
    }
    assert!(outputs[0] == outputs[1]);
    assert_eq!(frames(&outputs[0]).len(), 6);
}
