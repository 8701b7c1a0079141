//! Messages sent on the buffered endpoint: whole, prepared, in fragments.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use bytes::Bytes;

use duologue_core::{
    Config, Endpoint, MAX_SLICES, Message, MessageType, Prepared, ReadyState, SendError,
    TransportStep,
};

use support::endpoint::{Mode, Reader, endpoint, put, write_all, written_frames};
use support::reference::{self, Heard};
use support::{End, Side, T0, code, from_peer};

const CONFIG: Config = Config::DEFAULT;

const TEXT: MessageType = MessageType::Text;
const BINARY: MessageType = MessageType::Binary;

/// The addresses and lengths of the slices to be written next.
fn slices(endpoint: &Endpoint<Side>) -> Vec<(*const u8, usize)> {
    let mut slices = [&[][..]; MAX_SLICES];
    let count = endpoint.write_slices(&mut slices);
    slices[..count].iter().map(|slice| (slice.as_ptr(), slice.len())).collect()
}

fn lengths(endpoint: &Endpoint<Side>) -> Vec<usize> {
    slices(endpoint).into_iter().map(|(_, length)| length).collect()
}

/// A payload in which no two neighbours, and no two words, are alike.
fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn server_sends_the_frames_of_rfc_section_5_7() {
    let mut server = endpoint(End::Server, &CONFIG);
    server.send_text("Hello").unwrap();
    server.begin_message(TEXT, b"Hel").unwrap();
    server.continue_message(b"lo", true).unwrap();
    server.ping(b"Hello").unwrap();
    server.pong(b"Hello").unwrap();
    let (bytes, step) = write_all(&mut server);
    assert_eq!(bytes, b"\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello\x8a\x05Hello");
    assert_eq!(step, TransportStep::Idle);
}

#[test]
fn every_way_of_sending_a_whole_message_gives_the_same_frame() {
    for end in End::BOTH {
        for length in [0, 5, 125, 126, 4095, 4096, 4097, 65_535, 65_536, 200_000] {
            let text = "x".repeat(length);
            let binary = Bytes::from(text.clone());
            let mut endpoint = endpoint(end, &CONFIG);
            endpoint.send_text(&text).unwrap();
            endpoint.send(Message::text(&text[..])).unwrap();
            endpoint.send_prepared(&Prepared::new(&Message::text(&text[..]))).unwrap();
            endpoint.send_binary(&binary).unwrap();
            endpoint.send(Message::binary(binary.clone())).unwrap();
            endpoint.send_prepared(&Message::binary(binary.clone()).into()).unwrap();
            let text = Heard::Text(text);
            let binary = Heard::Binary(binary.to_vec());
            let expected =
                [text.clone(), text.clone(), text, binary.clone(), binary.clone(), binary];
            assert!(written_frames(end, &mut endpoint) == expected, "{end:?} {length}");
        }
    }
}

#[test]
fn replies_to_one_read_go_out_in_one_write() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // A ping, "a", a ping, "b"; each message is echoed.
        put(&mut endpoint, &from_peer(end, b"\x89\x011\x81\x01a\x89\x012\x81\x01b"));
        while let Some(step) = endpoint.next_message(T0).unwrap() {
            if step == duologue_core::Step::Message {
                let message = endpoint.take_message().unwrap();
                endpoint.send(message).unwrap();
            }
        }
        assert_eq!(endpoint.transport_step(), TransportStep::Write);
        assert_eq!(lengths(&endpoint), [endpoint.buffered_amount()]);
        let pong = |payload: &[u8]| Heard::Pong(payload.to_vec());
        let expected = [pong(b"1"), Heard::text("a"), pong(b"2"), Heard::text("b")];
        assert_eq!(written_frames(end, &mut endpoint), expected);
    }
}

#[test]
fn message_in_a_place_is_taken_out_and_sent() {
    for end in End::BOTH {
        for length in [0, 5, 4095, 4096, 70_000] {
            for message in [Message::binary(vec![b'x'; length]), Message::text("x".repeat(length))]
            {
                let mut endpoint = endpoint(end, &CONFIG);
                let mut place = Some(message.clone());
                endpoint.send_from(&mut place).unwrap();
                assert_eq!(place, None);
                let queued = endpoint.buffered_amount();
                endpoint.send_from(&mut place).unwrap();
                assert_eq!(endpoint.buffered_amount(), queued);
                let expected = match message {
                    Message::Text(text) => Heard::text(&text),
                    Message::Binary(bytes) => Heard::Binary(bytes.to_vec()),
                };
                assert_eq!(written_frames(end, &mut endpoint), [expected]);
            }
        }
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.close_without_code(T0);
        let mut place = Some(Message::text("late"));
        assert_eq!(endpoint.send_from(&mut place), Err(SendError::Closing));
        assert_eq!(place, None);
    }
}

