//! The closing handshake, from either side and both, and how it ends (RFC 6455 section 7).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    CloseOutcome, CloseStatus, Config, Connection, Initiator, MessageType, ProtocolError,
    ReadyState, Transmit,
};

use support::reference::Heard;
use support::{
    End, Listener, Sent, Side, T0, close_sent, code, drained, empty_close_sent, frame, from_peer,
    listen, listen_byte_by_byte, opened, pong_sent, read_back, status,
};

const CONFIG: Config = Config::DEFAULT;

/// The outcome of a connection that ended without any Close frame, by nobody's fault.
const ABNORMAL: CloseOutcome<'_> = CloseOutcome {
    status: CloseStatus::Abnormal,
    reason: "",
    sent: None,
    initiator: None,
    was_clean: false,
    failure: None,
};

/// What is sent when `end` has both Close frames behind it: the server ends TCP first.
fn then_shutdown(end: End, frames: &[Sent]) -> Vec<Sent> {
    let mut sent = frames.to_vec();
    if end == End::Server {
        sent.push(Sent::ShutdownWrite);
    }
    sent
}

/// A Close frame as the peer of `end` sends it.
fn peer_close(end: End, code: u16, reason: &str) -> Vec<u8> {
    let body = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
    from_peer(end, &frame(0x88, &body))
}

/// A connection in each of the states in which it can be, named, with its output drained.
fn in_every_state(end: End) -> Vec<(&'static str, Connection<Side>)> {
    let connecting = Connection::new(end.role(), &CONFIG, T0);
    let mut close_sent = opened(end, &CONFIG);
    close_sent.close(code(1000), "", T0).unwrap();
    let mut finishing = opened(end, &CONFIG);
    finishing.receive(&mut peer_close(end, 1001, ""), T0).unwrap();
    let mut failing = opened(end, &CONFIG);
    failing.receive(&mut from_peer(end, b"\x83"), T0).unwrap_err();
    let mut closed = opened(end, &CONFIG);
    closed.receive_eof(T0);
    let mut states = vec![
        ("connecting", connecting),
        ("open", opened(end, &CONFIG)),
        ("close sent", close_sent),
        ("finishing", finishing),
        ("failing", failing),
        ("closed", closed),
    ];
    for (_, connection) in &mut states {
        drained(end, connection);
    }
    states
}

#[test]
fn g55_reply_to_close_echoes_the_code_without_the_reason() {
    for end in End::BOTH {
        for number in [1000, 1001, 1011, 3000, 4999] {
            let mut connection = opened(end, &CONFIG);
            let listener = listen(&mut connection, &peer_close(end, number, "bye"));
            assert_eq!(listener.heard, [Heard::Close(Some(number), "bye".to_owned())]);
            let sent = read_back(end, &listener.transmitted);
            assert_eq!(sent, then_shutdown(end, &[close_sent(number, "")]));
            assert_eq!(connection.ready_state(), ReadyState::Closing);
        }
    }
}

#[test]
fn g55_reply_to_an_empty_close_is_empty() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let listener = listen(&mut connection, &from_peer(end, b"\x88\x00"));
        let sent = read_back(end, &listener.transmitted);
        assert_eq!(sent, then_shutdown(end, &[empty_close_sent()]));
        connection.receive_eof(T0);
        let expected = CloseOutcome {
            status: CloseStatus::NoStatus,
            reason: "",
            sent: Some(CloseStatus::NoStatus),
            initiator: Some(Initiator::Peer),
            was_clean: true,
            failure: None,
        };
        assert_eq!(connection.close_outcome(), Some(expected));
    }
}

