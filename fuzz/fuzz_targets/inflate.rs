//! Compressed data, hostile or not: what is accepted is what a naive inflater makes of it, within
//! the limit, in bounded memory, and however it is cut.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::{Config, Endpoint, ProtocolError, Timestamp};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};
use support::deflate::{ALL, agreed, compressing};
use support::endpoint::{Mode, Reader, put};
use support::inflater::Naive;
use support::reference::Heard;
use support::{End, Side, ZERO_KEY, frame, masked};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LIMIT: usize = 40_000;

const CONFIG: Config =
    Config { max_message_length: LIMIT as u64, deflate: Some(ALL), ..Config::DEFAULT };

/// What `docs/security.md` states: the state, the read buffer, the message twice over, what waits
/// to be written; and with takeover the window, and the decompressor.
const MOST_MEMORY: usize = 1024 + 64 * 1024 + 2 * LIMIT + 64 * 1024 + 35_112 + 64_136;

/// A message with RSV1 on its first frame (RFC 7692 section 6), in two frames if `cut` is inside.
fn message(first: u8, data: &[u8], cut: usize) -> Vec<u8> {
    let frames = match data.split_at_checked(cut) {
        Some((one, two)) => [frame(first & 0x7F, one), frame(0x80, two)].concat(),
        None => frame(first, data),
    };
    masked(&frames, ZERO_KEY)
}

fn server() -> Endpoint<Side> {
    compressing(End::Server, &CONFIG, agreed())
}

fn read(bytes: &[u8], piece: usize, mode: Mode) -> Reader {
    let mut server = server();
    let mut reader = Reader::default();
    for piece in bytes.chunks(piece) {
        put(&mut server, piece);
        reader.read(&mut server, mode, Timestamp::ZERO);
    }
    reader
}

/// Holds what was `heard` of the messages in `data` against the naive inflater.
fn compare(reader: &Reader, data: &[&[u8]]) {
    let mut naive = Naive::default();
    for (index, data) in data.iter().enumerate() {
        // A message without any data is empty, and no DEFLATE (see H8 in `docs/security.md`).
        let expected = if data.is_empty() { Ok(vec![]) } else { naive.message(data) };
        let heard = reader.heard.get(index).map(|heard| match heard {
            Heard::Text(text) => text.as_bytes(),
            Heard::Binary(bytes) => bytes,
            other => panic!("{other:?}"),
        });
        match (expected, heard) {
            (Ok(expected), Some(heard)) => {
                assert_eq!(expected, heard);
                assert!(heard.len() <= LIMIT);
            }
            // Nothing was read behind the block that says that it is the last one.
            (Err(malformed), Some(_)) => {
                assert!(malformed.is_final, "what is not DEFLATE was accepted");
                return;
            }
            (Ok(expected), None) => {
                // The naive one knows no limit, is no judge of text, and takes codes that are not
                // complete and distances past the window.
                assert!(reader.error.is_some());
                let too_big = reader.error == Some(ProtocolError::MessageTooBig);
                assert!(!too_big || expected.len() > LIMIT, "refused within the limit");
                return;
            }
            (Err(_), None) => {
                assert!(reader.error.is_some());
                return;
            }
        }
    }
    assert_eq!(reader.error, None);
}

fuzz_target!(|input: &[u8]| {
    let [manner, split, rest @ ..] = input else {
        return;
    };
    // Two messages, so that the second may refer to the first.
    let (one, two) = rest.split_at(rest.len() * usize::from(*split) / 255);
    let first = if manner & 2 == 0 { 0xC2 } else { 0xC1 };
    let cut = if manner & 1 == 0 { usize::MAX } else { one.len() / 2 };
    let data: &[&[u8]] = if two.is_empty() { &[one] } else { &[one, two] };
    let bytes = data.iter().flat_map(|data| message(first, data, cut)).collect::<Vec<_>>();
    let whole = read(&bytes, usize::MAX, Mode::Messages);
    compare(&whole, data);
    for (piece, mode) in [(1, Mode::Messages), (7, Mode::Lent)] {
        assert_eq!(read(&bytes, piece, mode), whole);
    }
    // In chunks a message may have begun when the error comes; what is heard whole is the same.
    for piece in [usize::MAX, 1, 5] {
        let chunks = read(&bytes, piece, Mode::Chunks);
        assert_eq!((&chunks.heard, chunks.error), (&whole.heard, whole.error));
    }

    let ((), held, most) = counted(|| {
        let mut server = server();
        for piece in bytes.chunks(100) {
            put(&mut server, piece);
            while let Ok(Some(_)) = server.next_message(Timestamp::ZERO) {
                drop(server.take_message());
            }
        }
    });
    assert_eq!(held, 0, "bytes leaked");
    assert!(most.unsigned_abs() <= MOST_MEMORY, "{most} bytes");
});
