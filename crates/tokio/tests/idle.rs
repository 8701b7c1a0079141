//! An idle connection holds no buffer, and a message that is kept holds none either.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use duologue_tokio::{Config, Message, WebSocket};
use support::counting::{Counting, live_bytes};
use support::{QUIET, masked, pair, poll_once, server_and_raw, settle, write};
use tokio::io::{AsyncRead, AsyncWrite};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Waits for a message that does not come; then nothing may be held.
fn assert_idle<S: AsyncRead + AsyncWrite + Unpin>(websocket: &mut WebSocket<S>) {
    assert!(poll_once(&mut Box::pin(websocket.next())).is_pending());
    assert_eq!(websocket.buffer_capacity(), 0);
    assert_eq!(websocket.buffered_amount(), 0);
}

#[tokio::test]
async fn new_connection_that_waits_holds_no_buffer() {
    let (mut server, mut client) = pair(4096, &QUIET);
    assert_eq!(server.buffer_capacity(), 0);
    assert_idle(&mut server);
    assert_idle(&mut client);
}

#[tokio::test]
async fn connection_that_exchanged_messages_small_and_large_holds_no_buffer() {
    let (mut server, mut client) = pair(4096, &QUIET);
    for length in [0, 1, 1000, 20_000, 1 << 20] {
        let message = Message::binary(vec![3; length]);
        let (sent, received) = tokio::join!(client.send(message.clone()), server.next());
        sent.unwrap();
        assert!(received.unwrap().unwrap() == message);
        let (sent, received) = tokio::join!(server.send(message.clone()), client.next());
        sent.unwrap();
        // It is idle while the application still holds the message.
        let received = received.unwrap().unwrap();
        assert_idle(&mut client);
        assert_idle(&mut server);
        assert!(received == message);
    }
}

#[tokio::test]
async fn connection_that_answered_a_ping_holds_no_buffer() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    write(&mut raw, &masked(0x89, b"ping")).await;
    assert_idle(&mut server);
    assert!(support::read_frame(&mut raw).await.is_some());
}

/// A connection that only sends never waits in `next`.
#[tokio::test]
async fn connection_that_only_sends_holds_no_buffer_after_a_flush() {
    let (mut server, _raw) = server_and_raw(4096, &QUIET);
    server.send("pushed").await.unwrap();
    assert_eq!(server.buffer_capacity(), 0);
}

/// Each message comes in a read of its own and is kept: it must not keep the buffer of that read.
#[tokio::test]
async fn small_messages_that_are_kept_hold_little_more_than_their_bytes() {
    const MESSAGES: usize = 1000;
    const LENGTH: usize = 16;
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let mut kept = Vec::with_capacity(MESSAGES);
    let bytes = masked(0x82, &[7; LENGTH]);
    write(&mut raw, &bytes).await;
    drop(server.next().await);
    assert_idle(&mut server);
    let before = live_bytes();
    for _ in 0..MESSAGES {
        write(&mut raw, &bytes).await;
        kept.push(server.next().await.unwrap().unwrap());
        assert_idle(&mut server);
    }
    let held = live_bytes() - before;
    println!("{held} bytes for {MESSAGES} messages");
    // 100 bytes each, and a buffer for the thread's pool.
    assert!(held < (MESSAGES * 100 + 16 * 1024).cast_signed(), "{held} bytes");
    assert!(kept.iter().all(|message| message.payload() == [7; LENGTH]));
}

/// Inside a header nothing is held either: the header is carried in the connection. Inside a
/// message, what came is.
#[tokio::test]
async fn connection_inside_a_frame_holds_only_the_message() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let bytes = masked(0x82, b"payload");
    write(&mut raw, &bytes[..5]).await;
    assert_idle(&mut server);
    write(&mut raw, &bytes[5..8]).await;
    assert!(poll_once(&mut Box::pin(server.next())).is_pending());
    assert!((1..=duologue_core::BUFFER_CAPACITY).contains(&server.buffer_capacity()));
    write(&mut raw, &bytes[8..]).await;
    assert_eq!(server.next().await.unwrap().unwrap().payload(), b"payload");
    assert_idle(&mut server);
}

/// By what the thread has allocated and not freed: more connections than the pools keep buffers
/// for, each in two tasks that have exchanged a message and now wait.
#[tokio::test]
async fn split_halves_that_wait_hold_no_buffer() {
    const CONNECTIONS: usize = 300;
    let mut peers = Vec::with_capacity(CONNECTIONS);
    let mut writers = Vec::with_capacity(CONNECTIONS);
    let mut tasks = Vec::with_capacity(CONNECTIONS);
    let before = live_bytes();
    for _ in 0..CONNECTIONS {
        let (server, raw) = server_and_raw(64, &Config::DEFAULT);
        let (mut reader, writer) = server.split();
        peers.push(raw);
        writers.push(writer);
        tasks.push(tokio::spawn(async move {
            while let Some(message) = reader.next().await {
                drop(message.unwrap());
            }
        }));
    }
    settle().await;
    for (writer, peer) in writers.iter_mut().zip(&mut peers) {
        write(peer, &masked(0x81, b"hello")).await;
        settle().await;
        writer.send("hello").await.unwrap();
        assert!(support::read_frame(peer).await.is_some());
    }
    let each = (live_bytes() - before) / CONNECTIONS.cast_signed();
    println!("{each} bytes for a connection, its task and its pipe");
    assert!(each < 4096, "{each} bytes");
    for task in tasks {
        task.abort();
    }
}
