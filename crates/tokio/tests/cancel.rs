//! Every public future is dropped at every point at which it can wait, and then things go on:
//! nothing is lost, given twice, or torn.
#![allow(
    clippy::cloned_ref_to_slice_refs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::future::Future;
use std::task::Poll;

use duologue_tokio::{CloseCode, Config, Event, Message, MessageType, Prepared, WebSocket};
use support::wire::{Wire, WireEnd};
use support::{Frame, QUIET, frame, frames, masked, poll_once};

/// So low that every second message waits for room.
const CONFIG: Config = Config { write_high_water: 40, ..QUIET };

type Server = WebSocket<WireEnd>;

fn server() -> (Server, Wire) {
    let wire = Wire::stuttering();
    (support::server(wire.end(), &CONFIG), wire)
}

/// Polls a future `polls` times and drops it; its result, if it has come to its end.
fn cut<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Poll::Ready(result) = poll_once(&mut future) {
            return Some(result);
        }
    }
    None
}

fn finish<T>(future: impl Future<Output = T>) -> T {
    cut(future, 100_000).expect("it comes to its end")
}

/// Two fragments with a ping between them, a text, an empty message, a pong, and the end.
fn incoming() -> Vec<u8> {
    let mut bytes = masked(0x02, &[1; 200]);
    bytes.extend_from_slice(&masked(0x89, b"ping"));
    bytes.extend_from_slice(&masked(0x80, &[2; 10]));
    bytes.extend_from_slice(&masked(0x81, "größe".as_bytes()));
    bytes.extend_from_slice(&masked(0x82, b""));
    bytes.extend_from_slice(&masked(0x8a, b"pong"));
    bytes.extend_from_slice(&masked(0x81, b"last"));
    bytes.extend_from_slice(&masked(0x88, b"\x03\xe8"));
    bytes
}

fn messages() -> Vec<Message> {
    let mut joined = vec![1; 200];
    joined.extend_from_slice(&[2; 10]);
    vec![
        Message::binary(joined),
        Message::text("größe"),
        Message::binary(b"".as_slice()),
        Message::text("last"),
    ]
}

/// Receives to the end by `receive`, each future dropped after `polls` polls, over a transport that
/// is Pending between any two bytes.
fn receive_all<T>(
    polls: usize,
    mut receive: impl FnMut(&mut Server, usize) -> Option<Option<T>>,
) -> Vec<T> {
    let (mut server, wire) = server();
    wire.put(&incoming());
    wire.end_input();
    let mut received = Vec::new();
    loop {
        match receive(&mut server, polls) {
            None => {}
            Some(Some(item)) => received.push(item),
            Some(None) => break,
        }
    }
    assert!(receive(&mut server, polls).is_some_and(|end| end.is_none()));
    let expected = [frame(0x8a, b"ping"), frame(0x88, b"\x03\xe8")];
    assert_eq!(frames(&wire.take_output()), expected);
    received
}

#[tokio::test(start_paused = true)]
async fn next_dropped_at_every_point_loses_nothing() {
    for polls in 1..20 {
        let received = receive_all(polls, |server, polls| {
            cut(server.next(), polls).map(|item| item.map(Result::unwrap))
        });
        assert_eq!(received, messages());
    }
}

#[tokio::test(start_paused = true)]
async fn next_ref_dropped_at_every_point_loses_nothing() {
    for polls in 1..20 {
        let received = receive_all(polls, |server, polls| {
            cut(server.next_ref(), polls).map(|item| item.map(|item| item.unwrap().to_message()))
        });
        assert_eq!(received, messages());
    }
}

#[tokio::test(start_paused = true)]
async fn next_event_dropped_at_every_point_loses_nothing() {
    for polls in 1..20 {
        let events = receive_all(polls, |server, polls| {
            cut(server.next_event(), polls).map(|item| item.map(Result::unwrap))
        });
        let kinds: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Message(_) => 'm',
                Event::Ping(payload) if **payload == *b"ping" => 'i',
                Event::Pong(payload) if **payload == *b"pong" => 'o',
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(kinds, ['i', 'm', 'm', 'm', 'o', 'm']);
        let received = events.into_iter().filter_map(|event| match event {
            Event::Message(message) => Some(message),
            Event::Ping(_) | Event::Pong(_) => None,
        });
        assert_eq!(received.collect::<Vec<_>>(), messages());
    }
}