#[test]
fn g55_when_both_close_at_once_each_counts_as_the_others_reply() {
    let mut server = opened(End::Server, &CONFIG);
    let mut client = opened(End::Client, &CONFIG);
    server.close(code(1001), "server", T0).unwrap();
    client.close(code(4000), "client", T0).unwrap();
    let [Some(Transmit::Frame(from_server)), Some(Transmit::Frame(from_client))] =
        [server.poll_transmit(), client.poll_transmit()]
    else {
        panic!("no Close")
    };
    let at_server = listen(&mut server, from_client.as_slice());
    let at_client = listen(&mut client, from_server.as_slice());
    assert_eq!(at_server.heard, [Heard::Close(Some(4000), "client".to_owned())]);
    assert_eq!(at_client.heard, [Heard::Close(Some(1001), "server".to_owned())]);
    // No second Close frame; the server ends TCP, and the client waits for it.
    assert_eq!(read_back(End::Server, &at_server.transmitted), [Sent::ShutdownWrite]);
    assert_eq!(at_client.transmitted, []);
    client.receive_eof(T0);
    assert_eq!(drained(End::Client, &mut client), [Sent::CloseTransport]);
    server.receive_eof(T0);
    assert_eq!(drained(End::Server, &mut server), [Sent::CloseTransport]);

    let expected = CloseOutcome {
        status: status(4000),
        reason: "client",
        sent: Some(status(1001)),
        initiator: Some(Initiator::Local),
        was_clean: true,
        failure: None,
    };
    assert_eq!(server.close_outcome(), Some(expected));
    let expected = CloseOutcome {
        status: status(1001),
        reason: "server",
        sent: Some(status(4000)),
        ..expected
    };
    assert_eq!(client.close_outcome(), Some(expected));
}

#[test]
fn g55_close_while_the_reply_waits_sends_no_second_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut peer_close(end, 1001, ""), T0).unwrap();
        connection.close(code(4000), "mine", T0).unwrap();
        connection.close_without_code(T0);
        connection.fail(code(1011), "mine", T0).unwrap();
        let sent = then_shutdown(end, &[close_sent(1001, "")]);
        assert_eq!(drained(end, &mut connection), sent);
    }
}

#[test]
fn close_from_this_side_ends_clean() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close(code(1000), "done", T0).unwrap();
        assert_eq!(drained(end, &mut connection), [close_sent(1000, "done")]);
        assert_eq!(connection.ready_state(), ReadyState::Closing);
        assert_eq!(connection.close_outcome(), None);

        let listener = listen(&mut connection, &peer_close(end, 1000, ""));
        assert_eq!(listener.heard, [Heard::Close(Some(1000), String::new())]);
        assert_eq!(read_back(end, &listener.transmitted), then_shutdown(end, &[]));
        assert_eq!(connection.ready_state(), ReadyState::Closing);

        connection.receive_eof(T0);
        assert_eq!(drained(end, &mut connection), [Sent::CloseTransport]);
        let expected = CloseOutcome {
            status: status(1000),
            reason: "",
            sent: Some(status(1000)),
            initiator: Some(Initiator::Local),
            was_clean: true,
            failure: None,
        };
        assert_eq!(connection.close_outcome(), Some(expected));
        assert_eq!(connection.ready_state(), ReadyState::Closed);
    }
}

#[test]
fn close_from_the_peer_ends_clean() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        listen_byte_by_byte(&mut connection, &peer_close(end, 1001, "going"));
        assert_eq!(connection.close_outcome(), None);
        connection.receive_eof(T0);
        let expected = CloseOutcome {
            status: status(1001),
            reason: "going",
            sent: Some(status(1001)),
            initiator: Some(Initiator::Peer),
            was_clean: true,
            failure: None,
        };
        assert_eq!(connection.close_outcome(), Some(expected));
    }
}

#[test]
fn close_without_code_is_answered_by_any_code() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close_without_code(T0);
        assert_eq!(drained(end, &mut connection), [empty_close_sent()]);
        listen(&mut connection, &peer_close(end, 1000, "ok"));
        connection.receive_eof(T0);
        let outcome = connection.close_outcome().unwrap();
        assert_eq!((outcome.status, outcome.reason), (status(1000), "ok"));
        assert_eq!((outcome.sent, outcome.was_clean), (Some(CloseStatus::NoStatus), true));
    }
}

#[test]
fn messages_on_their_way_are_still_heard_after_our_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let mut listener = Listener::default();
        listener.feed(&mut connection, &from_peer(end, b"\x01\x03Hel"), T0);
        connection.close(code(1000), "", T0).unwrap();
        // The rest of a message, another one, a pong, then Close.
        let bytes = from_peer(end, b"\x80\x02lo\x82\x01b\x8a\x00\x88\x00");
        listener.feed(&mut connection, &bytes, T0);
        let binary = Heard::Binary(b"b".to_vec());
        let close = Heard::Close(None, String::new());
        let expected = [Heard::text("Hello"), binary, Heard::Pong(vec![]), close];
        assert_eq!(listener.heard, expected);
    }
}

