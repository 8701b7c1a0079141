//! Whatever comes, however it is cut: every call consumes, emits, or asks for more.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;

use duologue_core::handshake::{ClientHandshake, HeadLimits, ServerHandshake};
use support::streams::{TIGHT, cases, cuts, damaged, damages, pieces, stream};
use support::{End, T0, from_peer, opened};

/// What a connection may have to say after one call: a pong, a ping, a Close frame, and the ends of
/// both directions.
const MOST_SAID: usize = 5;

/// Feeds the pieces and counts the calls.
fn calls(end: End, pieces: &[&[u8]]) -> usize {
    let mut connection = opened(end, &TIGHT);
    let mut calls = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        while !rest.is_empty() {
            calls += 1;
            let length = rest.len();
            let consumed = match connection.receive(rest, T0) {
                Ok(received) => {
                    let all = received.consumed == length;
                    assert!(received.consumed > 0, "nothing was consumed of {length} bytes");
                    assert!(received.event.is_some() || all, "bytes are left without an event");
                    received.consumed
                }
                // After a fault all that comes is swallowed.
                Err(_) => length,
            };
            assert!(consumed <= length);
            rest = &mut rest[consumed..];
            let said = std::iter::from_fn(|| connection.poll_transmit()).take(MOST_SAID + 1);
            assert!(said.count() <= MOST_SAID, "it never stops sending");
        }
    }
    calls
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn h30_every_call_consumes_emits_or_asks_for_more(
        end in prop_oneof![Just(End::Server), Just(End::Client)],
        frames in stream(),
        damages in damages(),
        noise in vec(any::<u8>(), 0..200),
        cuts in cuts(),
    ) {
        let bytes = damaged(from_peer(end, &frames), &damages);
        for bytes in [bytes, noise] {
            let pieces = pieces(&bytes, &cuts);
            // Each call but the last of a piece takes a whole frame, which has two bytes at least;
            // a fault is told once.
            let most = bytes.len() / 2 + pieces.len() + 1;
            prop_assert!(calls(end, &pieces) <= most);
        }
    }

    /// A head that is not whole asks for more, and one that is whole or refused stays so.
    #[test]
    fn h30_handshakes_ask_for_more_or_decide(
        noise in vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':')], 0..400),
        step in 1_usize..50,
    ) {
        let limits = HeadLimits { max_bytes: 300, ..HeadLimits::DEFAULT };
        let mut server = ServerHandshake::new(limits);
        let mut client = ClientHandshake::new([0; 16], limits);
        let (mut server_decided, mut client_decided) = (false, false);
        for end in (0..=noise.len()).step_by(step) {
            let bytes = &noise[..end];
            server_decided |= !matches!(server.receive(bytes), Ok(None));
            client_decided |= !matches!(client.receive(bytes), Ok(None));
            prop_assert!(server_decided && client_decided || end <= 300);
            if server_decided && client_decided {
                break;
            }
        }
    }
}
