//! What the buffered endpoint's buffers take up, and how long it waits for a peer that stalls.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::time::Duration;

use bytes::BytesMut;

use duologue_core::{
    BUFFER_CAPACITY, Config, Endpoint, MAX_SLICES, Message, ProtocolError, READ_SIZE, ReadyState,
    Step, TransportStep, WriteBatch,
};

use support::endpoint::{Mode, Reader, endpoint, hear, put, write_all};
use support::reference::Heard;
use support::{End, Side, T0, ZERO_KEY, code, frame, from_peer, masked};

const CONFIG: Config = Config::DEFAULT;

const UNLIMITED: Config =
    Config { max_message_length: u64::MAX, max_frame_length: u64::MAX, ..Config::DEFAULT };

/// Reads what is at hand, and takes no message.
fn read_untaken(endpoint: &mut Endpoint<Side>) -> usize {
    let mut messages = 0;
    while let Some(step) = endpoint.next_message(T0).unwrap() {
        messages += usize::from(step == Step::Message);
    }
    messages
}

/// Writes at most `most` bytes.
fn write_some(endpoint: &mut Endpoint<Side>, most: usize) {
    let mut slices = [&[][..]; MAX_SLICES];
    let count = endpoint.write_slices(&mut slices);
    let length: usize = slices[..count].iter().map(|slice| slice.len()).sum();
    endpoint.wrote(length.min(most));
}

#[test]
fn h02_length_that_is_only_declared_takes_no_memory() {
    for end in End::BOTH {
        for declared in [1 << 20, 1 << 32, u64::MAX >> 1] {
            for first in [0x81, 0x82, 0x01, 0x02] {
                let mut header = vec![first, 127];
                header.extend(declared.to_be_bytes());
                let mut endpoint = endpoint(end, &UNLIMITED);
                assert_eq!(endpoint.buffer_capacity(), 0);
                put(&mut endpoint, &from_peer(end, &header));
                assert_eq!(read_untaken(&mut endpoint), 0);
                assert_eq!(endpoint.connection().payload_remaining(), declared);
                // Room for one read, whatever was declared.
                endpoint.read_room();
                assert!(endpoint.buffer_capacity() <= READ_SIZE + 1024);
            }
        }
    }
}

#[test]
fn h02_header_without_payload_leaves_the_read_buffer_free() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &UNLIMITED);
        let header = b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff";
        put(&mut endpoint, &from_peer(end, header));
        assert_eq!(read_untaken(&mut endpoint), 0);
        assert!(endpoint.release_read_buffer().is_some());
        assert_eq!(endpoint.buffer_capacity(), 0);
    }
}

#[test]
fn h03_many_small_fragments_take_the_memory_of_their_payload() {
    const FRAGMENTS: usize = 131_000;
    // "a" in a first fragment and in 131,000 continuations, masked with a key of zeros.
    let bytes =
        masked(&[frame(0x01, b"a"), frame(0x00, b"a").repeat(FRAGMENTS)].concat(), ZERO_KEY);
    let mut server = endpoint(End::Server, &CONFIG);
    let mut most = 0;
    for piece in bytes.chunks(READ_SIZE) {
        put(&mut server, piece);
        assert_eq!(read_untaken(&mut server), 0);
        most = most.max(server.buffer_capacity());
    }
    assert!(most <= 2 * FRAGMENTS + 2 * READ_SIZE, "{most}");
    let reader = hear(&mut server, &masked(b"\x80\x00", ZERO_KEY), 100);
    assert_eq!(reader.heard, [Heard::Text("a".repeat(FRAGMENTS + 1))]);
}

#[test]
fn message_takes_at_most_about_twice_what_has_come() {
    for end in End::BOTH {
        let bytes = from_peer(end, &frame(0x82, &vec![b'x'; 3 << 20]));
        let mut endpoint = endpoint(end, &CONFIG);
        let mut come = 0;
        for piece in bytes[..bytes.len() - 1].chunks(READ_SIZE) {
            put(&mut endpoint, piece);
            assert_eq!(read_untaken(&mut endpoint), 0);
            come += piece.len();
            let capacity = endpoint.buffer_capacity();
            assert!(capacity <= 2 * come + 2 * READ_SIZE, "{capacity} for {come}");
        }
    }
}

