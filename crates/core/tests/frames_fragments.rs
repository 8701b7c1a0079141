//! Fragments, and control frames between them (RFC 6455 section 5.4).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{Config, ProtocolError};

use support::reference::Heard;
use support::{
    End, T0, assert_fails, assert_fails_with, assert_hears, frame, from_peer, listen, opened,
    pong_sent, read_back,
};

const CONFIG: Config = Config::DEFAULT;

/// "Hel", a ping "1", "l", a pong "2", an empty fragment, "o", then a binary message.
const MIXED: &[u8] = b"\x01\x03Hel\x89\x011\x00\x01l\x8a\x012\x00\x00\x80\x01o\x82\x02\xff\x00";

/// A text "Hi".
const HI: &[u8] = b"\x81\x02Hi";

fn mixed() -> [Heard; 4] {
    [
        Heard::Ping(b"1".to_vec()),
        Heard::Pong(b"2".to_vec()),
        Heard::text("Hello"),
        Heard::Binary(b"\xff\x00".to_vec()),
    ]
}

#[test]
fn g44_control_frames_between_fragments_are_heard_at_once() {
    for end in End::BOTH {
        assert_hears(end, &CONFIG, MIXED, &mixed());
    }
}

#[test]
fn g44_ping_between_fragments_is_answered_before_the_message_ends() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        // "Hel", and a ping "1".
        let listener = listen(&mut connection, &from_peer(end, b"\x01\x03Hel\x89\x011"));
        assert_eq!(listener.heard, [Heard::Ping(b"1".to_vec())]);
        assert_eq!(read_back(end, &listener.transmitted), [pong_sent(b"1")]);
    }
}

#[test]
fn g44_every_header_and_payload_may_be_cut_at_every_byte() {
    for end in End::BOTH {
        let bytes = from_peer(end, MIXED);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut connection = opened(end, &CONFIG);
                let mut listener = listen(&mut connection, &bytes[..first]);
                listener.feed(&mut connection, &bytes[first..second], T0);
                listener.feed(&mut connection, &bytes[second..], T0);
                assert_eq!(listener.error, None);
                assert_eq!(listener.heard, mixed(), "{end:?} {first} {second}");
            }
        }
    }
}

#[test]
fn g44_rest_of_a_cut_header_that_looks_like_a_message_is_none() {
    // A text whose length is such that its header, behind the first two bytes, and its payload
    // begin as a text "Hi" does.
    for (end, length) in [(End::Server, 0x8182), (End::Client, 0x8102)] {
        let text = format!("Hi{}", "x".repeat(length - 2));
        let bytes = from_peer(end, &frame(0x81, text.as_bytes()));
        let hi = listen(&mut opened(end, &CONFIG), &bytes[2..][..from_peer(end, HI).len()]);
        assert_eq!(hi.heard, [Heard::text("Hi")]);
        let mut connection = opened(end, &CONFIG);
        let mut listener = listen(&mut connection, &bytes[..2]);
        listener.feed(&mut connection, &bytes[2..], T0);
        assert_eq!((listener.error, listener.heard), (None, vec![Heard::text(&text)]));
    }
}

#[test]
fn g44_close_between_fragments_ends_the_connection() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        // "Hel", Close 1001, and the rest of the message, which is discarded.
        let bytes = from_peer(end, b"\x01\x03Hel\x88\x02\x03\xe9\x80\x02lo");
        let listener = listen(&mut connection, &bytes);
        assert_eq!(listener.heard, [Heard::Close(Some(1001), String::new())]);
        assert_eq!(listener.error, None);
    }
}

#[test]
fn g45_continuation_with_nothing_to_continue_fails_with_1002_at_its_first_byte() {
    for end in End::BOTH {
        for first in [0x00, 0x80] {
            assert_fails(end, &CONFIG, &[first], ProtocolError::UnexpectedContinuation, 1002);
        }
    }
}

#[test]
fn g45_continuation_after_a_whole_message_fails_with_1002() {
    for end in End::BOTH {
        // "a" in two fragments, then a third one.
        let mut connection = opened(end, &CONFIG);
        let bytes = from_peer(end, b"\x01\x01a\x80\x00\x80\x00");
        let listener = listen(&mut connection, &bytes);
        assert_eq!(listener.heard, [Heard::text("a")]);
        assert_eq!(listener.error, Some(ProtocolError::UnexpectedContinuation));
    }
}

#[test]
fn g45_new_message_inside_a_message_fails_with_1002_at_its_first_byte() {
    for end in End::BOTH {
        for first in [0x01, 0x02, 0x81, 0x82] {
            // A first fragment "a", then a frame that begins a message.
            let bytes = [0x01, 0x01, b'a', first];
            assert_fails(end, &CONFIG, &bytes, ProtocolError::ExpectedContinuation, 1002);
        }
    }
}

#[test]
fn g46_empty_fragments_are_legal() {
    for end in End::BOTH {
        // Empty, empty, "a", empty, and an empty end.
        let bytes = b"\x01\x00\x00\x00\x00\x01a\x00\x00\x80\x00";
        assert_hears(end, &CONFIG, bytes, &[Heard::text("a")]);
        // Nothing but empty fragments.
        assert_hears(end, &CONFIG, b"\x02\x00\x00\x00\x80\x00", &[Heard::Binary(vec![])]);
    }
}

#[test]
fn g46_empty_fragments_are_counted() {
    let config = Config { max_empty_fragments: 1, ..CONFIG };
    for end in End::BOTH {
        // Neither the first frame nor the last counts.
        assert_hears(end, &config, b"\x02\x00\x00\x00\x80\x00", &[Heard::Binary(vec![])]);
        let bytes = b"\x02\x00\x00\x00\x00\x00";
        assert_fails(end, &config, bytes, ProtocolError::TooManyEmptyFragments, 1008);
    }
    let none = Config { max_empty_fragments: 0, ..CONFIG };
    for end in End::BOTH {
        assert_hears(end, &none, b"\x02\x00\x80\x00", &[Heard::Binary(vec![])]);
        let bytes = b"\x02\x00\x00\x00";
        assert_fails(end, &none, bytes, ProtocolError::TooManyEmptyFragments, 1008);
    }
}

#[test]
fn h22_bad_frame_is_refused_before_it_is_delivered() {
    let server = || opened(End::Server, &CONFIG);
    // Text "a", unmasked, to a server.
    let error = ProtocolError::UnmaskedFrameFromClient;
    assert_fails_with(End::Server, &server, b"\x81\x01\x61", error, 1002);
}

#[test]
fn h22_good_message_before_a_bad_frame_is_delivered() {
    for end in End::BOTH {
        // "a", then an opcode of 3, then "b".
        let bytes = from_peer(end, b"\x81\x01a\x83\x00\x81\x01b");
        let mut connection = opened(end, &CONFIG);
        let listener = listen(&mut connection, &bytes);
        assert_eq!(listener.heard, [Heard::text("a")]);
        assert_eq!(listener.error, Some(ProtocolError::ReservedOpcode));
    }
}