#[test]
fn g50_input_after_the_peers_close_is_discarded() {
    for end in End::BOTH {
        for listen in [listen, listen_byte_by_byte] {
            let mut connection = opened(end, &CONFIG);
            let mut bytes = peer_close(end, 1000, "");
            // A message, another Close, and what is no frame at all.
            bytes.extend(from_peer(end, b"\x81\x02Hi\x88\x02\x03\xe9\xff\xff\xff"));
            let listener = listen(&mut connection, &bytes);
            assert_eq!(listener.heard, [Heard::Close(Some(1000), String::new())]);
            assert_eq!(listener.error, None);
            connection.receive_eof(T0);
            assert_eq!(connection.close_outcome().unwrap().status, status(1000));
        }
    }
}

#[test]
fn g50_whole_message_is_heard_only_while_frames_are_read() {
    for end in End::BOTH {
        for (state, mut connection) in in_every_state(end) {
            let listener = listen(&mut connection, &from_peer(end, b"\x81\x02Hi"));
            let heard = matches!(state, "open" | "close sent");
            assert_eq!(listener.heard == [Heard::text("Hi")], heard, "{state}");
            assert_eq!(listener.heard.is_empty(), !heard, "{state}");
            assert_eq!(listener.error, None, "{state}");
        }
    }
}

#[test]
fn opening_twice_changes_nothing() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut from_peer(end, b"\x01\x01a"), T0).unwrap();
        connection.open(NegotiatedExtensions::default(), T0);
        let error = connection.receive(&mut from_peer(end, b"\x81\x02Hi"), T0).unwrap_err();
        assert_eq!(error, ProtocolError::ExpectedContinuation);
        let deadline = connection.next_deadline();
        connection.open(NegotiatedExtensions::default(), T0);
        assert_eq!(connection.next_deadline(), deadline);
        let listener = listen(&mut connection, &from_peer(end, b"\x81\x02Hi"));
        assert_eq!(listener.heard, []);
    }
}

#[test]
fn g50_pong_that_is_owed_and_close_are_all_that_follows_the_peers_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.begin_message(MessageType::Text, false, 0).unwrap();
        connection.receive(&mut from_peer(end, b"\x89\x01a"), T0).unwrap();
        connection.receive(&mut peer_close(end, 1000, ""), T0).unwrap();
        let sent = then_shutdown(end, &[pong_sent(b"a"), close_sent(1000, "")]);
        assert_eq!(drained(end, &mut connection), sent);
    }
}

#[test]
fn g56_server_ends_tcp_first_and_client_waits() {
    let mut server = opened(End::Server, &CONFIG);
    server.receive(&mut peer_close(End::Server, 1000, ""), T0).unwrap();
    let sent = [close_sent(1000, ""), Sent::ShutdownWrite];
    assert_eq!(drained(End::Server, &mut server), sent);
    let mut client = opened(End::Client, &CONFIG);
    client.receive(&mut peer_close(End::Client, 1000, ""), T0).unwrap();
    assert_eq!(drained(End::Client, &mut client), [close_sent(1000, "")]);
    // Under a deadline, both.
    for (end, connection) in [(End::Server, &mut server), (End::Client, &mut client)] {
        let deadline = T0 + CONFIG.closing_timeout;
        assert_eq!(connection.next_deadline(), Some(deadline));
        assert_eq!(connection.handle_timeout(deadline), Ok(()));
        assert_eq!(drained(end, connection), [Sent::AbortTransport]);
        assert!(connection.close_outcome().unwrap().was_clean);
    }
}

#[test]
fn g56_eof_without_close_is_1006() {
    for end in End::BOTH {
        // At rest, in a header, in a message, in a control frame.
        for bytes in [&b""[..], b"\x81", b"\x01\x05He", b"\x89\x05pi"] {
            let mut connection = opened(end, &CONFIG);
            listen(&mut connection, &from_peer(end, bytes));
            connection.receive_eof(T0);
            assert_eq!(connection.ready_state(), ReadyState::Closed);
            assert_eq!(drained(end, &mut connection), [Sent::CloseTransport]);
            assert_eq!(connection.close_outcome(), Some(ABNORMAL));
        }
    }
}

