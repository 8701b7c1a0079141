//! Deadlines: the opening handshake's, keepalive, the closing handshake's.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::time::Duration;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Config, Connection, Initiator, Keepalive, ProtocolError, ReadyState, Timestamp,
};

use support::reference::Heard;
use support::{End, Sent, Side, T0, close_sent, code, drained, from_peer, listen, opened, status};

/// Opening within 10 s, closing within 5 s, a ping after 20 s, a byte within 7 s after it.
const CONFIG: Config = Config {
    opening_timeout: Duration::from_secs(10),
    closing_timeout: Duration::from_secs(5),
    keepalive: Some(Keepalive {
        interval: Duration::from_secs(20),
        timeout: Duration::from_secs(7),
        ..Keepalive::DEFAULT
    }),
    ..Config::DEFAULT
};

const TICK: Duration = Duration::from_nanos(1);

/// `seconds` after the connection opened.
fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

/// The last moment before `at`.
fn before(at: Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos() - 1)
}

/// The keepalive ping of this number.
fn ping_sent(number: u16) -> Sent {
    Sent::Frame(Heard::Ping(number.to_be_bytes().to_vec()))
}

/// Asserts that the one deadline is at `at`, and that nothing happens before it.
fn assert_waits_until(end: End, connection: &mut Connection<Side>, at: Timestamp) {
    assert_eq!(connection.next_deadline(), Some(at));
    let state = connection.ready_state();
    assert_eq!(connection.handle_timeout(before(at)), Ok(()));
    assert_eq!(drained(end, connection), []);
    assert_eq!((connection.ready_state(), connection.next_deadline()), (state, Some(at)));
}

/// Asserts that the transport is aborted at `at`, once, and that no deadline is left.
fn assert_aborts_at(end: End, connection: &mut Connection<Side>, at: Timestamp) {
    assert_waits_until(end, connection, at);
    assert_eq!(connection.handle_timeout(at), Ok(()));
    assert_eq!(connection.ready_state(), ReadyState::Closed);
    assert_eq!(drained(end, connection), [Sent::AbortTransport]);
    assert_eq!(connection.next_deadline(), None);
    assert_eq!(connection.handle_timeout(at + Duration::from_secs(1000)), Ok(()));
    assert_eq!(drained(end, connection), []);
}

#[test]
fn opening_handshake_past_its_deadline_aborts() {
    for end in End::BOTH {
        let mut connection = Connection::new(end.role(), &CONFIG, T0);
        // A byte does not move the deadline.
        connection.receive(&mut [0x81], after(9)).unwrap();
        assert_aborts_at(end, &mut connection, after(10));
        let outcome = connection.close_outcome().unwrap();
        assert_eq!((outcome.status.to_u16(), outcome.sent), (1006, None));
    }
}

#[test]
fn opened_connection_forgets_the_opening_deadline() {
    for end in End::BOTH {
        let config = Config { keepalive: None, ..CONFIG };
        let mut connection = Connection::new(end.role(), &config, T0);
        connection.open(NegotiatedExtensions::default(), after(9));
        assert_eq!(connection.next_deadline(), None);
        assert_eq!(connection.handle_timeout(after(100)), Ok(()));
        assert_eq!(connection.ready_state(), ReadyState::Open);
    }
}

#[test]
fn keepalive_pings_after_an_interval_of_silence() {
    for end in End::BOTH {
        let mut connection = Connection::new(end.role(), &CONFIG, T0);
        connection.open(NegotiatedExtensions::default(), after(3));
        assert_waits_until(end, &mut connection, after(23));
        assert_eq!(connection.handle_timeout(after(23)), Ok(()));
        assert_eq!(drained(end, &mut connection), [ping_sent(1)]);
        assert_eq!(connection.ready_state(), ReadyState::Open);
    }
}