#[test]
fn buffer_of_which_a_message_is_held_is_left_to_it() {
    for end in End::BOTH {
        for length in [3000, READ_SIZE / 2, 3 * READ_SIZE] {
            let mut endpoint = endpoint(end, &CONFIG);
            for held in [false, true] {
                let bytes = from_peer(end, &frame(0x82, &vec![b'x'; length]));
                for piece in bytes.chunks(READ_SIZE) {
                    assert!(endpoint.take_message().is_none());
                    put(&mut endpoint, piece);
                    let _ = endpoint.next_message(T0).unwrap();
                }
                let message = Some(endpoint.take_message().unwrap()).filter(|_| held);
                let released = endpoint.release_read_buffer();
                assert_eq!(endpoint.buffer_capacity(), 0);
                assert_eq!(released.is_none(), held, "{length}");
                // All of it is had again.
                assert!(released.is_none_or(|buffer| buffer.capacity() >= READ_SIZE.max(length)));
                assert!(message.is_none_or(|message| message.payload() == vec![b'x'; length]));
            }
        }
    }
}

/// A message of a power of two does not just fill the buffer, which would be lost with it.
#[test]
fn memory_of_a_message_that_is_gone_is_had_again() {
    for end in End::BOTH {
        for length in (11..=20).flat_map(|bits| [(1 << bits) - 14, 1 << bits, (1 << bits) + 14]) {
            for read in [READ_SIZE, 2 * READ_SIZE] {
                let bytes = from_peer(end, &frame(0x82, &vec![b'x'; length]));
                let mut endpoint = endpoint(end, &CONFIG);
                endpoint.supply_read_buffer(BytesMut::with_capacity(BUFFER_CAPACITY));
                for _ in 0..3 {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let room = endpoint.read_room_of(read);
                        let come = rest.len().min(room.capacity() - room.len());
                        room.extend_from_slice(&rest[..come]);
                        rest = &rest[come..];
                        let _ = endpoint.next_message(T0).unwrap();
                    }
                    drop(endpoint.take_message().unwrap());
                    assert!(!endpoint.needs_read_buffer(), "{length} bytes, read by {read}");
                    assert!(endpoint.read_room().capacity() >= length);
                }
            }
        }
    }
}

#[test]
fn unfinished_part_takes_twice_the_room_and_nothing_of_what_was_before_it() {
    const ROOM: usize = 2 * READ_SIZE;
    for end in End::BOTH {
        for unfinished in [ROOM / 4 + 100, READ_SIZE / 2 + 1000, READ_SIZE - 100] {
            let mut endpoint = endpoint(end, &CONFIG);
            // One read, filled by small messages and the start of a large one.
            let small = from_peer(end, &frame(0x82, b"small"));
            let mut bytes = small.repeat((READ_SIZE - unfinished) / small.len());
            let small = bytes.len() / small.len();
            bytes.extend(from_peer(end, &frame(0x82, &[b'x'; 50_000])));
            let (first, rest) = bytes.split_at(READ_SIZE);
            put(&mut endpoint, first);
            for _ in 0..small {
                assert_eq!(endpoint.next_message(T0).unwrap(), Some(Step::Message));
                assert!(endpoint.take_small().is_some());
            }
            assert_eq!(endpoint.next_message(T0).unwrap(), None);
            let room = endpoint.read_room_of(ROOM);
            assert!(room.capacity() - room.len() >= ROOM);
            let most = 2 * ROOM + (BUFFER_CAPACITY - READ_SIZE);
            assert!(endpoint.buffer_capacity() <= most, "{}", endpoint.buffer_capacity());
            let reader = hear(&mut endpoint, rest, usize::MAX);
            assert_eq!(reader.heard, [Heard::Binary(vec![b'x'; 50_000])]);
        }
    }
}

#[test]
fn messages_that_are_lent_and_never_taken_take_flat_memory() {
    for end in End::BOTH {
        // Reads end inside messages, never between them: each read brings the end of one message
        // and the start of the next.
        let message = from_peer(end, &frame(0x82, &[b'x'; 3000]));
        let stream = message.repeat(400);
        let mut endpoint = endpoint(end, &CONFIG);
        let mut messages = 0;
        for piece in stream.chunks(message.len() / 2 + 100) {
            put(&mut endpoint, piece);
            messages += read_untaken(&mut endpoint);
            let capacity = endpoint.buffer_capacity();
            assert!(capacity <= 4 * READ_SIZE, "{capacity} after {messages} messages");
        }
        assert_eq!(messages, 400);
    }
}

#[test]
fn small_messages_that_are_taken_do_not_hold_each_other_back() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        let message = from_peer(end, &frame(0x82, &[b'x'; 3000]));
        for piece in message.repeat(400).chunks(1777) {
            put(&mut endpoint, piece);
            Reader::default().read(&mut endpoint, Mode::Messages, T0);
            assert!(endpoint.buffer_capacity() <= 8 * READ_SIZE);
        }
    }
}