#[test]
fn g56_eof_in_every_state_ends_the_connection_once() {
    for end in End::BOTH {
        for (name, mut connection) in in_every_state(end) {
            connection.receive_eof(T0);
            connection.receive_eof(T0);
            let expected = if name == "closed" { vec![] } else { vec![Sent::CloseTransport] };
            assert_eq!(drained(end, &mut connection), expected, "{end:?} {name}");
            assert_eq!(connection.ready_state(), ReadyState::Closed);
            let outcome = connection.close_outcome().unwrap();
            let (status, sent, was_clean) = match name {
                "close sent" => (1006, Some(1000), false),
                "finishing" => (1001, Some(1001), true),
                "failing" => (1006, Some(1002), false),
                _ => (1006, None, false),
            };
            assert_eq!(outcome.status.to_u16(), status, "{name}");
            assert_eq!(outcome.sent.map(CloseStatus::to_u16), sent, "{name}");
            assert_eq!(outcome.was_clean, was_clean, "{name}");
        }
    }
}

#[test]
fn g56_eof_behind_close_lets_the_reply_out() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut peer_close(end, 1000, ""), T0).unwrap();
        connection.receive_eof(T0);
        let sent = [close_sent(1000, ""), Sent::CloseTransport];
        assert_eq!(drained(end, &mut connection), sent);
        assert!(connection.close_outcome().unwrap().was_clean);
    }
}

#[test]
fn nothing_after_the_end_changes_the_outcome() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive_eof(T0);
        connection.close(code(1000), "", T0).unwrap();
        connection.fail(code(1011), "", T0).unwrap();
        connection.transport_failed(T0);
        assert_eq!(connection.close_outcome(), Some(ABNORMAL));
    }
}

#[test]
fn transport_that_broke_in_every_state_ends_the_connection_once() {
    for end in End::BOTH {
        for (name, mut connection) in in_every_state(end) {
            connection.transport_failed(T0);
            connection.transport_failed(T0);
            let expected = if name == "closed" { vec![] } else { vec![Sent::AbortTransport] };
            assert_eq!(drained(end, &mut connection), expected, "{end:?} {name}");
            assert_eq!(connection.ready_state(), ReadyState::Closed);
        }
    }
}

#[test]
fn transport_that_broke_takes_what_was_queued_with_it() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut from_peer(end, b"\x89\x01a"), T0).unwrap();
        connection.transport_failed(T0);
        assert_eq!(drained(end, &mut connection), [Sent::AbortTransport]);
        assert_eq!(connection.close_outcome(), Some(ABNORMAL));
    }
}

#[test]
fn close_that_the_transport_took_with_it_was_not_sent() {
    for end in End::BOTH {
        // Our Close is queued when the transport breaks.
        let mut connection = opened(end, &CONFIG);
        connection.close(code(1000), "", T0).unwrap();
        connection.transport_failed(T0);
        assert_eq!(drained(end, &mut connection), [Sent::AbortTransport]);
        let initiator = Some(Initiator::Local);
        assert_eq!(connection.close_outcome(), Some(CloseOutcome { initiator, ..ABNORMAL }));
        // The reply is queued when it breaks: the handshake was not completed (section 7.1.4).
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut peer_close(end, 1000, ""), T0).unwrap();
        connection.transport_failed(T0);
        assert_eq!(drained(end, &mut connection), [Sent::AbortTransport]);
        let outcome = connection.close_outcome().unwrap();
        assert_eq!((outcome.status, outcome.sent), (status(1000), None));
        assert!(!outcome.was_clean);
    }
}

#[test]
fn g57_failing_sends_close_and_stops_reading() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.fail(code(1011), "no disk", T0).unwrap();
        assert_eq!(connection.ready_state(), ReadyState::Closing);
        let sent = [close_sent(1011, "no disk"), Sent::ShutdownWrite];
        assert_eq!(drained(end, &mut connection), sent);
        // Not even the peer's Close is read.
        let bytes = [from_peer(end, b"\x81\x02Hi"), peer_close(end, 1000, "")].concat();
        assert_eq!(listen(&mut connection, &bytes), Listener::default());
        connection.receive_eof(T0);
        let expected = CloseOutcome {
            status: CloseStatus::Abnormal,
            reason: "",
            sent: Some(status(1011)),
            initiator: Some(Initiator::Local),
            was_clean: false,
            failure: None,
        };
        assert_eq!(connection.close_outcome(), Some(expected));
    }
}

