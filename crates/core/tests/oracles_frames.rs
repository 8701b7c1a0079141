//! Every header, compared with the reference decoder.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{CloseStatus, Config, ReadyState};

use support::reference::{self, Heard};
use support::{End, PEER_KEY, Sent, listen, listen_byte_by_byte, opened, read_back};

const CONFIG: Config = Config {
    max_frame_length: 70_000,
    max_message_length: 70_010,
    max_empty_fragments: 0,
    ..Config::DEFAULT
};

/// What goes before the header: nothing, or the first fragment of a binary message, of 10 bytes or
/// of 11, so that the frame's limit is met first, or the message's.
const BEFORE: [&[u8]; 3] = [b"", b"\x02\x0aabcdefghij", b"\x02\x0babcdefghijk"];

/// More payload than this does not come: the header is judged without it.
const MOST_PAYLOAD: u64 = 300;

/// Representative lengths for the 7 bits in the second byte, in the form that they stand for.
fn extended_lengths(second: u8) -> Vec<Vec<u8>> {
    let lengths: &[u64] = match second & 0x7F {
        126 => &[0, 1, 125, 126, 127, 300, 0xFFFF],
        127 => &[
            0,
            125,
            126,
            0xFFFF,
            0x1_0000,
            69_999,
            70_000,
            70_001,
            1 << 32,
            (1 << 32) + 1,
            (1 << 63) - 1,
            1 << 63,
            u64::MAX,
        ],
        _ => return vec![vec![]],
    };
    let width = if second & 0x7F == 126 { 2 } else { 8 };
    lengths.iter().map(|length| length.to_be_bytes()[8 - width..].to_vec()).collect()
}

/// The bytes of one frame: its header, and its payload where that is not long. The payload is one
/// that Close takes and text does not, or plain letters.
fn frame(first: u8, second: u8, extended: &[u8]) -> Vec<u8> {
    let declared = match extended {
        [] => u64::from(second & 0x7F),
        _ => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let mut payload = vec![b'a'; usize::try_from(declared.min(MOST_PAYLOAD)).unwrap()];
    if first & 0x0F == 8 && payload.len() >= 2 {
        payload[..2].copy_from_slice(&1000_u16.to_be_bytes());
    }
    if declared > MOST_PAYLOAD {
        payload.clear();
    }
    let mut bytes = vec![first, second];
    bytes.extend_from_slice(extended);
    if second & 0x80 != 0 {
        bytes.extend(PEER_KEY);
        payload.iter_mut().zip(PEER_KEY.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    bytes.extend(payload);
    bytes
}

/// Compares what `end` makes of `bytes`, whole and byte by byte, with the reference.
fn compare(end: End, bytes: &[u8]) {
    let expected = reference::decode(bytes, &end.receiving_rules(&CONFIG));
    for listen in [listen, listen_byte_by_byte] {
        let mut connection = opened(end, &CONFIG);
        let listener = listen(&mut connection, bytes);
        assert_eq!(listener.error, expected.fault, "{end:?} {bytes:02x?}");
        assert_eq!(listener.heard, expected.heard, "{end:?} {bytes:02x?}");
        let sent = read_back(end, &listener.transmitted);
        match (expected.fault, expected.heard.last()) {
            (Some(fault), _) => {
                assert_eq!(connection.ready_state(), ReadyState::Closing);
                let Some(Sent::Frame(Heard::Close(Some(code), _))) = sent.first() else {
                    panic!("no Close: {sent:?}")
                };
                assert_eq!(*code, fault.close_code().get());
                assert_eq!(sent[1..], [Sent::ShutdownWrite]);
            }
            (None, Some(Heard::Close(code, _))) => {
                let reply = Heard::Close(*code, String::new());
                assert_eq!(sent.first(), Some(&Sent::Frame(reply)));
                connection.transport_failed(support::T0);
                let status = connection.close_outcome().unwrap().status;
                assert_eq!(status, code.map_or(CloseStatus::NoStatus, support::status));
            }
            (None, heard) => {
                assert_eq!(connection.ready_state(), ReadyState::Open);
                assert_eq!(connection.payload_remaining(), expected.lacking, "{bytes:02x?}");
                let pongs: &[Sent] = match heard {
                    Some(Heard::Ping(payload)) => &[support::pong_sent(payload)],
                    _ => &[],
                };
                assert_eq!(sent, pongs);
            }
        }
    }
}

/// Compares every pair of first bytes with each length form, behind each beginning.
fn compare_all(end: End) {
    for before in BEFORE {
        let before = support::from_peer(end, before);
        for first in 0..=255 {
            for second in 0..=255 {
                for extended in extended_lengths(second) {
                    let bytes = [&before[..], &frame(first, second, &extended)].concat();
                    compare(end, &bytes);
                }
            }
        }
    }
}

#[test]
fn every_header_to_a_server_is_judged_as_the_reference_does() {
    compare_all(End::Server);
}

#[test]
fn every_header_to_a_client_is_judged_as_the_reference_does() {
    compare_all(End::Client);
}
