//! Text, validated as it comes (RFC 6455 section 8.1).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{Config, ProtocolError};

use support::reference::Heard;
use support::{
    End, T0, assert_fails, assert_hears, frame, from_peer, listen, listen_byte_by_byte, opened,
};

const CONFIG: Config = Config::DEFAULT;

/// Texts that are not UTF-8, each with the number of bytes after which none could be.
const INVALID: [(&[u8], usize); 11] = [
    (b"\x80", 1),                     // a continuation byte alone
    (b"\xc0\xaf", 1),                 // "/" in two bytes
    (b"\xe0\x80\xaf", 2),             // ... in three
    (b"\xf0\x80\x80\xaf", 2),         // ... in four
    (b"\xed\xa0\x80", 2),             // the surrogate U+D800
    (b"\xed\xbf\xbf", 2),             // the surrogate U+DFFF
    (b"\xf4\x90\x80\x80", 2),         // U+110000
    (b"\xf5\x80\x80\x80", 1),         // would be past U+10FFFF
    (b"\xff", 1),                     // never a byte of UTF-8
    (b"\xce\xba\xe1\xbd\xb9\xff", 6), // "κό", and a byte that is none
    (b"\xce\xba\xe1\x61", 4),         // "κ", and a character broken off by "a"
];

#[test]
fn g58_text_that_is_not_utf_8_fails_with_1007() {
    for end in End::BOTH {
        for (text, _) in INVALID {
            assert_fails_with_no_text(end, &frame(0x81, text));
        }
    }
}

#[test]
fn g58_text_fails_at_the_first_impossible_byte() {
    for end in End::BOTH {
        for (text, at) in INVALID {
            // A text of 100 bytes, most of which never come.
            let mut bytes = vec![0x81, 100];
            bytes.extend_from_slice(text);
            let headed = from_peer(end, &bytes).len() - text.len();
            let bytes = from_peer(end, &bytes);
            let mut connection = opened(end, &CONFIG);
            let mut listener = listen_byte_by_byte(&mut connection, &bytes[..headed + at - 1]);
            assert_eq!(listener.error, None, "{text:02x?}");
            listener.feed(&mut connection, &bytes[headed + at - 1..headed + at], T0);
            assert_eq!(listener.error, Some(ProtocolError::InvalidUtf8), "{text:02x?}");
            // In one piece it fails too, though the frame is not whole.
            let listener = listen(&mut opened(end, &CONFIG), &bytes[..headed + at]);
            assert_eq!(listener.error, Some(ProtocolError::InvalidUtf8), "{text:02x?}");
        }
    }
}

#[test]
fn g58_text_that_ends_inside_a_character_fails_with_1007() {
    for end in End::BOTH {
        for text in ["é", "€", "😀"] {
            for cut in 1..text.len() {
                let cut = &text.as_bytes()[..cut];
                assert_fails_with_no_text(end, &frame(0x81, cut));
                // The same, with the end in a frame of its own.
                let fragments = [frame(0x01, cut), frame(0x80, b"")].concat();
                assert_fails_with_no_text(end, &fragments);
            }
        }
    }
}

#[test]
fn g58_character_cut_by_fragments_is_heard() {
    let text = "κόσμε €😀\u{10FFFF}\u{0}";
    for end in End::BOTH {
        for cut in 0..=text.len() {
            let (first, last) = text.as_bytes().split_at(cut);
            // A ping between the fragments leaves the character alone.
            let bytes = [frame(0x01, first), frame(0x89, b"\xff"), frame(0x80, last)].concat();
            assert_hears(end, &CONFIG, &bytes, &[Heard::Ping(b"\xff".to_vec()), Heard::text(text)]);
        }
        // One byte in each fragment.
        let mut bytes = frame(0x01, b"");
        text.bytes().for_each(|byte| bytes.extend([0x00, 0x01, byte]));
        bytes.extend(frame(0x80, b""));
        assert_hears(end, &CONFIG, &bytes, &[Heard::text(text)]);
    }
}

#[test]
fn g58_character_that_the_next_fragment_breaks_fails_with_1007() {
    for end in End::BOTH {
        // The first two bytes of "€", an empty fragment, then "a" with more to come.
        let bytes = b"\x01\x02\xe2\x82\x00\x00\x00\x05a";
        assert_fails_with_no_text(end, bytes);
    }
}

#[test]
fn g58_binary_is_not_judged() {
    for end in End::BOTH {
        for (bytes, _) in INVALID {
            let message = [frame(0x02, bytes), frame(0x80, bytes)].concat();
            assert_hears(end, &CONFIG, &message, &[Heard::Binary(bytes.repeat(2))]);
        }
    }
}

#[test]
fn g58_next_text_begins_afresh() {
    for end in End::BOTH {
        // A text of two fragments, a binary message that ends inside a character, a text.
        let bytes = b"\x01\x01a\x80\x02\xc3\xa9\x82\x01\xc3\x81\x01b";
        let binary = Heard::Binary(b"\xc3".to_vec());
        assert_hears(end, &CONFIG, bytes, &[Heard::text("aé"), binary, Heard::text("b")]);
    }
}

fn assert_fails_with_no_text(end: End, frames: &[u8]) {
    assert_fails(end, &CONFIG, frames, ProtocolError::InvalidUtf8, 1007);
}
