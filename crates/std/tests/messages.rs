//! Messages both ways over loopback (RFC 6455 sections 5 and 6).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::io::Write;

use duologue_std::{
    CloseCode, Config, Error, Event, Message, MessageType, Plain, Prepared, ProtocolError,
    ReadyState, Role, SendError, WebSocket,
};
use support::{
    client_and_raw_server, close_frame, echo, expect_bytes, masked, no_keepalive, pair,
    read_to_end, server_and_raw_client,
};

fn round_trip(message: Message) {
    let (mut client, server) = pair(Config::DEFAULT, Config::DEFAULT);
    let server = echo(server);
    client.send(message.clone()).unwrap();
    assert_eq!(client.read().unwrap(), Some(message));
    client.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn text_binary_and_empty_messages_come_back() {
    round_trip(Message::text("Grüße"));
    round_trip(Message::binary(vec![0, 255, 1]));
    round_trip(Message::text(""));
    round_trip(Message::binary(vec![]));
}

#[test]
fn messages_of_every_length_form_come_back() {
    for length in [125, 126, 1023, 1024, 65_535, 65_536, 300_000] {
        round_trip(Message::binary(vec![7; length]));
    }
}

#[test]
fn a_message_of_several_megabytes_comes_back() {
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    round_trip(Message::binary(bytes));
    round_trip(Message::text("ä".repeat(2_000_000)));
}

#[test]
fn many_messages_come_back_in_order() {
    let (mut client, server) = pair(Config::DEFAULT, Config::DEFAULT);
    let server = echo(server);
    for round in 0..20 {
        for number in 0..50 {
            client.feed(format!("{round} {number}")).unwrap();
        }
        for number in 0..50 {
            assert_eq!(client.read().unwrap(), Some(Message::text(format!("{round} {number}"))));
        }
    }
    drop(client);
    let server = server.join().unwrap().unwrap();
    assert_eq!(server.close_outcome().unwrap().status.to_u16(), 1001);
}

#[test]
fn what_is_fed_goes_out_before_the_next_read_waits_and_not_earlier() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    server.feed_text("a").unwrap();
    server.feed_binary(b"b").unwrap();
    assert_eq!(server.buffered_amount(), 6);
    raw.write_all(&masked(0x81, b"c")).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("c")));
    assert_eq!(server.buffered_amount(), 0);
    expect_bytes(&mut raw, b"\x81\x01a\x82\x01b");
}

/// With nothing queued there is room for one message, which is then written at once.
#[test]
fn a_high_water_mark_of_zero_sends_each_message_at_once() {
    let config = Config { write_high_water: 0, ..no_keepalive() };
    let (mut client, server) = pair(config, config);
    let server = echo(server);
    for number in 0..3 {
        client.send(format!("sent {number}")).unwrap();
        assert_eq!(client.read().unwrap(), Some(Message::text(format!("sent {number}"))));
        client.feed_text("fed").unwrap();
        assert_eq!(client.buffered_amount(), 0);
        assert_eq!(client.read().unwrap(), Some(Message::text("fed")));
    }
    client.ping(b"?").unwrap();
    assert!(matches!(client.read_event().unwrap(), Some(Event::Pong(_))));
    let (mut reader, mut writer) = client.split().unwrap();
    writer.send(vec![1; 100_000]).unwrap();
    writer.feed_text("fed").unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::binary(vec![1; 100_000])));
    assert_eq!(reader.read().unwrap(), Some(Message::text("fed")));
    writer.start_close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(reader.read().unwrap(), None);
    server.join().unwrap().unwrap();
}

#[test]
fn what_is_fed_goes_out_past_the_high_water_mark() {
    let config = Config { write_high_water: 100, ..no_keepalive() };
    let (mut server, mut raw) = server_and_raw_client(config);
    server.feed_binary(&[1; 97]).unwrap();
    assert_eq!(server.buffered_amount(), 99);
    server.feed_binary(&[2; 1]).unwrap();
    assert_eq!(server.buffered_amount(), 0);
    expect_bytes(&mut raw, &[&[0x82, 97][..], &[1; 97], &[0x82, 1, 2]].concat());
}

#[test]
fn a_prepared_message_goes_out_in_both_roles() {
    let prepared = Prepared::new(&Message::binary(vec![9; 2000]));
    let (mut client, mut server) = pair(Config::DEFAULT, Config::DEFAULT);
    client.send_prepared(&prepared).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::binary(vec![9; 2000])));
    server.feed_prepared(&prepared).unwrap();
    server.flush().unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::binary(vec![9; 2000])));
}

#[test]
fn a_message_in_fragments_arrives_whole_with_pings_in_between() {
    let (mut client, mut server) = pair(Config::DEFAULT, Config::DEFAULT);
    {
        let mut writer = client.begin_message(MessageType::Text).unwrap();
        // Cut inside the two bytes of "ä".
        writer.write(b"Gr\xC3").unwrap();
        writer.flush().unwrap();
    }
    client.ping(b"still here").unwrap();
    let busy = client.send("another").unwrap_err();
    assert!(matches!(busy, Error::Send(SendError::MessageInProgress)));
    assert!(client.begin_message(MessageType::Binary).is_err());
    let mut writer = client.resume_message().unwrap();
    writer.write(b"\xA4ser").unwrap();
    writer.finish().unwrap();
    assert!(client.resume_message().is_none());

    let Some(Event::Ping(payload)) = server.read_event().unwrap() else { panic!() };
    assert_eq!(payload.as_slice(), b"still here");
    assert_eq!(server.read().unwrap(), Some(Message::text("Gräser")));
    server.flush().unwrap();
    let Some(Event::Pong(payload)) = client.read_event().unwrap() else { panic!() };
    assert_eq!(payload.as_slice(), b"still here");
}

