//! Two halves on two threads.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use duologue_std::{
    CloseCode, Config, Error, Event, Message, MessageType, ProtocolError, ReadyState, SendError,
};
use support::{
    close_frame, echo, expect_bytes, masked, no_keepalive, pair, read_to_end,
    server_and_raw_client, short, short_keepalive, takes_about,
};

#[test]
fn messages_go_both_ways_at_once() {
    let (client, server) = pair(Config::DEFAULT, Config::DEFAULT);
    let (mut client_reader, mut client_writer) = client.split().unwrap();
    let (mut server_reader, mut server_writer) = server.split().unwrap();
    let message = |n: u32| Message::binary(vec![n.to_le_bytes()[0]; 100_000]);
    // Each end sends 100 large messages before it waits for anything: without halves, a deadlock.
    let senders = [&mut client_writer, &mut server_writer];
    let readers = [&mut client_reader, &mut server_reader];
    thread::scope(|scope| {
        for writer in senders {
            scope.spawn(move || (0..100).for_each(|n| writer.send(message(n)).unwrap()));
        }
        for reader in readers {
            scope.spawn(move || {
                for n in 0..100 {
                    assert_eq!(reader.read().unwrap(), Some(message(n)));
                }
            });
        }
    });
    assert_eq!(client_writer.buffered_amount(), 0);
    client_writer.start_close(CloseCode::NORMAL, "").unwrap();
    let server = thread::spawn(move || server_reader.read());
    assert_eq!(client_reader.read().unwrap(), None);
    assert!(client_reader.close_outcome().unwrap().was_clean);
    assert_eq!(server.join().unwrap().unwrap(), None);
    assert!(matches!(server_writer.send("x"), Err(Error::Send(SendError::Closing))));
}

#[test]
fn every_way_to_read_and_to_send_works_on_halves() {
    let (client, server) = pair(Config::DEFAULT, Config::DEFAULT);
    let server = echo(server);
    let (mut reader, mut writer) = client.split().unwrap();
    writer.feed_text("fed").unwrap();
    writer.feed_binary(b"bytes").unwrap();
    writer.feed("owned").unwrap();
    assert!(writer.buffered_amount() > 0);
    writer.flush().unwrap();
    assert_eq!(reader.read_ref().unwrap().unwrap().text(), Some("fed"));
    assert_eq!(reader.read().unwrap(), Some(Message::binary(&b"bytes"[..])));
    let chunk = reader.read_chunk().unwrap().unwrap();
    assert_eq!((chunk.payload, chunk.is_last), (&b"owned"[..], true));
    writer.begin_message(MessageType::Text, b"in ").unwrap();
    writer.ping(b"!").unwrap();
    writer.continue_message(b"pieces", true).unwrap();
    let Some(Event::Pong(payload)) = reader.read_event().unwrap() else { panic!() };
    assert_eq!(payload.as_slice(), b"!");
    assert_eq!(reader.read().unwrap(), Some(Message::text("in pieces")));
    let prepared = Message::text("prepared").into();
    writer.feed_prepared(&prepared).unwrap();
    assert!(writer.buffered_amount() > 0);
    writer.send_prepared(&prepared).unwrap();
    writer.pong(b"unasked").unwrap();
    for _ in 0..2 {
        assert_eq!(reader.read().unwrap(), Some(Message::text("prepared")));
    }
    assert_eq!(reader.ready_state(), ReadyState::Open);
    assert_eq!((reader.subprotocol(), writer.subprotocol()), (None, None));
    drop((reader, writer));
    let server = server.join().unwrap().unwrap();
    assert_eq!(server.close_outcome().unwrap().status.to_u16(), 1001);
}

#[test]
fn what_was_at_hand_before_the_split_is_not_lost() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    raw.write_all(&[masked(0x81, b"one"), masked(0x81, b"two")].concat()).unwrap();
    thread::sleep(Duration::from_millis(20));
    assert_eq!(server.read().unwrap(), Some(Message::text("one")));
    server.feed_text("fed").unwrap();
    let (mut reader, _writer) = server.split().unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::text("two")));
    raw.write_all(&masked(0x81, b"three")).unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::text("three")));
    expect_bytes(&mut raw, b"\x81\x03fed");
}

