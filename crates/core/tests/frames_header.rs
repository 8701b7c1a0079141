//! The frame header: RSV bits, opcodes, the forms of the length (RFC 6455 sections 5.2 and 5.5).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{Config, ProtocolError, ReadyState};

use support::reference::Heard;
use support::{
    End, T0, assert_fails, assert_fails_with, assert_hears, frame, from_peer, listen,
    listen_byte_by_byte, opened,
};

const CONFIG: Config = Config::DEFAULT;

/// A config that lets any frame and message in.
const UNLIMITED: Config =
    Config { max_message_length: u64::MAX, max_frame_length: u64::MAX, ..Config::DEFAULT };

#[test]
fn rfc_section_5_7_examples_to_a_client_are_heard() {
    // A single-frame unmasked text, "Hello".
    assert_hears(End::Client, &CONFIG, b"\x81\x05\x48\x65\x6c\x6c\x6f", &[Heard::text("Hello")]);
    // The same in fragments, "Hel" and "lo".
    let fragments = b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f";
    assert_hears(End::Client, &CONFIG, fragments, &[Heard::text("Hello")]);
    // An unmasked ping with the body "Hello".
    let ping = b"\x89\x05\x48\x65\x6c\x6c\x6f";
    assert_hears(End::Client, &CONFIG, ping, &[Heard::Ping(b"Hello".to_vec())]);
}

#[test]
fn rfc_section_5_7_examples_to_a_server_are_heard() {
    let cases: [(&[u8], Heard); 2] = [
        // A single-frame masked text, "Hello".
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Heard::text("Hello")),
        // A masked pong with the body "Hello".
        (b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Heard::Pong(b"Hello".to_vec())),
    ];
    for (bytes, heard) in cases {
        for listen in [listen, listen_byte_by_byte] {
            let listener = listen(&mut opened(End::Server, &CONFIG), bytes);
            assert_eq!(listener.heard, core::slice::from_ref(&heard));
        }
    }
}

#[test]
fn rfc_section_5_7_long_binary_messages_are_heard() {
    let headers: [(&[u8], usize); 2] =
        [(b"\x82\x7e\x01\x00", 256), (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 65_536)];
    for (header, length) in headers {
        let payload = vec![0x5A; length];
        let bytes = [header, &payload].concat();
        for end in End::BOTH {
            assert_hears(end, &CONFIG, &bytes, &[Heard::Binary(payload.clone())]);
        }
    }
}

#[test]
fn g31_unclaimed_rsv_bit_fails_with_1002() {
    for end in End::BOTH {
        for rsv in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
            for opcode in [0x01, 0x02, 0x08, 0x09, 0x0A] {
                let bytes = [0x80 | rsv | opcode, 0x00];
                assert_fails(end, &CONFIG, &bytes, ProtocolError::ReservedBits, 1002);
            }
        }
    }
}

#[test]
fn g31_unclaimed_rsv_bit_on_a_continuation_fails_with_1002() {
    for end in End::BOTH {
        // A first fragment "a", then a continuation "b" with RSV1.
        let bytes = b"\x01\x01a\xc0\x01b";
        assert_fails(end, &CONFIG, bytes, ProtocolError::ReservedBits, 1002);
    }
}

#[test]
fn g32_reserved_opcode_fails_with_1002_at_the_first_byte() {
    for end in End::BOTH {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            for fin in [0x00, 0x80] {
                let first = [fin | opcode];
                assert_fails(end, &CONFIG, &first, ProtocolError::ReservedOpcode, 1002);
            }
        }
    }
}

#[test]
fn g33_length_in_more_bytes_than_needed_fails_with_1002() {
    let cases: [&[u8]; 5] = [
        b"\x82\x7e\x00\x00",                         // 0 in 16 bits
        b"\x82\x7e\x00\x7d",                         // 125 in 16 bits
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x00", // 0 in 64 bits
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7e", // 126 in 64 bits
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", // 65,535 in 64 bits
    ];
    for end in End::BOTH {
        for bytes in cases {
            assert_fails(end, &CONFIG, bytes, ProtocolError::NonMinimalLength, 1002);
        }
    }
}

#[test]
fn g33_length_in_its_shortest_form_is_heard() {
    for end in End::BOTH {
        for length in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let bytes = frame(0x82, &payload);
            assert_hears(end, &CONFIG, &bytes, &[Heard::Binary(payload)]);
        }
    }
}

#[test]
fn g34_length_with_the_top_bit_fails_with_1002_at_that_bit() {
    for end in End::BOTH {
        for bytes in [&b"\x82\x7f\x80"[..], b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_fails(end, &UNLIMITED, bytes, ProtocolError::LengthTopBitSet, 1002);
        }
    }
}

