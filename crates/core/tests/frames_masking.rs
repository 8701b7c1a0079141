//! Masking: who masks, who must not, and with which keys (RFC 6455 sections 5.1, 5.3 and 10.3).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::cell::Cell;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Client, CloseCode, Config, Connection, MessageType, ProtocolError, Server, Timestamp, Transmit,
};

use support::reference::Heard;
use support::{End, T0, ZERO_KEY, assert_fails_with, listen, listen_byte_by_byte, masked, opened};

const CONFIG: Config = Config::DEFAULT;

#[test]
fn g38_unmasked_frame_to_a_server_fails_with_1002_at_its_second_byte() {
    let server = || opened(End::Server, &CONFIG);
    for first in [0x81, 0x82, 0x01, 0x02, 0x88, 0x89, 0x8A] {
        for length in [0, 5, 125] {
            let bytes = [first, length];
            let error = ProtocolError::UnmaskedFrameFromClient;
            assert_fails_with(End::Server, &server, &bytes, error, 1002);
        }
    }
    // Text, unmasked, "Hi".
    let error = ProtocolError::UnmaskedFrameFromClient;
    assert_fails_with(End::Server, &server, b"\x81\x02Hi", error, 1002);
}

#[test]
fn g39_masked_frame_to_a_client_fails_with_1002_at_its_second_byte() {
    let client = || opened(End::Client, &CONFIG);
    for first in [0x81, 0x82, 0x01, 0x02, 0x88, 0x89, 0x8A] {
        for length in [0x80, 0x85, 0xFD] {
            let bytes = [first, length];
            let error = ProtocolError::MaskedFrameFromServer;
            assert_fails_with(End::Client, &client, &bytes, error, 1002);
        }
    }
    // Text, masked with a key of zeros, "Hi".
    let error = ProtocolError::MaskedFrameFromServer;
    assert_fails_with(End::Client, &client, b"\x81\x82\x00\x00\x00\x00Hi", error, 1002);
}

#[test]
fn g40_zero_masking_key_is_legal() {
    let bytes = b"\x81\x82\x00\x00\x00\x00Hi\x89\x81\x00\x00\x00\x00p";
    for listen in [listen, listen_byte_by_byte] {
        let listener = listen(&mut opened(End::Server, &CONFIG), bytes);
        assert_eq!(listener.error, None);
        assert_eq!(listener.heard, [Heard::text("Hi"), Heard::Ping(b"p".to_vec())]);
    }
}

#[test]
fn g40_empty_masked_frame_still_carries_its_key() {
    // An empty text with the key 81828384, which looks like a header; then "a".
    let bytes = b"\x81\x80\x81\x82\x83\x84\x81\x81\x00\x00\x00\x00a";
    for listen in [listen, listen_byte_by_byte] {
        let listener = listen(&mut opened(End::Server, &CONFIG), bytes);
        assert_eq!(listener.error, None);
        assert_eq!(listener.heard, [Heard::text(""), Heard::text("a")]);
    }
}

#[test]
fn g40_empty_frame_is_not_heard_before_its_key() {
    let mut connection = opened(End::Server, &CONFIG);
    assert_eq!(listen(&mut connection, b"\x81\x80\x01\x02\x03").heard, []);
    assert_eq!(listen(&mut connection, b"\x04").heard, [Heard::text("")]);
}

#[test]
fn g40_client_sends_the_key_of_an_empty_frame() {
    let mut client = Connection::new(Client(|| [1, 2, 3, 4]), &CONFIG, T0);
    client.open(NegotiatedExtensions::default(), T0);
    let frame = client.begin_message(MessageType::Text, true, 0).unwrap();
    assert_eq!(frame.header.as_slice(), b"\x81\x80\x01\x02\x03\x04");
    assert_eq!(client.ping(b"").unwrap().as_slice(), b"\x89\x80\x01\x02\x03\x04");
}