/// A pong takes the messages queued before it along; they are not flushed otherwise.
#[test]
fn a_fed_message_does_not_keep_a_pong_back() {
    let (server, mut raw) = server_and_raw_client(no_keepalive());
    let (mut reader, mut writer) = server.split().unwrap();
    raw.write_all(&masked(0x81, b"one")).unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::text("one")));
    for round in [&b"\x81\x03fed\x8A\x01?"[..], b"\x81\x03fed\x8A\x01!"] {
        writer.feed_text("fed").unwrap();
        raw.write_all(&masked(0x81, b"two")).unwrap();
        assert_eq!(reader.read().unwrap(), Some(Message::text("two")));
        assert_eq!(writer.buffered_amount(), 5, "a message that is only fed waits");
        raw.write_all(&masked(0x89, &round[7..])).unwrap();
        let reading = thread::spawn(move || (reader.read(), reader));
        expect_bytes(&mut raw, round);
        raw.write_all(&masked(0x81, b"three")).unwrap();
        let (read, half) = reading.join().unwrap();
        assert_eq!(read.unwrap(), Some(Message::text("three")));
        reader = half;
    }
    assert_eq!(writer.buffered_amount(), 0);
}

#[test]
fn a_fed_message_does_not_keep_keepalive_back() {
    let (server, mut raw) = server_and_raw_client(short_keepalive());
    let (mut reader, mut writer) = server.split().unwrap();
    raw.write_all(&masked(0x81, b"one")).unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::text("one")));
    writer.feed_text("fed").unwrap();
    let reading = thread::spawn(move || reader.read());
    takes_about(Duration::from_millis(100), || {
        expect_bytes(&mut raw, b"\x81\x03fed\x89\x02\x00\x01");
    });
    // What is fed while the pong is waited for does not put off its deadline.
    writer.feed_text("more").unwrap();
    let said = read_to_end(&mut raw);
    assert!(said.starts_with(b"\x81\x04more\x88\x13\x03\xF3"), "{said:?}");
    drop(raw);
    let result = reading.join().unwrap();
    assert!(matches!(result, Err(Error::Protocol(ProtocolError::PongTimeout))), "{result:?}");
}

/// The write half waits inside a large message, because the peer does not read; the read half goes
/// on all the same, and the pongs go out as soon as they can.
#[test]
fn reading_and_pongs_go_on_while_a_large_send_waits() {
    let (server, mut raw) = server_and_raw_client(no_keepalive());
    let (mut reader, mut writer) = server.split().unwrap();
    const LARGE: usize = 32 << 20;
    let sender = thread::spawn(move || {
        writer.send(vec![5; LARGE]).unwrap();
        writer
    });
    let (received, events) = mpsc::channel();
    let reading = thread::spawn(move || {
        while let Ok(Some(event)) = reader.read_event() {
            received.send(event).unwrap();
        }
    });
    // The kernel's buffers are full before 32 MiB are in them.
    thread::sleep(Duration::from_millis(100));
    assert!(!sender.is_finished());
    for number in 0..10_u8 {
        raw.write_all(&masked(0x89, &[number])).unwrap();
        raw.write_all(&masked(0x81, b"hello")).unwrap();
        let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(matches!(event, Event::Ping(payload) if payload.as_slice() == [number]));
        let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(event, Event::Message("hello".into()));
    }
    assert!(!sender.is_finished());
    expect_bytes(&mut raw, &[&[0x82, 127][..], &(LARGE as u64).to_be_bytes()].concat());
    let mut payload = vec![0; LARGE];
    raw.read_exact(&mut payload).unwrap();
    // While the queue was full, only the newest pong was kept (RFC 6455 section 5.5.3).
    expect_bytes(&mut raw, &[0x8A, 1, 9]);
    drop(raw);
    sender.join().unwrap();
    reading.join().unwrap();
}

