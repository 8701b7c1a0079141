//! Keepalive on a blocking socket.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::io::Write;
use std::thread;
use std::time::Duration;

use duologue_std::{Error, Message, ProtocolError};
use support::{
    expect_bytes, masked, pair, read_to_end, server_and_raw_client, short, short_keepalive,
    takes_about,
};

#[test]
fn a_silent_peer_is_pinged_and_its_pong_keeps_the_connection() {
    let (mut server, mut raw) = server_and_raw_client(short_keepalive());
    let reader = thread::spawn(move || (server.read(), server.round_trip_time()));
    for number in 1..=3 {
        let ping = [0x89, 2, 0, number];
        takes_about(Duration::from_millis(100), || expect_bytes(&mut raw, &ping));
        raw.write_all(&masked(0x8A, &[0, number])).unwrap();
    }
    raw.write_all(&masked(0x81, b"alive")).unwrap();
    let (message, round_trip) = reader.join().unwrap();
    assert_eq!(message.unwrap(), Some(Message::text("alive")));
    assert!(round_trip.unwrap() < Duration::from_millis(100));
}

#[test]
fn a_peer_that_does_not_answer_fails_the_connection_with_1011() {
    let (mut server, mut raw) = server_and_raw_client(short_keepalive());
    let reader = thread::spawn(move || server.read());
    takes_about(Duration::from_millis(200), || {
        expect_bytes(&mut raw, b"\x89\x02\x00\x01\x88\x13\x03\xF3");
    });
    drop(raw);
    let error = reader.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::PongTimeout)), "{error}");
}

#[test]
fn two_quiet_ends_keep_each_other_alive() {
    let (mut client, mut server) = pair(short_keepalive(), short_keepalive());
    let server = thread::spawn(move || {
        let message = server.read();
        (message, server)
    });
    let reader = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        let result = client.read();
        (result, client)
    });
    thread::sleep(Duration::from_millis(600));
    assert!(!server.is_finished() && !reader.is_finished());
    // Both threads end when their sockets do.
    drop((server, reader));
}

/// The pong waits unread while the application is busy; that is not the peer's silence.
#[test]
fn a_busy_application_does_not_fail_its_peer() {
    let (mut server, mut raw) = server_and_raw_client(short_keepalive());
    raw.write_all(&masked(0x81, b"one")).unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("one")));
    let peer = thread::spawn(move || {
        expect_bytes(&mut raw, b"\x89\x02\x00\x01");
        raw.write_all(&masked(0x8A, b"")).unwrap();
        thread::sleep(Duration::from_millis(350));
        raw.write_all(&masked(0x81, b"two")).unwrap();
        raw
    });
    server.get_ref().set_nonblocking(true).unwrap();
    thread::sleep(Duration::from_millis(120));
    assert!(server.read().unwrap_err().is_would_block(), "pinged now");
    thread::sleep(Duration::from_millis(400));
    assert_eq!(server.read().unwrap(), Some(Message::text("two")));
    drop(peer.join().unwrap());
}

#[test]
fn without_keepalive_nothing_is_sent() {
    let (mut server, mut raw) = server_and_raw_client(short());
    let reader = thread::spawn(move || server.read());
    thread::sleep(Duration::from_millis(300));
    raw.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut raw), b"");
    assert!(matches!(reader.join().unwrap(), Err(Error::ConnectionLost)));
}
