//! Any cut of the same bytes gives the same events, the same output and the same end.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use proptest::prelude::*;

use duologue_core::{CloseCode, CloseStatus, Initiator, ProtocolError, ReadyState};

use support::reference::{self, Heard};
use support::streams::{TIGHT, cuts, damaged, damages, pieces, stream};
use support::{End, Listener, T0, from_peer, opened};

/// Everything that can be told of a connection after some bytes and, then, the end of TCP.
#[derive(Debug, PartialEq)]
struct Transcript {
    listener: Listener,
    state: ReadyState,
    payload_remaining: u64,
    outcome: (CloseStatus, String, Option<CloseStatus>, Option<Initiator>, bool),
    failure: Option<ProtocolError>,
}

fn transcript(end: End, pieces: &[&[u8]], close_first: bool) -> Transcript {
    let mut connection = opened(end, &TIGHT);
    let mut listener = Listener::default();
    if close_first {
        connection.close(CloseCode::GOING_AWAY, "bye", T0).unwrap();
        listener.drain(&mut connection);
    }
    for piece in pieces {
        listener.feed(&mut connection, piece, T0);
    }
    let state = connection.ready_state();
    // Where nothing is read any more, nothing is expected either.
    let payload_remaining = match listener.error {
        None => connection.payload_remaining(),
        Some(_) => 0,
    };
    connection.receive_eof(T0);
    listener.drain(&mut connection);
    let outcome = connection.close_outcome().unwrap();
    let failure = outcome.failure;
    let reason = outcome.reason.to_owned();
    let outcome = (outcome.status, reason, outcome.sent, outcome.initiator, outcome.was_clean);
    Transcript { listener, state, payload_remaining, outcome, failure }
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Server), Just(End::Client)]
}

proptest! {
    #![proptest_config(support::streams::cases(1500))]

    #[test]
    fn any_cut_of_any_stream_gives_the_same_transcript(
        end in end(),
        frames in stream(),
        damages in damages(),
        cuts in cuts(),
        close_first: bool,
    ) {
        let bytes = damaged(from_peer(end, &frames), &damages);
        let whole = transcript(end, &[&bytes], close_first);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&transcript(end, &single, close_first), &whole);
        prop_assert_eq!(&transcript(end, &pieces(&bytes, &cuts), close_first), &whole);

        let expected = reference::decode(&bytes, &end.receiving_rules(&TIGHT));
        prop_assert_eq!(&whole.listener.heard, &expected.heard);
        prop_assert_eq!(whole.listener.error, expected.fault);
        prop_assert_eq!(whole.failure, expected.fault);
        if expected.fault.is_none() {
            prop_assert_eq!(whole.payload_remaining, expected.lacking);
        }
        if let Some(Heard::Close(code, reason)) = expected.heard.last() {
            let status = code.map_or(CloseStatus::NoStatus, support::status);
            prop_assert_eq!((whole.outcome.0, &whole.outcome.1), (status, reason));
        }
    }

    #[test]
    fn any_bytes_at_all_give_the_same_transcript(
        end in end(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in cuts(),
    ) {
        let whole = transcript(end, &[&bytes], false);
        prop_assert_eq!(&transcript(end, &pieces(&bytes, &cuts), false), &whole);
        let expected = reference::decode(&bytes, &end.receiving_rules(&TIGHT));
        prop_assert_eq!(whole.listener.heard, expected.heard);
        prop_assert_eq!(whole.listener.error, expected.fault);
    }
}

#[cfg(feature = "alloc")]
mod endpoint {
    use super::*;

    use support::endpoint::{Mode, Reader, endpoint, put, write_all};

    proptest! {
        #![proptest_config(support::streams::cases(1000))]

        #[test]
        fn any_cut_in_messages_and_chunks_gives_what_the_reference_hears(
            end in end(),
            frames in stream(),
            damages in damages(),
            cuts in cuts(),
            chunk_modes in proptest::collection::vec(any::<bool>(), 1..4),
        ) {
            let bytes = damaged(from_peer(end, &frames), &damages);
            let mut endpoint = endpoint(end, &TIGHT);
            let mut reader = Reader::default();
            for (at, piece) in pieces(&bytes, &cuts).into_iter().enumerate() {
                let in_chunks = chunk_modes[at % chunk_modes.len()];
                let mode = if in_chunks { Mode::Chunks } else { Mode::Messages };
                put(&mut endpoint, piece);
                reader.read(&mut endpoint, mode, T0);
                write_all(&mut endpoint);
            }
            let mut expected = reference::decode(&bytes, &end.receiving_rules(&TIGHT));
            prop_assert_eq!(reader.error, expected.fault);
            if let Some(Heard::Close(code, reason)) = expected.heard.last_mut() {
                // The step tells no code: the outcome does.
                endpoint.receive_eof(T0);
                let outcome = endpoint.close_outcome().unwrap();
                let told = Heard::close(outcome.status, outcome.reason);
                prop_assert_eq!(told, Heard::Close(*code, reason.clone()));
                (*code, *reason) = (None, String::new());
            }
            prop_assert_eq!(reader.heard, expected.heard);
        }
    }
}
