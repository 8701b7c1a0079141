//! A connection whose peer floods it leaves time for the others: the runtime's tasks take turns,
//! and a turn is bounded by the bytes that it reads.
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
use support::{QUIET, masked, server};

/// What the runtime lets a task do in one turn is 128 units, of 512 bytes each here; the last read
/// may go past it.
const LONGEST_TURN: usize = 128 * 512 + 32 * 1024;

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

/// Reads a flood of `frame` in one task; the most bytes that it read in one turn, seen from
/// another.
async fn longest_turn(frame: &[u8], events: bool) -> usize {
    let wire = Wire::new();
    let count = FLOOD / frame.len();
    wire.with(|state| {
        state.input = frame.repeat(count).into();
        state.input_ended = true;
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
    let longest = longest_turn(&masked(0x89, &[b'p'; 125]), true).await;
    assert!(longest <= LONGEST_TURN, "{longest}");
}

#[tokio::test]
async fn flood_of_pings_that_the_application_does_not_see_is_read_in_turns() {
    let longest = longest_turn(&masked(0x89, b""), false).await;
    assert!(longest <= LONGEST_TURN, "{longest}");
}

#[tokio::test]
async fn flood_of_messages_is_read_in_turns_with_other_tasks() {
    let longest = longest_turn(&masked(0x82, &[b'm'; 1000]), true).await;
    assert!(longest <= LONGEST_TURN, "{longest}");
}
