//! Faults of the transport, at every call that the adapter makes of it: bytes one at a time, calls
//! that are Pending, are interrupted, fail, take nothing, find the end or never come to theirs.
//! Whatever happens, what is told and what is written is right as far as it goes, and the end comes
//! once. The clock stands still unless there is nothing else to do, so a lost wake-up shows as time
//! that passes.
//!
//! `FAULT_SESSIONS` sets how many random sessions there are.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong fails"
)]

#[path = "../../std/tests/support/random.rs"]
mod random;
#[path = "../../std/tests/support/scripted.rs"]
#[allow(dead_code, reason = "only a blocking transport is closed")]
mod scripted;
#[path = "../../std/tests/support/session.rs"]
mod session;
#[path = "../../std/tests/support/verdict.rs"]
mod verdict;

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use duologue_tokio::{
    Accept, ClientOptions, Config, Error, Event, Keepalive, ReadHalf, Role, ServerOptions,
    WebSocket, WriteHalf, accept_with, client,
};
use random::Random;
use scripted::{Break, Delay, Fault, Interrupts, Manner, Pieces, Script, Turn};
use session::{CLOSING, Ending, Reply, Session, Told};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};
use verdict::{Outcome, Report, judge};

/// The scripted transport as the adapter has it.
#[derive(Clone)]
struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }
}

fn result(turn: Turn, context: &Context<'_>) -> Poll<io::Result<usize>> {
    match turn {
        Turn::Done(count) => Poll::Ready(Ok(count)),
        Turn::Blocked => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Turn::Stalled => Poll::Pending,
        Turn::Failed(kind) => Poll::Ready(Err(kind.into())),
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let turn = self.script().read(buffer.initialize_unfilled());
        result(turn, context).map_ok(|count| buffer.advance(count))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let turn = self.script().write(slices);
        result(turn, context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = self.script().flush();
        result(turn, context).map_ok(drop)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let turn = self.script().shut_down();
        result(turn, context).map_ok(drop)
    }
}

/// A connection, whole or in two halves.
enum Ends {
    Whole(Box<WebSocket<Scripted>>),
    Halves(ReadHalf<Scripted>, WriteHalf<Scripted>),
}

impl Ends {
    async fn next_event(&mut self) -> Option<Result<Event, Error>> {
        match self {
            Self::Whole(websocket) => websocket.next_event().await,
            Self::Halves(reader, _) => reader.next_event().await,
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Whole(websocket) => websocket.flush().await,
            Self::Halves(_, writer) => writer.flush().await,
        }
    }

    async fn answer(&mut self, reply: &Reply) -> Result<(), Error> {
        match (reply, self) {
            (Reply::Nothing, _) => Ok(()),
            (Reply::Flush, ends) => ends.flush().await,
            (Reply::Feed(message), Self::Whole(websocket)) => websocket.feed(message.clone()).await,
            (Reply::Feed(message), Self::Halves(_, writer)) => writer.feed(message.clone()).await,
            (Reply::Send(message), Self::Whole(websocket)) => websocket.send(message.clone()).await,
            (Reply::Send(message), Self::Halves(_, writer)) => writer.send(message.clone()).await,
            (Reply::Ping(payload), Self::Whole(websocket)) => websocket.ping(payload).await,
            (Reply::Ping(payload), Self::Halves(_, writer)) => writer.ping(payload).await,
            (Reply::Fragments(message_type, pieces), Self::Whole(websocket)) => {
                let mut writer = websocket.begin_message(*message_type);
                for piece in pieces {
                    writer.write(piece).await?;
                }
                writer.finish().await
            }
            (Reply::Fragments(message_type, pieces), Self::Halves(_, writer)) => {
                for (index, piece) in pieces.iter().enumerate() {
                    match index {
                        0 => writer.begin_message(*message_type, piece).await?,
                        _ => writer.continue_message(piece, false).await?,
                    }
                }
                writer.continue_message(b"", true).await
            }
        }
    }

    async fn start_close(&mut self) -> Result<(), Error> {
        let (code, reason) = CLOSING;
        match self {
            Self::Whole(websocket) => websocket.start_close(code, reason),
            Self::Halves(_, writer) => writer.close(code, reason).await,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Whole(websocket) => websocket.close_outcome().map(Into::into),
            Self::Halves(reader, _) => {
                let (status, _, was_clean) = reader.close_outcome()?;
                Some(Outcome { status, sent: None, was_clean })
            }
        }
    }

    async fn assert_told_once(&mut self) {
        for _ in 0..2 {
            assert!(self.next_event().await.is_none());
            let late = Reply::Send("too late".into());
            assert!(self.answer(&late).await.is_err());
        }
        if let Self::Whole(websocket) = self {
            assert!(websocket.next().await.is_none());
            let (code, reason) = CLOSING;
            assert!(websocket.close(code, reason).await.is_ok());
        }
    }
}

/// Awaits what `begin` begins, but drops it now and then while it is Pending, and begins again.
async fn impatiently<T>(
    random: &mut Random,
    ends: &mut Ends,
    begin: impl for<'a> Fn(&'a mut Ends) -> Pin<Box<dyn Future<Output = T> + 'a>>,
) -> T {
    loop {
        let mut future = begin(ends);
        let gives_up = random.one_in(3);
        let done = poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if gives_up => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        if let Some(done) = pin!(done).await {
            return done;
        }
        tokio::task::yield_now().await;
    }
}

