//! A connection whose peer floods it leaves time for the others: the runtime's tasks take turns,
//! and a turn is bounded by the work that it does.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use duologue_tokio::{Error, Event};
use support::wire::Wire;
use support::{QUIET, masked, server, unmasked};
use tokio::io::AsyncReadExt;
use tokio::task::coop;

/// What the runtime lets a task do in one turn is 128 units, of 32 KiB each here. A read costs one
/// of them besides, and the last one may go past it.
const UNITS: usize = 128;
const UNIT: usize = 32 * 1024;
const LAST_READ: usize = 32 * 1024;

/// A frame costs as much as so many bytes.
const EVENT: usize = 8 * 1024;

/// The most bytes of frames of this length that are read in a turn.
const fn turn(frame: usize) -> usize {
    UNITS * UNIT / (EVENT + frame) * frame + 2 * LAST_READ
}

/// So much is at hand, on a transport that is never Pending.
const FLOOD: usize = 8 << 20;

/// Ready at the task's next turn, whatever else waits.
async fn one_turn() {
    let mut over = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut over, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Reads a flood of `frame` in one task, at most `read_limit` bytes at a time (0: any number); the
/// most bytes that it read in one turn, seen from another.
async fn longest_turn(frame: &[u8], events: bool, read_limit: usize) -> usize {
    let wire = Wire::new();
    let count = FLOOD / frame.len();
    wire.with(|state| {
        state.input = frame.repeat(count).into();
        state.input_ended = true;
        state.read_limit = read_limit;
    });
    let left = {
        let wire = wire.clone();
        move || wire.with(|state| state.input.len())
    };
    let seen = Arc::new(AtomicUsize::new(0));
    let flooded = tokio::spawn({
        let seen = Arc::clone(&seen);
        let mut websocket = server(wire.end(), &QUIET);
        async move {
            loop {
                let event = if events {
                    websocket.next_event().await
                } else {
                    websocket.next().await.map(|message| message.map(Event::Message))
                };
                match event {
                    Some(Ok(_)) => seen.fetch_add(1, Ordering::SeqCst),
                    Some(Err(Error::ConnectionLost)) => return,
                    other => panic!("{other:?}"),
                };
            }
        }
    });
    let mut longest = 0;
    let mut before = left();
    while before > 0 {
        one_turn().await;
        let after = left();
        longest = longest.max(before - after);
        before = after;
    }
    flooded.await.unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), if events { count } else { 0 });
    longest
}

#[tokio::test]
async fn flood_of_pings_is_read_in_turns_with_other_tasks() {
    let frame = &masked(0x89, &[b'p'; 125]);
    let longest = longest_turn(frame, true, 0).await;
    assert!(longest <= turn(frame.len()), "{longest}");
}

#[tokio::test]
async fn flood_of_pings_that_the_application_does_not_see_is_read_in_turns() {
    let frame = &masked(0x89, b"");
    let longest = longest_turn(frame, false, 0).await;
    assert!(longest <= turn(frame.len()), "{longest}");
}

#[tokio::test]
async fn flood_of_messages_is_read_in_turns_with_other_tasks() {
    let frame = &masked(0x82, &[b'm'; 1000]);
    let longest = longest_turn(frame, true, 0).await;
    assert!(longest <= turn(frame.len()), "{longest}");
}

#[tokio::test]
async fn flood_in_small_pieces_is_read_in_turns() {
    let frame = &masked(0x82, &[b'm'; 60_000]);
    let longest = longest_turn(frame, true, 100).await;
    // Of reads that bring little, it is their number that counts.
    assert!(longest <= turn(frame.len()) / 4, "{longest}");
}

#[tokio::test]
async fn connection_dropped_at_the_end_of_its_turn_still_says_goodbye() {
    let (near, mut far) = support::tcp().await;
    let mut server = server(near, &QUIET);
    tokio::spawn(async move {
        server.feed("last words").await.unwrap();
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        drop(server);
    })
    .await
    .unwrap();
    let mut said = Vec::new();
    far.read_to_end(&mut said).await.unwrap();
    let expected = [unmasked(0x81, b"last words"), unmasked(0x88, &[0x03, 0xe9])].concat();
    assert_eq!(said, expected);
}