#[test]
fn servers_large_payload_is_written_from_where_it_lies() {
    let mut server = endpoint(End::Server, &CONFIG);
    let small = Bytes::from(vec![b's'; 4095]);
    let large = Bytes::from(vec![b'l'; 4096]);
    server.send(Message::binary(small.clone())).unwrap();
    server.send(Message::binary(large.clone())).unwrap();
    server.send_text("behind").unwrap();
    let slices = slices(&server);
    // The small frame and the large one's header together, the large payload, the last frame.
    let lengths: Vec<_> = slices.iter().map(|(_, length)| *length).collect();
    assert_eq!(lengths, [4 + 4095 + 4, 4096, 2 + 6]);
    assert_eq!(slices[1].0, large.as_ptr());
    let expected =
        [Heard::Binary(small.to_vec()), Heard::Binary(large.to_vec()), Heard::text("behind")];
    assert_eq!(written_frames(End::Server, &mut server), expected);
}

#[test]
fn clients_payload_that_somebody_else_holds_is_copied_and_masked() {
    for length in [1, 4095, 4096, 5000] {
        let mut client = endpoint(End::Client, &CONFIG);
        let payload = Bytes::from(pattern(length));
        client.send(Message::binary(payload.clone())).unwrap();
        client.send(Message::binary(payload.clone())).unwrap();
        let frames = client.buffered_amount();
        assert_eq!(lengths(&client), [frames]);
        let (bytes, _) = write_all(&mut client);
        let (first, second) = bytes.split_at(frames / 2);
        assert_ne!(first, second, "each frame has its own key");
        assert_eq!(payload, pattern(length));
        let verdict = reference::decode(&bytes, &End::Client.sending_rules());
        assert_eq!(verdict.heard, vec![Heard::Binary(pattern(length)); 2]);
    }
}

/// Part of what somebody else holds is as little the client's own as all of it.
#[test]
fn clients_payload_that_is_a_slice_of_anothers_leaves_the_rest_as_it_was() {
    let mut client = endpoint(End::Client, &CONFIG);
    let all = Bytes::from(pattern(10_000));
    client.send(Message::binary(all.slice(1000..6000))).unwrap();
    assert_eq!(lengths(&client), [8 + 5000]);
    assert_eq!(all, pattern(10_000));
    let expected = [Heard::Binary(pattern(10_000)[1000..6000].to_vec())];
    assert_eq!(written_frames(End::Client, &mut client), expected);
}

#[test]
fn clients_own_large_payload_is_masked_where_it_lies() {
    let mut client = endpoint(End::Client, &CONFIG);
    let small = Bytes::from(pattern(4095));
    let large = Bytes::from(pattern(4096));
    let address = large.as_ptr();
    client.send(Message::binary(small)).unwrap();
    client.send(Message::binary(large)).unwrap();
    client.send_text("behind").unwrap();
    let slices = slices(&client);
    // The small frame and the large one's header together, the large payload, the last frame.
    let lengths: Vec<_> = slices.iter().map(|(_, length)| *length).collect();
    assert_eq!(lengths, [8 + 4095 + 8, 4096, 6 + 6]);
    assert_eq!(slices[1].0, address);
    let (bytes, _) = write_all(&mut client);
    // 82: fin, binary; fe 10 00: masked, 4096 bytes.
    let header = 8 + 4095;
    assert_eq!(bytes[header..header + 4], *b"\x82\xfe\x10\x00");
    let key = &bytes[header + 4..header + 8];
    let masked: Vec<u8> =
        pattern(4096).iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    assert_ne!(key, [0; 4]);
    assert!(bytes[header + 8..][..4096] == masked[..]);
    let verdict = reference::decode(&bytes, &End::Client.sending_rules());
    let expected =
        [Heard::Binary(pattern(4095)), Heard::Binary(pattern(4096)), Heard::text("behind")];
    assert_eq!(verdict.heard, expected);
}

#[test]
fn clients_own_large_text_is_masked_where_it_lies() {
    let mut client = endpoint(End::Client, &CONFIG);
    let text = "κόσμε 😀".repeat(500);
    let message = Message::text(text.clone());
    let address = message.payload().as_ptr();
    client.send(message).unwrap();
    assert_eq!(slices(&client)[1], (address, text.len()));
    assert_eq!(written_frames(End::Client, &mut client), [Heard::Text(text)]);
}

