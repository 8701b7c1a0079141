//! Where the buffered endpoint knows more than the connection: what waits to be written, and what
//! becomes of it.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::time::Duration;

use duologue_core::{
    CloseStatus, Config, Keepalive, Message, ProtocolError, ReadyState, Step, Timestamp,
    TransportStep,
};

use support::endpoint::{endpoint, put, write_all, written_frames};
use support::reference::Heard;
use support::{End, T0, frame, from_peer};

/// A ping after 20 s of silence, a byte within 20 s after it; 30 s for a peer that takes nothing.
const CONFIG: Config = Config {
    keepalive: Some(Keepalive {
        interval: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        ..Keepalive::DEFAULT
    }),
    closing_timeout: Duration::from_secs(5),
    write_stall_timeout: Duration::from_secs(30),
    ..Config::DEFAULT
};

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

#[test]
fn slow_peer_is_not_failed_while_bytes_wait_for_it() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send(Message::binary(vec![0; 100_000])).unwrap();
        // It takes a few bytes each second, and cannot see the ping behind them.
        for second in 1..=90 {
            assert_eq!(endpoint.transport_step(), TransportStep::Write);
            endpoint.wrote(1000);
            endpoint.write_blocked(after(second));
            assert_eq!(endpoint.handle_timeout(after(second)), Ok(()), "{second}");
            assert!(endpoint.next_deadline().unwrap() > after(second), "{second}");
        }
        assert_eq!(endpoint.ready_state(), ReadyState::Open);
        // Once all is out, the ping among it, the peer has its time to answer: once more, as the
        // last bytes may have to find their way through the transport's buffers.
        write_all(&mut endpoint);
        let deadline = endpoint.next_deadline().unwrap();
        assert!(deadline > after(90) && deadline <= after(110), "{deadline:?}");
        assert_eq!(endpoint.handle_timeout(deadline), Ok(()));
        let last = deadline + Duration::from_secs(20);
        assert_eq!(endpoint.next_deadline(), Some(last));
        assert_eq!(endpoint.handle_timeout(last), Err(ProtocolError::PongTimeout));
    }
}

#[test]
fn ping_at_every_interval_is_queued_behind_bytes_that_wait() {
    let keepalive = CONFIG.keepalive.map(|keepalive| Keepalive { always: true, ..keepalive });
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &Config { keepalive, ..CONFIG });
        endpoint.send_text("Hello").unwrap();
        assert_eq!(endpoint.handle_timeout(after(20)), Ok(()));
        let ping = Heard::Ping(vec![0, 1]);
        assert_eq!(written_frames(end, &mut endpoint), [Heard::text("Hello"), ping]);
        assert_eq!(endpoint.next_deadline(), Some(after(40)));
    }
}

#[test]
fn peer_that_takes_nothing_is_told_as_the_failure() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        endpoint.send_text("Hello").unwrap();
        endpoint.write_blocked(after(1));
        assert_eq!(endpoint.handle_timeout(after(30)), Ok(()));
        assert_eq!(endpoint.handle_timeout(after(31)), Err(ProtocolError::WriteStalled));
        assert_eq!(endpoint.transport_step(), TransportStep::Close);
        let outcome = endpoint.close_outcome().unwrap();
        assert_eq!(outcome.failure, Some(ProtocolError::WriteStalled));
        assert!(!outcome.was_clean);
    }
}

#[test]
fn close_frame_that_was_never_written_is_not_told_as_sent() {
    for end in End::BOTH {
        // Nothing of it, or all of it but the last byte, is written.
        for unwritten in [usize::MAX, 1] {
            let mut endpoint = endpoint(end, &CONFIG);
            put(&mut endpoint, &from_peer(end, b"\x88\x02\x03\xe8"));
            assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Close)));
            assert_eq!(endpoint.transport_step(), TransportStep::Write);
            endpoint.wrote(endpoint.buffered_amount().saturating_sub(unwritten));
            assert_eq!(endpoint.handle_timeout(after(5)), Ok(()));
            assert_eq!(endpoint.transport_step(), TransportStep::Close);
            let outcome = endpoint.close_outcome().unwrap();
            assert_eq!((outcome.sent, outcome.was_clean), (None, false));
            assert_eq!(outcome.status.to_u16(), 1000);
        }
    }
}

#[test]
fn close_frame_that_was_written_stays_sent_when_the_deadline_comes() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put(&mut endpoint, &from_peer(end, b"\x88\x00"));
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Close)));
        write_all(&mut endpoint);
        assert_eq!(endpoint.handle_timeout(after(5)), Ok(()));
        let outcome = endpoint.close_outcome().unwrap();
        assert_eq!((outcome.sent, outcome.was_clean), (Some(CloseStatus::NoStatus), true));
    }
}

#[test]
fn high_water_mark_of_zero_lets_one_message_wait() {
    for end in End::BOTH {
        let config = Config { write_high_water: 0, ..CONFIG };
        let mut endpoint = endpoint(end, &config);
        assert!(endpoint.has_room());
        put(&mut endpoint, &from_peer(end, b"\x89\x01p"));
        assert!(matches!(endpoint.next_message(T0), Ok(Some(Step::Ping(_)))));
        assert!(!endpoint.has_room());
        assert_eq!(written_frames(end, &mut endpoint), [Heard::Pong(b"p".to_vec())]);
        assert!(endpoint.has_room());
    }
}

#[test]
fn small_message_that_is_kept_keeps_no_buffer() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        let mut kept = Vec::new();
        let mut buffers = std::collections::HashSet::new();
        for _ in 0..100 {
            put(&mut endpoint, &from_peer(end, &frame(0x82, &[7; 1024])));
            assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
            buffers.insert(endpoint.message().unwrap().payload().as_ptr().addr() / 65_536);
            kept.push(endpoint.take_message().unwrap());
            // Nobody else holds the buffer: it can be passed on.
            let mut buffer = endpoint.release_read_buffer().unwrap();
            assert!(buffer.try_reclaim(duologue_core::READ_SIZE));
            endpoint.supply_read_buffer(buffer);
        }
        assert!(buffers.len() <= 2, "one buffer served all reads");
        assert!(kept.iter().all(|message| message.payload() == [7; 1024]));
    }
}

#[test]
fn round_trip_is_measured_by_the_answer_to_the_keepalive() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        assert_eq!(endpoint.round_trip_time(), None);
        assert_eq!(endpoint.handle_timeout(after(20)), Ok(()));
        let pings = written_frames(end, &mut endpoint);
        let [Heard::Ping(payload)] = &pings[..] else { panic!("{pings:?}") };
        put(&mut endpoint, &from_peer(end, &frame(0x8a, payload)));
        assert!(matches!(endpoint.next_message(after(23)), Ok(Some(Step::Pong(_)))));
        assert_eq!(endpoint.round_trip_time(), Some(Duration::from_secs(3)));
    }
}

#[test]
fn closing_timeout_begins_anew_once_the_application_has_read_the_close() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        put(&mut endpoint, &from_peer(end, b"\x88\x02\x03\xe8"));
        assert_eq!(endpoint.next_message(after(1)), Ok(Some(Step::Close)));
        assert_eq!(endpoint.next_deadline(), Some(after(6)));
        endpoint.restart_closing_timeout(after(4));
        assert_eq!(endpoint.next_deadline(), Some(after(9)));
        assert_eq!(endpoint.handle_timeout(after(8)), Ok(()));
        assert_ne!(endpoint.ready_state(), ReadyState::Closed);
        assert_eq!(endpoint.handle_timeout(after(9)), Ok(()));
        assert_eq!(endpoint.ready_state(), ReadyState::Closed);
    }
}