#[test]
fn g57_failing_before_the_connection_opens_sends_no_close() {
    for end in End::BOTH {
        for act in [
            |connection: &mut Connection<Side>| connection.fail(code(1011), "", T0).unwrap(),
            |connection: &mut Connection<Side>| connection.close(code(1000), "", T0).unwrap(),
            |connection: &mut Connection<Side>| connection.close_without_code(T0),
        ] {
            let mut connection = Connection::new(end.role(), &CONFIG, T0);
            act(&mut connection);
            assert_eq!(connection.ready_state(), ReadyState::Closed);
            assert_eq!(drained(end, &mut connection), [Sent::CloseTransport]);
            let outcome = connection.close_outcome().unwrap();
            assert_eq!((outcome.status, outcome.sent), (CloseStatus::Abnormal, None));
        }
    }
}

#[test]
fn g57_fault_of_the_peer_fails_the_connection() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        // An opcode of 3, then a message.
        let listener = listen(&mut connection, &from_peer(end, b"\x83\x00\x81\x02Hi"));
        assert_eq!((listener.heard, listener.error), (vec![], Some(ProtocolError::ReservedOpcode)));
        let sent = read_back(end, &listener.transmitted);
        assert_eq!(sent, [close_sent(1002, "reserved opcode"), Sent::ShutdownWrite]);
        connection.receive_eof(T0);
        let outcome = connection.close_outcome().unwrap();
        assert_eq!(outcome.failure, Some(ProtocolError::ReservedOpcode));
        assert_eq!(outcome.initiator, Some(Initiator::Local));
    }
}

#[test]
fn g57_fault_of_the_peer_after_our_close_sends_no_second_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close(code(1000), "", T0).unwrap();
        let listener = listen(&mut connection, &from_peer(end, b"\x83"));
        assert_eq!(listener.error, Some(ProtocolError::ReservedOpcode));
        let sent = read_back(end, &listener.transmitted);
        assert_eq!(sent, [close_sent(1000, ""), Sent::ShutdownWrite]);
        connection.receive_eof(T0);
        let outcome = connection.close_outcome().unwrap();
        assert_eq!(outcome.sent, Some(status(1000)));
        assert_eq!(outcome.failure, Some(ProtocolError::ReservedOpcode));
    }
}

#[test]
fn g57_fail_in_every_state_sends_at_most_one_close() {
    for end in End::BOTH {
        for (name, mut connection) in in_every_state(end) {
            connection.fail(code(1011), "", T0).unwrap();
            connection.fail(code(1011), "", T0).unwrap();
            let expected = match name {
                "connecting" => vec![Sent::CloseTransport],
                "open" => vec![close_sent(1011, ""), Sent::ShutdownWrite],
                "close sent" => vec![Sent::ShutdownWrite],
                _ => vec![],
            };
            assert_eq!(drained(end, &mut connection), expected, "{end:?} {name}");
        }
    }
}

#[test]
fn close_in_every_state_sends_at_most_one_close() {
    for end in End::BOTH {
        for (name, mut connection) in in_every_state(end) {
            connection.close(code(1000), "", T0).unwrap();
            connection.close_without_code(T0);
            let expected = match name {
                "connecting" => vec![Sent::CloseTransport],
                "open" => vec![close_sent(1000, "")],
                _ => vec![],
            };
            assert_eq!(drained(end, &mut connection), expected, "{end:?} {name}");
        }
    }
}

#[test]
fn bytes_before_the_connection_opens_are_no_frames() {
    for end in End::BOTH {
        let mut connection = Connection::new(end.role(), &CONFIG, T0);
        let listener = listen(&mut connection, b"\xff\xff\xff\xff");
        assert_eq!(listener, Listener::default());
        assert_eq!(connection.ready_state(), ReadyState::Connecting);
    }
}