/// The last handle is the only one, also of a part of what it was split off.
#[test]
fn clients_payload_is_its_own_once_the_other_handles_are_gone() {
    let mut client = endpoint(End::Client, &CONFIG);
    let all = Bytes::from(pattern(10_000));
    let payload = all.slice(1000..6000);
    drop(all);
    let address = payload.as_ptr();
    client.send(Message::binary(payload)).unwrap();
    assert_eq!(slices(&client)[1], (address, 5000));
    let expected = [Heard::Binary(pattern(10_000)[1000..6000].to_vec())];
    assert_eq!(written_frames(End::Client, &mut client), expected);
}

#[test]
fn clients_static_payload_is_copied_and_masked() {
    static PAYLOAD: [u8; 5000] = [b's'; 5000];
    let mut client = endpoint(End::Client, &CONFIG);
    client.send(Message::binary(Bytes::from_static(&PAYLOAD))).unwrap();
    client.send(Message::binary(Bytes::from_static(&PAYLOAD))).unwrap();
    assert_eq!(lengths(&client), [2 * (8 + 5000)]);
    assert_eq!(PAYLOAD, [b's'; 5000]);
    let expected = vec![Heard::Binary(PAYLOAD.to_vec()); 2];
    assert_eq!(written_frames(End::Client, &mut client), expected);
}

/// What is refused is not masked either.
#[test]
fn refused_large_payload_stays_as_it_was() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.close(code(1000), "", T0).unwrap();
        let queued = endpoint.buffered_amount();
        let held = Bytes::from(pattern(5000));
        let static_payload = Bytes::from_static(&[0; 5000]);
        for payload in [pattern(5000).into(), held.clone(), static_payload] {
            assert_eq!(endpoint.send(Message::binary(payload)), Err(SendError::Closing));
        }
        assert_eq!((endpoint.buffered_amount(), &held[..]), (queued, &pattern(5000)[..]));
        let close = Heard::Close(Some(1000), String::new());
        assert_eq!(written_frames(end, &mut endpoint), [close]);
    }
}

#[test]
fn prepared_message_is_shared_by_servers() {
    // It is the frame that is copied or shared: its header is 4 bytes long here.
    for (length, is_shared) in [(4091, false), (4092, true), (5000, true)] {
        let prepared = Prepared::from(Message::binary(vec![b'p'; length]));
        assert_eq!((prepared.message_type(), prepared.payload().len()), (BINARY, length));
        assert_eq!(prepared.frame().len(), 4 + length);
        for _ in 0..3 {
            let mut server = endpoint(End::Server, &CONFIG);
            server.send_prepared(&prepared).unwrap();
            server.send_prepared(&prepared).unwrap();
            if is_shared {
                let shared = (prepared.frame().as_ptr(), 4 + length);
                assert_eq!(slices(&server), [shared, shared]);
            } else {
                assert_eq!(lengths(&server), [2 * (4 + length)]);
            }
            let expected = vec![Heard::Binary(vec![b'p'; length]); 2];
            assert_eq!(written_frames(End::Server, &mut server), expected);
        }
    }
}

#[test]
fn prepared_message_is_masked_anew_by_a_client() {
    let prepared = Prepared::from(Message::text("Hello"));
    assert_eq!(&prepared.frame()[..], b"\x81\x05Hello");
    let mut client = endpoint(End::Client, &CONFIG);
    client.send_prepared(&prepared).unwrap();
    client.send_prepared(&prepared).unwrap();
    let (bytes, _) = write_all(&mut client);
    let (first, second) = bytes.split_at(11);
    assert_ne!(first[2..6], second[2..6], "each frame has its own key");
    let verdict = reference::decode(&bytes, &End::Client.sending_rules());
    assert_eq!(verdict.heard, vec![Heard::text("Hello"); 2]);
}

#[test]
fn message_in_fragments_may_be_interrupted_by_control_frames_only() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.begin_message(BINARY, b"a").unwrap();
        let error = Err(SendError::MessageInProgress);
        assert_eq!(endpoint.send_text("no"), error);
        assert_eq!(endpoint.send_binary(b"no"), error);
        assert_eq!(endpoint.send(Message::binary(vec![0; 5000])), error);
        assert_eq!(endpoint.send_prepared(&Message::text("no").into()), error);
        assert_eq!(endpoint.begin_message(TEXT, b"no"), error);
        endpoint.ping(b"p").unwrap();
        endpoint.continue_message(b"", false).unwrap();
        endpoint.continue_message(&[b'b'; 2000], false).unwrap();
        endpoint.continue_message(b"c", true).unwrap();
        assert_eq!(endpoint.continue_message(b"d", true), Err(SendError::NoMessageInProgress));
        endpoint.send_text("yes").unwrap();
        let payload = [&b"a"[..], &[b'b'; 2000], b"c"].concat();
        let ping = Heard::Ping(b"p".to_vec());
        let expected = [ping, Heard::Binary(payload), Heard::text("yes")];
        assert_eq!(written_frames(end, &mut endpoint), expected);
    }
}