#[test]
fn h27_flood_of_pings_with_output_never_drained_takes_flat_memory() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        let pings = from_peer(end, &frame(0x89, &[b'p'; 125]).repeat(100));
        let mut capacity = 0;
        for round in 0..1000 {
            put(&mut endpoint, &pings);
            assert_eq!(read_untaken(&mut endpoint), 0);
            assert!(endpoint.buffered_amount() <= CONFIG.write_high_water + 131);
            if round == 10 {
                capacity = endpoint.buffer_capacity();
                assert!(capacity <= 2 * CONFIG.write_high_water + 2 * READ_SIZE);
            } else if round > 10 {
                assert_eq!(endpoint.buffer_capacity(), capacity);
            }
        }
        // The newest ping is still answered.
        put(&mut endpoint, &from_peer(end, b"\x89\x04last"));
        assert_eq!(read_untaken(&mut endpoint), 0);
        let frames = support::endpoint::written_frames(end, &mut endpoint);
        assert_eq!(frames.last(), Some(&Heard::Pong(b"last".to_vec())));
    }
}

#[test]
fn queue_that_is_never_quite_empty_takes_flat_memory() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        for round in 0..20_000 {
            // Small messages, and now and then one that a server shares.
            while endpoint.has_room() {
                let length = if round % 10 == 0 { 5000 } else { 500 };
                endpoint.send(Message::binary(vec![b'x'; length])).unwrap();
            }
            write_some(&mut endpoint, 1000);
            assert!(endpoint.buffered_amount() > 0);
            let capacity = endpoint.buffer_capacity();
            assert!(capacity <= 4 * CONFIG.write_high_water, "{capacity} in round {round}");
        }
    }
}

#[test]
fn idle_endpoint_holds_no_buffer() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert_eq!(endpoint.buffer_capacity(), 0);
        for _ in 0..3 {
            put(&mut endpoint, &from_peer(end, b"\x81\x02Hi\x89\x00"));
            Reader::default().read(&mut endpoint, Mode::Messages, T0);
            endpoint.send_text("Hello").unwrap();
            assert!(!endpoint.is_idle());
            // What waits to be written is not given away.
            assert!(endpoint.release_write_buffer().is_none());
            write_all(&mut endpoint);
            assert!(endpoint.is_idle());
            let read = endpoint.release_read_buffer().unwrap();
            let write = endpoint.release_write_buffer().unwrap();
            assert!(read.is_empty() && write.remaining() == 0);
            assert_eq!(endpoint.buffer_capacity(), 0);
            // A pool gives them back.
            endpoint.supply_read_buffer(read);
            endpoint.supply_write_buffer(write);
            assert!(endpoint.buffer_capacity() > 0);
        }
    }
}

#[test]
fn buffer_with_an_unfinished_message_is_not_given_away() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put(&mut endpoint, &from_peer(end, b"\x01\x02He"));
        assert_eq!(read_untaken(&mut endpoint), 0);
        assert!(!endpoint.is_idle());
        assert_eq!(endpoint.release_read_buffer(), None);
        let reader = hear(&mut endpoint, &from_peer(end, b"\x80\x03llo"), 100);
        assert_eq!(reader.heard, [Heard::text("Hello")]);
        assert!(endpoint.release_read_buffer().is_some());
    }
}

#[test]
fn header_and_control_payload_that_are_cut_need_no_buffer() {
    for end in End::BOTH {
        let bytes = from_peer(end, b"\x89\x05Hello\x82\x7e\x00\x80");
        for cut in 0..bytes.len() {
            let mut endpoint = endpoint(end, &CONFIG);
            put(&mut endpoint, &bytes[..cut]);
            read_untaken(&mut endpoint);
            endpoint.release_read_buffer();
            assert_eq!(
                (endpoint.is_idle(), cut < bytes.len()),
                (endpoint.buffered_amount() == 0, true)
            );
            put(&mut endpoint, &bytes[cut..]);
            read_untaken(&mut endpoint);
            let frames = support::endpoint::written_frames(end, &mut endpoint);
            assert_eq!(frames, [Heard::Pong(b"Hello".to_vec())], "{cut}");
            assert_eq!(endpoint.connection().payload_remaining(), 128);
        }
    }
}

