//! A client that stays connected: any calls, losses and times, in any order. Each message is handed
//! over once, or given back, or told of as dropped; waiting is bounded; and the end is the end.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use core::time::Duration;
use std::collections::VecDeque;

use arbitrary::Arbitrary;
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::reconnect::{
    CloseEvent, Command, Next, ReconnectPolicy, Session, SessionConfig, SessionEvent, UnsentReason,
    WhileDown,
};
use duologue_core::{CloseCode, Message, ReadyState, SendError, Timestamp};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a session takes besides what it holds for others.
const STATE: usize = 4096;

/// What a message counts towards the limit besides its payload.
const COUNTED: usize = 64;

#[derive(Arbitrary, Debug)]
struct Input {
    first_delay: u32,
    factor: f64,
    jitter: f64,
    max_delay: u32,
    max_attempts: Option<u8>,
    reset_after: u32,
    keep: Option<u8>,
    max_buffered: u16,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Send(u16),
    Close(Option<(u16, u8)>),
    Discard,
    GiveUp,
    RetryNow,
    Wait(u32),
    Opened(bool),
    Received(u8),
    Transmitted(u16),
    Closed { code: u16, unbegun: u8, retry: bool, random: u64 },
    Command,
    Event,
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

impl Input {
    fn config(&self) -> SessionConfig {
        let policy = ReconnectPolicy {
            first_delay: millis(self.first_delay),
            factor: self.factor,
            jitter: self.jitter,
            max_delay: millis(self.max_delay),
            max_attempts: self.max_attempts.map(u32::from),
            reset_after: millis(self.reset_after),
        };
        SessionConfig {
            policy,
            while_down: self.keep.map_or(WhileDown::Refuse, |most| WhileDown::Keep(most.into())),
            max_buffered: self.max_buffered.into(),
        }
    }
}

/// A session, and what an application and a driver know of it.
struct Run {
    session: Session<u8>,
    config: SessionConfig,
    now: Timestamp,
    /// Lengths of the messages that were taken and not handed over, in order.
    waiting: VecDeque<usize>,
    /// Bytes that were handed over and not written.
    in_flight: u64,
    /// What is to be told, in order.
    untold: VecDeque<Told>,
    /// Attempts in a row that were planned.
    attempts: u32,
    up_since: Option<Timestamp>,
    has_closed: bool,
    is_over: bool,
}

#[derive(Debug, PartialEq)]
enum Told {
    Up,
    Message(usize),
    Down { dropped: usize, again: bool },
}

impl Run {
    fn step(&mut self, step: &Step) {
        let state = self.session.ready_state();
        let waits = matches!(self.session.next_action(), Next::Wait(_));
        match *step {
            Step::Send(length) => self.send(length.into(), state),
            Step::Close(close) => {
                let reason = close.map_or(String::new(), |(_, length)| "r".repeat(length.into()));
                let code = close.and_then(|(code, _)| CloseCode::new(code));
                let close = code.map(|code| (code, reason.as_str()));
                let too_long = close.is_some() && reason.len() > 123;
                let closed = self.session.close(close);
                let refused = Err(SendError::CloseReasonTooLong);
                assert_eq!(closed, if too_long { refused } else { Ok(()) });
                if !too_long {
                    self.closed_locally(state, waits);
                }
            }
            Step::Discard => {
                self.session.discard();
                self.closed_locally(state, waits);
            }
            Step::GiveUp => {
                self.session.give_up();
                if waits {
                    self.end(0);
                } else {
                    assert!(self.session.is_aborted() || state == ReadyState::Closed);
                }
            }
            Step::RetryNow => {
                self.session.retry_now();
                assert!(!waits || self.session.next_action() == Next::Connect);
            }
            Step::Wait(time) => {
                self.now = self.now + millis(time);
                self.session.handle_timeout(self.now);
                assert!(!matches!(self.session.next_action(), Next::Wait(at) if at <= self.now));
            }
            // A driver tells of a connection only when it was to make one.
            Step::Opened(_) | Step::Closed { .. } if waits || state == ReadyState::Closed => {}
            Step::Opened(named) => {
                let subprotocol = named.then_some("chat");
                self.session.opened(subprotocol, NegotiatedExtensions::default(), self.now);
                if state == ReadyState::Connecting {
                    self.up_since = Some(self.now);
                    self.untold.push_back(Told::Up);
                    assert_eq!(self.session.ready_state(), ReadyState::Open);
                }
            }
            Step::Closed { code, unbegun, retry, random } => {
                self.lose(state, code, unbegun.into(), retry, random);
            }
            Step::Received(length) => {
                self.session.received(Message::binary(vec![0; length.into()]));
                self.untold.push_back(Told::Message(length.into()));
            }
            Step::Transmitted(bytes) => {
                self.session.transmitted(bytes.into());
                self.in_flight = self.in_flight.saturating_sub(bytes.into());
            }
            Step::Command => {
                self.command(state);
            }
            Step::Event => self.event(),
        }
        let bytes = self.waiting.iter().sum::<usize>() as u64;
        assert_eq!(self.session.buffered_amount(), self.in_flight + bytes);
        let over = self.session.next_action() == Next::Stop;
        assert!(over || !self.is_over, "over is over");
        assert_eq!(over, self.session.ready_state() == ReadyState::Closed);
        self.is_over = over;
    }

