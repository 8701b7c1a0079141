//! Sending messages, whole and in fragments (RFC 6455 sections 5.4, 5.5.1 and 6.1).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{Config, Connection, MessageType, ReadyState, SendError, Server};

use support::{End, Sent, Side, T0, close_sent, code, drained, from_peer, listen, opened};

const CONFIG: Config = Config::DEFAULT;

const TEXT: MessageType = MessageType::Text;
const BINARY: MessageType = MessageType::Binary;

fn server() -> Connection<Server> {
    let mut server = Connection::new(Server, &CONFIG, T0);
    server.open(NegotiatedExtensions::default(), T0);
    server
}

/// Asserts that no data frame can be begun, for `error`.
fn assert_sends_nothing(connection: &mut Connection<Side>, error: SendError) {
    for fin in [false, true] {
        assert_eq!(connection.begin_message(TEXT, fin, 1).unwrap_err(), error);
        assert_eq!(connection.continue_message(fin, 1).unwrap_err(), error);
    }
    assert_eq!(connection.ping(b"").unwrap_err(), error);
    assert_eq!(connection.pong(b"").unwrap_err(), error);
}

#[test]
fn rfc_section_5_7_frames_are_sent() {
    let cases: [(MessageType, u64, &[u8]); 3] = [
        (TEXT, 5, b"\x81\x05"),
        (BINARY, 256, b"\x82\x7e\x01\x00"),
        (BINARY, 65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ];
    for (message_type, length, header) in cases {
        let frame = server().begin_message(message_type, true, length).unwrap();
        assert_eq!(frame.header.as_slice(), header);
    }
    // "Hel" and "lo".
    let mut server = server();
    let first = server.begin_message(TEXT, false, 3).unwrap();
    assert_eq!(first.header.as_slice(), b"\x01\x03");
    let last = server.continue_message(true, 2).unwrap();
    assert_eq!(last.header.as_slice(), b"\x80\x02");
}

#[test]
fn message_in_fragments_takes_any_number_of_them() {
    let mut server = server();
    assert!(!server.is_message_in_progress());
    let first = server.begin_message(BINARY, false, 0).unwrap();
    assert_eq!(first.header.as_slice(), b"\x02\x00");
    for _ in 0..5 {
        assert!(server.is_message_in_progress());
        let frame = server.continue_message(false, 126).unwrap();
        assert_eq!(frame.header.as_slice(), b"\x00\x7e\x00\x7e");
    }
    let last = server.continue_message(true, 0).unwrap();
    assert_eq!(last.header.as_slice(), b"\x80\x00");
    assert!(!server.is_message_in_progress());
    server.begin_message(BINARY, true, 0).unwrap();
}

#[test]
fn new_message_inside_a_message_is_refused() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.begin_message(TEXT, false, 1).unwrap();
        for fin in [false, true] {
            let refused = connection.begin_message(BINARY, fin, 1).unwrap_err();
            assert_eq!(refused, SendError::MessageInProgress);
        }
        // Control frames go between fragments.
        connection.ping(b"").unwrap();
        connection.continue_message(true, 1).unwrap();
    }
}

#[test]
fn continuation_of_nothing_is_refused() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let error = SendError::NoMessageInProgress;
        assert_eq!(connection.continue_message(false, 1).unwrap_err(), error);
        connection.begin_message(TEXT, true, 1).unwrap();
        assert_eq!(connection.continue_message(true, 1).unwrap_err(), error);
    }
}

#[test]
fn nothing_is_sent_before_the_connection_opens() {
    for end in End::BOTH {
        let mut connection = Connection::new(end.role(), &CONFIG, T0);
        assert_sends_nothing(&mut connection, SendError::NotOpen);
        assert_eq!(connection.ready_state(), ReadyState::Connecting);
        assert_eq!(drained(end, &mut connection), []);
    }
}

#[test]
fn g50_nothing_is_sent_after_our_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close(code(1000), "", T0).unwrap();
        // Already when Close is only queued.
        assert_sends_nothing(&mut connection, SendError::Closing);
        assert_eq!(drained(end, &mut connection), [close_sent(1000, "")]);
        assert_sends_nothing(&mut connection, SendError::Closing);
    }
}

#[test]
fn g50_nothing_is_sent_after_the_peers_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut from_peer(end, b"\x88\x00"), T0).unwrap();
        assert_sends_nothing(&mut connection, SendError::Closing);
    }
}

#[test]
fn g50_nothing_is_sent_after_a_failure() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.fail(code(1011), "", T0).unwrap();
        assert_sends_nothing(&mut connection, SendError::Closing);
        let mut connection = opened(end, &CONFIG);
        listen(&mut connection, &from_peer(end, b"\x83"));
        assert_sends_nothing(&mut connection, SendError::Closing);
        let mut connection = opened(end, &CONFIG);
        connection.transport_failed(T0);
        assert_sends_nothing(&mut connection, SendError::Closing);
        assert_eq!(drained(end, &mut connection), [Sent::AbortTransport]);
    }
}

#[test]
fn g50_close_breaks_off_a_message_in_fragments() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.begin_message(TEXT, false, 1).unwrap();
        connection.close(code(1000), "", T0).unwrap();
        assert_eq!(connection.continue_message(true, 1).unwrap_err(), SendError::Closing);
        assert_eq!(drained(end, &mut connection), [close_sent(1000, "")]);
    }
}

#[test]
fn g54_close_reason_of_up_to_123_bytes_is_sent() {
    for end in End::BOTH {
        let reason = "é".repeat(61) + "x"; // 123 bytes
        let mut connection = opened(end, &CONFIG);
        connection.close(code(4000), &reason, T0).unwrap();
        assert_eq!(drained(end, &mut connection), [close_sent(4000, &reason)]);

        let mut connection = opened(end, &CONFIG);
        let too_long = "x".repeat(124);
        let error = Err(SendError::CloseReasonTooLong);
        assert_eq!(connection.close(code(4000), &too_long, T0), error);
        assert_eq!(connection.fail(code(4000), &too_long, T0), error);
        assert_eq!(connection.ready_state(), ReadyState::Open);
        assert_eq!(drained(end, &mut connection), []);
    }
}
