//! Pings and pongs (RFC 6455 sections 5.5.2 and 5.5.3).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{Config, Connection, ControlFrame, Event, ReadyState, SendError};

use support::reference::Heard;
use support::{
    End, Listener, Sent, Side, T0, close_sent, code, drained, frame, from_peer, listen, opened,
    pong_sent, read_back,
};

const CONFIG: Config = Config::DEFAULT;

/// Hands in `bytes` without draining what the connection has to send.
fn receive_only(connection: &mut Connection<Side>, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    while !input.is_empty() {
        let consumed = connection.receive(input, T0).unwrap().consumed;
        input = &mut input[consumed..];
    }
}

#[test]
fn g48_pong_echoes_the_pings_payload() {
    for end in End::BOTH {
        for length in [0, 1, 4, 5, 124, 125] {
            let payload: Vec<u8> = (0..length).collect();
            let ping = from_peer(end, &frame(0x89, &payload));
            for piece in [1, 3, 200] {
                let mut connection = opened(end, &CONFIG);
                let mut listener = Listener::default();
                for piece in ping.chunks(piece) {
                    assert_eq!(listener.transmitted, [], "no pong before the ping is whole");
                    listener.feed(&mut connection, piece, T0);
                }
                assert_eq!(listener.heard, [Heard::Ping(payload.clone())]);
                assert_eq!(read_back(end, &listener.transmitted), [pong_sent(&payload)]);
            }
        }
    }
}

#[test]
fn g48_each_ping_is_answered_where_output_keeps_up() {
    for end in End::BOTH {
        let bytes = from_peer(end, b"\x89\x01a\x89\x01b\x89\x01c");
        let listener = listen(&mut opened(end, &CONFIG), &bytes);
        let pongs = [pong_sent(b"a"), pong_sent(b"b"), pong_sent(b"c")];
        assert_eq!(read_back(end, &listener.transmitted), pongs);
    }
}

#[test]
fn g48_only_the_newest_ping_is_answered_where_output_waits() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        receive_only(&mut connection, &from_peer(end, b"\x89\x02aa\x89\x01b\x89\x00\x89\x03ccc"));
        assert_eq!(drained(end, &mut connection), [pong_sent(b"ccc")]);
        assert_eq!(drained(end, &mut connection), []);
    }
}

#[test]
fn g48_pong_that_is_owed_goes_before_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        receive_only(&mut connection, &from_peer(end, b"\x89\x01a"));
        connection.close(code(1000), "", T0).unwrap();
        assert_eq!(drained(end, &mut connection), [pong_sent(b"a"), close_sent(1000, "")]);
    }
}

#[test]
fn g48_no_pong_after_our_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close(code(1000), "", T0).unwrap();
        // Whether Close is already out or not.
        receive_only(&mut connection, &from_peer(end, b"\x89\x01a"));
        assert_eq!(drained(end, &mut connection), [close_sent(1000, "")]);
        let listener = listen(&mut connection, &from_peer(end, b"\x89\x01b"));
        assert_eq!(listener.heard, [Heard::Ping(b"b".to_vec())]);
        assert_eq!(listener.transmitted, []);
    }
}

#[test]
fn g48_no_pong_after_the_peers_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let listener = listen(&mut connection, &from_peer(end, b"\x88\x00\x89\x01a"));
        assert_eq!(listener.heard, [Heard::Close(None, String::new())]);
        let sent = read_back(end, &listener.transmitted);
        assert!(!sent.contains(&pong_sent(b"a")), "{sent:?}");
    }
}

#[test]
fn g48_no_pong_after_failing() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.fail(code(1011), "", T0).unwrap();
        let listener = listen(&mut connection, &from_peer(end, b"\x89\x01a"));
        assert_eq!(listener.heard, []);
        let sent = read_back(end, &listener.transmitted);
        assert_eq!(sent, [close_sent(1011, ""), Sent::ShutdownWrite]);
    }
}

#[test]
fn g48_automatic_pong_off_leaves_the_answer_to_the_caller() {
    let config = Config { automatic_pong: false, ..CONFIG };
    for end in End::BOTH {
        let mut connection = opened(end, &config);
        let mut bytes = from_peer(end, b"\x89\x01a");
        // The event does not borrow the connection, so it can be answered while it is held.
        let received = connection.receive(&mut bytes, T0).unwrap();
        let Some(Event::Ping(payload)) = received.event else { panic!("{received:?}") };
        assert_eq!(connection.poll_transmit(), None);
        let pong = connection.pong(&payload).unwrap();
        assert_eq!(pong.as_slice()[0], 0x8A);
        assert_eq!(payload.to_owned().as_slice(), b"a");
    }
}

