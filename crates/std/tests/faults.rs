//! Faults of the transport, at every call that the adapter makes of it: bytes one at a time, calls
//! that would block, are interrupted, fail, take nothing or find the end. Whatever happens, what is
//! told and what is written is right as far as it goes, and the end comes once.
//!
//! `FAULT_SESSIONS` sets how many random sessions there are.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong fails"
)]

#[path = "support/random.rs"]
mod random;
#[path = "support/scripted.rs"]
#[allow(dead_code, reason = "the async adapter has use for the rest of it")]
mod scripted;
#[path = "support/session.rs"]
mod session;
#[path = "support/verdict.rs"]
mod verdict;

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use duologue_std::{
    Accept, Accepting, ClientOptions, CloseCode, CloseOutcome, Config, Connecting, Error, Event,
    Keepalive, ProtocolError, ReadHalf, Role, ServerOptions, Transport, TryClone, WebSocket,
    WriteHalf,
};
use random::Random;
use scripted::{Break, Delay, Fault, Interrupts, Manner, Pieces, Script, Turn};
use session::{CLOSING, Ending, Reply, Session, Told};
use verdict::{Report, judge};

/// The scripted transport as the adapter has it.
#[derive(Clone)]
struct Scripted {
    script: Rc<RefCell<Script>>,
    /// As a socket in non-blocking mode has, without effect.
    has_timeouts: bool,
}

fn result(turn: Turn) -> io::Result<usize> {
    match turn {
        Turn::Done(count) => Ok(count),
        Turn::Blocked | Turn::Stalled => Err(ErrorKind::WouldBlock.into()),
        Turn::Failed(kind) => Err(kind.into()),
    }
}

impl Read for Scripted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        result(self.script.borrow_mut().read(buffer))
    }
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        result(self.script.borrow_mut().write(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        result(self.script.borrow_mut().flush()).map(drop)
    }
}

impl Transport for Scripted {
    fn supports_timeouts(&self) -> bool {
        self.has_timeouts
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        result(self.script.borrow_mut().shut_down()).map(drop)
    }

    fn close(&mut self) -> io::Result<()> {
        result(self.script.borrow_mut().close()).map(drop)
    }
}

impl TryClone for Scripted {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// A connection, whole or in two halves.
enum Ends<S: TryClone> {
    Whole(Box<WebSocket<S>>),
    Halves(Box<ReadHalf<S>>, WriteHalf<S>),
}

impl<S: TryClone> Ends<S> {
    fn new(websocket: WebSocket<S>, split: bool) -> Self {
        if split {
            let (reader, writer) = websocket.split().unwrap();
            Self::Halves(Box::new(reader), writer)
        } else {
            Self::Whole(Box::new(websocket))
        }
    }

    fn read_event(&mut self) -> Result<Option<Event>, Error> {
        match self {
            Self::Whole(websocket) => persist(|| websocket.read_event()),
            Self::Halves(reader, _) => persist(|| reader.read_event()),
        }
    }

    fn start_close(&mut self) -> Result<(), Error> {
        let (code, reason) = CLOSING;
        match self {
            Self::Whole(websocket) => websocket.start_close(code, reason),
            Self::Halves(_, writer) => writer.start_close(code, reason),
        }
    }

    fn answer(&mut self, reply: &Reply) -> Result<(), Error> {
        match self {
            Self::Whole(websocket) => answer(websocket, reply),
            Self::Halves(_, writer) => answer_by_half(writer, reply),
        }
    }

    fn outcome(&self) -> Option<CloseOutcome<'_>> {
        match self {
            Self::Whole(websocket) => websocket.close_outcome(),
            Self::Halves(reader, _) => reader.close_outcome(),
        }
    }

    fn assert_told_once(&mut self) {
        for _ in 0..2 {
            assert!(matches!(self.read_event(), Ok(None)));
            assert!(self.answer(&Reply::Send("too late".into())).is_err());
        }
        if let Self::Whole(websocket) = self {
            let (code, reason) = CLOSING;
            assert!(matches!(websocket.close(code, reason), Ok(())));
        }
    }
}

/// Makes a call again for as long as it would block. The transport bounds how often.
fn persist<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match call() {
            Err(error) if error.is_would_block() => {}
            result => return result,
        }
    }
}

