//! Messages read from the buffered endpoint: whole without a copy, or in pieces.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use bytes::BytesMut;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Config, Endpoint, Message, MessageType, ProtocolError, ReadyState, Step, TransportStep,
};

use support::endpoint::{Mode, Reader, endpoint, hear, put, write_all, written_frames};
use support::reference::Heard;
use support::{End, Side, T0, frame, from_peer, status};

const CONFIG: Config = Config::DEFAULT;

/// The next step in whole messages.
fn next(endpoint: &mut Endpoint<Side>) -> Option<Step> {
    endpoint.next_message(T0).unwrap()
}

/// Puts in `frames` (written as a server sends them) in one read; returns where they lie.
fn put_frames(end: End, endpoint: &mut Endpoint<Side>, frames: &[u8]) -> core::ops::Range<usize> {
    let room = endpoint.read_room();
    room.extend_from_slice(&from_peer(end, frames));
    let start = room.as_ptr().addr();
    start..start + room.len()
}

/// Asserts that `part` lies in `memory`: nothing was copied to another place.
fn assert_lies_in(memory: &core::ops::Range<usize>, part: &[u8]) {
    let start = part.as_ptr().addr();
    assert!(memory.contains(&start) && start + part.len() <= memory.end, "copied elsewhere");
}

#[test]
fn message_is_lent_and_taken_where_it_was_read() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        let payload = vec![b'x'; 5000];
        let memory = put_frames(end, &mut endpoint, &frame(0x82, &payload));
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        let lent = endpoint.message().unwrap();
        assert_eq!((lent.message_type(), lent.payload()), (MessageType::Binary, &payload[..]));
        assert_lies_in(&memory, lent.payload());
        let address = lent.payload().as_ptr();
        let message = endpoint.take_message().unwrap();
        assert_eq!(message.payload(), payload);
        assert_eq!(message.payload().as_ptr(), address, "taking copies nothing");
        assert!(endpoint.message().is_none() && endpoint.take_message().is_none());
        assert_eq!(next(&mut endpoint), None);
        // What is read next does not overwrite a message that was taken.
        let mut reader = Reader::default();
        for _ in 0..10 {
            put_frames(end, &mut endpoint, &frame(0x82, &[b'y'; 5000]));
            reader.read(&mut endpoint, Mode::Messages, T0);
        }
        assert_eq!(reader.heard, vec![Heard::Binary(vec![b'y'; 5000]); 10]);
        assert_eq!(message.payload(), payload);
    }
}

#[test]
fn message_in_fragments_is_joined_where_it_was_read() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // "Hel", a ping "1", "l", a pong, an empty fragment, "o", and a second message "b".
        let frames = b"\x01\x03Hel\x89\x011\x00\x01l\x8a\x00\x00\x00\x80\x01o\x82\x01b";
        let memory = put_frames(end, &mut endpoint, frames);
        assert!(matches!(next(&mut endpoint), Some(Step::Ping(payload)) if &*payload == b"1"));
        assert!(matches!(next(&mut endpoint), Some(Step::Pong(payload)) if payload.is_empty()));
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        let lent = endpoint.message().unwrap();
        assert_eq!(lent.text(), Some("Hello"));
        assert_lies_in(&memory, lent.payload());
        assert_eq!(lent.to_message(), Message::text("Hello"));
        let message = endpoint.take_message().unwrap();
        assert_eq!(message, Message::text("Hello"));
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        assert_lies_in(&memory, endpoint.message().unwrap().payload());
        assert_eq!(endpoint.take_message(), Some(Message::from(&b"b"[..])));
        assert_eq!(next(&mut endpoint), None);
        assert_eq!(written_frames(end, &mut endpoint), [Heard::Pong(b"1".to_vec())]);
    }
}

/// A small message that is kept does not keep the read buffer with it; a longer one is not copied.
#[test]
fn taken_messages_up_to_1_kib_are_copied_and_longer_ones_are_split_off() {
    for end in End::BOTH {
        for opcode in [0x81, 0x82] {
            for (length, copied) in [(1, true), (1024, true), (1025, false), (9000, false)] {
                let mut endpoint = endpoint(end, &CONFIG);
                let memory = put_frames(end, &mut endpoint, &frame(opcode, &vec![b'x'; length]));
                assert_eq!(next(&mut endpoint), Some(Step::Message));
                let message = endpoint.take_message().unwrap();
                assert_eq!(message.payload(), vec![b'x'; length]);
                let start = message.payload().as_ptr().addr();
                assert_eq!(memory.contains(&start), !copied, "{length}");
            }
        }
    }
}

