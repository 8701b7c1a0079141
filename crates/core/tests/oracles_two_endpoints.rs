//! Two joined endpoints under a virtual clock: whatever is done to them, they come to rest.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use duologue_core::{CloseStatus, Config, Keepalive, MessageType, ReadyState, Timestamp};

use support::endpoint::Mode;
use support::pair::{Command, Half, LinkPlan, Pair};
use support::reference::{self, Heard};
use support::{End, T0};

/// Commands are given within this time; then both ends close.
const SCRIPT: Duration = Duration::from_secs(20);

fn config() -> impl Strategy<Value = Config> {
    let keepalive = option::of((1_u64..9000, 1_u64..9000, any::<bool>()));
    (keepalive, 1_u64..9000, 1_u64..9000, 1_usize..5000, any::<bool>()).prop_map(
        |(keepalive, closing, stall, high_water, automatic_pong)| Config {
            keepalive: keepalive.map(|(interval, timeout, always)| Keepalive {
                interval: Duration::from_millis(interval),
                timeout: Duration::from_millis(timeout),
                always,
            }),
            closing_timeout: Duration::from_millis(closing),
            write_stall_timeout: Duration::from_millis(stall),
            write_high_water: high_water,
            max_message_length: 9000,
            max_frame_length: 8000,
            max_empty_fragments: 3,
            automatic_pong,
            ..Config::DEFAULT
        },
    )
}

fn link() -> impl Strategy<Value = LinkPlan> {
    let writes = vec(prop_oneof![0_usize..20, 0_usize..5000], 0..4);
    (0_u64..2000, 1_usize..20_000, writes, any::<bool>()).prop_map(
        |(delay, capacity, mut writes, chunks)| {
            // A transport that never takes anything would only show the stall deadline.
            writes.push(3000);
            let mode = if chunks { Mode::Chunks } else { Mode::Messages };
            LinkPlan { delay: Duration::from_millis(delay), capacity, writes, mode }
        },
    )
}

fn message() -> impl Strategy<Value = (MessageType, Vec<u8>)> {
    // Mostly small ones, some that are shared, a few past the limits.
    let longest = prop_oneof![6 => Just(200_usize), 2 => Just(7000), 1 => Just(12_000)];
    longest.prop_flat_map(support::streams::payload).prop_map(|(opcode, payload)| {
        let text = opcode == 1;
        (if text { MessageType::Text } else { MessageType::Binary }, payload)
    })
}

fn command() -> impl Strategy<Value = Command> {
    let piece = || vec(any::<u8>(), 0..600);
    prop_oneof![
        8 => message().prop_map(|(message_type, payload)| Command::Send(message_type, payload)),
        2 => message().prop_map(|(message_type, payload)| Command::Begin(message_type, payload)),
        4 => (piece(), any::<bool>()).prop_map(|(payload, fin)| Command::Continue(payload, fin)),
        4 => vec(any::<u8>(), 0..130).prop_map(Command::Ping),
        1 => (3000_u16..5000).prop_map(Command::Close),
        1 => Just(Command::CloseWithoutCode),
        1 => (3000_u16..5000).prop_map(Command::Fail),
        2 => any::<bool>().prop_map(Command::PauseReading),
        1 => Just(Command::BlackHole),
        1 => Just(Command::Cut),
        1 => Just(Command::Reset),
    ]
}

fn script() -> impl Strategy<Value = Vec<(Timestamp, End, Command)>> {
    let most = u64::try_from(SCRIPT.as_millis()).unwrap();
    // Most scripts end early, so that something is left to happen by itself.
    let times = prop_oneof![0..most, 0..most / 20];
    vec((times, any::<bool>(), command()), 0..25).prop_map(|mut script| {
        script.sort_by_key(|(at, ..)| *at);
        let end = |client| if client { End::Client } else { End::Server };
        script
            .into_iter()
            .map(|(at, client, command)| (T0 + Duration::from_millis(at), end(client), command))
            .collect()
    })
}

/// Checks one end after all is over; `peer` is the other.
fn check(half: &Half, peer: &Half) {
    assert_eq!(half.terminals, 1, "exactly one terminal step");
    assert!(half.shutdowns <= 1, "sending ends once");
    let endpoint = &half.endpoint;
    assert_eq!(endpoint.ready_state(), ReadyState::Closed);
    assert_eq!(endpoint.next_deadline(), None);

    // What it sent: frames that keep the rules, and nothing behind Close.
    let verdict = reference::decode(&half.emitted, &half.end.sending_rules());
    assert_eq!(verdict.fault, None);
    let closed = matches!(verdict.heard.last(), Some(Heard::Close(..)));
    assert_eq!(closed, verdict.heard.iter().any(|heard| matches!(heard, Heard::Close(..))));
    if closed {
        let length = encoded_length(half.end, &half.emitted);
        assert_eq!(length, half.emitted.len(), "bytes behind Close");
        assert!(endpoint.close_outcome().unwrap().sent.is_some());
    }

    // An end that calls itself clean has written its own Close frame and read the peer's.
    let outcome = endpoint.close_outcome().unwrap();
    if outcome.was_clean {
        assert!(closed && outcome.status != CloseStatus::Abnormal);
    }

    // What it sent whole comes to the peer in this order, all of it if the peer came to its Close.
    let heard: Vec<_> = peer.reader.heard.iter().filter(|heard| is_message(heard)).collect();
    assert!(heard.len() <= half.messages.len());
    assert!(heard.iter().zip(&half.messages).all(|(heard, sent)| *heard == sent));
    let outcome = peer.endpoint.close_outcome().unwrap();
    if outcome.status != CloseStatus::Abnormal {
        assert_eq!(heard.len(), half.messages.len(), "a message was lost before Close");
        assert_eq!(endpoint.close_outcome().unwrap().sent, Some(outcome.status));
    }
}

fn is_message(heard: &Heard) -> bool {
    matches!(heard, Heard::Text(_) | Heard::Binary(_))
}

/// The length of `bytes` up to the end of its first Close frame.
fn encoded_length(end: End, bytes: &[u8]) -> usize {
    let ends_with_close = |length: &usize| {
        let verdict = reference::decode(&bytes[..*length], &end.sending_rules());
        matches!(verdict.heard.last(), Some(Heard::Close(..)))
    };
    // Close is at most 131 bytes long, and stands at the end or the test fails anyway.
    let from = bytes.len().saturating_sub(200);
    (from..=bytes.len()).find(ends_with_close).unwrap()
}

proptest! {
    #![proptest_config(support::streams::cases(600))]

    #[test]
    fn two_endpoints_always_come_to_rest(
        config in config(),
        server in link(),
        client in link(),
        script in script(),
        last_word in any::<bool>(),
    ) {
        let slowest = server.delay.max(client.delay);
        let mut script = script;
        let (first, second) = if last_word {
            (End::Server, End::Client)
        } else {
            (End::Client, End::Server)
        };
        script.push((T0 + SCRIPT, first, Command::Close(1001)));
        script.push((T0 + SCRIPT + Duration::from_millis(1), second, Command::Close(1000)));
        let mut pair = Pair::new(&config, [server, client]);
        pair.run(&script, 20_000);
        // Closing has its deadline; what is behind the end of input has the stall deadline, anew
        // with each byte that goes out.
        let bound = SCRIPT + config.closing_timeout + config.write_stall_timeout + slowest * 60;
        prop_assert!(pair.now.saturating_since(T0) <= bound, "{:?}", pair.now);
        let [server, client] = &pair.halves;
        check(server, client);
        check(client, server);
    }
}