/// As [`persist`], for sending: deadlines are kept where it is read, so after a while it is read on
/// instead.
fn send<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..100_000 {
        match call() {
            Err(error) if error.is_would_block() => {}
            result => return result,
        }
    }
    call()
}

/// As [`persist`], for the opening handshake.
fn open<T>(mut advance: impl FnMut() -> Result<Option<T>, Error>) -> Result<T, Error> {
    loop {
        if let Some(opened) = advance()? {
            return Ok(opened);
        }
    }
}

/// Runs a session and judges it; returns how many calls of the transport it took.
fn run(session: &Session, manner: Manner, fault: Option<Fault>, seed: u64) -> usize {
    let config = Config { keepalive: None, ..Config::DEFAULT };
    run_with(&config, session, manner, fault, seed)
}

fn run_with(
    config: &Config,
    session: &Session,
    manner: Manner,
    fault: Option<Fault>,
    seed: u64,
) -> usize {
    let script = Rc::new(RefCell::new(Script::new(session, manner, fault, seed)));
    let stream = Scripted { script: Rc::clone(&script), has_timeouts: seed.is_multiple_of(2) };
    let config = Config { write_high_water: session.write_high_water, ..*config };
    let opened = match session.role {
        Role::Server => {
            let options = ServerOptions::new().with_config(config);
            let mut accepting = Accepting::new(stream, &options, |_| Accept::new().into());
            open(|| accepting.advance())
        }
        Role::Client(_) => {
            let options = ClientOptions::new("ws://localhost/").unwrap().with_config(config);
            let mut connecting = Connecting::new(stream, &options).unwrap();
            open(|| connecting.advance())
        }
    };
    let mut report = Report::default();
    match opened {
        Ok(websocket) => {
            script.borrow_mut().opened = true;
            let mut ends = Ends::new(websocket, seed.is_multiple_of(3));
            talk(&mut ends, session, &mut report);
            ends.assert_told_once();
            report.outcome = ends.outcome().map(Into::into);
            let calls = script.borrow().calls();
            drop(ends);
            assert_eq!(script.borrow().calls(), calls, "nothing is left to be done by a drop");
        }
        Err(error) => report.refused = Some(error),
    }
    let script = script.borrow();
    judge(session, &script, &report);
    script.calls()
}

/// The application: reads to the end, and does after each event what the session says.
fn talk(ends: &mut Ends<Scripted>, session: &Session, report: &mut Report) {
    let mut replies = session.replies.iter();
    loop {
        if session.ending == Ending::Application
            && replies.len() == 0
            && let Err(error) = ends.start_close()
        {
            report.failed_sends.push(error);
        }
        match ends.read_event() {
            Ok(Some(event)) => report.events.push(Told::from(event)),
            Ok(None) => return,
            Err(error) => {
                report.failure = Some(error);
                return;
            }
        }
        let reply = replies.next().expect("no more events than were sent");
        if let Err(error) = ends.answer(reply) {
            report.failed_sends.push(error);
        }
    }
}

fn answer<S: Transport>(websocket: &mut WebSocket<S>, reply: &Reply) -> Result<(), Error> {
    match reply {
        Reply::Nothing => Ok(()),
        Reply::Flush => send(|| websocket.flush()),
        Reply::Feed(message) => send(|| websocket.feed(message.clone())),
        Reply::Send(message) => send(|| websocket.send(message.clone())),
        Reply::Ping(payload) => send(|| websocket.ping(payload)),
        Reply::Fragments(message_type, pieces) => {
            let mut writer = websocket.begin_message(*message_type)?;
            for piece in pieces {
                send(|| writer.write(piece))?;
            }
            writer.finish()
        }
    }
}

fn answer_by_half<S: TryClone>(writer: &mut WriteHalf<S>, reply: &Reply) -> Result<(), Error> {
    match reply {
        Reply::Nothing => Ok(()),
        Reply::Flush => send(|| writer.flush()),
        Reply::Feed(message) => send(|| writer.feed(message.clone())),
        Reply::Send(message) => send(|| writer.send(message.clone())),
        Reply::Ping(payload) => send(|| writer.ping(payload)),
        Reply::Fragments(message_type, pieces) => {
            for (index, piece) in pieces.iter().enumerate() {
                send(|| match index {
                    0 => writer.begin_message(*message_type, piece),
                    _ => writer.continue_message(piece, false),
                })?;
            }
            send(|| writer.continue_message(b"", true))
        }
    }
}

