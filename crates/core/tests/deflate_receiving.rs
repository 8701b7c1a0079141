//! Compressed messages coming in (RFC 7692 sections 6 and 7.2.2).

#![cfg(feature = "deflate")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    CloseCode, Config, Endpoint, Message, MessageType, ProtocolError, ReadyState, Step,
};

use support::deflate::{CONFIG, agreed, alone, compressing};
use support::endpoint::{Mode, Reader, put, written_frames};
use support::reference::Heard;
use support::{End, Side, T0, frame, from_peer};

fn text(text: &str) -> Heard {
    Heard::message(MessageType::Text, text.into())
}

/// What `endpoint` makes of `frames` (written as a server sends them), read in pieces.
fn read(
    end: End,
    endpoint: &mut Endpoint<Side>,
    frames: &[u8],
    piece: usize,
    mode: Mode,
) -> Reader {
    let mut reader = Reader::default();
    for bytes in from_peer(end, frames).chunks(piece) {
        put(endpoint, bytes);
        reader.read(endpoint, mode, T0);
    }
    reader
}

/// Asserts that `frames` are heard as `expected`, at both ends, in messages and in pieces, whole
/// and cut at each byte.
fn assert_hears(frames: &[u8], expected: &[Heard]) {
    for end in End::BOTH {
        for mode in [Mode::Messages, Mode::Chunks] {
            for piece in [1, 2, 7, usize::MAX] {
                let mut endpoint = compressing(end, &CONFIG, agreed());
                let reader = read(end, &mut endpoint, frames, piece, mode);
                assert_eq!(reader.error, None, "{end:?} {mode:?} {piece} {frames:02x?}");
                assert_eq!(reader.heard, expected, "{end:?} {mode:?} {piece}");
                assert_eq!(endpoint.ready_state(), ReadyState::Open);
            }
        }
    }
}

/// Asserts that `frames` end the connection for `error`, after `expected`.
fn assert_fails(config: &Config, frames: &[u8], expected: &[Heard], error: ProtocolError) {
    for end in End::BOTH {
        for mode in [Mode::Messages, Mode::Chunks] {
            for piece in [1, 3, usize::MAX] {
                let mut endpoint = compressing(end, config, agreed());
                let reader = read(end, &mut endpoint, frames, piece, mode);
                assert_eq!(reader.error, Some(error), "{end:?} {mode:?} {piece} {frames:02x?}");
                assert_eq!(reader.heard, expected, "{end:?} {mode:?} {piece}");
                let code = error.close_code().get();
                let frames = written_frames(end, &mut endpoint);
                let close = matches!(&frames[..], [Heard::Close(Some(sent), _)] if *sent == code);
                assert!(close, "{frames:?}");
            }
        }
    }
}