#[test]
fn fragments_on_the_wire_are_what_was_written() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    let mut writer = server.begin_message(MessageType::Binary).unwrap();
    writer.write(b"ab").unwrap();
    writer.write(b"c").unwrap();
    writer.finish().unwrap();
    server.begin_message(MessageType::Text).unwrap().finish().unwrap();
    expect_bytes(&mut raw, b"\x02\x02ab\x00\x01c\x80\x00\x81\x00");
}

#[test]
fn a_text_in_fragments_that_is_not_utf8_is_not_sent() {
    let (mut client, mut server) = pair(Config::DEFAULT, Config::DEFAULT);
    let mut writer = client.begin_message(MessageType::Text).unwrap();
    writer.write(b"ok\xC3").unwrap();
    let error = writer.write(b"x").unwrap_err();
    assert!(matches!(error, Error::Send(SendError::InvalidUtf8)));
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, Error::Send(SendError::InvalidUtf8)));
    let mut writer = client.resume_message().unwrap();
    writer.write(b"\xA4").unwrap();
    writer.finish().unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("okä")));
}

#[test]
fn a_message_larger_than_the_read_buffer_is_had_in_chunks() {
    let (mut client, server) = pair(Config::DEFAULT, Config::DEFAULT);
    let server = echo(server);
    let bytes: Vec<u8> = (0..400_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    client.send(bytes.clone()).unwrap();
    let mut received = Vec::new();
    let mut chunks = 0;
    loop {
        let chunk = client.read_chunk().unwrap().unwrap();
        assert_eq!(chunk.is_first, received.is_empty());
        assert_eq!(chunk.message_type, MessageType::Binary);
        received.extend_from_slice(chunk.payload);
        chunks += 1;
        if chunk.is_last {
            break;
        }
        assert!(client.buffer_capacity() < 300_000, "flat memory");
    }
    assert_eq!(received, bytes);
    assert!(chunks > 3, "{chunks}");
    drop(client);
    server.join().unwrap().unwrap();
}

#[test]
fn a_borrowed_message_is_the_same_as_an_owned_one() {
    let (mut client, mut server) = pair(Config::DEFAULT, Config::DEFAULT);
    client.send("one").unwrap();
    client.send(&b"two"[..]).unwrap();
    let message = server.read_ref().unwrap().unwrap();
    assert_eq!((message.text(), message.payload()), (Some("one"), &b"one"[..]));
    assert_eq!(server.read_ref().unwrap().unwrap().to_message(), Message::binary(&b"two"[..]));
}

#[test]
fn a_message_over_the_limit_is_answered_with_1009() {
    let config = Config { max_message_length: 1000, ..no_keepalive() };
    let (mut client, mut server) = pair(no_keepalive(), config);
    let server = std::thread::spawn(move || server.read().unwrap_err());
    client.send(vec![0; 1001]).unwrap();
    assert_eq!(client.read().unwrap(), None);
    assert_eq!(client.close_outcome().unwrap().status.to_u16(), 1009);
    drop(client);
    let error = server.join().unwrap();
    assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooBig)));
}

#[test]
fn an_upgraded_stream_goes_on_from_its_leftover() {
    let (mut raw, theirs) = support::sockets();
    let leftover = bytes::BytesMut::from(&masked(0x81, b"early")[..]);
    let mut server = WebSocket::from_raw(theirs, Role::Server, &no_keepalive(), leftover);
    assert_eq!(server.ready_state(), ReadyState::Open);
    assert_eq!(server.read().unwrap(), Some(Message::text("early")));
    raw.write_all(&masked(0x81, b"late")).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("late")));
}

#[test]
fn any_read_and_write_is_a_transport() {
    let (ours, theirs) = support::sockets();
    let start = bytes::BytesMut::new;
    let client_role = Role::Client(duologue_std::OsKeys);
    let mut client = WebSocket::from_raw(Plain(ours), client_role, &no_keepalive(), start());
    let mut server = WebSocket::from_raw(Plain(theirs), Role::Server, &no_keepalive(), start());
    client.send("hello").unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("hello")));
}

#[test]
fn frames_behind_the_response_are_not_lost() {
    let (mut server, mut raw) = support::sockets();
    let thread = std::thread::spawn(move || {
        support::accept_raw(&mut server, b"\x81\x05early");
        server
    });
    let options = duologue_std::ClientOptions::new("ws://localhost/").unwrap();
    let mut client = duologue_std::client(&mut raw, &options).unwrap();
    assert_eq!(client.read().unwrap(), Some(Message::text("early")));
    drop(client);
    let mut server = thread.join().unwrap();
    let goodbye = read_to_end(&mut server);
    assert_eq!(goodbye.len(), 8, "a masked Close frame");
}

#[test]
fn ping_and_pong_payloads_are_at_most_125_bytes() {
    let (mut client, mut raw) = client_and_raw_server(no_keepalive());
    for result in [client.ping(&[0; 126]), client.pong(&[0; 126])] {
        assert!(matches!(result, Err(Error::Send(SendError::ControlPayloadTooLong))));
    }
    raw.write_all(b"\x89\x00").unwrap();
    raw.write_all(&close_frame(1000)).unwrap();
    let Some(Event::Ping(payload)) = client.read_event().unwrap() else { panic!() };
    assert!(payload.is_empty());
}
