//! Compressed messages there and back over loopback (RFC 7692).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::thread;

use duologue_std::deflate::DeflateConfig;
use duologue_std::{CloseCode, Config, Message, MessageType, NegotiatedExtensions};
use support::{echo, no_keepalive, pair};

fn compressing() -> Config {
    let deflate = DeflateConfig { threshold: 32, ..DeflateConfig::DEFAULT };
    Config { deflate: Some(deflate), ..no_keepalive() }
}

fn record(number: usize) -> String {
    format!("{{\"number\":{number},\"name\":\"a name that is often the same\",\"on\":true}}")
}

#[test]
fn both_ask_for_it_and_every_message_comes_back() {
    let (mut client, server) = pair(compressing(), compressing());
    assert_eq!(client.extensions().to_string(), "permessage-deflate");
    let server = echo(server);
    let noise: Vec<u8> =
        (0..300_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for message in [
        Message::text(""),
        Message::text("short"),
        Message::text(record(1)),
        Message::text("ß".repeat(1_000_000)),
        Message::binary(noise),
    ] {
        client.send(message.clone()).unwrap();
        assert!(client.read().unwrap() == Some(message.clone()));
        client.send_uncompressed(message.clone()).unwrap();
        assert!(client.read().unwrap() == Some(message));
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn only_one_asks_for_it_and_nothing_is_agreed_on() {
    for (ours, theirs) in [(compressing(), no_keepalive()), (no_keepalive(), compressing())] {
        let (mut client, mut server) = pair(ours, theirs);
        assert_eq!(client.extensions(), NegotiatedExtensions::default());
        client.send(record(1).repeat(10)).unwrap();
        assert_eq!(server.read().unwrap(), Some(Message::text(record(1).repeat(10))));
    }
}

#[test]
fn connections_of_several_threads_keep_their_context() {
    let (mut client, server) = pair(compressing(), compressing());
    let server = echo(server);
    for number in 0..10 {
        client.send(record(number)).unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::text(record(number))));
        // The next message is compressed and inflated on another thread, with other compressors:
        // those of this one fall behind.
        client = thread::spawn(move || {
            let other = format!("something else, {number} times {number}: {}", record(number));
            client.send(other.clone()).unwrap();
            assert_eq!(client.read().unwrap(), Some(Message::text(other)));
            client
        })
        .join()
        .unwrap();
    }
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn halves_compress_and_inflate_on_two_threads() {
    let (client, server) = pair(compressing(), compressing());
    let server = echo(server);
    let (mut incoming, mut outgoing) = client.split().unwrap();
    let reading = thread::spawn(move || {
        for number in 0..200 {
            assert_eq!(incoming.read().unwrap(), Some(Message::text(record(number))));
        }
        assert_eq!(incoming.read().unwrap(), None);
    });
    for number in 0..200 {
        outgoing.feed(record(number)).unwrap();
    }
    outgoing.flush().unwrap();
    outgoing.start_close(CloseCode::NORMAL, "").unwrap();
    reading.join().unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn secret_in_fragments_comes_back() {
    let (mut client, server) = pair(compressing(), compressing());
    let server = echo(server);
    let mut writer = client.begin_message(MessageType::Text).unwrap().uncompressed();
    writer.write(record(1).as_bytes()).unwrap();
    writer.write(record(2).as_bytes()).unwrap();
    writer.finish().unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::text(record(1) + &record(2))));
    let (mut incoming, mut outgoing) = client.split().unwrap();
    outgoing.begin_uncompressed_message(MessageType::Text, record(3).as_bytes()).unwrap();
    outgoing.continue_message(record(4).as_bytes(), true).unwrap();
    assert_eq!(incoming.read().unwrap(), Some(Message::text(record(3) + &record(4))));
    outgoing.start_close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(incoming.read().unwrap(), None);
    server.join().unwrap().unwrap();
}

#[test]
fn streamed_message_is_compressed_and_read_in_pieces() {
    let (mut client, mut server) = pair(compressing(), compressing());
    let writing = thread::spawn(move || {
        let mut writer = client.begin_message(MessageType::Binary).unwrap();
        for _ in 0..64 {
            writer.write(&[7; 10_000]).unwrap();
        }
        writer.finish().unwrap();
        client
    });
    let mut length = 0;
    loop {
        let chunk = server.read_chunk().unwrap().unwrap();
        assert!(chunk.payload.iter().all(|byte| *byte == 7));
        length += chunk.payload.len();
        if chunk.is_last {
            break;
        }
    }
    assert_eq!(length, 640_000);
    writing.join().unwrap();
}