    fn send(&mut self, length: usize, state: ReadyState) {
        let counted = |length: &usize| (length + COUNTED) as u64;
        let waiting = self.in_flight + self.waiting.iter().map(counted).sum::<u64>();
        let full = waiting > 0 && waiting + counted(&length) > self.config.max_buffered as u64;
        let kept = match self.config.while_down {
            WhileDown::Refuse => false,
            WhileDown::Keep(most) => self.waiting.len() < most,
        };
        let expected = match state {
            ReadyState::Closing | ReadyState::Closed => Err(UnsentReason::Closed),
            ReadyState::Connecting if !kept => Err(UnsentReason::Down),
            _ if full => Err(UnsentReason::Full),
            _ => Ok(()),
        };
        let sent = self.session.send(Message::binary(vec![1; length]));
        match sent {
            Ok(()) => {
                assert_eq!(expected, Ok(()));
                self.waiting.push_back(length);
            }
            Err(unsent) => {
                assert_eq!(expected, Err(unsent.reason));
                assert_eq!(unsent.message.len(), length, "the message comes back");
            }
        }
    }

    fn closed_locally(&mut self, state: ReadyState, waits: bool) {
        if state <= ReadyState::Open {
            self.has_closed = true;
        }
        if waits {
            self.end(0);
        } else if state == ReadyState::Connecting {
            assert!(self.session.is_aborted());
        }
    }

    fn lose(&mut self, state: ReadyState, code: u16, unbegun: usize, retry: bool, random: u64) {
        let close = CloseEvent { code, reason: String::new(), was_clean: code != 1006 };
        self.session.closed(close, Some(1), unbegun, retry, self.now, random);
        self.in_flight = 0;
        let policy = self.config.policy;
        if self.up_since.take().is_some_and(|since| {
            state == ReadyState::Open
                && retry
                && self.now.saturating_since(since) >= policy.reset_after
        }) {
            self.attempts = 0;
        }
        let has_one = policy.max_attempts.is_none_or(|most| self.attempts < most);
        if state > ReadyState::Open || !retry || !has_one {
            self.end(unbegun);
            return;
        }
        self.attempts += 1;
        let Next::Wait(at) = self.session.next_action() else { panic!("no further attempt") };
        assert!(at.saturating_since(self.now) <= policy.max_delay, "{at:?}");
        let dropped = match self.config.while_down {
            WhileDown::Keep(_) => unbegun,
            WhileDown::Refuse => unbegun + self.waiting.drain(..).count(),
        };
        self.down(dropped, true);
    }

    /// What is down and was not told of before is told once, and that it was up in between not at
    /// all.
    fn down(&mut self, mut dropped: usize, again: bool) {
        if let [.., Told::Down { .. }, Told::Up] = self.untold.make_contiguous() {
            self.untold.pop_back();
        }
        if let Some(Told::Down { dropped: earlier, .. }) = self.untold.back() {
            dropped += earlier;
            self.untold.pop_back();
        }
        self.untold.push_back(Told::Down { dropped, again });
    }

    fn end(&mut self, unbegun: usize) {
        let dropped = unbegun + self.waiting.drain(..).count();
        self.down(dropped, false);
        assert_eq!(self.session.next_action(), Next::Stop);
    }

    fn command(&mut self, state: ReadyState) -> bool {
        let Some(command) = self.session.poll_command() else {
            let may_wait = state == ReadyState::Connecting || self.waiting.is_empty();
            assert!(may_wait, "a message was lost");
            return false;
        };
        assert!(matches!(state, ReadyState::Open | ReadyState::Closing));
        match command {
            Command::Send(message) => {
                assert_eq!(self.waiting.pop_front(), Some(message.len()), "in order");
                self.in_flight += message.len() as u64;
                true
            }
            Command::Close(_) => {
                assert!(self.waiting.is_empty() && self.has_closed);
                true
            }
            Command::Abort => {
                assert!(self.session.is_aborted());
                false
            }
        }
    }

    fn event(&mut self) {
        let told = self.session.poll_event().map(|event| match event {
            SessionEvent::Up { .. } => Told::Up,
            SessionEvent::Message(message) => Told::Message(message.len()),
            SessionEvent::Down { dropped, retry_in, .. } => {
                Told::Down { dropped, again: retry_in.is_some() }
            }
        });
        assert_eq!(told, self.untold.pop_front());
        assert!(told.is_some() || self.session.backlog() == 0);
    }
}

fuzz_target!(|input: Input| {
    let config = input.config();
    let mut run = Run {
        session: Session::new(config),
        config,
        now: Timestamp::ZERO,
        waiting: VecDeque::new(),
        in_flight: 0,
        untold: VecDeque::new(),
        attempts: 0,
        up_since: None,
        has_closed: false,
        is_over: false,
    };
    for step in &input.steps {
        run.step(step);
    }
    // What is left can be taken in as many steps as there were before.
    let mut commands = 0;
    while run.command(run.session.ready_state()) {
        commands += 1;
    }
    assert!(commands <= input.steps.len() + 1);
    while !run.untold.is_empty() {
        run.event();
    }
    assert!(run.session.poll_event().is_none());

    // Connections that come and go take no memory, even if nobody takes the events.
    let (session, _, most) = counted(|| {
        let mut session = Session::<u8>::new(config);
        for _ in &input.steps {
            session.opened(None, NegotiatedExtensions::default(), Timestamp::ZERO);
            session.closed(CloseEvent::abnormal(), None, 0, true, Timestamp::ZERO, 0);
            while let Next::Wait(at) = session.next_action() {
                session.handle_timeout(at);
            }
        }
        session
    });
    assert_eq!(session.backlog(), 0);
    assert!(most.unsigned_abs() <= STATE);
});