#[test]
fn keepalive_fails_when_nothing_comes_after_the_ping() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        // The ping goes out a little late, and the peer has its whole time from then on.
        assert_eq!(connection.handle_timeout(after(21)), Ok(()));
        assert_eq!(drained(end, &mut connection), [ping_sent(1)]);
        assert_waits_until(end, &mut connection, after(28));
        assert_eq!(connection.handle_timeout(after(28)), Err(ProtocolError::PongTimeout));
        assert_eq!(connection.ready_state(), ReadyState::Closing);
        let sent = drained(end, &mut connection);
        assert_eq!(sent, [close_sent(1011, "keepalive timeout"), Sent::ShutdownWrite]);
        // It is told once; then the closing deadline runs.
        assert_aborts_at(end, &mut connection, after(33));
        let outcome = connection.close_outcome().unwrap();
        assert_eq!(outcome.failure, Some(ProtocolError::PongTimeout));
        assert_eq!((outcome.status.to_u16(), outcome.sent), (1006, Some(status(1011))));
        assert_eq!((outcome.initiator, outcome.was_clean), (Some(Initiator::Local), false));
    }
}

#[test]
fn keepalive_counts_any_byte_as_life() {
    // A pong; a ping; a message; half a header; one byte of a payload of which more is to come.
    for bytes in [&b"\x8a\x00"[..], b"\x89\x00", b"\x81\x02Hi", b"\x82", b"\x82\x7e\x01\x00x"] {
        for end in End::BOTH {
            let mut connection = opened(end, &CONFIG);
            let mut bytes = from_peer(end, bytes);
            connection.handle_timeout(after(20)).unwrap();
            assert_eq!(drained(end, &mut connection), [ping_sent(1)]);
            connection.receive(&mut bytes, after(26)).unwrap();
            while connection.poll_transmit().is_some() {}
            assert_waits_until(end, &mut connection, after(46));
            assert_eq!(connection.handle_timeout(after(46)), Ok(()));
            assert_eq!(drained(end, &mut connection), [ping_sent(2)]);
        }
    }
}

#[test]
fn keepalive_does_not_count_an_empty_read_as_life() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut [], after(19)).unwrap();
        assert_waits_until(end, &mut connection, after(20));
    }
}

#[test]
fn keepalive_pings_again_after_each_answer() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let mut now = T0;
        for number in 1..=5 {
            now = now + Duration::from_secs(20);
            assert_waits_until(end, &mut connection, now);
            connection.handle_timeout(now).unwrap();
            assert_eq!(drained(end, &mut connection), [ping_sent(number)]);
            now = now + Duration::from_secs(6);
            connection.receive(&mut from_peer(end, b"\x8a\x00"), now).unwrap();
        }
    }
}

#[test]
fn keepalive_measures_the_round_trip_by_the_pong_of_the_last_ping() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        assert_eq!(connection.round_trip_time(), None);
        connection.handle_timeout(after(20)).unwrap();
        assert_eq!(drained(end, &mut connection), [ping_sent(1)]);
        // Life, but no answer: pongs that nobody asked for, and another payload.
        for pong in [&b"\x8a\x00"[..], b"\x8a\x02\x00\x02", b"\x8a\x03\x00\x01\x00"] {
            connection.receive(&mut from_peer(end, pong), after(21)).unwrap();
            assert_eq!(connection.round_trip_time(), None);
        }
        let pong = b"\x8a\x02\x00\x01";
        let came = after(20) + Duration::from_micros(1234);
        connection.receive(&mut from_peer(end, pong), came).unwrap();
        assert_eq!(connection.round_trip_time(), Some(Duration::from_micros(1234)));
        // The same pong again says nothing.
        connection.receive(&mut from_peer(end, pong), after(22)).unwrap();
        assert_eq!(connection.round_trip_time(), Some(Duration::from_micros(1234)));
        // The next ping's answer overtakes the figure; one within no time takes a microsecond.
        connection.handle_timeout(after(42)).unwrap();
        assert_eq!(drained(end, &mut connection), [ping_sent(2)]);
        connection.receive(&mut from_peer(end, pong), after(42)).unwrap();
        assert_eq!(connection.round_trip_time(), Some(Duration::from_micros(1234)));
        connection.receive(&mut from_peer(end, b"\x8a\x02\x00\x02"), after(42)).unwrap();
        assert_eq!(connection.round_trip_time(), Some(Duration::from_micros(1)));
    }
}