#[test]
fn small_binary_message_is_taken_by_itself_and_any_other_left() {
    for end in End::BOTH {
        for (length, text, small) in
            [(0, false, true), (1024, false, true), (1025, false, false), (5, true, false)]
        {
            let payload = vec![b'x'; length];
            let mut endpoint = endpoint(end, &CONFIG);
            put_frames(end, &mut endpoint, &frame(if text { 0x81 } else { 0x82 }, &payload));
            assert_eq!(endpoint.take_small(), None);
            assert_eq!(next(&mut endpoint), Some(Step::Message));
            let taken = endpoint.take_small();
            assert_eq!(taken.as_deref(), small.then_some(&payload[..]));
            let rest = endpoint.take_message().map(Message::into_payload);
            assert_eq!(rest.as_deref(), (!small).then_some(&payload[..]));
        }
        // Nor is a piece taken as a message.
        let mut endpoint = endpoint(end, &CONFIG);
        put_frames(end, &mut endpoint, b"\x82\x01a");
        assert_eq!(endpoint.next_chunk(T0).unwrap(), Some(Step::Chunk));
        assert_eq!((endpoint.take_small(), endpoint.take_message()), (None, None));
        assert_eq!(endpoint.chunk().unwrap().payload, b"a");
    }
}

#[test]
fn what_is_unread_is_known_before_the_next_step() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert!(!endpoint.has_unread());
        // A whole message, and the start of another.
        put_frames(end, &mut endpoint, b"\x82\x01a\x01\x01b");
        assert!(endpoint.has_unread());
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        assert_eq!(endpoint.take_message(), Some(Message::binary(&b"a"[..])));
        assert!(endpoint.has_unread());
        assert_eq!(next(&mut endpoint), None);
        // What was gathered can still be had in pieces.
        assert!(endpoint.has_unread());
        assert_eq!(endpoint.next_chunk(T0).unwrap(), Some(Step::Chunk));
        put_frames(end, &mut endpoint, b"\x80\x01c");
        assert_eq!(endpoint.next_chunk(T0).unwrap(), Some(Step::Chunk));
        // Lent, until the next step.
        assert!(endpoint.has_unread());
        assert_eq!(next(&mut endpoint), None);
        assert!(!endpoint.has_unread());
    }
}

#[test]
fn several_messages_in_one_read_are_taken_one_after_the_other() {
    for end in End::BOTH {
        for take in [false, true] {
            let mut endpoint = endpoint(end, &CONFIG);
            let mut frames = Vec::new();
            for number in 0..100_u8 {
                frames.extend(frame(0x82, &vec![number; usize::from(number)]));
            }
            let memory = put_frames(end, &mut endpoint, &frames);
            let mut taken = Vec::new();
            for number in 0..100_u8 {
                assert_eq!(next(&mut endpoint), Some(Step::Message));
                let expected = vec![number; usize::from(number)];
                let lent = endpoint.message().unwrap().payload();
                assert_eq!(lent, expected);
                if number > 0 {
                    assert_lies_in(&memory, lent);
                }
                // A message that is not taken is dropped by the next call.
                if take {
                    taken.push((endpoint.take_message().unwrap(), expected));
                }
            }
            assert_eq!(next(&mut endpoint), None);
            assert!(taken.iter().all(|(message, expected)| message.payload() == expected));
        }
    }
}

#[test]
fn large_message_over_many_reads_is_heard() {
    let payload: Vec<u8> =
        (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ 0x5A).collect();
    for end in End::BOTH {
        // In one frame, and in fragments that never match the reads.
        let whole = frame(0x82, &payload);
        let mut fragments = frame(0x02, b"");
        for piece in payload.chunks(7919) {
            fragments.extend(frame(0x00, piece));
            fragments.extend(b"\x8a\x01p");
        }
        fragments.extend(frame(0x80, b""));
        for bytes in [whole, fragments] {
            let bytes = from_peer(end, &bytes);
            for piece in [1000, 16_384, 100_000] {
                let mut endpoint = endpoint(end, &CONFIG);
                let mut reader = hear(&mut endpoint, &bytes, piece);
                reader.heard.retain(|heard| matches!(heard, Heard::Binary(_)));
                assert!(reader.heard == [Heard::Binary(payload.clone())], "{end:?} {piece}");
            }
        }
    }
}

#[test]
fn chunks_are_lent_where_they_were_read() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // "Hel" of a text of 5 bytes, in two fragments; the rest comes later.
        let memory = put_frames(end, &mut endpoint, b"\x01\x02He");
        assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
        let chunk = endpoint.chunk().unwrap();
        assert_eq!((chunk.message_type, chunk.payload), (MessageType::Text, &b"He"[..]));
        assert!(chunk.is_first && !chunk.is_last);
        assert_lies_in(&memory, chunk.payload);
        // A piece is no message.
        assert!(endpoint.message().is_none() && endpoint.take_message().is_none());
        assert_eq!(endpoint.next_chunk(T0), Ok(None));
        assert!(endpoint.chunk().is_none());
        // Nor is the last one.
        put_frames(end, &mut endpoint, b"\x80\x03llo");
        assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
        let chunk = endpoint.chunk().unwrap();
        assert!(!chunk.is_first && chunk.is_last);
        assert!(endpoint.message().is_none() && endpoint.take_message().is_none());
    }
}