const KINDS: &[Break] = &[
    Break::Error(ErrorKind::ConnectionReset),
    Break::Error(ErrorKind::BrokenPipe),
    Break::Error(ErrorKind::ConnectionAborted),
    Break::Error(ErrorKind::UnexpectedEof),
    Break::Error(ErrorKind::Other),
    Break::Zero,
    Break::Gone(ErrorKind::ConnectionReset),
    Break::Gone(ErrorKind::BrokenPipe),
];

const PLAIN: Manner =
    Manner { pieces: Pieces::Whole, delay: Delay::Never, interrupts: Interrupts::None };

fn random_manner(random: &mut Random) -> Manner {
    Manner {
        pieces: random.pick(&[Pieces::Whole, Pieces::Random, Pieces::Single]),
        delay: random.pick(&[Delay::Never, Delay::Always, Delay::Random]),
        interrupts: random.pick(&[Interrupts::None, Interrupts::All]),
    }
}

/// The session of a seed: small where bytes go one at a time.
fn session(random: &mut Random, pieces: Pieces) -> Session {
    let largest = match pieces {
        Pieces::Whole => 70_000,
        Pieces::Random => 5000,
        Pieces::Single => 130,
    };
    Session::generate(random, 6, largest)
}

/// Says which session failed, so that it can be run again.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the session of seed {}", self.0);
        }
    }
}

#[test]
fn sessions_without_a_fault_are_the_same_however_bytes_come_and_go() {
    for seed in 0..1000 {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let pieces = random.pick(&[Pieces::Whole, Pieces::Random, Pieces::Single]);
        let session = session(random, pieces);
        run(&session, PLAIN, None, seed);
        for delay in [Delay::Never, Delay::Always, Delay::Random] {
            for interrupts in [Interrupts::None, Interrupts::All] {
                run(&session, Manner { pieces, delay, interrupts }, None, seed);
            }
        }
        drop(failing);
    }
}

#[test]
fn sessions_with_a_fault_at_every_call_end_once_and_as_they_should() {
    let mut count = 0_u64;
    for seed in 0..40 {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let manner = random_manner(random);
        let session = session(random, manner.pieces);
        let calls = run(&session, manner, None, seed);
        for at in 0..calls {
            // Of a session of many calls, each has one kind of fault, and all kinds come in turn.
            let kinds = if calls < 100 { KINDS } else { &KINDS[at % KINDS.len()..][..1] };
            for kind in kinds {
                for lasts in [false, true] {
                    let fault = Fault { at, kind: *kind, lasts };
                    run(&session, manner, Some(fault), seed);
                    count += 1;
                }
            }
        }
        drop(failing);
    }
    println!("{count} sessions with a fault");
    assert!(count > 10_000);
}

fn sessions(default: u64) -> u64 {
    std::env::var("FAULT_SESSIONS").map_or(default, |count| count.parse().expect("a number"))
}

#[test]
fn random_sessions_with_a_random_fault_end_once_and_as_they_should() {
    let count = sessions(15_000);
    let started = Instant::now();
    let mut struck = 0_u64;
    for seed in 1_000_000..1_000_000 + count {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let manner = random_manner(random);
        let session = session(random, manner.pieces);
        let most = if random.one_in(2) { 30 } else { 600 };
        let fault =
            Fault { at: random.below(most), kind: random.pick(KINDS), lasts: random.one_in(2) };
        let calls = run(&session, manner, Some(fault), seed);
        struck += u64::from(calls > fault.at);
        drop(failing);
    }
    let took = started.elapsed();
    println!("{count} random sessions, {struck} of them with a fault, in {took:.1?}");
    assert!(struck > count / 4);
}

/// So short that a stall can be waited for; a call that never comes to its end would block.
#[test]
fn sessions_with_a_stall_at_any_call_end_at_a_deadline() {
    let brief = Duration::from_millis(3);
    let config = Config {
        opening_timeout: 2 * brief,
        closing_timeout: brief,
        write_stall_timeout: brief,
        keepalive: Some(Keepalive { interval: brief, timeout: brief, ..Keepalive::DEFAULT }),
        ..Config::DEFAULT
    };
    for seed in 0..150 {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let session = session(random, Pieces::Whole);
        let calls = run(&session, PLAIN, None, seed);
        let fault = Fault { at: random.below(calls), kind: Break::Stall, lasts: true };
        let begun = Instant::now();
        run_with(&config, &session, PLAIN, Some(fault), seed);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?} at call {}", fault.at);
        drop(failing);
    }
}