/// Nobody sends, and the peer takes nothing: the pongs wait, the read half does not.
#[test]
fn a_peer_that_takes_no_pong_does_not_stop_the_read_half() {
    let config = Config { write_stall_timeout: Duration::from_secs(20), ..no_keepalive() };
    let (server, mut raw) = server_and_raw_client(config);
    let (mut reader, writer) = server.split().unwrap();
    let reading = thread::spawn(move || {
        while let Some(event) = reader.read_event().unwrap() {
            if event == Event::Message("last".into()) {
                return reader;
            }
        }
        panic!("closed");
    });
    // More pongs than the kernel's buffers hold.
    let pings = masked(0x89, &[1; 125]).repeat(2000);
    let started = Instant::now();
    for _ in 0..60 {
        raw.write_all(&pings).unwrap();
    }
    raw.write_all(&masked(0x81, b"last")).unwrap();
    let reader = reading.join().unwrap();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    drop((reader, writer));
}

#[test]
fn the_close_reply_goes_out_although_only_the_read_half_is_driven() {
    let (server, mut raw) = server_and_raw_client(no_keepalive());
    let (mut reader, mut writer) = server.split().unwrap();
    writer.feed_text("fed").unwrap();
    raw.write_all(&masked(0x88, &1000_u16.to_be_bytes())).unwrap();
    let reading = thread::spawn(move || (reader.read(), reader));
    let expected = [&b"\x81\x03fed"[..], &close_frame(1000)].concat();
    assert_eq!(read_to_end(&mut raw), expected);
    drop(raw);
    let (result, reader) = reading.join().unwrap();
    assert_eq!(result.unwrap(), None);
    assert_eq!(reader.close_outcome().unwrap().status.to_u16(), 1000);
    assert_eq!(writer.ready_state(), ReadyState::Closed);
}

#[test]
fn the_closing_deadline_is_kept_although_the_read_half_waits() {
    let (server, mut raw) = server_and_raw_client(short());
    let (mut reader, mut writer) = server.split().unwrap();
    let reading = thread::spawn(move || reader.read());
    thread::sleep(Duration::from_millis(50));
    writer.start_close(CloseCode::NORMAL, "").unwrap();
    let result = takes_about(Duration::from_millis(200), || reading.join().unwrap());
    assert!(matches!(result, Err(Error::ConnectionLost)));
    assert_eq!(read_to_end(&mut raw), close_frame(1000));
}

#[test]
fn a_fault_is_answered_and_told_by_the_read_half() {
    let (server, mut raw) = server_and_raw_client(no_keepalive());
    let (mut reader, writer) = server.split().unwrap();
    let reading = thread::spawn(move || (reader.read(), reader.read()));
    raw.write_all(b"\x81\x01a").unwrap();
    assert_eq!(read_to_end(&mut raw)[..4], [0x88, 18, 0x03, 0xEA]);
    drop(raw);
    let (first, second) = reading.join().unwrap();
    assert!(matches!(first, Err(Error::Protocol(ProtocolError::UnmaskedFrameFromClient))));
    assert_eq!(second.unwrap(), None);
    drop(writer);
}

#[test]
fn keepalive_is_kept_by_the_read_half() {
    let (server, mut raw) = server_and_raw_client(short_keepalive());
    let (mut reader, _writer) = server.split().unwrap();
    let reading = thread::spawn(move || reader.read());
    takes_about(Duration::from_millis(200), || {
        expect_bytes(&mut raw, b"\x89\x02\x00\x01\x88\x13\x03\xF3");
    });
    drop(raw);
    let result = reading.join().unwrap();
    assert!(matches!(result, Err(Error::Protocol(ProtocolError::PongTimeout))));
}

#[test]
fn a_stalled_send_ends_both_halves() {
    let (server, raw) = server_and_raw_client(short());
    let (mut reader, mut writer) = server.split().unwrap();
    let reading = thread::spawn(move || reader.read());
    let sent = takes_about(Duration::from_millis(200), || writer.send(vec![0; 64 << 20]));
    assert!(matches!(sent, Err(Error::Protocol(ProtocolError::WriteStalled))), "{sent:?}");
    let result = reading.join().unwrap();
    assert!(matches!(result, Err(Error::Protocol(ProtocolError::WriteStalled))), "{result:?}");
    drop(raw);
}