#[test]
fn keepalive_pings_at_every_interval_where_that_is_chosen() {
    let keepalive = CONFIG.keepalive.map(|keepalive| Keepalive { always: true, ..keepalive });
    for end in End::BOTH {
        let mut connection = opened(end, &Config { keepalive, ..CONFIG });
        for (number, seconds) in [(1, 20), (2, 40), (3, 60)] {
            // Bytes come right before it, and after it.
            connection.receive(&mut from_peer(end, b"\x81\x02Hi"), after(seconds - 1)).unwrap();
            assert_waits_until(end, &mut connection, after(seconds));
            connection.handle_timeout(after(seconds)).unwrap();
            assert_eq!(drained(end, &mut connection), [ping_sent(number)]);
            assert_eq!(connection.next_deadline(), Some(after(seconds + 7)));
            connection.receive(&mut from_peer(end, b"\x81\x02Hi"), after(seconds + 1)).unwrap();
        }
        connection.handle_timeout(after(80)).unwrap();
        assert_eq!(connection.handle_timeout(after(87)), Err(ProtocolError::PongTimeout));
    }
}

#[test]
fn keepalive_ping_waits_for_a_pong_in_the_queue_and_is_dropped_by_close() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut from_peer(end, b"\x89\x01a"), T0).unwrap();
        connection.handle_timeout(after(20)).unwrap();
        connection.close(code(1000), "", after(21)).unwrap();
        let pong = support::pong_sent(b"a");
        assert_eq!(drained(end, &mut connection), [pong, close_sent(1000, "")]);
    }
}

#[test]
fn keepalive_stops_with_the_closing_handshake() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.handle_timeout(after(20)).unwrap();
        connection.close(code(1000), "", after(21)).unwrap();
        assert_eq!(connection.next_deadline(), Some(after(26)));
        assert_eq!(connection.handle_timeout(after(26) + TICK), Ok(()));
        assert_eq!(drained(end, &mut connection), [Sent::AbortTransport]);
        assert_eq!(connection.close_outcome().unwrap().failure, None);
    }
}

#[test]
fn close_that_is_never_answered_aborts_at_the_closing_deadline() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close(code(1001), "bye", after(2)).unwrap();
        assert_eq!(drained(end, &mut connection), [close_sent(1001, "bye")]);
        // Messages that still come do not move the deadline, nor does a second close.
        connection.receive(&mut from_peer(end, b"\x81\x02Hi"), after(6)).unwrap();
        connection.close(code(1000), "", after(6)).unwrap();
        assert_aborts_at(end, &mut connection, after(7));
        let outcome = connection.close_outcome().unwrap();
        assert_eq!((outcome.status.to_u16(), outcome.sent), (1006, Some(status(1001))));
        assert_eq!((outcome.initiator, outcome.was_clean), (Some(Initiator::Local), false));
    }
}

#[test]
fn peer_that_never_ends_tcp_is_aborted_at_the_closing_deadline() {
    for end in End::BOTH {
        // Both Close frames are exchanged, whoever began: the deadline runs from the first.
        let mut connection = opened(end, &CONFIG);
        connection.receive(&mut from_peer(end, b"\x88\x02\x03\xe8"), after(1)).unwrap();
        while connection.poll_transmit().is_some() {}
        assert_aborts_at(end, &mut connection, after(6));
        assert!(connection.close_outcome().unwrap().was_clean);

        let mut connection = opened(end, &CONFIG);
        connection.close(code(1000), "", after(1)).unwrap();
        connection.receive(&mut from_peer(end, b"\x88\x02\x03\xe8"), after(4)).unwrap();
        while connection.poll_transmit().is_some() {}
        assert_aborts_at(end, &mut connection, after(6));
        assert!(connection.close_outcome().unwrap().was_clean);
    }
}