/// RFC 7692 section 7.2.3.1: one block with fixed codes.
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn rfc_7692_7_2_3_1_hello_in_one_frame_and_in_two() {
    assert_hears(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", &[text("Hello")]);
    assert_hears(b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", &[text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_2_context_is_taken_over() {
    let frames = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
    assert_hears(frames, &[text("Hello"), text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_3_block_without_compression() {
    let frames = b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    assert_hears(frames, &[text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_4_final_block() {
    let hello = b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    assert_hears(hello, &[text("Hello")]);
    // What comes behind it may refer to it, and a message may end with it.
    let again = b"\xc1\x05\xf2\x00\x11\x00\x00";
    assert_hears(&[&hello[..], again].concat(), &[text("Hello"), text("Hello")]);
    // The block whose end is cut off may be the final one.
    let cut_off = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x04";
    assert_hears(&[&cut_off[..], again].concat(), &[text("Hello"), text("Hello")]);
    let bare = b"\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00";
    assert_hears(&[&bare[..], again].concat(), &[text("Hello"), text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_5_two_blocks_in_one_message() {
    let frames = b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00";
    assert_hears(frames, &[text("Hello")]);
}

#[test]
fn rfc_7692_7_2_3_6_empty_message() {
    assert_hears(b"\xc1\x01\x00\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", &[text(""), text("Hello")]);
}

#[test]
fn h08_compressed_message_without_data_is_empty() {
    assert_hears(b"\xc1\x00\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", &[text(""), text("Hello")]);
    assert_hears(b"\x41\x00\x80\x00", &[text("")]);
}

#[test]
fn h11_control_frames_between_compressed_fragments_change_nothing() {
    assert_hears(
        b"\x41\x03\xf2\x48\xcd\x89\x01p\x00\x02\xc9\xc9\x8a\x00\x80\x02\x07\x00",
        &[Heard::Ping(b"p".to_vec()), Heard::Pong(Vec::new()), text("Hello")],
    );
}

#[test]
fn g59_uncompressed_message_between_compressed_ones_is_not_in_the_context() {
    let frames = [
        &frame(0xc1, HELLO)[..],
        b"\x81\x05World",
        // Refers back by five bytes: to what was compressed before.
        b"\xc1\x05\xf2\x00\x11\x00\x00",
    ];
    assert_hears(&frames.concat(), &[text("Hello"), text("World"), text("Hello")]);
}

#[test]
fn h09_rsv1_elsewhere_than_on_the_first_frame_of_a_message_fails() {
    let error = ProtocolError::ReservedBits;
    assert_fails(&CONFIG, b"\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00", &[], error);
    assert_fails(&CONFIG, b"\xc9\x00", &[], error);
    assert_fails(&CONFIG, b"\xa1\x00", &[], error);
    assert_fails(&CONFIG, b"\x91\x00", &[], error);
}

#[test]
fn g60_corrupt_data_fails_with_1007() {
    let error = ProtocolError::CorruptDeflate;
    for data in [
        // A block of the reserved type.
        &b"\x07"[..],
        b"\xff\xff\xff\xff",
        // A block without compression whose lengths do not fit each other.
        b"\x00\x05\x00\xfb\xff\x48\x65\x6c\x6c\x6f\x00",
        // It ends inside a block: after "Hel", before a block's end, inside lengths.
        b"\xf2\x48\xcd",
        b"\xf2\x48\xcd\xc9\xc9",
        b"\x00\x05\x00\xfa\xff\x48\x65",
        b"\x00\x05",
        // It ends between two blocks, but the last is not the one that was cut off.
        b"\xf2\x48\xcd\xc9\xc9\x07",
        // A reference to before the start.
        b"\xf2\x00\x11\x00\x00",
        // Junk behind a final block.
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\xde\xad\xbe\xef",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x01",
    ] {
        assert_fails(&CONFIG, &frame(0xc2, data), &[], error);
    }
    // What came before it was heard.
    let frames = [frame(0xc1, HELLO), frame(0xc1, b"\x07")].concat();
    assert_fails(&CONFIG, &frames, &[text("Hello")], error);
}

#[test]
fn g58_text_is_validated_inflated() {
    // "Hello" but that its second byte is 0xFF, without compression.
    let bad = b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\xff\x6c\x6c\x6f\x00";
    assert_fails(&CONFIG, bad, &[], ProtocolError::InvalidUtf8);
    // The same is no text, and no fault.
    let mut good = *bad;
    good[0] = 0xc2;
    assert_hears(
        &good,
        &[Heard::message(MessageType::Binary, b"H\xfflo"[..].into())]
            .map(|_| Heard::message(MessageType::Binary, b"H\xffllo".to_vec())),
    );
    // A text that ends inside a character.
    let cut = b"\xc1\x07\x00\x01\x00\xfe\xff\xc3\x00";
    assert_fails(&CONFIG, cut, &[], ProtocolError::InvalidUtf8);
    // A character that is cut by fragments and by blocks.
    let cut = b"\x41\x06\x00\x01\x00\xfe\xff\xc3\x80\x07\x00\x01\x00\xfe\xff\xa4\x00";
    assert_hears(cut, &[text("\u{e4}")]);
}

#[test]
fn h07_limit_is_exact_on_the_inflated_size() {
    // Blocks of 5 bytes without compression, and empty ones.
    let hello = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f";
    let empty = b"\x00\x00\x00\xff\xff";
    let ten = frame(0xc2, &[&hello[..], empty, hello, empty, empty, b"\x00"].concat());
    let limited = |max_message_length| Config { max_message_length, ..CONFIG };
    for limit in [10, 11] {
        for end in End::BOTH {
            let mut endpoint = compressing(end, &limited(limit), agreed());
            let reader = read(end, &mut endpoint, &ten, usize::MAX, Mode::Messages);
            assert_eq!((reader.error, reader.heard.len()), (None, 1), "{limit}");
        }
    }
    for limit in [0, 1, 9] {
        assert_fails(&limited(limit), &ten, &[], ProtocolError::MessageTooBig);
    }
    // The limit is for each message.
    let twice = [ten.clone(), ten.clone()].concat();
    let mut endpoint = compressing(End::Server, &limited(10), agreed());
    let reader = read(End::Server, &mut endpoint, &twice, 3, Mode::Messages);
    assert_eq!((reader.error, reader.heard.len()), (None, 2));
}

#[test]
fn without_takeover_each_message_stands_alone() {
    for end in End::BOTH {
        let mut endpoint = compressing(end, &CONFIG, alone());
        let frames = [frame(0xc1, HELLO), frame(0xc1, HELLO)].concat();
        let reader = read(end, &mut endpoint, &frames, usize::MAX, Mode::Messages);
        assert_eq!(reader.heard, [text("Hello"), text("Hello")]);
        // A message of one fragment is not begun anew by the next.
        let reader = read(
            end,
            &mut endpoint,
            b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
            1,
            Mode::Messages,
        );
        assert_eq!(reader.heard, [text("Hello")]);
        // But nothing before it can be referred to.
        let reader = read(end, &mut endpoint, b"\xc1\x05\xf2\x00\x11\x00\x00", 99, Mode::Messages);
        assert_eq!(reader.error, Some(ProtocolError::CorruptDeflate));
    }
}

#[test]
fn a_large_message_comes_whole_or_in_flat_pieces() {
    // 1 MiB of zeros in one block with fixed codes: 258 zeros are 7 + 1 + 5 bits.
    let zeros = vec![0_u8; 1 << 20];
    let mut sender = compressing(End::Server, &CONFIG, agreed());
    sender.send_binary(&zeros).unwrap();
    let (bytes, _) = support::endpoint::write_all(&mut sender);
    assert!(bytes.len() < 16 * 1024, "{}", bytes.len());
    for mode in [Mode::Messages, Mode::Chunks] {
        for piece in [1, 100, usize::MAX] {
            let mut endpoint = compressing(End::Client, &CONFIG, agreed());
            let reader = read(End::Client, &mut endpoint, &bytes, piece, mode);
            assert_eq!(reader.error, None);
            assert_eq!(reader.heard, [Heard::message(MessageType::Binary, zeros.clone())]);
            if mode == Mode::Chunks {
                assert!(endpoint.buffer_capacity() < 128 * 1024, "{}", endpoint.buffer_capacity());
            }
        }
    }
}

#[test]
fn message_that_is_only_looked_at_does_not_come_again_behind_an_uncompressed_one() {
    let hello: &[u8] = b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00";
    let frames = [hello, b"\x81\x05World", hello, b"\x81\x01!", hello].concat();
    for end in End::BOTH {
        for mode in [Mode::Messages, Mode::Lent, Mode::Chunks] {
            let mut endpoint = compressing(end, &CONFIG, alone());
            let reader = read(end, &mut endpoint, &frames, usize::MAX, mode);
            assert_eq!(
                reader.heard,
                ["Hello", "World", "Hello", "!", "Hello"].map(text),
                "{mode:?}"
            );
        }
    }
}

#[test]
fn short_cut_for_whole_messages_leaves_compressed_ones_alone() {
    let hello = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
    for end in End::BOTH {
        let mut endpoint = compressing(end, &CONFIG, agreed());
        put(&mut endpoint, &from_peer(end, &[&b"\x81\x05World"[..], hello].concat()));
        assert_eq!(endpoint.next_whole(T0), Ok(true));
        assert_eq!(endpoint.take_message(), Some(Message::text("World")));
        assert_eq!(endpoint.next_whole(T0), Ok(false));
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
        assert_eq!(endpoint.take_message(), Some(Message::text("Hello")));
        assert_eq!(endpoint.next_message(T0), Ok(None));
    }
}

#[test]
fn read_buffer_that_was_taken_out_inflates() {
    let frames = b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00";
    for end in End::BOTH {
        let mut endpoint = compressing(end, &CONFIG, agreed());
        let mut buffer = endpoint.take_read_buffer();
        let mut messages = 0;
        for byte in from_peer(end, frames) {
            buffer.room(100).extend_from_slice(&[byte]);
            while let Some(step) = endpoint.next_message_in(&mut buffer, T0).unwrap() {
                assert_eq!(step, Step::Message);
                assert_eq!(buffer.message().unwrap().payload(), b"Hello");
                assert_eq!(buffer.take_message(), Some(Message::text("Hello")));
                messages += 1;
            }
        }
        assert_eq!(messages, 2);
        buffer.room(100).extend_from_slice(&from_peer(end, b"\xc1\x01\x07"));
        let error = endpoint.next_chunk_in(&mut buffer, T0);
        assert_eq!(error, Err(ProtocolError::CorruptDeflate));
        assert_eq!(endpoint.ready_state(), ReadyState::Closing);
    }
}

#[test]
fn compressed_message_behind_the_handshake_is_heard() {
    for end in End::BOTH {
        let mut endpoint = Endpoint::new(end.role(), &CONFIG, T0);
        let mut extensions = NegotiatedExtensions::default();
        extensions.deflate = Some(agreed());
        let leftover = from_peer(end, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
        endpoint.open(extensions, leftover.as_slice().into(), T0);
        assert_eq!(endpoint.extensions(), extensions);
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
        assert_eq!(endpoint.message().unwrap().text(), Some("Hello"));
    }
}

#[test]
fn endpoint_that_has_gathered_a_part_of_a_message_is_not_idle() {
    for end in End::BOTH {
        let mut endpoint = compressing(end, &CONFIG, agreed());
        put(&mut endpoint, &from_peer(end, b"\x41\x03\xf2\x48\xcd"));
        assert_eq!(endpoint.next_message(T0), Ok(None));
        assert!(!endpoint.is_idle(), "three bytes have not been handed out");
        put(&mut endpoint, &from_peer(end, b"\x80\x04\xc9\xc9\x07\x00"));
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
        assert_eq!(endpoint.take_message(), Some(Message::text("Hello")));
        assert_eq!(endpoint.next_message(T0), Ok(None));
        assert!(endpoint.is_idle());
    }
}

#[test]
fn message_that_is_only_looked_at_does_not_come_out_in_pieces_of_a_later_one() {
    let mut endpoint = compressing(End::Client, &CONFIG, agreed());
    // A compressed message in two fragments, a short one, and a third in fragments, in one read.
    put(
        &mut endpoint,
        b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00\x81\x05World\
          \x01\x03abc\x00\x03def\x80\x03ghi",
    );
    for expected in ["Hello", "World"] {
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
        assert_eq!(endpoint.message().unwrap().text(), Some(expected));
    }
    for expected in ["abc", "def", "ghi"] {
        assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
        assert_eq!(endpoint.chunk().unwrap().payload, expected.as_bytes());
    }
    assert_eq!(endpoint.next_chunk(T0), Ok(None));
}

#[test]
fn nothing_is_inflated_after_the_connection_has_failed() {
    let zeros = vec![0_u8; 1 << 20];
    let mut sender = compressing(End::Server, &CONFIG, agreed());
    sender.send_binary(&zeros).unwrap();
    let (bytes, _) = support::endpoint::write_all(&mut sender);
    let mut endpoint = compressing(End::Client, &CONFIG, agreed());
    put(&mut endpoint, &bytes);
    assert_eq!(endpoint.next_chunk(T0), Ok(Some(Step::Chunk)));
    endpoint.fail(CloseCode::POLICY_VIOLATION, "", T0).unwrap();
    assert_eq!(endpoint.next_chunk(T0), Ok(None));
    endpoint.receive_eof(T0);
    assert_eq!(endpoint.next_chunk(T0), Ok(None));
    assert_eq!(endpoint.close_outcome().unwrap().failure, None);
}
