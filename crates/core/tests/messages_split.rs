//! The buffered endpoint split between a thread that reads, one that writes, and others that send.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{Config, MAX_SLICES, Message, Step, TransportStep, WriteBatch};

use support::endpoint::{endpoint, write_all};
use support::reference::{self, Heard};
use support::{End, T0, code, from_peer};

const CONFIG: Config = Config::DEFAULT;

/// The bytes that are left in `batch`.
fn left_in(batch: &WriteBatch) -> Vec<u8> {
    let mut slices = [&[][..]; MAX_SLICES];
    let count = batch.slices(&mut slices);
    slices[..count].concat()
}

#[test]
fn batch_goes_out_before_what_is_queued_behind_it() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send_text("first").unwrap();
        endpoint.send(Message::binary(vec![b'x'; 5000])).unwrap();
        let queued = endpoint.buffered_amount();
        let mut batch = WriteBatch::new();
        endpoint.take_batch(&mut batch);
        assert_eq!((batch.remaining(), endpoint.buffered_amount()), (queued, queued));

        endpoint.send_text("second").unwrap();
        let mut bytes = left_in(&batch);
        while batch.remaining() > 0 {
            assert_eq!(endpoint.transport_step(), TransportStep::Write);
            let count = batch.remaining().min(700);
            batch.consume(count);
            endpoint.wrote(count);
        }
        bytes.extend(write_all(&mut endpoint).0);
        assert_eq!(endpoint.buffered_amount(), 0);
        let verdict = reference::decode(&bytes, &end.sending_rules());
        let large = Heard::Binary(vec![b'x'; 5000]);
        assert_eq!(verdict.heard, [Heard::text("first"), large, Heard::text("second")]);
    }
}

#[test]
fn batch_is_not_taken_over_one_that_is_being_written() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send_text("first").unwrap();
        let mut batch = WriteBatch::new();
        endpoint.take_batch(&mut batch);
        let first = left_in(&batch);
        endpoint.send_text("second").unwrap();
        endpoint.take_batch(&mut batch);
        assert_eq!(left_in(&batch), first);
        batch.consume(first.len());
        endpoint.wrote(first.len());
        endpoint.take_batch(&mut batch);
        let second = reference::decode(&left_in(&batch), &end.sending_rules());
        assert_eq!(second.heard, [Heard::text("second")]);
    }
}

#[test]
fn batch_counts_against_the_high_water_mark() {
    for end in End::BOTH {
        let config = Config { write_high_water: 1000, ..CONFIG };
        let mut endpoint = endpoint(end, &config);
        endpoint.send_binary(&[0; 1000]).unwrap();
        let mut batch = WriteBatch::new();
        endpoint.take_batch(&mut batch);
        assert!(!endpoint.has_room() && !endpoint.is_idle());
        let written = batch.remaining();
        batch.consume(written);
        endpoint.wrote(written);
        assert!(endpoint.has_room() && endpoint.is_idle());
    }
}

#[test]
fn transport_that_breaks_under_a_batch_is_closed() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send_text("first").unwrap();
        let mut batch = WriteBatch::new();
        endpoint.take_batch(&mut batch);
        endpoint.close(code(1000), "", T0).unwrap();
        endpoint.transport_failed(T0);
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        assert_eq!(endpoint.buffered_amount(), 0);
        // A write that was under way tells of its end too late, which is harmless.
        endpoint.wrote(batch.remaining());
        batch.discard();
        assert_eq!((batch.remaining(), endpoint.transport_step()), (0, TransportStep::Close));
    }
}

#[test]
fn read_buffer_that_is_taken_out_goes_on_where_it_was() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        // A message "Hi", and the start of one that goes on later, with a ping in between.
        endpoint.read_room().extend_from_slice(&from_peer(end, b"\x81\x02Hi\x01\x02wx"));
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
        let mut read = endpoint.take_read_buffer();
        assert_eq!(read.take_message(), Some(Message::text("Hi")));
        assert_eq!(endpoint.next_message_in(&mut read, T0), Ok(None));
        read.room(duologue_core::READ_SIZE)
            .extend_from_slice(&from_peer(end, b"\x89\x01p\x80\x02yz\x82\x01b"));
        assert!(matches!(endpoint.next_message_in(&mut read, T0), Ok(Some(Step::Ping(_)))));
        assert_eq!(endpoint.next_message_in(&mut read, T0), Ok(Some(Step::Message)));
        assert_eq!(read.message().unwrap().text(), Some("wxyz"));
        assert_eq!(endpoint.next_chunk_in(&mut read, T0), Ok(Some(Step::Chunk)));
        assert_eq!(read.chunk().unwrap().payload, b"b");
        assert_eq!(endpoint.next_message_in(&mut read, T0), Ok(None));
        let pong = support::endpoint::written_frames(end, &mut endpoint);
        assert_eq!(pong, [Heard::Pong(b"p".to_vec())]);
        assert!(read.release().is_some());
        assert_eq!(endpoint.buffer_capacity(), endpoint.release_write_buffer().unwrap().capacity());
    }
}
