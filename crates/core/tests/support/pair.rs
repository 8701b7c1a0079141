//! Two endpoints joined by a simulated transport, under a virtual clock.

use core::time::Duration;
use std::collections::VecDeque;

use duologue_core::{
    CloseCode, Config, Endpoint, MAX_SLICES, MessageType, ReadyState, Timestamp, TransportStep,
};

use super::endpoint::{Mode, Reader, endpoint};
use super::reference::Heard;
use super::{End, Side, T0};

/// More steps of the transport than this never come without time passing.
const MOST_STEPS: u32 = 100_000;

/// What the application at one end does.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Send(MessageType, Vec<u8>),
    Begin(MessageType, Vec<u8>),
    Continue(Vec<u8>, bool),
    Ping(Vec<u8>),
    Close(u16),
    CloseWithoutCode,
    Fail(u16),
    /// The application stops reading, or goes on.
    PauseReading(bool),
    /// The network forgets what this end sends from now on: it arrives nowhere.
    BlackHole,
    /// The network ends what this end sends: the peer reads EOF, this end's writes fail.
    Cut,
    /// Both ends find the transport reset.
    Reset,
}

/// How one direction of the transport behaves.
#[derive(Clone, Debug)]
pub(crate) struct LinkPlan {
    pub(crate) delay: Duration,
    /// How many bytes may be under way.
    pub(crate) capacity: usize,
    /// How many bytes each write takes at most, in turns.
    pub(crate) writes: Vec<usize>,
    pub(crate) mode: Mode,
}

enum Packet {
    Bytes(Vec<u8>),
    Eof,
}

/// One end, with the direction of the transport that leads away from it.
pub(crate) struct Half {
    pub(crate) end: End,
    pub(crate) endpoint: Endpoint<Side>,
    pub(crate) reader: Reader,
    /// Every byte that the transport has taken.
    pub(crate) emitted: Vec<u8>,
    /// The messages that were queued whole.
    pub(crate) messages: Vec<Heard>,
    in_progress: Option<(MessageType, Vec<u8>)>,
    pub(crate) shutdowns: u32,
    pub(crate) terminals: u32,
    plan: LinkPlan,
    turn: usize,
    under_way: VecDeque<(Timestamp, Packet)>,
    black_hole: bool,
    cut: bool,
    paused: bool,
    seen_state: ReadyState,
}

impl Half {
    fn new(end: End, config: &Config, plan: LinkPlan) -> Self {
        Self {
            end,
            endpoint: endpoint(end, config),
            reader: Reader::default(),
            emitted: Vec::new(),
            messages: Vec::new(),
            in_progress: None,
            shutdowns: 0,
            terminals: 0,
            plan,
            turn: 0,
            under_way: VecDeque::new(),
            black_hole: false,
            cut: false,
            paused: false,
            seen_state: ReadyState::Open,
        }
    }

    fn has_ended(&self) -> bool {
        self.terminals > 0
    }

    fn under_way_bytes(&self) -> usize {
        let length = |packet: &Packet| match packet {
            Packet::Bytes(bytes) => bytes.len(),
            Packet::Eof => 0,
        };
        self.under_way.iter().map(|(_, packet)| length(packet)).sum()
    }

    fn carry_out(&mut self, command: &Command, now: Timestamp) {
        let endpoint = &mut self.endpoint;
        let code = |code: &u16| CloseCode::new(*code).unwrap();
        match command {
            Command::Send(message_type, payload) => {
                let sent = match message_type {
                    MessageType::Text => endpoint.send_text(core::str::from_utf8(payload).unwrap()),
                    MessageType::Binary => endpoint.send(payload.clone().into()),
                };
                if sent.is_ok() {
                    self.messages.push(Heard::message(*message_type, payload.clone()));
                }
            }
            Command::Begin(message_type, payload) => {
                if endpoint.begin_message(*message_type, payload).is_ok() {
                    self.in_progress = Some((*message_type, payload.clone()));
                }
            }
            Command::Continue(payload, fin) => {
                if endpoint.continue_message(payload, *fin).is_ok() {
                    let (_, so_far) = self.in_progress.as_mut().unwrap();
                    so_far.extend_from_slice(payload);
                    if *fin {
                        let (message_type, payload) = self.in_progress.take().unwrap();
                        self.messages.push(Heard::message(message_type, payload));
                    }
                }
            }
            Command::Ping(payload) => {
                // Refused where the connection is closing, which is as it should be.
                let _ = endpoint.ping(payload);
            }
            Command::Close(number) => endpoint.close(code(number), "done", now).unwrap(),
            Command::CloseWithoutCode => endpoint.close_without_code(now),
            Command::Fail(number) => endpoint.fail(code(number), "failed", now).unwrap(),
            Command::PauseReading(paused) => self.paused = *paused,
            Command::BlackHole => self.black_hole = true,
            Command::Cut => self.under_way.push_back((now + self.plan.delay, Packet::Eof)),
            Command::Reset => endpoint.transport_failed(now),
        }
        self.cut |= matches!(command, Command::Cut);
    }