/// A transport whose writing side is out of order, and whose reading side gives `input` and ends.
#[derive(Clone, Default)]
struct HalfBroken {
    input: Rc<RefCell<Vec<u8>>>,
    write_error: Option<ErrorKind>,
    /// How many more flushes would block.
    blocked_flushes: Rc<RefCell<usize>>,
    written: Vec<u8>,
    flushed: Rc<RefCell<Vec<u8>>>,
}

impl HalfBroken {
    fn new(input: &[u8]) -> Self {
        Self { input: Rc::new(RefCell::new(input.to_vec())), ..Self::default() }
    }
}

impl Read for HalfBroken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut input = self.input.borrow_mut();
        let count = input.len().min(buffer.len());
        buffer[..count].copy_from_slice(&input[..count]);
        input.drain(..count);
        Ok(count)
    }
}

impl Write for HalfBroken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.write_error {
            Some(kind) => Err(kind.into()),
            None => self.written.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let blocked = *self.blocked_flushes.borrow();
        if blocked > 0 {
            *self.blocked_flushes.borrow_mut() = blocked - 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flushed.borrow_mut().append(&mut self.written);
        Ok(())
    }
}

impl Transport for HalfBroken {
    /// Without a flush, as where a socket is closed below what holds bytes back.
    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TryClone for HalfBroken {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

/// Close(1000) of a client, masked with zeros.
const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

fn server(stream: HalfBroken, config: &Config, split: bool) -> Ends<HalfBroken> {
    Ends::new(WebSocket::from_raw(stream, Role::Server, config, BytesMut::new()), split)
}

#[test]
fn a_close_frame_that_could_not_be_written_does_not_count_as_sent() {
    for split in [false, true] {
        let write_error = Some(ErrorKind::BrokenPipe);
        let stream = HalfBroken { write_error, ..HalfBroken::new(CLOSE) };
        let mut ends = server(stream, &Config::DEFAULT, split);
        assert!(matches!(ends.read_event(), Ok(None)));
        let outcome = ends.outcome().unwrap();
        assert_eq!((outcome.status.to_u16(), outcome.sent), (CloseCode::NORMAL.get(), None));
        assert!(!outcome.was_clean);
    }
}

#[test]
fn a_reset_that_only_a_write_noticed_is_told_by_the_reader() {
    for split in [false, true] {
        let write_error = Some(ErrorKind::ConnectionReset);
        let stream = HalfBroken { write_error, ..HalfBroken::new(b"") };
        let mut ends = server(stream, &Config::DEFAULT, split);
        for failed in [ends.answer(&Reply::Send("lost".into())), ends.read_event().map(drop)] {
            let error = failed.unwrap_err();
            let kind = ErrorKind::ConnectionReset;
            assert!(matches!(&error, Error::Io(error) if error.kind() == kind), "{error:?}");
        }
    }
}

#[test]
fn a_close_frame_that_the_transport_holds_back_is_waited_for_at_the_end() {
    for split in [false, true] {
        let stream = HalfBroken::new(CLOSE);
        *stream.blocked_flushes.borrow_mut() = 5;
        let flushed = Rc::clone(&stream.flushed);
        let mut ends = server(stream, &Config::DEFAULT, split);
        assert!(matches!(ends.read_event(), Ok(None)));
        assert_eq!(*flushed.borrow(), [0x88, 2, 0x03, 0xe8]);
    }
}

#[test]
fn a_transport_that_never_flushes_after_the_peers_end_is_given_up_at_the_stall_deadline() {
    for split in [false, true] {
        let stream = HalfBroken::new(CLOSE);
        *stream.blocked_flushes.borrow_mut() = usize::MAX;
        let write_stall_timeout = Duration::from_millis(20);
        let config = Config { write_stall_timeout, ..Config::DEFAULT };
        let mut ends = server(stream, &config, split);
        let begun = Instant::now();
        let told = ends.read_event().unwrap_err();
        assert!(matches!(told, Error::Protocol(ProtocolError::WriteStalled)), "{told:?}");
        assert!(begun.elapsed() >= write_stall_timeout);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