#[test]
fn text_in_fragments_may_be_cut_inside_a_character() {
    let text = "κόσμε 😀";
    for end in End::BOTH {
        for cut in 0..=text.len() {
            let mut endpoint = endpoint(end, &CONFIG);
            let (first, last) = text.as_bytes().split_at(cut);
            endpoint.begin_message(TEXT, first).unwrap();
            endpoint.continue_message(b"", false).unwrap();
            endpoint.continue_message(last, true).unwrap();
            assert_eq!(written_frames(end, &mut endpoint), [Heard::text(text)]);
        }
        // One byte in each fragment.
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.begin_message(TEXT, b"").unwrap();
        text.bytes().for_each(|byte| endpoint.continue_message(&[byte], false).unwrap());
        endpoint.continue_message(b"", true).unwrap();
        assert_eq!(written_frames(end, &mut endpoint), [Heard::text(text)]);
    }
}

#[test]
fn text_in_fragments_that_is_not_utf_8_is_refused_and_may_be_mended() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert_eq!(endpoint.begin_message(TEXT, b"\xff"), Err(SendError::InvalidUtf8));
        // Nothing has begun.
        assert_eq!(endpoint.continue_message(b"", true), Err(SendError::NoMessageInProgress));
        // The first byte of "é".
        endpoint.begin_message(TEXT, b"caf\xc3").unwrap();
        assert_eq!(endpoint.continue_message(b"x", false), Err(SendError::InvalidUtf8));
        assert_eq!(endpoint.continue_message(b"", true), Err(SendError::InvalidUtf8));
        assert_eq!(endpoint.continue_message(b"\xa9\xc3", true), Err(SendError::InvalidUtf8));
        // A refusal leaves the text as it was.
        endpoint.continue_message(b"\xa9", true).unwrap();
        // A binary message takes any bytes, also after a text.
        endpoint.begin_message(BINARY, b"\xff").unwrap();
        endpoint.continue_message(b"\xc3", true).unwrap();
        let expected = [Heard::text("café"), Heard::Binary(b"\xff\xc3".to_vec())];
        assert_eq!(written_frames(end, &mut endpoint), expected);
    }
}

#[test]
fn nothing_is_sent_before_opening_or_after_close() {
    for end in End::BOTH {
        let mut connecting = Endpoint::new(end.role(), &CONFIG, T0);
        let mut closing = endpoint(end, &CONFIG);
        closing.begin_message(BINARY, b"a").unwrap();
        closing.close(code(1000), "", T0).unwrap();
        for (endpoint, error) in
            [(&mut connecting, SendError::NotOpen), (&mut closing, SendError::Closing)]
        {
            let queued = endpoint.buffered_amount();
            assert_eq!(endpoint.send_text("no"), Err(error));
            assert_eq!(endpoint.send(Message::binary(vec![0; 5000])), Err(error));
            assert_eq!(endpoint.send_prepared(&Message::text("no").into()), Err(error));
            assert_eq!(endpoint.begin_message(TEXT, b"no"), Err(error));
            assert_eq!(endpoint.continue_message(b"no", true), Err(error));
            assert_eq!(endpoint.ping(b""), Err(error));
            assert_eq!(endpoint.pong(b""), Err(error));
            assert_eq!(endpoint.buffered_amount(), queued);
        }
    }
}

#[test]
fn control_payloads_and_reasons_that_are_too_long_are_refused() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert_eq!(endpoint.ping(&[0; 126]), Err(SendError::ControlPayloadTooLong));
        assert_eq!(endpoint.pong(&[0; 126]), Err(SendError::ControlPayloadTooLong));
        let reason = "x".repeat(124);
        let error = Err(SendError::CloseReasonTooLong);
        assert_eq!(endpoint.close(code(1000), &reason, T0), error);
        assert_eq!(endpoint.fail(code(1011), &reason, T0), error);
        assert_eq!((endpoint.buffered_amount(), endpoint.ready_state()), (0, ReadyState::Open));
    }
}

