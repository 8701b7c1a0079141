//! The closing handshake and how connections end (RFC 6455 sections 5.5.1 and 7).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use duologue_std::{
    CloseCode, CloseStatus, Error, Initiator, Message, ProtocolError, ReadyState, SendError,
};
use support::{
    client_and_raw_server, close_frame, echo, expect_bytes, masked, no_keepalive, pair,
    read_to_end, server_and_raw_client, short, takes_about,
};

#[test]
fn a_client_closes_and_both_ends_see_it_clean() {
    let (mut client, server) = pair(no_keepalive(), no_keepalive());
    let server = echo(server);
    client.close(CloseCode::NORMAL, "done").unwrap();
    assert_eq!(client.ready_state(), ReadyState::Closed);
    let outcome = client.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::NORMAL));
    assert_eq!(outcome.initiator, Some(Initiator::Local));
    assert!(outcome.was_clean);

    let server = server.join().unwrap().unwrap();
    let outcome = server.close_outcome().unwrap();
    assert_eq!((outcome.status.to_u16(), outcome.reason), (1000, "done"));
    assert_eq!(outcome.initiator, Some(Initiator::Peer));
    assert!(outcome.was_clean);
}

#[test]
fn a_server_closes_and_both_ends_see_it_clean() {
    let (mut client, mut server) = pair(no_keepalive(), no_keepalive());
    let server = thread::spawn(move || {
        server.close(CloseCode::new(4321).unwrap(), "over").unwrap();
        server.close_outcome().unwrap().was_clean
    });
    assert_eq!(client.read().unwrap(), None);
    let outcome = client.close_outcome().unwrap();
    assert_eq!((outcome.status.to_u16(), outcome.reason), (4321, "over"));
    assert!(outcome.was_clean && server.join().unwrap());
    // The end is told once, and stays the end.
    assert_eq!(client.read().unwrap(), None);
    client.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn both_close_at_once_and_each_close_counts_as_the_others_reply() {
    let (mut client, mut server) = pair(no_keepalive(), no_keepalive());
    client.start_close(CloseCode::NORMAL, "").unwrap();
    server.start_close(CloseCode::GOING_AWAY, "").unwrap();
    let server = thread::spawn(move || {
        assert_eq!(server.read().unwrap(), None);
        server.close_outcome().unwrap().status.to_u16()
    });
    assert_eq!(client.read().unwrap(), None);
    assert_eq!(client.close_outcome().unwrap().status.to_u16(), 1001);
    assert_eq!(server.join().unwrap(), 1000);
}

#[test]
fn messages_on_their_way_are_read_after_start_close_and_dropped_by_close() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    raw.write_all(&masked(0x81, b"late")).unwrap();
    server.start_close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(server.read().unwrap(), Some(Message::text("late")));
    raw.write_all(&masked(0x88, &1000_u16.to_be_bytes())).unwrap();
    raw.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read().unwrap(), None);

    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    raw.write_all(&masked(0x81, b"late")).unwrap();
    raw.write_all(&masked(0x88, &1000_u16.to_be_bytes())).unwrap();
    raw.shutdown(Shutdown::Write).unwrap();
    server.close(CloseCode::NORMAL, "").unwrap();
    assert!(server.close_outcome().unwrap().was_clean);
}

#[test]
fn nothing_can_be_sent_after_close() {
    let (mut client, _server) = pair(no_keepalive(), no_keepalive());
    client.start_close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(client.ready_state(), ReadyState::Closing);
    assert!(matches!(client.send("x"), Err(Error::Send(SendError::Closing))));
    assert!(matches!(client.ping(b""), Err(Error::Send(SendError::Closing))));
    let message = client.begin_message(duologue_std::MessageType::Text);
    assert!(matches!(message, Err(Error::Send(SendError::Closing))));
}