#[tokio::test(start_paused = true)]
async fn next_chunk_dropped_at_every_point_loses_nothing() {
    for polls in 1..20 {
        let chunks = receive_all(polls, |server, polls| {
            cut(server.next_chunk(), polls).map(|item| {
                item.map(|chunk| {
                    let chunk = chunk.unwrap();
                    (chunk.is_first, chunk.payload.to_vec(), chunk.is_last)
                })
            })
        });
        let mut joined: Vec<Vec<u8>> = Vec::new();
        let mut inside = false;
        for (first, payload, last) in chunks {
            assert_eq!(first, !inside);
            if first {
                joined.push(Vec::new());
            }
            joined.last_mut().unwrap().extend_from_slice(&payload);
            inside = !last;
        }
        let expected: Vec<_> =
            messages().iter().map(|message| message.payload().to_vec()).collect();
        assert_eq!(joined, expected);
    }
}

/// Drops what `send` gives after each number of polls, on a connection with something queued
/// already; then sends on. What comes out is the message whole or not at all, in its place.
/// Returns at how many points it could be dropped.
fn assert_whole_or_absent(
    send: impl AsyncFn(&mut Server) -> Result<(), duologue_tokio::Error>,
    expected: &[Frame],
) -> usize {
    for polls in 0.. {
        let (mut server, wire) = server();
        for _ in 0..2 {
            finish(server.feed_text("something queued already")).unwrap();
        }
        let done = cut(send(&mut server), polls);
        finish(server.feed_text("after")).unwrap();
        finish(server.flush()).unwrap();
        assert_eq!(server.buffered_amount(), 0);
        let mut sent = frames(&wire.take_output());
        let before = frame(0x81, b"something queued already");
        assert_eq!(sent.drain(..2).collect::<Vec<_>>(), [before.clone(), before]);
        assert_eq!(sent.pop(), Some(frame(0x81, b"after")));
        assert!(sent.is_empty() && done.is_none() || sent == expected, "{polls} polls: {sent:?}");
        if done.is_some() {
            return polls;
        }
    }
    unreachable!("it comes to its end")
}

#[tokio::test(start_paused = true)]
async fn send_and_feed_dropped_at_every_point_are_whole_or_absent() {
    let small = frame(0x81, b"message");
    // From 4 KiB on the payload is shared, not copied.
    let large = frame(0x82, &[7; 4500]);
    let points = [
        assert_whole_or_absent(async |s| s.send("message").await, &[small.clone()]),
        assert_whole_or_absent(async |s| s.send(vec![7; 4500]).await, &[large.clone()]),
        assert_whole_or_absent(async |s| s.feed("message").await, &[small.clone()]),
        assert_whole_or_absent(async |s| s.feed(vec![7; 4500]).await, &[large.clone()]),
        assert_whole_or_absent(async |s| s.feed_text("message").await, &[small.clone()]),
        assert_whole_or_absent(async |s| s.feed_binary(&[7; 4500]).await, &[large.clone()]),
    ];
    assert!(points.iter().all(|points| *points > 10), "{points:?}");
    for (message, expected) in [(Message::text("message"), small), (vec![7; 4500].into(), large)] {
        let prepared = Prepared::new(&message);
        let expected = [expected];
        assert_whole_or_absent(async |s| s.feed_prepared(&prepared).await, &expected);
        assert_whole_or_absent(async |s| s.send_prepared(&prepared).await, &expected);
    }
}

#[tokio::test(start_paused = true)]
async fn control_frames_dropped_at_every_point_are_whole_or_absent() {
    assert_whole_or_absent(async |s| s.ping(b"p").await, &[frame(0x89, b"p")]);
    assert_whole_or_absent(async |s| s.pong(b"p").await, &[frame(0x8a, b"p")]);
}

#[tokio::test(start_paused = true)]
async fn flush_and_ready_dropped_at_every_point_change_nothing() {
    assert_whole_or_absent(async |s| s.flush().await, &[]);
    assert_whole_or_absent(async |s| s.ready().await, &[]);
}