#[test]
fn g49_unsolicited_pong_is_heard_and_changes_nothing() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let listener = listen(&mut connection, &from_peer(end, b"\x8a\x00\x8a\x02hi"));
        assert_eq!(listener.heard, [Heard::Pong(vec![]), Heard::Pong(b"hi".to_vec())]);
        assert_eq!((listener.error, listener.transmitted), (None, vec![]));
        assert_eq!(connection.ready_state(), ReadyState::Open);
    }
}

#[test]
fn ping_and_pong_of_the_application_carry_up_to_125_bytes() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let masked = if end == End::Client { 4 } else { 0 };
        for length in [0, 1, 125] {
            let payload = vec![b'p'; length];
            assert_eq!(connection.ping(&payload).unwrap().as_slice().len(), 2 + masked + length);
            assert_eq!(connection.pong(&payload).unwrap().as_slice().len(), 2 + masked + length);
        }
        for length in [126, 127, 1000] {
            let payload = vec![b'p'; length];
            assert_eq!(connection.ping(&payload), Err(SendError::ControlPayloadTooLong));
            assert_eq!(connection.pong(&payload), Err(SendError::ControlPayloadTooLong));
        }
        assert_eq!(connection.poll_transmit(), None);
    }
}

#[test]
fn control_frame_takes_no_more_room_than_the_longest() {
    // A masked header of 6 bytes, a payload of 125, and the length.
    assert_eq!(size_of::<ControlFrame>(), 6 + 125 + 1);
    let longest = opened(End::Client, &CONFIG).ping(&[b'p'; 125]).unwrap();
    assert_eq!(longest.as_slice().len(), 131);
}

#[test]
fn ping_and_pong_of_the_application_need_an_open_connection() {
    for end in End::BOTH {
        let mut connection = Connection::new(end.role(), &CONFIG, T0);
        assert_eq!(connection.ping(b""), Err(SendError::NotOpen));
        assert_eq!(connection.pong(b""), Err(SendError::NotOpen));
        let mut connection = opened(end, &CONFIG);
        connection.close_without_code(T0);
        assert_eq!(connection.ping(b""), Err(SendError::Closing));
        assert_eq!(connection.pong(b""), Err(SendError::Closing));
        connection.transport_failed(T0);
        assert_eq!(connection.ping(b""), Err(SendError::Closing));
    }
}

#[test]
fn payload_and_frame_are_their_bytes_however_they_came() {
    let bytes = from_peer(End::Client, b"\x89\x02hi");
    let whole = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let mut connection = opened(End::Client, &CONFIG);
        let received = connection.receive(&mut bytes, T0).unwrap();
        let Some(Event::Ping(payload)) = received.event else { panic!("{received:?}") };
        payload.to_owned()
    };
    let mut cut = bytes.clone();
    let (start, rest) = cut.split_at_mut(3);
    let mut connection = opened(End::Client, &CONFIG);
    assert_eq!(connection.receive(start, T0).unwrap().event, None);
    let received = connection.receive(rest, T0).unwrap();
    let Some(Event::Ping(payload)) = received.event else { panic!("{received:?}") };
    assert_eq!(payload, whole(&bytes));
    assert_ne!(payload, whole(b"\x89\x02ho"));
    assert_ne!(payload, whole(b"\x89\x01h"));
    assert_eq!((payload.as_ref(), payload.len()), (&b"hi"[..], 2));
    assert_eq!(format!("{payload:?}"), "ControlPayload([68, 69])");

    let mut server = opened(End::Server, &CONFIG);
    let [hi, ho] = [b"hi", b"ho"].map(|payload| server.ping(payload).unwrap());
    assert_eq!(hi, server.ping(b"hi").unwrap());
    assert_ne!(hi, ho);
    assert_eq!(hi.as_ref(), b"\x89\x02hi");
    assert_eq!(format!("{hi:?}"), "ControlFrame([89, 02, 68, 69])");
}

#[test]
fn connection_shows_its_state_and_no_payload() {
    let mut connection = opened(End::Client, &CONFIG);
    connection.receive(&mut from_peer(End::Client, b"\x89\x06secret"), T0).unwrap();
    let shown = format!("{connection:?}");
    assert_eq!(shown, "Connection { phase: Open, initiator: None, failure: None, .. }");
    connection.receive(&mut from_peer(End::Client, b"\x83"), T0).unwrap_err();
    assert!(format!("{connection:?}").contains("failure: Some(ReservedOpcode)"));
}