#[test]
fn g35_length_past_32_bits_is_not_truncated() {
    for end in End::BOTH {
        // Binary, 2^32 + 2 bytes, of which 5 come. Cut to 32 bits, the frame would end at "ab".
        let bytes = from_peer(end, b"\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x02abcde");
        for listen in [listen, listen_byte_by_byte] {
            let mut connection = opened(end, &UNLIMITED);
            let listener = listen(&mut connection, &bytes);
            assert_eq!((listener.heard, listener.error), (vec![], None));
            assert_eq!(listener.unfinished, b"abcde");
            assert_eq!(connection.payload_remaining(), (1 << 32) + 2 - 5);
        }
    }
}

#[test]
fn g35_largest_length_of_all_is_counted_down() {
    for end in End::BOTH {
        // Binary, 2^63 - 1 bytes, of which one comes.
        let bytes = from_peer(end, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffa");
        let mut connection = opened(end, &UNLIMITED);
        assert_eq!(listen(&mut connection, &bytes).unfinished, b"a");
        assert_eq!(connection.payload_remaining(), (1 << 63) - 2);
        assert_eq!(connection.ready_state(), ReadyState::Open);
    }
}

#[test]
fn g43_control_frame_of_126_bytes_fails_with_1002_at_its_second_byte() {
    for end in End::BOTH {
        for first in [0x88, 0x89, 0x8A] {
            for second in [126, 127] {
                let bytes = [first, second];
                assert_fails(end, &CONFIG, &bytes, ProtocolError::ControlFrameTooLong, 1002);
            }
        }
    }
}

#[test]
fn g43_control_frame_without_fin_fails_with_1002_at_its_first_byte() {
    for end in End::BOTH {
        for first in [0x08, 0x09, 0x0A] {
            assert_fails(end, &CONFIG, &[first], ProtocolError::FragmentedControlFrame, 1002);
        }
    }
}

#[test]
fn g43_control_frame_of_125_bytes_is_heard() {
    let payload = vec![b'p'; 125];
    for end in End::BOTH {
        assert_hears(end, &CONFIG, &frame(0x89, &payload), &[Heard::Ping(payload.clone())]);
        assert_hears(end, &CONFIG, &frame(0x8A, &payload), &[Heard::Pong(payload.clone())]);
    }
}

#[test]
fn g43_data_limits_do_not_bind_control_frames() {
    let config = Config { max_message_length: 3, max_frame_length: 2, ..CONFIG };
    let payload = vec![b'p'; 125];
    for end in End::BOTH {
        assert_hears(end, &config, &frame(0x89, &payload), &[Heard::Ping(payload.clone())]);
    }
}

#[test]
fn h01_64_bit_length_is_neither_signed_nor_added_unchecked() {
    let server = || opened(End::Server, &CONFIG);
    // Binary, 2^64 - 1 bytes; "K" is the masking key of zeros.
    let bytes = b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00";
    assert_fails_with(End::Server, &server, bytes, ProtocolError::LengthTopBitSet, 1002);
    // Binary, 2^63 - 1 bytes.
    let bytes = b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00";
    assert_fails_with(End::Server, &server, bytes, ProtocolError::MessageTooBig, 1009);
    // A first fragment "A", then a continuation of 2^63 - 1 bytes.
    let bytes = b"\x02\x81\x00\x00\x00\x00\x41\
                  \x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00";
    assert_fails_with(End::Server, &server, bytes, ProtocolError::MessageTooBig, 1009);
    // The same where only the message has a limit, and it is the largest that there is.
    let mut connection = opened(End::Server, &UNLIMITED);
    assert_eq!(listen(&mut connection, bytes).error, None);
    assert_eq!(connection.payload_remaining(), u64::MAX >> 1);
}

#[test]
fn header_cut_between_any_two_bytes_waits_for_the_rest() {
    // Binary, 65,536 bytes: the longest form of the header.
    let header = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00";
    for end in End::BOTH {
        let header = from_peer(end, header);
        for cut in 0..header.len() {
            let mut connection = opened(end, &CONFIG);
            assert_eq!(connection.payload_remaining(), 0);
            let mut head = header[..cut].to_vec();
            let received = connection.receive(&mut head, T0).unwrap();
            assert_eq!((received.consumed, received.event), (cut, None));
            let mut tail = header[cut..].to_vec();
            let received = connection.receive(&mut tail, T0).unwrap();
            assert_eq!((received.consumed, received.event), (header.len() - cut, None));
            assert_eq!(connection.payload_remaining(), 65_536);
        }
    }
}