/// While a message waits that the peer does not take, the ping waits behind it: so it is not the
/// missing pong that ends both halves, but the deadline for writing, late as that may be.
#[test]
fn a_dead_peer_ends_a_send_that_waits() {
    let config = Config { write_stall_timeout: Duration::from_millis(500), ..short_keepalive() };
    let (server, raw) = server_and_raw_client(config);
    let (mut reader, mut writer) = server.split().unwrap();
    let reading = thread::spawn(move || reader.read());
    let sent = takes_about(Duration::from_millis(500), || writer.send(vec![0; 64 << 20]));
    assert!(matches!(sent, Err(Error::Protocol(ProtocolError::WriteStalled))), "{sent:?}");
    let result = reading.join().unwrap();
    assert!(matches!(result, Err(Error::Protocol(ProtocolError::WriteStalled))), "{result:?}");
    drop(raw);
}

/// The peer closes and ends its side of TCP, and takes nothing while the write half sends: whether
/// the reply to its Close frame gets out is known when that is done.
#[test]
fn the_end_is_told_when_the_write_half_has_written_what_it_can() {
    for reads_in_the_end in [true, false] {
        let config = Config { write_stall_timeout: Duration::from_millis(500), ..no_keepalive() };
        let (server, mut raw) = server_and_raw_client(config);
        let (mut reader, mut writer) = server.split().unwrap();
        let reading = thread::spawn(move || (reader.read(), reader));
        let sending = thread::spawn(move || writer.send(vec![0; 16 << 20]));
        // Sending has begun, and cannot end before the peer reads.
        let mut start = [0; 10];
        raw.read_exact(&mut start).unwrap();
        raw.write_all(&masked(0x88, &1000_u16.to_be_bytes())).unwrap();
        raw.shutdown(Shutdown::Write).unwrap();
        thread::sleep(Duration::from_millis(100));
        if reads_in_the_end {
            let rest = read_to_end(&mut raw);
            assert_eq!(rest.len(), (16 << 20) + 4);
            assert!(rest.ends_with(&close_frame(1000)));
        }
        let (result, reader) = reading.join().unwrap();
        let outcome = reader.close_outcome().unwrap();
        assert_eq!(outcome.was_clean, reads_in_the_end, "{outcome:?}");
        if reads_in_the_end {
            assert!(matches!(result, Ok(None)), "{result:?}");
            sending.join().unwrap().unwrap();
        } else {
            assert!(matches!(result, Err(Error::Protocol(ProtocolError::WriteStalled))));
            let sent = sending.join().unwrap();
            assert!(matches!(sent, Err(Error::Protocol(ProtocolError::WriteStalled))), "{sent:?}");
        }
        drop(raw);
    }
}

#[test]
fn dropping_one_half_keeps_the_connection_and_dropping_both_sends_1001() {
    let (server, mut raw) = server_and_raw_client(no_keepalive());
    let (mut reader, writer) = server.split().unwrap();
    drop(writer);
    raw.write_all(&masked(0x89, b"?")).unwrap();
    raw.write_all(&masked(0x81, b"x")).unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::text("x")));
    drop(reader);
    expect_bytes(&mut raw, b"\x8A\x01?");
    assert_eq!(read_to_end(&mut raw), close_frame(1001));
}

#[cfg(unix)]
#[test]
fn a_unix_stream_is_a_transport_with_halves() {
    use duologue_std::{ClientOptions, WebSocket, accept, client};
    use std::os::unix::net::UnixStream;

    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || accept(theirs).unwrap());
    let client = client(ours, &ClientOptions::new("ws://localhost/").unwrap()).unwrap();
    let mut server: WebSocket<UnixStream> = server.join().unwrap();
    let (mut reader, mut writer) = client.split().unwrap();
    let server = thread::spawn(move || {
        let message = server.read().unwrap().unwrap();
        server.send(message).unwrap();
        server.close(CloseCode::NORMAL, "").unwrap();
    });
    writer.send("over a file").unwrap();
    assert_eq!(reader.read().unwrap(), Some(Message::text("over a file")));
    assert_eq!(reader.read().unwrap(), None);
    server.join().unwrap();
}