#[test]
fn a_reason_too_long_is_refused_and_the_connection_stays_open() {
    let (mut client, _server) = pair(no_keepalive(), no_keepalive());
    for result in [
        client.close(CloseCode::NORMAL, &"x".repeat(124)),
        client.start_close(CloseCode::NORMAL, &"x".repeat(124)),
    ] {
        assert!(matches!(result, Err(Error::Send(SendError::CloseReasonTooLong))));
    }
    assert_eq!(client.ready_state(), ReadyState::Open);
}

#[test]
fn a_server_ends_tcp_first_after_both_close_frames() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    raw.write_all(&masked(0x88, &1000_u16.to_be_bytes())).unwrap();
    let thread = thread::spawn(move || server.read());
    assert_eq!(read_to_end(&mut raw), close_frame(1000));
    drop(raw);
    assert_eq!(thread.join().unwrap().unwrap(), None);
}

/// Each fault gets its Close frame, then the end of TCP, which the peer can read even if it goes
/// on sending; and the error is returned only then.
#[test]
fn a_faulty_client_can_read_why_before_tcp_ends() {
    for (fault, code) in [
        (&b"\x81\x01a"[..], 1002),           // Not masked.
        (b"\x83\x80\0\0\0\0", 1002),         // Opcode 3.
        (b"\x81\x81\0\0\0\0\xFF", 1007),     // Not UTF-8.
        (b"\x88\x82\0\0\0\0\x03\xED", 1002), // Close with 1005.
        (b"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0", 1009),
    ] {
        let (mut server, mut raw) = server_and_raw_client(no_keepalive());
        let thread = thread::spawn(move || server.read());
        raw.write_all(fault).unwrap();
        for _ in 0..100 {
            raw.write_all(&[0; 1000]).unwrap();
        }
        // A Close frame with a reason, then the end.
        let answer = read_to_end(&mut raw);
        assert_eq!(answer[0], 0x88);
        assert_eq!(usize::from(answer[1]), answer.len() - 2);
        assert_eq!(answer[2..4], u16::to_be_bytes(code));
        assert!(!thread.is_finished(), "input is drained until the peer ends TCP");
        drop(raw);
        let Err(Error::Protocol(error)) = thread.join().unwrap() else { panic!() };
        assert_eq!(error.close_code().get(), code);
    }
}

#[test]
fn a_faulty_server_can_read_why_before_tcp_ends() {
    let (mut client, mut raw) = client_and_raw_server(no_keepalive());
    let thread = thread::spawn(move || (client.read(), client));
    raw.write_all(&masked(0x81, b"a")).unwrap();
    let answer = read_to_end(&mut raw);
    assert_eq!(answer[0], 0x88);
    assert_eq!(answer[1] & 0x80, 0x80, "a client masks its Close frame too");
    drop(raw);
    let (result, client) = thread.join().unwrap();
    let Err(Error::Protocol(error)) = result else { panic!() };
    assert_eq!(error, ProtocolError::MaskedFrameFromServer);
    assert_eq!(client.close_outcome().unwrap().failure, Some(error));
}

#[test]
fn an_error_is_told_once_and_then_it_is_the_end() {
    let (mut server, raw) = server_and_raw_client(no_keepalive());
    drop(raw);
    assert!(matches!(server.read(), Err(Error::ConnectionLost)));
    assert_eq!(server.close_outcome().unwrap().status, CloseStatus::Abnormal);
    assert_eq!(server.read().unwrap(), None);
    assert!(matches!(server.send("x"), Err(Error::Send(SendError::Closing))));
}

#[test]
fn a_message_cut_by_the_end_of_tcp_is_not_delivered() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    raw.write_all(&masked(0x81, b"whole")).unwrap();
    raw.write_all(&masked(0x81, b"cut off")[..9]).unwrap();
    drop(raw);
    assert_eq!(server.read().unwrap(), Some(Message::text("whole")));
    assert!(matches!(server.read(), Err(Error::ConnectionLost)));
}

