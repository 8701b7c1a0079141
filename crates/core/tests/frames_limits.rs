//! Limits on frames and messages (RFC 6455 section 10.4).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::time::Duration;

use duologue_core::{Config, Keepalive, ProtocolError};

use support::reference::Heard;
use support::{
    End, ZERO_KEY, assert_fails, assert_fails_with, assert_hears, frame, listen, masked, opened,
};

const CONFIG: Config = Config::DEFAULT;

/// Frames of at most 200 bytes, messages of at most 300.
const SMALL: Config = Config { max_frame_length: 200, max_message_length: 300, ..CONFIG };

#[test]
fn defaults_are_the_documented_ones() {
    let documented = Config {
        max_message_length: 16 * 1024 * 1024,
        max_frame_length: u64::MAX,
        max_empty_fragments: 1024,
        opening_timeout: Duration::from_secs(10),
        closing_timeout: Duration::from_secs(5),
        keepalive: Some(Keepalive {
            interval: Duration::from_secs(20),
            timeout: Duration::from_secs(20),
            always: false,
        }),
        write_high_water: 65_536,
        write_stall_timeout: Duration::from_secs(30),
        automatic_pong: true,
        #[cfg(feature = "deflate")]
        deflate: None,
    };
    assert_eq!(Config::default(), documented);
    assert_eq!(Some(Keepalive::default()), documented.keepalive);
}

#[test]
fn g36_frame_past_the_limit_fails_with_1009_at_its_length() {
    for end in End::BOTH {
        for first in [0x81, 0x82, 0x01, 0x02] {
            // 201 bytes, and neither a masking key nor a payload.
            let bytes = [first, 126, 0, 201];
            assert_fails(end, &SMALL, &bytes, ProtocolError::FrameTooBig, 1009);
        }
    }
}

#[test]
fn g36_message_past_the_limit_fails_with_1009_at_its_length() {
    let config = Config { max_frame_length: 1 << 20, ..SMALL };
    for end in End::BOTH {
        // 301 bytes, and neither a masking key nor a payload.
        let bytes = b"\x82\x7e\x01\x2d";
        assert_fails(end, &config, bytes, ProtocolError::MessageTooBig, 1009);
    }
}

#[test]
fn g37_frame_of_exactly_the_limit_is_heard() {
    for end in End::BOTH {
        let payload = vec![b'x'; 200];
        assert_hears(end, &SMALL, &frame(0x82, &payload), &[Heard::Binary(payload.clone())]);
    }
}

#[test]
fn g37_message_of_exactly_the_limit_is_heard() {
    let text = "x".repeat(300);
    for end in End::BOTH {
        let first = frame(0x01, &text.as_bytes()[..200]);
        let last = frame(0x80, &text.as_bytes()[200..]);
        let bytes = [first, last].concat();
        assert_hears(end, &SMALL, &bytes, &[Heard::text(&text)]);
    }
}

#[test]
fn g37_limit_of_zero_lets_only_empty_messages_in() {
    let config = Config { max_message_length: 0, ..CONFIG };
    for end in End::BOTH {
        // An empty binary message, then one of an empty fragment and an empty end.
        let bytes = b"\x82\x00\x02\x00\x80\x00";
        assert_hears(end, &config, bytes, &[Heard::Binary(vec![]), Heard::Binary(vec![])]);
        assert_fails(end, &config, b"\x82\x01", ProtocolError::MessageTooBig, 1009);
    }
}

#[test]
fn g47_message_limit_holds_across_fragments() {
    for end in End::BOTH {
        for last in [0x00, 0x80] {
            // 200 bytes, then the length of a continuation of 101.
            let bytes = [frame(0x02, &[b'x'; 200]), vec![last, 101]].concat();
            assert_fails(end, &SMALL, &bytes, ProtocolError::MessageTooBig, 1009);
        }
    }
}