    /// Moves what the endpoint has to do to the transport; `peer_gone` if nobody is there.
    fn transport(&mut self, peer_gone: bool, now: Timestamp) {
        for _ in 0..MOST_STEPS {
            if self.has_ended() {
                return;
            }
            let foreseen = self.endpoint.has_transport_step();
            let step = self.endpoint.transport_step();
            assert_eq!(foreseen, step != TransportStep::Idle, "{step:?}");
            match step {
                TransportStep::Idle => return,
                TransportStep::Write if peer_gone || self.cut => {
                    self.endpoint.transport_failed(now);
                }
                TransportStep::Write => {
                    if !self.write(now) {
                        return;
                    }
                }
                TransportStep::ShutdownWrite => {
                    self.shutdowns += 1;
                    self.under_way.push_back((now + self.plan.delay, Packet::Eof));
                }
                TransportStep::Close => {
                    self.terminals += 1;
                    self.under_way.push_back((now + self.plan.delay, Packet::Eof));
                    assert_eq!(self.endpoint.ready_state(), ReadyState::Closed);
                    assert!(self.endpoint.close_outcome().is_some());
                }
            }
        }
        panic!("the transport's steps never end");
    }

    /// One write; whether the transport took anything.
    fn write(&mut self, now: Timestamp) -> bool {
        let mut slices = [&[][..]; MAX_SLICES];
        let count = self.endpoint.write_slices(&mut slices);
        let bytes = slices[..count].concat();
        assert!(!bytes.is_empty());
        self.turn += 1;
        let most = self.plan.writes[self.turn % self.plan.writes.len()];
        let room = self.plan.capacity.saturating_sub(self.under_way_bytes());
        let taken = bytes.len().min(most).min(room);
        if taken == 0 {
            self.endpoint.write_blocked(now);
            return false;
        }
        self.endpoint.wrote(taken);
        self.emitted.extend_from_slice(&bytes[..taken]);
        if !self.black_hole {
            let packet = Packet::Bytes(bytes[..taken].to_vec());
            self.under_way.push_back((now + self.plan.delay, packet));
        }
        true
    }

    /// Hands the next packet to `peer`, if it has arrived and is wanted.
    fn deliver_to(&mut self, peer: &mut Self, now: Timestamp) {
        if peer.has_ended() {
            self.under_way.clear();
        }
        let due = self.under_way.front().is_some_and(|(at, _)| *at <= now);
        if peer.paused || !due {
            return;
        }
        match self.under_way.pop_front() {
            Some((_, Packet::Bytes(bytes))) => {
                peer.endpoint.read_room().extend_from_slice(&bytes);
            }
            Some((_, Packet::Eof)) => peer.endpoint.receive_eof(now),
            None => {}
        }
    }

    fn check(&mut self) {
        let state = self.endpoint.ready_state();
        assert!(state >= self.seen_state, "readyState goes back");
        self.seen_state = state;
    }
}

/// Two endpoints and what is between them.
pub(crate) struct Pair {
    pub(crate) halves: [Half; 2],
    pub(crate) now: Timestamp,
    pub(crate) steps: u32,
}

impl Pair {
    pub(crate) fn new(config: &Config, [server, client]: [LinkPlan; 2]) -> Self {
        let halves =
            [Half::new(End::Server, config, server), Half::new(End::Client, config, client)];
        Self { halves, now: T0, steps: 0 }
    }

    /// Carries out `commands` at their times until both ends have ended. Panics when that takes
    /// more than `most_steps` steps, or when nothing more can happen before.
    pub(crate) fn run(&mut self, commands: &[(Timestamp, End, Command)], most_steps: u32) {
        let mut commands = commands.iter().peekable();
        loop {
            self.settle();
            if self.halves.iter().all(Half::has_ended) {
                return;
            }
            self.steps += 1;
            assert!(self.steps <= most_steps, "no rest after {} steps", self.steps);
            let command_at = commands.peek().map(|(at, ..)| *at);
            let next = self.next_time().into_iter().chain(command_at).min();
            self.now = self.now.max(next.expect("nothing can happen any more"));
            if command_at.is_some_and(|at| at <= self.now) {
                let (_, end, command) = commands.next().unwrap();
                self.command(*end, command);
            } else {
                self.deliver();
                self.wake();
            }
        }
    }

    fn command(&mut self, end: End, command: &Command) {
        for half in &mut self.halves {
            if half.end == end || matches!(command, Command::Reset) {
                half.carry_out(command, self.now);
            }
        }
    }

    /// When a packet arrives or a deadline passes.
    fn next_time(&self) -> Option<Timestamp> {
        let mut times = Vec::new();
        for (from, to) in [(0, 1), (1, 0)] {
            let (from, to) = (&self.halves[from], &self.halves[to]);
            if !to.paused && !to.has_ended() {
                times.extend(from.under_way.front().map(|(at, _)| *at));
            }
            if !from.has_ended() {
                times.extend(from.endpoint.next_deadline());
            }
        }
        times.into_iter().min()
    }

    /// One packet for each end that reads.
    fn deliver(&mut self) {
        let [server, client] = &mut self.halves;
        server.deliver_to(client, self.now);
        client.deliver_to(server, self.now);
    }

    fn wake(&mut self) {
        for half in self.halves.iter_mut().filter(|half| !half.has_ended()) {
            if half.endpoint.next_deadline().is_some_and(|at| at <= self.now) {
                // The error is in the outcome too, and needs no path of its own.
                let _ = half.endpoint.handle_timeout(self.now);
            }
        }
    }

    /// Reads and writes what can be, without time passing.
    fn settle(&mut self) {
        let gone = [self.halves[1].has_ended(), self.halves[0].has_ended()];
        for (half, peer_gone) in self.halves.iter_mut().zip(gone) {
            if !half.has_ended() {
                let mode = half.plan.mode;
                half.reader.read(&mut half.endpoint, mode, self.now);
                half.check();
                half.transport(peer_gone, self.now);
                half.check();
            }
        }
    }
}