/// Longer than all deadlines of a session together.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a session and judges it; returns how many calls of the transport it took.
async fn run(session: &Session, manner: Manner, fault: Option<Fault>, seed: u64) -> usize {
    let script = Script::new(session, manner, fault, seed);
    let stream = Scripted(Arc::new(Mutex::new(script)));
    let stalls = matches!(fault, Some(Fault { kind: Break::Stall, .. }));
    let config = Config {
        keepalive: stalls.then_some(Keepalive::DEFAULT),
        write_high_water: session.write_high_water,
        ..Config::DEFAULT
    };
    let begun = Instant::now();
    let opened = match session.role {
        Role::Server => {
            let options = ServerOptions::new().with_config(config);
            accept_with(stream.clone(), &options, |_| Accept::new().into()).await
        }
        Role::Client(_) => {
            let options = ClientOptions::new("ws://localhost/").unwrap().with_config(config);
            client(stream.clone(), &options).await
        }
    };
    let mut report = Report::default();
    match opened {
        Ok(websocket) => {
            stream.script().opened = true;
            let mut ends = if seed.is_multiple_of(3) {
                let (reader, writer) = websocket.split();
                Ends::Halves(reader, writer)
            } else {
                Ends::Whole(Box::new(websocket))
            };
            let talk = talk(&mut ends, session, &mut report, seed);
            timeout(PATIENCE, talk).await.expect("it comes to its end");
            ends.assert_told_once().await;
            report.outcome = ends.outcome();
        }
        Err(error) => report.refused = Some(error),
    }
    let script = stream.script();
    let took = begun.elapsed();
    let longest = match script.struck {
        // At most opening, silence, a ping without an answer or a peer that takes nothing, and
        // closing.
        Some((_, Break::Stall)) => Duration::from_secs(10 + 20 + 30 + 5),
        _ => Duration::ZERO,
    };
    assert!(took <= longest, "{took:?} passed with nothing to wait for");
    judge(session, &script, &report);
    script.calls()
}

/// The application: receives to the end, and does after each event what the session says.
async fn talk(ends: &mut Ends, session: &Session, report: &mut Report, seed: u64) {
    let mut replies = session.replies.iter();
    let random = &mut Random::new(seed);
    loop {
        if session.ending == Ending::Application
            && replies.len() == 0
            && let Err(error) = ends.start_close().await
        {
            report.failed_sends.push(error);
        }
        match impatiently(random, ends, |ends| Box::pin(ends.next_event())).await {
            Some(Ok(event)) => report.events.push(Told::from(event)),
            Some(Err(error)) => {
                report.failure = Some(error);
                return;
            }
            None => return,
        }
        let reply = replies.next().expect("no more events than were sent");
        let answered = match reply {
            Reply::Flush => impatiently(random, ends, |ends| Box::pin(ends.flush())).await,
            reply => ends.answer(reply).await,
        };
        if let Err(error) = answered {
            report.failed_sends.push(error);
        }
    }
}

const KINDS: &[Break] = &[
    Break::Error(ErrorKind::ConnectionReset),
    Break::Error(ErrorKind::BrokenPipe),
    Break::Error(ErrorKind::TimedOut),
    Break::Error(ErrorKind::UnexpectedEof),
    Break::Error(ErrorKind::Other),
    Break::Zero,
    Break::Gone(ErrorKind::ConnectionReset),
    Break::Gone(ErrorKind::BrokenPipe),
    Break::Stall,
];

const PLAIN: Manner =
    Manner { pieces: Pieces::Whole, delay: Delay::Never, interrupts: Interrupts::None };

fn random_manner(random: &mut Random) -> Manner {
    Manner {
        pieces: random.pick(&[Pieces::Whole, Pieces::Random, Pieces::Single]),
        delay: random.pick(&[Delay::Never, Delay::Always, Delay::Random]),
        interrupts: random.pick(&[Interrupts::None, Interrupts::Messages]),
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

#[tokio::test(start_paused = true)]
async fn sessions_without_a_fault_are_the_same_however_bytes_come_and_go() {
    for seed in 0..1000 {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let pieces = random.pick(&[Pieces::Whole, Pieces::Random, Pieces::Single]);
        let session = session(random, pieces);
        run(&session, PLAIN, None, seed).await;
        for delay in [Delay::Never, Delay::Always, Delay::Random] {
            for interrupts in [Interrupts::None, Interrupts::Messages] {
                run(&session, Manner { pieces, delay, interrupts }, None, seed).await;
            }
        }
        drop(failing);
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_with_a_fault_at_every_call_end_once_and_as_they_should() {
    let mut count = 0_u64;
    for seed in 0..40 {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let manner = random_manner(random);
        let session = session(random, manner.pieces);
        let calls = run(&session, manner, None, seed).await;
        for at in 0..calls {
            // Of a session of many calls, each has one kind of fault, and all kinds come in turn.
            let kinds = if calls < 100 { KINDS } else { &KINDS[at % KINDS.len()..][..1] };
            for kind in kinds {
                for lasts in [false, true] {
                    let fault = Fault { at, kind: *kind, lasts };
                    run(&session, manner, Some(fault), seed).await;
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

#[tokio::test(start_paused = true)]
async fn random_sessions_with_a_random_fault_end_once_and_as_they_should() {
    let count = sessions(15_000);
    let started = std::time::Instant::now();
    let mut struck = 0_u64;
    for seed in 1_000_000..1_000_000 + count {
        let failing = Seed(seed);
        let random = &mut Random::new(seed);
        let manner = random_manner(random);
        let session = session(random, manner.pieces);
        let most = if random.one_in(2) { 30 } else { 600 };
        let fault =
            Fault { at: random.below(most), kind: random.pick(KINDS), lasts: random.one_in(2) };
        let calls = run(&session, manner, Some(fault), seed).await;
        struck += u64::from(calls > fault.at);
        drop(failing);
    }
    let took = started.elapsed();
    println!("{count} random sessions, {struck} of them with a fault, in {took:.1?}");
    assert!(struck > count / 4);
}