#[test]
fn g47_message_limit_holds_across_many_fragments_and_control_frames() {
    for end in End::BOTH {
        let mut bytes = frame(0x02, b"");
        for _ in 0..300 {
            bytes.extend(b"\x00\x01x");
        }
        bytes.extend(b"\x8a\x04pong"); // a pong is no part of the message
        let mut connection = opened(end, &SMALL);
        let listener = listen(&mut connection, &support::from_peer(end, &bytes));
        assert_eq!((listener.error, listener.unfinished.len()), (None, 300));
        let over = listen(&mut connection, &support::from_peer(end, b"\x80\x01"));
        assert_eq!(over.error, Some(ProtocolError::MessageTooBig));
    }
}

#[test]
fn g47_next_message_has_the_whole_limit_again() {
    for end in End::BOTH {
        let payload = vec![b'x'; 200];
        let message = [frame(0x02, &payload), frame(0x80, &payload[..100])].concat();
        let expected = Heard::Binary(vec![b'x'; 300]);
        assert_hears(
            end,
            &SMALL,
            &message.repeat(3),
            &[expected.clone(), expected.clone(), expected],
        );
    }
}

#[test]
fn h04_empty_fragments_past_their_limit_fail_with_1008() {
    let error = ProtocolError::TooManyEmptyFragments;
    // An empty first fragment and 1,025 empty continuations, masked with a key of zeros.
    let bytes = [frame(0x01, b""), frame(0x00, b"").repeat(1025)].concat();
    let server = || opened(End::Server, &CONFIG);
    assert_fails_with(End::Server, &server, &masked(&bytes, ZERO_KEY), error, 1008);
    assert_fails(End::Client, &CONFIG, &bytes, error, 1008);
}

#[test]
fn h04_empty_fragments_up_to_their_limit_are_heard() {
    for end in End::BOTH {
        let bytes = [frame(0x01, b""), frame(0x00, b"").repeat(1024), frame(0x80, b"")].concat();
        // Each message counts anew.
        assert_hears(end, &CONFIG, &bytes.repeat(2), &[Heard::text(""), Heard::text("")]);
    }
}

#[test]
fn h04_fragments_with_a_payload_do_not_reset_the_count() {
    let config = Config { max_empty_fragments: 2, ..CONFIG };
    for end in End::BOTH {
        // "a", empty, "b", empty, "c", and a third empty one.
        let bytes = b"\x01\x01a\x00\x00\x00\x01b\x00\x00\x00\x01c\x00\x00";
        let listener = listen(&mut opened(end, &config), &support::from_peer(end, bytes));
        assert_eq!(listener.error, Some(ProtocolError::TooManyEmptyFragments));
    }
}

#[test]
fn h05_two_fragments_past_the_message_limit_fail_at_the_second_header() {
    let config = Config { max_message_length: 1 << 20, ..CONFIG };
    let part = vec![0; 6 * (1 << 20) / 10];
    for end in End::BOTH {
        let first = frame(0x02, &part);
        // The second header, without its payload: 629,145 is 099999 in hexadecimal.
        let second = b"\x80\x7f\x00\x00\x00\x00\x00\x09\x99\x99";
        let bytes = [&first[..], second].concat();
        assert_fails(end, &config, &bytes, ProtocolError::MessageTooBig, 1009);
    }
}

#[test]
fn h07_limits_are_exact() {
    for (config, error) in [
        (Config { max_message_length: 300, ..CONFIG }, ProtocolError::MessageTooBig),
        (Config { max_frame_length: 300, ..CONFIG }, ProtocolError::FrameTooBig),
    ] {
        for end in End::BOTH {
            for length in [299, 300] {
                let payload = vec![b'x'; length];
                let bytes = frame(0x82, &payload);
                assert_hears(end, &config, &bytes, &[Heard::Binary(payload)]);
            }
            for length in [301, 302] {
                assert_fails(end, &config, &frame(0x82, &vec![b'x'; length]), error, 1009);
            }
        }
    }
}