#[test]
fn g41_each_frame_takes_a_fresh_key_from_the_source() {
    let drawn = Cell::new(0_u8);
    let keys = || {
        drawn.set(drawn.get() + 1);
        [drawn.get(); 4]
    };
    let mut client = Connection::new(Client(keys), &CONFIG, T0);
    client.open(NegotiatedExtensions::default(), T0);
    assert_eq!(drawn.get(), 0, "no key before there is a frame");
    let key_of = |header: &[u8]| header[2..6].to_vec();

    let first = client.begin_message(MessageType::Binary, false, 3).unwrap();
    assert_eq!(key_of(first.header.as_slice()), [1; 4]);
    assert_eq!(key_of(client.ping(b"?").unwrap().as_slice()), [2; 4]);
    assert_eq!(key_of(client.pong(b"!").unwrap().as_slice()), [3; 4]);
    let last = client.continue_message(true, 3).unwrap();
    assert_eq!(key_of(last.header.as_slice()), [4; 4]);
    // A ping from the server: the automatic pong takes the next key.
    client.receive(&mut b"\x89\x01p".to_vec(), T0).unwrap();
    let Some(Transmit::Frame(pong)) = client.poll_transmit() else { panic!("no pong") };
    assert_eq!(key_of(pong.as_slice()), [5; 4]);
    // The keepalive ping, and Close.
    client.handle_timeout(client.next_deadline().unwrap()).unwrap();
    let Some(Transmit::Frame(ping)) = client.poll_transmit() else { panic!("no ping") };
    assert_eq!(key_of(ping.as_slice()), [6; 4]);
    client.close(CloseCode::NORMAL, "", T0).unwrap();
    let Some(Transmit::Frame(close)) = client.poll_transmit() else { panic!("no Close") };
    assert_eq!(key_of(close.as_slice()), [7; 4]);
    assert_eq!(drawn.get(), 7);
}

#[test]
fn g42_client_masks_its_control_frames() {
    // The key of section 5.7.
    let mut client = Connection::new(Client(|| [0x37, 0xfa, 0x21, 0x3d]), &CONFIG, T0);
    client.open(NegotiatedExtensions::default(), T0);
    // Ping and pong, masked, "Hello".
    let ping = client.ping(b"Hello").unwrap();
    assert_eq!(ping.as_slice(), b"\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let pong = client.pong(b"Hello").unwrap();
    assert_eq!(pong.as_slice(), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    // The answer to a ping "Hello".
    client.receive(&mut b"\x89\x05Hello".to_vec(), T0).unwrap();
    assert_eq!(client.poll_transmit(), Some(Transmit::Frame(pong)));
    // Close, masked: 1000 is 03e8.
    client.close(CloseCode::NORMAL, "", T0).unwrap();
    let Some(Transmit::Frame(close)) = client.poll_transmit() else { panic!("no Close") };
    assert_eq!(close.as_slice(), b"\x88\x82\x37\xfa\x21\x3d\x34\x12");
}

#[test]
fn g42_server_masks_nothing() {
    let mut server = Connection::new(Server, &CONFIG, T0);
    server.open(NegotiatedExtensions::default(), T0);
    let frame = server.begin_message(MessageType::Text, true, 5).unwrap();
    assert_eq!(frame.header.as_slice(), b"\x81\x05");
    assert!(frame.masker.is_none());
    assert_eq!(server.ping(b"Hello").unwrap().as_slice(), b"\x89\x05Hello");
    server.close(CloseCode::NORMAL, "bye", T0).unwrap();
    let Some(Transmit::Frame(close)) = server.poll_transmit() else { panic!("no Close") };
    assert_eq!(close.as_slice(), b"\x88\x05\x03\xe8bye");
}

#[test]
fn g42_clients_message_is_masked_by_the_masker_it_gets() {
    let mut client = Connection::new(Client(|| [0x37, 0xfa, 0x21, 0x3d]), &CONFIG, T0);
    client.open(NegotiatedExtensions::default(), Timestamp::ZERO);
    let frame = client.begin_message(MessageType::Text, true, 5).unwrap();
    assert_eq!(frame.header.as_slice(), b"\x81\x85\x37\xfa\x21\x3d");
    let mut payload = *b"Hello";
    frame.masker.unwrap().apply(&mut payload);
    assert_eq!(&payload, b"\x7f\x9f\x4d\x51\x58");
}

#[test]
fn payload_cut_anywhere_keeps_the_phase_of_its_key() {
    let text = "The quick brown fox jumps over the lazy dog";
    let bytes = [&b"\x81\x2b"[..], text.as_bytes()].concat();
    for key in [ZERO_KEY, [1, 2, 3, 4], [0xFF, 0, 0x80, 0x7F]] {
        let bytes = masked(&bytes, key);
        for cut in 0..bytes.len() {
            let mut connection = opened(End::Server, &CONFIG);
            let mut listener = listen(&mut connection, &bytes[..cut]);
            listener.feed(&mut connection, &bytes[cut..], T0);
            assert_eq!(listener.heard, [Heard::text(text)], "{key:?} {cut}");
        }
    }
}