/// Once polled, `finish` has ended the message, whenever it is dropped; not polled, it leaves the
/// message open, and then only Close can follow.
#[tokio::test(start_paused = true)]
async fn writer_dropped_at_every_point_leaves_whole_fragments() {
    for fragment_polls in 0.. {
        let (mut server, wire) = server();
        finish(server.feed_text(&"something queued already ".repeat(4))).unwrap();
        let mut writer = server.begin_message(MessageType::Binary);
        let done = cut(writer.write(&[1; 60]), fragment_polls);
        finish(writer.write(&[2; 5])).unwrap();
        finish(writer.finish()).unwrap();
        let mut sent = frames(&wire.take_output());
        sent.remove(0);
        let expected = [frame(0x02, &[1; 60]), frame(0x00, &[2; 5]), frame(0x80, b"")];
        if sent != expected {
            assert_eq!(sent, [frame(0x02, &[2; 5]), frame(0x80, b"")]);
            assert!(done.is_none());
        }
        if done.is_some() {
            assert!(fragment_polls > 10);
            break;
        }
    }
    for polls in 0.. {
        let (mut server, wire) = server();
        let mut writer = server.begin_message(MessageType::Binary);
        finish(writer.write(&[1; 60])).unwrap();
        let done = cut(writer.finish(), polls);
        let expected = if polls == 0 {
            assert!(cut(server.feed_text("after"), 1000).unwrap().is_err());
            vec![frame(0x02, &[1; 60])]
        } else {
            finish(server.feed_text("after")).unwrap();
            vec![frame(0x02, &[1; 60]), frame(0x80, b""), frame(0x81, b"after")]
        };
        finish(server.flush()).unwrap();
        assert_eq!(frames(&wire.take_output()), expected);
        if done.is_some() {
            assert!(polls > 10);
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn close_dropped_at_every_point_sends_one_close_and_goes_on() {
    for polls in 0.. {
        let (mut server, wire) = server();
        finish(server.feed_text("before")).unwrap();
        wire.put(&masked(0x81, b"still comes"));
        wire.put(&masked(0x88, b"\x03\xe8"));
        wire.end_input();
        let done = cut(server.close(CloseCode::NORMAL, "reason"), polls);
        finish(server.close(CloseCode::NORMAL, "reason")).unwrap();
        let expected = [frame(0x81, b"before"), frame(0x88, b"\x03\xe8reason")];
        assert_eq!(frames(&wire.take_output()), expected);
        assert!(server.close_outcome().unwrap().was_clean && wire.with(|state| state.shut_down));
        if done.is_some() {
            assert!(polls > 10);
            break;
        }
    }
}

/// Receiving is dropped again and again while sending goes on, and the other way round.
#[tokio::test(start_paused = true)]
async fn next_and_send_dropped_in_turns_lose_nothing() {
    for polls in 1..10 {
        let (mut server, wire) = server();
        wire.put(&masked(0x82, &[9; 30]).repeat(20));
        let (mut received, mut sent) = (0, 0);
        while received < 20 || sent < 20 {
            if let Some(message) = cut(server.next(), polls) {
                assert_eq!(message.unwrap().unwrap().payload(), [9; 30]);
                received += 1;
            }
            if sent < 20 && cut(server.ready(), polls).is_some() {
                finish(server.feed(vec![sent; 30])).unwrap();
                sent += 1;
            }
        }
        finish(server.flush()).unwrap();
        let expected: Vec<_> = (0..20).map(|n| frame(0x82, &[n; 30])).collect();
        assert_eq!(frames(&wire.take_output()), expected);
    }
}

/// Polled again after its end, which nobody should do, a future queues nothing a second time.
#[tokio::test(start_paused = true)]
async fn what_queues_does_so_once_however_often_it_is_polled() {
    fn twice<T>(future: impl Future<Output = T>) {
        let mut future = Box::pin(future);
        assert!(poll_once(&mut future).is_ready());
        let _ = poll_once(&mut future);
    }
    let prepared = Prepared::new(&Message::text("prepared"));
    let expected = [
        frame(0x81, b"message"),
        frame(0x81, b"text"),
        frame(0x82, b"bytes"),
        frame(0x81, b"prepared"),
    ];

    let (mut server, wire) = server();
    twice(server.feed("message"));
    twice(server.feed_text("text"));
    twice(server.feed_binary(b"bytes"));
    twice(server.feed_prepared(&prepared));
    finish(server.flush()).unwrap();
    assert_eq!(frames(&wire.take_output()), expected);

    let (_read, mut write) = server.split();
    twice(write.feed("message"));
    twice(write.feed_text("text"));
    twice(write.feed_binary(b"bytes"));
    twice(write.feed_prepared(&prepared));
    finish(write.flush()).unwrap();
    assert_eq!(frames(&wire.take_output()), expected);
}
