//! Every sequence of what can happen to a connection, up to a depth, against the written rules.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use core::time::Duration;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    CloseCode, Config, Connection, Event, MessageType, ReadyState, Timestamp, Transmit,
};

use support::{End, Side, T0, from_peer};

const DEPTH: u32 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Open,
    Close,
    CloseWithoutCode,
    Fail,
    ReceiveMessage,
    ReceivePing,
    ReceiveClose,
    ReceiveBadFrame,
    Eof,
    TransportFailed,
    Deadline,
    SendMessage,
    Drain,
}

const ACTIONS: [Action; 13] = [
    Action::Open,
    Action::Close,
    Action::CloseWithoutCode,
    Action::Fail,
    Action::ReceiveMessage,
    Action::ReceivePing,
    Action::ReceiveClose,
    Action::ReceiveBadFrame,
    Action::Eof,
    Action::TransportFailed,
    Action::Deadline,
    Action::SendMessage,
    Action::Drain,
];

/// What the peer sends, with room to unmask it in.
struct Frames {
    message: Vec<u8>,
    ping: Vec<u8>,
    close: Vec<u8>,
    bad: Vec<u8>,
}

/// One connection and what has been seen of it.
struct Run {
    connection: Connection<Side>,
    now: Timestamp,
    state: ReadyState,
    /// Close frames given out, and steps that end the transport.
    closes: u32,
    ends: u32,
    shutdowns: u32,
    errors: u32,
    peer_closed: bool,
}

impl Run {
    fn new(end: End, config: &Config) -> Self {
        Self {
            connection: Connection::new(end.role(), config, T0),
            now: T0,
            state: ReadyState::Connecting,
            closes: 0,
            ends: 0,
            shutdowns: 0,
            errors: 0,
            peer_closed: false,
        }
    }

    fn act(&mut self, action: Action, frames: &Frames) {
        let Self { connection, now, .. } = self;
        match action {
            Action::Open => connection.open(NegotiatedExtensions::default(), *now),
            Action::Close => connection.close(CloseCode::NORMAL, "", *now).unwrap(),
            Action::CloseWithoutCode => connection.close_without_code(*now),
            Action::Fail => connection.fail(CloseCode::INTERNAL_ERROR, "", *now).unwrap(),
            Action::ReceiveMessage => self.receive(&frames.message),
            Action::ReceivePing => self.receive(&frames.ping),
            Action::ReceiveClose => self.receive(&frames.close),
            Action::ReceiveBadFrame => self.receive(&frames.bad),
            Action::Eof => connection.receive_eof(*now),
            Action::TransportFailed => connection.transport_failed(*now),
            Action::Deadline => {
                let Some(deadline) = connection.next_deadline() else { return };
                *now = deadline;
                self.errors += u32::from(connection.handle_timeout(*now).is_err());
            }
            Action::SendMessage => {
                let sent = connection.begin_message(MessageType::Text, true, 0);
                let is_open = connection.ready_state() == ReadyState::Open;
                assert_eq!(sent.is_ok(), is_open, "messages go exactly where it is open");
                assert!(!is_open || self.closes == 0, "a message after Close");
            }
            Action::Drain => self.drain(),
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut copy = [0; 16];
        let input = &mut copy[..bytes.len()];
        input.copy_from_slice(bytes);
        match self.connection.receive(input, self.now) {
            Ok(received) => {
                assert_eq!(received.consumed, bytes.len());
                if received.event.is_some() {
                    assert!(!self.peer_closed, "an event after Close");
                    assert_eq!(self.errors, 0, "an event after an error");
                }
                self.peer_closed |= matches!(received.event, Some(Event::Close(_)));
            }
            Err(_) => self.errors += 1,
        }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.connection.poll_transmit() {
            assert_eq!(self.ends, 0, "something after the end");
            match transmit {
                Transmit::Frame(frame) => {
                    assert_eq!((self.closes, self.shutdowns), (0, 0), "a frame after Close");
                    self.closes += u32::from(frame.as_slice()[0] == 0x88);
                }
                Transmit::ShutdownWrite => {
                    assert_eq!(self.shutdowns, 0, "two ends of sending");
                    assert_eq!(self.closes, 1, "an end of sending without Close");
                    self.shutdowns += 1;
                }
                Transmit::CloseTransport | Transmit::AbortTransport => self.ends += 1,
            }
        }
        let is_closed = self.connection.ready_state() == ReadyState::Closed;
        assert_eq!(self.ends, u32::from(is_closed), "exactly one end, and only at the end");
        if let Some(outcome) = self.connection.close_outcome() {
            assert_eq!(outcome.sent.is_some(), self.closes == 1, "Close is told as it was sent");
        }
    }

    fn check(&mut self) {
        let state = self.connection.ready_state();
        assert!(state >= self.state, "readyState goes back");
        self.state = state;
        assert!(self.errors <= 1, "a second error");
        let outcome = self.connection.close_outcome();
        assert_eq!(outcome.is_some(), state == ReadyState::Closed);
        if let Some(outcome) = outcome {
            assert!(!outcome.was_clean || outcome.sent.is_some() && self.peer_closed);
        }
        let waits = !matches!(state, ReadyState::Closed);
        assert_eq!(self.connection.next_deadline().is_some(), waits, "a deadline in each state");
    }
}

#[test]
fn every_sequence_of_actions_keeps_the_rules() {
    let config = Config { closing_timeout: Duration::from_secs(5), ..Config::DEFAULT };
    for end in End::BOTH {
        let frames = Frames {
            message: from_peer(end, b"\x81\x01a"),
            ping: from_peer(end, b"\x89\x01p"),
            close: from_peer(end, b"\x88\x02\x03\xe8"),
            bad: from_peer(end, b"\x83\x00"),
        };
        // Both from the start, and from an open connection, which goes one action deeper.
        for opened in [false, true] {
            for number in 0..ACTIONS.len().pow(DEPTH - u32::from(!opened)) {
                let mut run = Run::new(end, &config);
                if opened {
                    run.act(Action::Open, &frames);
                }
                let mut rest = number;
                for _ in 0..DEPTH - u32::from(!opened) {
                    run.act(ACTIONS[rest % ACTIONS.len()], &frames);
                    run.check();
                    rest /= ACTIONS.len();
                }
                run.drain();
                run.check();
            }
        }
    }
}
