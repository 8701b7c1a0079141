//! The core in memory: masking, receiving, sending, the server's handshake.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use duologue_benches::memory::handshake::REQUEST;
use duologue_core::frame::{FrameHeader, Masker};
use duologue_core::handshake::{Acceptance, HeadLimits, NegotiatedExtensions, ServerHandshake};
use duologue_core::{Client, Config, Connection, Endpoint, MessageType, Server, Timestamp};

fn main() {
    divan::main();
}

const SIZES: [usize; 5] = [16, 125, 1024, 16 * 1024, 64 * 1024];
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

#[divan::bench(args = SIZES)]
fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
    let source = vec![7; size];
    let mut target = vec![0; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        black_box(&mut target).copy_from_slice(black_box(&source));
    });
}

#[divan::bench(args = SIZES)]
fn mask_in_place_unaligned(bencher: Bencher<'_, '_>, size: usize) {
    let mut data = vec![7; size + 1];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        Masker::new(black_box(KEY)).apply(black_box(&mut data[1..]));
    });
}

#[divan::bench(args = SIZES)]
fn mask_while_copying(bencher: Bencher<'_, '_>, size: usize) {
    let source = vec![7; size];
    let mut target = vec![0; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        Masker::new(black_box(KEY)).apply_to(black_box(&source), black_box(&mut target))
    });
}

/// A client's frames, 64 KiB of them at least.
fn frames(message_type: MessageType, size: usize) -> (Vec<u8>, usize) {
    let header = FrameHeader {
        fin: true,
        rsv: 0,
        opcode: message_type.into(),
        masking_key: Some(KEY),
        payload_length: size as u64,
    };
    let mut payload = vec![b'x'; size];
    Masker::new(KEY).apply(&mut payload);
    let count = (64 * 1024 / size).max(1);
    let mut bytes = Vec::new();
    for _ in 0..count {
        bytes.extend_from_slice(header.encode().as_slice());
        bytes.extend_from_slice(&payload);
    }
    (bytes, count)
}

fn receive(bencher: Bencher<'_, '_>, message_type: MessageType, size: usize) {
    let (bytes, count) = frames(message_type, size);
    let mut connection = Connection::new(Server, &Config::DEFAULT, Timestamp::ZERO);
    connection.open(NegotiatedExtensions::default(), Timestamp::ZERO);
    bencher
        .counter(divan::counter::ItemsCount::new(count))
        .with_inputs(|| bytes.clone())
        .bench_local_refs(|bytes| {
            let mut rest = &mut bytes[..];
            while !rest.is_empty() {
                let received = connection.receive(rest, Timestamp::ZERO).unwrap();
                black_box(&received.event);
                let consumed = received.consumed;
                rest = &mut rest[consumed..];
            }
        });
}

#[divan::bench(args = SIZES)]
fn receive_binary(bencher: Bencher<'_, '_>, size: usize) {
    receive(bencher, MessageType::Binary, size);
}

#[divan::bench(args = SIZES)]
fn receive_text(bencher: Bencher<'_, '_>, size: usize) {
    receive(bencher, MessageType::Text, size);
}

#[divan::bench(args = SIZES)]
fn send_as_server(bencher: Bencher<'_, '_>, size: usize) {
    let payload = vec![7; size];
    let mut endpoint = Endpoint::new(Server, &Config::DEFAULT, Timestamp::ZERO);
    endpoint.open(NegotiatedExtensions::default(), Default::default(), Timestamp::ZERO);
    bencher.bench_local(|| {
        endpoint.send_binary(black_box(&payload)).unwrap();
        endpoint.wrote(endpoint.buffered_amount());
    });
}

#[divan::bench(args = SIZES)]
fn send_as_client(bencher: Bencher<'_, '_>, size: usize) {
    let payload = vec![7; size];
    let keys = Client(|| KEY);
    let mut endpoint = Endpoint::new(keys, &Config::DEFAULT, Timestamp::ZERO);
    endpoint.open(NegotiatedExtensions::default(), Default::default(), Timestamp::ZERO);
    bencher.bench_local(|| {
        endpoint.send_binary(black_box(&payload)).unwrap();
        endpoint.wrote(endpoint.buffered_amount());
    });
}

#[divan::bench]
fn server_handshake() -> usize {
    let mut out = [0; 256];
    let mut handshake = ServerHandshake::new(HeadLimits::DEFAULT);
    let request = handshake.receive(black_box(REQUEST)).unwrap().unwrap();
    let extensions = NegotiatedExtensions::default();
    ServerHandshake::accept(&request, &Acceptance::default(), extensions, &mut out).unwrap()
}