#[test]
fn failed_connection_is_aborted_at_the_closing_deadline() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        let listener = listen(&mut connection, &from_peer(end, b"\x83"));
        assert_eq!(listener.error, Some(ProtocolError::ReservedOpcode));
        // The peer goes on sending, in vain.
        connection.receive(&mut from_peer(end, b"\x81\x02Hi"), after(4)).unwrap();
        assert_aborts_at(end, &mut connection, after(5));
        let outcome = connection.close_outcome().unwrap();
        assert_eq!(outcome.failure, Some(ProtocolError::ReservedOpcode));
    }
}

#[test]
fn closed_connection_has_no_deadline() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.receive_eof(T0);
        assert_eq!(connection.next_deadline(), None);
        assert_eq!(connection.handle_timeout(after(1000)), Ok(()));
        assert_eq!(drained(end, &mut connection), [Sent::CloseTransport]);
    }
}

#[test]
fn deadline_past_the_end_of_time_never_comes() {
    for end in End::BOTH {
        let config = Config {
            opening_timeout: Duration::MAX,
            closing_timeout: Duration::MAX,
            keepalive: Some(Keepalive {
                interval: Duration::MAX,
                timeout: Duration::MAX,
                always: false,
            }),
            ..CONFIG
        };
        let mut connection = Connection::new(end.role(), &config, T0);
        let never = Timestamp::from_nanos(u64::MAX);
        assert_eq!(connection.next_deadline(), Some(never));
        connection.open(NegotiatedExtensions::default(), T0);
        let month = Duration::from_secs(30 * 24 * 3600);
        assert!(connection.next_deadline().unwrap() > T0 + month);
        connection.close_without_code(T0);
        assert!(connection.next_deadline().unwrap() > T0 + month);
    }
}

#[test]
fn time_that_goes_backwards_only_delays() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        assert_eq!(connection.handle_timeout(Timestamp::ZERO), Ok(()));
        connection.receive(&mut from_peer(end, b"\x8a\x00"), Timestamp::ZERO).unwrap();
        assert_eq!(connection.next_deadline(), Some(Timestamp::from_millis(20_000)));
        assert_eq!(drained(end, &mut connection), []);
    }
}

#[test]
fn closing_timeout_restarts_once_where_the_peers_bytes_began_it() {
    for end in End::BOTH {
        // Close(1000), and a frame with a reserved opcode.
        for bytes in [&b"\x88\x02\x03\xe8"[..], b"\x83\x00"] {
            let mut connection = opened(end, &CONFIG);
            connection.restart_closing_timeout(after(1));
            assert_eq!(connection.next_deadline(), Some(after(20)));
            let _ = connection.receive(&mut from_peer(end, bytes), after(1));
            connection.restart_closing_timeout(after(3));
            assert_eq!(connection.next_deadline(), Some(after(8)));
            connection.restart_closing_timeout(after(4));
            assert_eq!(connection.next_deadline(), Some(after(8)));
            assert!(!drained(end, &mut connection).is_empty());
            assert_aborts_at(end, &mut connection, after(8));
            connection.restart_closing_timeout(after(9));
            assert_eq!(connection.next_deadline(), None);
        }
    }
}

#[test]
fn closing_timeout_that_we_began_is_not_put_off_by_the_peer() {
    for end in End::BOTH {
        let mut connection = opened(end, &CONFIG);
        connection.close_without_code(after(1));
        connection.receive(&mut from_peer(end, b"\x88\x00"), after(5)).unwrap();
        connection.restart_closing_timeout(after(5));
        assert_eq!(connection.next_deadline(), Some(after(6)));
    }
}
