//! What the steady state of the usual loops allocates, by a counting allocator.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use bytes::BytesMut;
use duologue_tokio::{Config, MessageType, Role, WebSocket};
use support::counting::{Counting, counts};
use support::wire::Endless;
use support::{QUIET, masked};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Sends `batch` frames in one write, waits for as many echoes, and does so `rounds` times.
async fn drive(raw: &mut DuplexStream, request: &[u8], reply: &mut [u8], rounds: usize) {
    for _ in 0..rounds {
        raw.write_all(request).await.unwrap();
        raw.read_exact(reply).await.unwrap();
    }
}

/// The loop that copies: neither call allocates.
async fn echo_lent<S: AsyncRead + AsyncWrite + Unpin>(mut websocket: WebSocket<S>) {
    let mut copy = Vec::with_capacity(100_000);
    while let Some(Ok(message)) = websocket.next_ref().await {
        let message_type = message.message_type();
        copy.clear();
        copy.extend_from_slice(message.payload());
        match message_type {
            MessageType::Text => {
                let text = std::str::from_utf8(&copy).unwrap();
                websocket.feed_text(text).await.unwrap();
            }
            MessageType::Binary => websocket.feed_binary(&copy).await.unwrap(),
        }
    }
}

/// The plain loop of the documentation.
async fn echo_owned<S: AsyncRead + AsyncWrite + Unpin>(mut websocket: WebSocket<S>) {
    while let Some(Ok(message)) = websocket.next().await {
        websocket.feed(message).await.unwrap();
    }
}

/// Allocations and bytes for each message of `echo`, once it has settled.
async fn measure<F: Future<Output = ()>>(
    echo: impl FnOnce(WebSocket<DuplexStream>) -> F,
    config: &Config,
    first: u8,
    length: usize,
    batch: usize,
) -> (f64, f64) {
    const ROUNDS: usize = 200;
    let (near, mut raw) = tokio::io::duplex(1 << 20);
    let websocket = WebSocket::from_raw(near, Role::Server, config, BytesMut::new());
    let request = masked(first, &vec![b'x'; length]).repeat(batch);
    let mut reply = vec![0; request.len() - 4 * batch];
    let measured = async {
        // The pipe and the pools grow to what they need.
        drive(&mut raw, &request, &mut reply, 20).await;
        let before = counts();
        drive(&mut raw, &request, &mut reply, ROUNDS).await;
        let after = counts();
        (after.0 - before.0, after.1 - before.1)
    };
    let (calls, bytes) = tokio::select! {
        () = echo(websocket) => panic!("the peer has not ended"),
        measured = measured => measured,
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let each = |count: usize| count as f64 / (ROUNDS * batch) as f64;
    (each(calls), each(bytes))
}

#[tokio::test]
async fn next_ref_and_feed_text_or_feed_binary_allocate_nothing() {
    for config in [QUIET, Config::DEFAULT] {
        for (length, batch) in [(0, 1), (16, 1), (16, 64), (125, 100), (1000, 10), (10_000, 1)] {
            for first in [0x81, 0x82] {
                let each = measure(echo_lent, &config, first, length, batch).await;
                assert_eq!(each, (0.0, 0.0), "{length} bytes, {batch} at once, {config:?}");
            }
        }
    }
}

/// An owned message of up to 1 KiB is copied, so that keeping it does not keep the read buffer: one
/// allocation of exactly its own bytes, and none for an empty one.
#[tokio::test]
async fn next_and_feed_of_small_messages_allocate_their_own_bytes_only() {
    let cases = [(1, 1), (16, 1), (16, 64), (125, 100), (1000, 10), (1024, 1), (1024, 8)];
    for (length, batch) in cases {
        for first in [0x81, 0x82] {
            let each = measure(echo_owned, &QUIET, first, length, batch).await;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let own = (1.0, length as f64);
            assert_eq!(each, own, "{length} bytes, {batch} at once");
        }
    }
}

/// A longer one is split off a buffer of the pool, which is used again when the message is gone;
/// and a reply is copied into a buffer of the pool, or from 4 KiB on shared. So there are not even
/// the messages' own bytes.
#[tokio::test]
async fn next_and_feed_of_empty_and_of_large_messages_allocate_nothing() {
    let small = [(0, 1), (0, 64), (1025, 1), (1025, 8), (2000, 8), (10_000, 1)];
    // A buffer in which a message of 64 KiB came whole is kept.
    let powers_of_two = [(4096, 2), (16_384, 1), (32_768, 1), (65_536, 1)];
    for (length, batch) in small.into_iter().chain(powers_of_two) {
        for first in [0x81, 0x82] {
            let each = measure(echo_owned, &QUIET, first, length, batch).await;
            assert_eq!(each, (0.0, 0.0), "{length} bytes, {batch} at once");
        }
    }
}

/// A connection that is polled and has nothing to do allocates nothing for it.
#[tokio::test]
async fn waiting_allocates_nothing() {
    let (near, _raw) = tokio::io::duplex(1000);
    let mut websocket = WebSocket::from_raw(near, Role::Server, &Config::DEFAULT, BytesMut::new());
    assert!(support::poll_once(&mut Box::pin(websocket.next())).is_pending());
    let mut next = Box::pin(websocket.next());
    let before = counts();
    for _ in 0..100 {
        assert!(support::poll_once(&mut next).is_pending());
    }
    assert_eq!(counts(), before);
}

/// Nor does it matter that the task's turn ends, now and then just behind a message: a buffer that
/// is too large for the pool stays with a connection that goes on reading.
#[tokio::test]
async fn large_messages_that_come_without_a_pause_allocate_nothing() {
    for length in [1 << 17, 1 << 20, 5 << 20] {
        let endless = Endless::new(masked(0x82, &vec![b'x'; length]));
        let mut websocket = WebSocket::from_raw(endless, Role::Server, &QUIET, BytesMut::new());
        for lent in [false, true] {
            let mut before = (0, 0);
            // The first turns are those in which everything grows to what it needs.
            for messages in [(16 << 20) / length, (64 << 20) / length] {
                before = counts();
                for _ in 0..messages {
                    let come = if lent {
                        websocket.next_ref().await.unwrap().unwrap().payload().len()
                    } else {
                        websocket.next().await.unwrap().unwrap().payload().len()
                    };
                    assert_eq!(come, length);
                }
            }
            assert_eq!(counts(), before, "{length} bytes, lent: {lent}");
        }
    }
}