#[test]
fn close_goes_out_behind_what_is_queued() {
    for end in End::BOTH {
        let config = Config { write_high_water: 10, ..CONFIG };
        let mut endpoint = endpoint(end, &config);
        let payload = vec![b'x'; 5000];
        endpoint.send(Message::binary(payload.clone())).unwrap();
        assert!(!endpoint.has_room());
        endpoint.close(code(1000), "bye", T0).unwrap();
        let close = Heard::Close(Some(1000), "bye".to_owned());
        assert_eq!(written_frames(end, &mut endpoint), [Heard::Binary(payload), close]);
        // The peer's Close: the server ends its sending, the client waits.
        put(&mut endpoint, &from_peer(end, b"\x88\x02\x03\xe8"));
        Reader::default().read(&mut endpoint, Mode::Messages, T0);
        let expected = match end {
            End::Server => TransportStep::ShutdownWrite,
            End::Client => TransportStep::Idle,
        };
        assert_eq!(write_all(&mut endpoint), (vec![], expected));
        assert_eq!(write_all(&mut endpoint), (vec![], TransportStep::Idle));
        endpoint.receive_eof(T0);
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert!(endpoint.close_outcome().unwrap().was_clean);
    }
}

#[test]
fn partial_writes_of_any_size_lose_nothing() {
    for end in End::BOTH {
        for size in [1, 3, 7, 1000, 4095, 4096] {
            let mut endpoint = endpoint(end, &CONFIG);
            let mut expected = Vec::new();
            for length in [0, 1, 200, 4096, 9000, 5, 4097, 1500, 6000] {
                let payload = vec![b'x'; length];
                endpoint.send(Message::binary(payload.clone())).unwrap();
                expected.push(Heard::Binary(payload));
            }
            let mut bytes = Vec::new();
            let mut queued = endpoint.buffered_amount();
            while endpoint.transport_step() == TransportStep::Write {
                let mut slices = [&[][..]; MAX_SLICES];
                let count = endpoint.write_slices(&mut slices);
                let next = slices[..count].concat();
                let taken = next.len().min(size);
                bytes.extend_from_slice(&next[..taken]);
                endpoint.wrote(taken);
                queued -= taken;
                assert_eq!(endpoint.buffered_amount(), queued);
            }
            let verdict = reference::decode(&bytes, &end.sending_rules());
            assert_eq!(verdict.heard, expected, "{end:?} {size}");
        }
    }
}

#[test]
fn more_slices_than_one_write_takes_go_out_in_order() {
    let mut server = endpoint(End::Server, &CONFIG);
    let mut expected = Vec::new();
    for number in 0..40 {
        let payload = vec![number; 4096];
        server.send(Message::binary(payload.clone())).unwrap();
        expected.push(Heard::Binary(payload));
    }
    assert_eq!(lengths(&server), [4, 4096].repeat(MAX_SLICES / 2));
    assert_eq!(written_frames(End::Server, &mut server), expected);
}

#[test]
fn room_ends_at_the_high_water_mark() {
    for end in End::BOTH {
        let config = Config { write_high_water: 1000, ..CONFIG };
        let mut endpoint = endpoint(end, &config);
        while endpoint.has_room() {
            assert!(endpoint.buffered_amount() < 1000);
            endpoint.send_binary(&[0; 300]).unwrap();
        }
        let queued = endpoint.buffered_amount();
        assert!((1000..1400).contains(&queued));
        endpoint.wrote(queued - 999);
        assert!(endpoint.has_room());
    }
}

#[test]
fn pong_that_found_no_room_goes_out_when_there_is_some() {
    for end in End::BOTH {
        let config = Config { write_high_water: 1000, ..CONFIG };
        let mut endpoint = endpoint(end, &config);
        endpoint.send_binary(&[0; 1000]).unwrap();
        put(&mut endpoint, &from_peer(end, b"\x89\x01p"));
        Reader::default().read(&mut endpoint, Mode::Messages, T0);
        // The application keeps the queue filled: it is never empty.
        let mut bytes = Vec::new();
        for _ in 0..20 {
            assert_eq!(endpoint.transport_step(), TransportStep::Write);
            let mut slices = [&[][..]; MAX_SLICES];
            let count = endpoint.write_slices(&mut slices);
            let next = slices[..count].concat();
            let taken = next.len().min(500);
            bytes.extend_from_slice(&next[..taken]);
            endpoint.wrote(taken);
            assert_eq!(endpoint.transport_step(), TransportStep::Write);
            while endpoint.has_room() {
                endpoint.send_binary(&[0; 400]).unwrap();
            }
        }
        let verdict = reference::decode(&bytes, &end.sending_rules());
        assert!(verdict.heard.contains(&Heard::Pong(b"p".to_vec())), "{end:?}");
    }
}