#[test]
fn a_peer_that_never_answers_a_close_is_left_at_the_deadline() {
    let (mut server, mut raw) = server_and_raw_client(short());
    let lost = takes_about(Duration::from_millis(200), || server.close(CloseCode::NORMAL, ""));
    assert!(matches!(lost, Err(Error::ConnectionLost)));
    assert_eq!(server.close_outcome().unwrap().sent, Some(CloseStatus::Code(CloseCode::NORMAL)));
    assert_eq!(read_to_end(&mut raw), close_frame(1000));
}

#[test]
fn a_peer_that_keeps_sending_does_not_put_off_the_closing_deadline() {
    let (mut server, mut raw) = server_and_raw_client(short());
    let sender = thread::spawn(move || {
        while raw.write_all(&masked(0x82, &[0; 100])).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    let lost = takes_about(Duration::from_millis(200), || server.close(CloseCode::NORMAL, ""));
    assert!(matches!(lost, Err(Error::ConnectionLost)));
    drop(server);
    sender.join().unwrap();
}

#[test]
fn a_server_that_does_not_end_tcp_is_left_at_the_deadline() {
    let (mut client, mut raw) = client_and_raw_server(short());
    raw.write_all(&close_frame(1000)).unwrap();
    takes_about(Duration::from_millis(200), || assert_eq!(client.read().unwrap(), None));
    assert!(client.close_outcome().unwrap().was_clean);
    drop(raw);
}

#[test]
fn a_peer_that_takes_nothing_fails_the_send_with_write_stalled() {
    let (mut server, raw) = server_and_raw_client(short());
    let message = Message::binary(vec![0; 64 << 20]);
    let stalled = takes_about(Duration::from_millis(200), || server.send(message));
    assert!(matches!(stalled, Err(Error::Protocol(ProtocolError::WriteStalled))));
    assert!(matches!(server.read(), Err(Error::Protocol(ProtocolError::WriteStalled))));
    assert_eq!(server.ready_state(), ReadyState::Closed);
    drop(raw);
}

/// The peer closes while a large message is being sent to it. Its Close frame is not lost over the
/// failure to write.
#[test]
fn a_close_frame_is_read_although_writing_fails() {
    let (mut client, mut raw) = client_and_raw_server(no_keepalive());
    raw.write_all(&close_frame(1009)).unwrap();
    thread::spawn(move || {
        let mut start = [0; 1000];
        raw.read_exact(&mut start).unwrap();
        // With unread input, this resets the connection.
        drop(raw);
    });
    let result = client.send(vec![0; 64 << 20]);
    assert!(matches!(result, Err(Error::Io(_))), "{result:?}");
    assert!(client.send("more").is_err());
    assert_eq!(client.read().unwrap(), None);
    assert_eq!(client.close_outcome().unwrap().status.to_u16(), 1009);
}

#[test]
fn dropping_an_open_connection_sends_1001() {
    let (server, mut raw) = server_and_raw_client(no_keepalive());
    drop(server);
    assert_eq!(read_to_end(&mut raw), close_frame(1001));
}

#[test]
fn dropping_sends_what_was_fed_before_1001() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    server.feed_text("a").unwrap();
    drop(server);
    expect_bytes(&mut raw, b"\x81\x01a");
    assert_eq!(read_to_end(&mut raw), close_frame(1001));
}

#[test]
fn dropping_does_not_wait_for_a_peer_that_takes_nothing() {
    let (mut server, raw) = server_and_raw_client(short());
    server.get_ref().set_nonblocking(true).unwrap();
    while server.buffered_amount() == 0 {
        server.send(vec![0; 1 << 20]).unwrap();
    }
    server.get_ref().set_nonblocking(false).unwrap();
    takes_about(Duration::ZERO, || drop(server));
    drop(raw);
}

#[test]
fn dropping_a_closed_connection_sends_nothing_more() {
    let (mut server, mut raw) = server_and_raw_client(no_keepalive());
    server.start_close(CloseCode::NORMAL, "").unwrap();
    drop(server);
    assert_eq!(read_to_end(&mut raw), close_frame(1000));
}