#[test]
fn large_message_in_chunks_takes_flat_memory() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        let bytes = from_peer(end, &frame(0x82, &vec![b'x'; 4 << 20]));
        let mut length = 0;
        for piece in bytes.chunks(16_384) {
            put(&mut endpoint, piece);
            while let Some(step) = endpoint.next_chunk(T0).unwrap() {
                assert_eq!(step, Step::Chunk);
                let chunk = endpoint.chunk().unwrap();
                assert_eq!(chunk.is_first, length == 0);
                length += chunk.payload.len();
                assert_eq!(chunk.is_last, length == 4 << 20);
            }
            assert!(endpoint.buffer_capacity() <= 64 * 1024);
        }
        assert_eq!(length, 4 << 20);
    }
}

#[test]
fn changing_from_messages_to_chunks_gives_what_was_gathered_first() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put_frames(end, &mut endpoint, b"\x02\x02ab\x00\x02cd");
        assert_eq!(next(&mut endpoint), None);
        assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
        let chunk = endpoint.chunk().unwrap();
        assert_eq!((chunk.payload, chunk.is_first, chunk.is_last), (&b"abcd"[..], true, false));
        assert_eq!(endpoint.next_chunk(T0), Ok(None));
        put_frames(end, &mut endpoint, b"\x80\x02ef");
        assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
        let chunk = endpoint.chunk().unwrap();
        assert_eq!((chunk.payload, chunk.is_first, chunk.is_last), (&b"ef"[..], false, true));
        assert_eq!(endpoint.next_chunk(T0), Ok(None));
    }
}

#[test]
fn changing_from_chunks_to_messages_gives_the_rest() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put_frames(end, &mut endpoint, b"\x01\x02ab");
        assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
        assert_eq!(endpoint.chunk().unwrap().payload, b"ab");
        put_frames(end, &mut endpoint, b"\x00\x02cd\x89\x00\x80\x02ef\x81\x01g");
        assert!(matches!(next(&mut endpoint), Some(Step::Ping(_))));
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        assert_eq!(endpoint.take_message(), Some(Message::text("cdef")));
        // The next message is whole.
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        assert_eq!(endpoint.take_message(), Some(Message::text("g")));
    }
}

#[test]
fn empty_messages_are_heard() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // An empty text, an empty binary message, an empty text in three fragments.
        let bytes = from_peer(end, b"\x81\x00\x82\x00\x01\x00\x00\x00\x80\x00");
        let expected = [Heard::text(""), Heard::Binary(vec![]), Heard::text("")];
        assert_eq!(hear(&mut endpoint, &bytes, 1).heard, expected);
        assert_eq!(hear(&mut endpoint, &bytes, 100).heard, expected);
    }
}

#[test]
fn bytes_left_over_from_the_handshake_are_read_first() {
    for end in End::BOTH {
        // A message "Hi", and the start of one that goes on in the first read.
        let bytes = from_peer(end, b"\x81\x02Hi\x82\x04wxyz");
        for cut in 0..=bytes.len() {
            let mut endpoint = Endpoint::new(end.role(), &CONFIG, T0);
            endpoint.open(NegotiatedExtensions::default(), BytesMut::from(&bytes[..cut]), T0);
            let mut reader = Reader::default();
            reader.read(&mut endpoint, Mode::Messages, T0);
            put(&mut endpoint, &bytes[cut..]);
            reader.read(&mut endpoint, Mode::Messages, T0);
            assert_eq!(reader.heard, [Heard::text("Hi"), Heard::Binary(b"wxyz".to_vec())]);
        }
    }
}

#[test]
fn fault_of_the_peer_is_told_once_and_the_adapter_just_goes_on() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // A message "a", a first fragment, a new message inside it, and another one.
        let bytes = from_peer(end, b"\x81\x01a\x01\x01b\x81\x01c\x81\x01d");
        let reader = hear(&mut endpoint, &bytes, 100);
        assert_eq!(reader.heard, [Heard::text("a")]);
        assert_eq!(reader.error, Some(ProtocolError::ExpectedContinuation));
        let close = Heard::Close(Some(1002), "message not finished".to_owned());
        assert_eq!(written_frames(end, &mut endpoint), [close]);
        // The end of sending, then whatever comes is swallowed.
        assert_eq!(hear(&mut endpoint, &bytes, 100), Reader::default());
        endpoint.receive_eof(T0);
        assert_eq!(write_all(&mut endpoint), (vec![], TransportStep::Close));
        let outcome = endpoint.close_outcome().unwrap();
        assert_eq!(outcome.failure, Some(ProtocolError::ExpectedContinuation));
    }
}