#[test]
fn peer_that_takes_nothing_is_given_up_at_the_stall_deadline() {
    let config = Config { write_stall_timeout: Duration::from_secs(3), keepalive: None, ..CONFIG };
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &config);
        endpoint.send_text("Hello").unwrap();
        assert_eq!(endpoint.next_deadline(), None);
        let at = |millis| T0 + Duration::from_millis(millis);
        endpoint.write_blocked(at(0));
        // Further attempts do not move the deadline, a byte that goes out does.
        endpoint.write_blocked(at(2000));
        assert_eq!(endpoint.next_deadline(), Some(at(3000)));
        endpoint.wrote(0);
        assert_eq!(endpoint.next_deadline(), Some(at(3000)));
        endpoint.wrote(1);
        assert_eq!(endpoint.next_deadline(), None);
        endpoint.write_blocked(at(4000));
        assert_eq!(endpoint.handle_timeout(at(6999)), Ok(()));
        assert_eq!(endpoint.transport_step(), TransportStep::Write);

        assert_eq!(endpoint.handle_timeout(at(7000)), Err(ProtocolError::WriteStalled));
        assert_eq!(endpoint.ready_state(), ReadyState::Closed);
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert_eq!((endpoint.buffered_amount(), endpoint.next_deadline()), (0, None));
        assert_eq!(endpoint.handle_timeout(at(20_000)), Ok(()), "told once");
    }
}

#[test]
fn peer_that_ended_tcp_and_takes_nothing_is_given_up_at_the_stall_deadline() {
    let config = Config { write_stall_timeout: Duration::from_secs(3), ..CONFIG };
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &config);
        endpoint.send_text("Hello").unwrap();
        endpoint.receive_eof(T0);
        // What is queued still goes out, if the peer takes it.
        assert_eq!(endpoint.transport_step(), TransportStep::Write);
        endpoint.write_blocked(T0);
        let deadline = endpoint.next_deadline().unwrap();
        assert_eq!(endpoint.handle_timeout(deadline), Err(ProtocolError::WriteStalled));
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert_eq!((endpoint.buffered_amount(), endpoint.next_deadline()), (0, None));
    }
}

#[test]
fn transport_that_breaks_after_the_peer_ended_tcp_is_closed() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put(&mut endpoint, &from_peer(end, b"\x88\x02\x03\xe8"));
        assert_eq!(read_untaken(&mut endpoint), 0);
        endpoint.receive_eof(T0);
        // The reply finds the transport broken.
        assert_eq!(endpoint.transport_step(), TransportStep::Write);
        endpoint.transport_failed(T0);
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert_eq!(endpoint.buffered_amount(), 0);
    }
}

#[test]
fn transport_that_broke_takes_what_was_queued_with_it() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send(Message::binary(vec![0; 100_000])).unwrap();
        endpoint.close(code(1000), "", T0).unwrap();
        endpoint.transport_failed(T0);
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert_eq!((endpoint.buffered_amount(), endpoint.buffer_capacity()), (0, 0));
    }
}

#[test]
fn closing_deadline_takes_what_was_queued_with_it() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send(Message::binary(vec![0; 100_000])).unwrap();
        endpoint.close(code(1000), "", T0).unwrap();
        assert_eq!(endpoint.transport_step(), TransportStep::Write);
        let deadline = T0 + CONFIG.closing_timeout;
        assert_eq!(endpoint.next_deadline(), Some(deadline));
        assert_eq!(endpoint.handle_timeout(deadline), Ok(()));
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert_eq!(endpoint.buffered_amount(), 0);
        assert_eq!(endpoint.ready_state(), ReadyState::Closed);
    }
}

#[test]
fn buffers_are_asked_for_where_there_are_none() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert!(endpoint.needs_read_buffer() && endpoint.needs_write_buffer());
        endpoint.supply_read_buffer(BytesMut::with_capacity(4096));
        endpoint.supply_write_buffer(WriteBatch::with_capacity(4096));
        assert!(!endpoint.needs_read_buffer() && !endpoint.needs_write_buffer());
        // What was supplied is enough for a message either way: nothing is allocated beside it.
        let capacity = endpoint.buffer_capacity();
        assert!(capacity >= 8192);
        put(&mut endpoint, &from_peer(end, b"\x81\x02Hi"));
        assert_eq!(read_untaken(&mut endpoint), 1);
        endpoint.send_text("Hello").unwrap();
        write_all(&mut endpoint);
        assert!(endpoint.release_read_buffer().is_some() && endpoint.needs_read_buffer());
        assert!(endpoint.release_write_buffer().is_some() && endpoint.needs_write_buffer());
    }
}

#[test]
fn room_to_read_into_is_as_large_as_was_asked_for() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        for bytes in [READ_SIZE, 4 * READ_SIZE] {
            let room = endpoint.read_room_of(bytes);
            let free = room.capacity() - room.len();
            assert!(free >= bytes && free <= bytes + 1024, "{free} for {bytes}");
        }
    }
}