#[test]
fn close_inside_a_message_drops_the_message() {
    for end in End::BOTH {
        for mode in [Mode::Messages, Mode::Chunks] {
            let mut endpoint = endpoint(end, &CONFIG);
            put_frames(end, &mut endpoint, b"\x01\x01a\x88\x02\x03\xe8\x80\x01b");
            let mut reader = Reader::default();
            reader.read(&mut endpoint, mode, T0);
            assert_eq!(reader.heard, [Heard::Close(None, String::new())]);
            assert_eq!(reader.error, None);
            assert_eq!(endpoint.ready_state(), ReadyState::Closing);
            // Nothing of the message is left, in neither form, and nothing holds the buffer.
            assert_eq!(endpoint.next_chunk(T0), Ok(None));
            assert!(endpoint.release_read_buffer().is_some());
            endpoint.receive_eof(T0);
            assert_eq!(endpoint.close_outcome().unwrap().status, status(1000));
        }
    }
}

#[test]
fn rest_of_a_text_left_inside_a_character_comes_as_bytes() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // "\u{e9}" is C3 A9; the first fragment ends between the two bytes.
        put_frames(end, &mut endpoint, &frame(0x01, b"\xc3"));
        assert_eq!(endpoint.next_chunk(T0).unwrap(), Some(Step::Chunk));
        put_frames(end, &mut endpoint, &frame(0x80, b"\xa9!"));
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        assert_eq!(endpoint.take_message(), Some(Message::binary(&b"\xa9!"[..])));
    }
}

#[test]
fn short_cut_takes_a_message_at_hand_whole_and_leaves_the_rest_alone() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert_eq!(endpoint.next_whole(T0), Ok(false), "nothing is at hand");
        put_frames(end, &mut endpoint, &frame(0x81, b"Hello"));
        assert_eq!(endpoint.next_whole(T0), Ok(true));
        assert_eq!(endpoint.take_message(), Some(Message::text("Hello")));
        // A ping, and a fragment: the short cut sees neither, however often it is asked.
        put_frames(end, &mut endpoint, &frame(0x89, b"ping"));
        assert_eq!((endpoint.next_whole(T0), endpoint.next_whole(T0)), (Ok(false), Ok(false)));
        assert!(matches!(next(&mut endpoint), Some(Step::Ping(_))));
        put_frames(end, &mut endpoint, &frame(0x01, b"He"));
        assert_eq!((endpoint.next_whole(T0), endpoint.next_whole(T0)), (Ok(false), Ok(false)));
        assert_eq!(next(&mut endpoint), None);
        // The rest of the fragmented message, and a message behind it.
        put_frames(end, &mut endpoint, &[frame(0x80, b"llo"), frame(0x82, b"more")].concat());
        assert_eq!(endpoint.next_whole(T0), Ok(false));
        assert_eq!(next(&mut endpoint), Some(Step::Message));
        assert_eq!(endpoint.message().unwrap().payload(), b"Hello");
        assert_eq!(endpoint.next_whole(T0), Ok(true));
        assert_eq!(endpoint.message().unwrap().payload(), b"more");
    }
}

#[test]
fn short_cut_takes_either_type_with_a_length_of_7_or_16_bits() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        for length in [0, 125, 126, 127, 65_535] {
            for (first, message_type) in [(0x81, MessageType::Text), (0x82, MessageType::Binary)] {
                let payload = vec![b'x'; length];
                put_frames(end, &mut endpoint, &frame(first, &payload));
                assert_eq!(endpoint.next_whole(T0), Ok(true), "{message_type:?} {length}");
                let message = endpoint.message().unwrap();
                assert_eq!(
                    (message.message_type(), message.payload()),
                    (message_type, &payload[..])
                );
            }
        }
    }
}

#[test]
fn short_cut_fails_the_connection_as_the_long_way_does() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put_frames(end, &mut endpoint, &frame(0x81, b"\xff"));
        assert_eq!(endpoint.next_whole(T0), Err(ProtocolError::InvalidUtf8));
        assert_eq!(endpoint.ready_state(), ReadyState::Closing);
        assert!(endpoint.buffered_amount() > 0, "the Close frame is queued at once");
        assert!(endpoint.take_message().is_none());
        assert_eq!(endpoint.next_whole(T0), Ok(false), "told once");
        let frames = written_frames(end, &mut endpoint);
        assert!(matches!(&frames[..], [Heard::Close(Some(1007), _)]), "{frames:?}");
    }
}
