//! Two halves of a connection, for two threads.
//!
//! Two locks, and no one waits for the transport under the first:
//!
//! - `state`: the endpoint. Held for as long as it takes to queue a message, or to find one in
//!   the bytes at hand; with compression, to compress or to inflate it as well.
//! - `writer`: the right to write. Whoever has it takes out what is queued as a batch, writes that
//!   without holding `state`, and looks again; so what is queued meanwhile goes out with it.
//!
//! The read half waits for bytes without either, in a buffer of its own. It does not wait for
//! `writer` before the peer's end of TCP: a pong or a Close frame that it queues while the other
//! half writes is picked up by that. Where nobody writes, it writes them itself, but waits for the
//! peer no longer than [`PATIENCE`].

mod read_half;
mod write_half;

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use duologue_adapter::{
    Clock, CloseCode, Endpoint, Error, Failures, MAX_SLICES, ProtocolError, ReadyState, SendError,
    Timestamp, TransportStep, WriteBatch,
};

pub use read_half::ReadHalf;
pub use write_half::WriteHalf;

use crate::driver::{Driver, LAST_WORDS, Patience, would_block};
use crate::transport::TryClone;
use crate::wire::{Progress, Wire};

/// How long the read half waits for the peer to take a control frame before it reads on: a peer
/// that writes and does not read must not be kept waiting.
const PATIENCE: Duration = Duration::from_millis(1);

/// How soon the read half tries again, about: where nothing comes, its wait is longer.
const AGAIN: Duration = Duration::from_millis(20);

/// What both halves share.
#[derive(Debug)]
struct Shared<S: TryClone> {
    state: Mutex<State>,
    writer: Mutex<Writer<S>>,
    clock: Clock,
    subprotocol: Option<String>,
    stall_timeout: Duration,
}

#[derive(Debug)]
struct State {
    endpoint: Endpoint,
    /// Something was queued since the last look of whoever writes.
    dirty: bool,
    /// A message of the write half's is among it, which it will write itself.
    message_queued: bool,
    /// A control frame may be among it. It goes out at once, and the messages before it with it,
    /// whenever their writer wanted to flush: a fed message must not keep a pong back, nor the ping
    /// that finds out a dead peer (RFC 6455 section 5.5.2: answered as soon as is practical).
    control_queued: bool,
    /// Nothing can be written any more.
    write_broken: bool,
    /// The transport is broken, or past its deadline: it is not waited for, to flush or to shut
    /// down.
    given_up: bool,
    failures: Failures,
}

#[derive(Debug)]
struct Writer<S> {
    wire: Wire<S>,
    batch: WriteBatch,
    flush_due: bool,
    /// The transport has not flushed for a while, and the stall deadline runs.
    flush_blocked: bool,
    shutdown_due: bool,
}

/// The two halves.
pub(crate) fn halves<S: TryClone>(
    driver: &mut Driver<S>,
    reader: Wire<S>,
    writer: Wire<S>,
    subprotocol: Option<String>,
) -> (ReadHalf<S>, WriteHalf<S>) {
    let (now, stall_timeout) = (driver.now, driver.stall_timeout);
    let write_broken = driver.write_broken;
    let (mut endpoint, failures) = driver.take_apart();
    let read = endpoint.take_read_buffer();
    let state = State {
        endpoint,
        dirty: true,
        message_queued: false,
        control_queued: true,
        write_broken,
        given_up: false,
        failures,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        clock: writer.clock,
        writer: Mutex::new(Writer {
            wire: writer,
            batch: WriteBatch::new(),
            flush_due: true,
            flush_blocked: false,
            shutdown_due: false,
        }),
        subprotocol,
        stall_timeout,
    });
    let longest_wait = (driver.closing_timeout / 4).max(AGAIN);
    let read_half = ReadHalf::new(Arc::clone(&shared), reader, read, now, longest_wait);
    (read_half, WriteHalf::new(shared))
}

/// A thread that panicked with a lock leaves nothing half done behind: the state is whole between
/// any two calls on it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: TryClone> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn ready_state(&self) -> ReadyState {
        self.state().endpoint.ready_state()
    }

    /// The write half: queues what `queue` queues, when there is room, and writes it out: at once,
    /// or only past the high-water mark.
    fn send(
        &self,
        at_once: bool,
        queue: impl FnOnce(&mut Endpoint) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        while !self.state().endpoint.has_room() {
            self.flush()?;
        }
        let has_room = {
            let mut state = self.state();
            if state.write_broken && state.endpoint.ready_state() == ReadyState::Open {
                return Err(Error::Io(ErrorKind::BrokenPipe.into()));
            }
            queue(&mut state.endpoint)?;
            state.dirty = true;
            state.message_queued = true;
            state.endpoint.has_room()
        };
        if at_once || !has_room { self.push() } else { Ok(()) }
    }

    /// The write half: hands the endpoint to `queue` if messages can be queued, and leaves the
    /// writing to [`flush`](Self::flush).
    fn queue_if_open<T>(&self, queue: impl FnOnce(&mut Endpoint) -> T) -> Option<T> {
        let mut state = self.state();
        if state.write_broken || state.endpoint.ready_state() != ReadyState::Open {
            return None;
        }
        let before = state.endpoint.buffered_amount();
        let result = queue(&mut state.endpoint);
        if state.endpoint.buffered_amount() != before {
            state.dirty = true;
            state.message_queued = true;
        }
        Some(result)
    }

    /// The write half: begins the closing handshake.
    fn start_close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        {
            let mut state = self.state();
            state.endpoint.close(code, reason, self.clock.now())?;
            state.control_due();
        }
        self.push()
    }

    /// The write half: begins the closing handshake with an empty Close frame.
    fn start_close_without_code(&self) -> Result<(), Error> {
        {
            let mut state = self.state();
            state.endpoint.close_without_code(self.clock.now());
            state.control_due();
        }
        self.push()
    }

    /// The write half: writes out; what a non-blocking transport does not take is queued, which is
    /// as good.
    fn push(&self) -> Result<(), Error> {
        match self.flush() {
            Err(error) if error.is_would_block() => Ok(()),
            result => result,
        }
    }

    /// The write half: writes out all that is queued, and what is queued meanwhile.
    fn flush(&self) -> Result<(), Error> {
        loop {
            self.write_out(&mut lock(&self.writer), None)?;
            // Whatever the read half queued when it could not have the lock is seen here.
            if !self.state().dirty {
                return Ok(());
            }
        }
    }

    /// The read half: writes out what control frames wait, and what is queued before them, unless
    /// the write half does so. Messages alone are left to the write half, which is going to write
    /// them. Whether all is out that is to be.
    fn flush_control_frames(&self) -> bool {
        let mut until = None;
        loop {
            {
                let state = self.state();
                let open = state.endpoint.ready_state() == ReadyState::Open;
                let messages_only = state.message_queued && !state.control_queued;
                if !state.dirty || (open && messages_only) {
                    return true;
                }
            }
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::Poisoned(error)) => error.into_inner(),
                Err(TryLockError::WouldBlock) => return true,
            };
            let until = *until.get_or_insert_with(|| self.clock.now() + PATIENCE);
            if self.write_out(&mut writer, Some(until)).is_err() {
                return !self.state().dirty;
            }
        }
    }

    /// The read half, when the peer has ended its side: the peer may still read, so what is queued
    /// goes out first, whoever writes it. Nothing is left to be read meanwhile. `WouldBlock` is the
    /// only failure.
    fn write_last(&self) -> Result<(), Error> {
        let mut writer = lock(&self.writer);
        match self.write_out(&mut writer, None) {
            Err(error) if error.is_would_block() => Err(error),
            // Any other is kept.
            _ => Ok(()),
        }
    }

    /// Carries out what the endpoint wants done with the transport. The read half gives up at
    /// `until`.
    fn write_out(&self, writer: &mut Writer<S>, until: Option<Timestamp>) -> Result<(), Error> {
        loop {
            let (step, patience) = self.next_write(writer, until);
            match step {
                TransportStep::Write if self.state().write_broken => {
                    return Err(Error::Io(ErrorKind::BrokenPipe.into()));
                }
                TransportStep::Write => self.write(writer, patience.write, until)?,
                TransportStep::ShutdownWrite => {
                    writer.flush_due = true;
                    writer.shutdown_due = true;
                }
                TransportStep::Idle => return self.finish_writing(writer, patience, until),
                TransportStep::Close => {
                    // What the transport holds back would be lost with it. The peer may have been
                    // faster; nothing is left to be done about a failure.
                    let given_up = self.state().given_up;
                    if !given_up
                        && let Err(error) = self.finish_writing(writer, patience, until)
                        && error.is_would_block()
                    {
                        return Err(error);
                    }
                    let lost = writer.batch.remaining() > 0;
                    writer.batch.discard();
                    let _ = writer.wire.stream.close();
                    return if lost { Err(self.why_lost()) } else { Ok(()) };
                }
            }
        }
    }

    /// Why the connection ended before all was written: the read half may have found out first that
    /// the peer takes nothing.
    fn why_lost(&self) -> Error {
        let state = self.state();
        let failure = state.endpoint.close_outcome().and_then(|outcome| outcome.failure);
        failure.map_or(Error::ConnectionLost, Error::Protocol)
    }

    /// Flushes what the transport holds back, as one with TLS does, and ends the sending direction,
    /// if that is due.
    fn finish_writing(
        &self,
        writer: &mut Writer<S>,
        patience: Patience,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        if writer.flush_due {
            let started = self.clock.now();
            match writer.wire.flush(patience.write, patience.flush) {
                Ok(Progress::Bytes(_)) => {
                    writer.flush_due = false;
                    if std::mem::take(&mut writer.flush_blocked) {
                        let mut state = self.state();
                        if state.endpoint.buffered_amount() == 0 {
                            // Of an empty queue this takes nothing; it ends the stall.
                            state.endpoint.wrote(1);
                        }
                    }
                }
                Err(error) => return Err(self.write_failed(writer, error)),
                Ok(progress) => {
                    writer.flush_blocked = true;
                    return self.held_up(writer, started, patience.flush, progress, until);
                }
            }
        }
        if writer.shutdown_due {
            let started = self.clock.now();
            if writer.wire.shutdown_write() == Progress::WouldBlock {
                let mut state = self.state();
                // Before the closing deadline runs, and after the peer's end of TCP, the one for a
                // peer that takes nothing does.
                if state.endpoint.ready_state() != ReadyState::Closing {
                    state.endpoint.write_blocked(started);
                }
                state.control_due();
                return Err(would_block());
            }
            writer.shutdown_due = false;
        }
        Ok(())
    }

    /// The peer takes nothing. The read half, and who has a non-blocking transport, try again
    /// later; for the write half the peer has had its time.
    fn held_up(
        &self,
        writer: &mut Writer<S>,
        started: Timestamp,
        patience: Duration,
        progress: Progress,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        state.endpoint.write_blocked(started);
        if until.is_some() || progress != Progress::TimedOut {
            state.control_due();
            return Err(would_block());
        }
        let now = self.clock.now().max(started + patience);
        state.handle_timeout(now).map_err(|error| {
            // The read half waits for bytes; this ends it.
            let _ = writer.wire.stream.close();
            Error::Protocol(error)
        })
    }

    /// What is to be done next, with its batch taken out, and how long it may take.
    fn next_write(
        &self,
        writer: &mut Writer<S>,
        until: Option<Timestamp>,
    ) -> (TransportStep, Patience) {
        let mut state = self.state();
        state.dirty = false;
        state.control_queued = false;
        let step = state.endpoint.transport_step();
        // What can no longer be written stays queued, so that a Close frame among it does not count
        // as sent.
        if step == TransportStep::Write && !state.write_broken {
            if writer.batch.remaining() == 0 {
                state.endpoint.take_batch(&mut writer.batch);
            }
            state.message_queued = false;
        }
        let now = self.clock.now();
        let patience = Patience::new(&state.endpoint, self.stall_timeout, now);
        // The read half takes either end of its wait for the same.
        (step, until.map_or(patience, |until| patience.at_most(until.saturating_since(now))))
    }

    /// One write, without holding `state`.
    fn write(
        &self,
        writer: &mut Writer<S>,
        patience: Duration,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        if until.is_some() && patience.is_zero() {
            self.state().control_due();
            return Err(would_block());
        }
        let started = self.clock.now();
        let progress = {
            let mut slices = [&[][..]; MAX_SLICES];
            let count = writer.batch.slices(&mut slices);
            writer.wire.write(slices.get(..count).unwrap_or_default(), Some(patience))
        };
        let mut state = self.state();
        match progress {
            Ok(Progress::Bytes(count)) => {
                writer.batch.consume(count);
                writer.flush_due = true;
                state.endpoint.wrote(count);
                Ok(())
            }
            Ok(progress) => {
                drop(state);
                self.held_up(writer, started, patience, progress, until)
            }
            Err(error) => {
                drop(state);
                Err(self.write_failed(writer, error))
            }
        }
    }

    /// Nothing can be written any more.
    #[cold]
    fn write_failed(&self, writer: &mut Writer<S>, error: io::Error) -> Error {
        writer.batch.discard();
        writer.flush_due = false;
        let mut state = self.state();
        state.write_broken = true;
        // The sender is told this error; the reader one like it, if nothing better comes.
        state.failures.io(error.kind().into());
        if state.endpoint.ready_state() == ReadyState::Closed {
            state.transport_failed(self.clock.now());
        }
        Error::from(error)
    }
}

impl State {
    /// Does what is due at `now`; whether anything was.
    fn handle_deadline(&mut self, now: Timestamp) -> bool {
        if self.endpoint.next_deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        // What it fails with is kept.
        let _ = self.handle_timeout(now);
        self.control_due();
        true
    }

    /// Does what time asks for.
    fn handle_timeout(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        let result = self.endpoint.handle_timeout(now);
        if let Err(error) = result {
            self.failures.protocol(error);
        }
        self.given_up |= self.endpoint.ready_state() == ReadyState::Closed;
        result
    }

    /// Nothing can go in or out any more.
    fn transport_failed(&mut self, now: Timestamp) {
        self.endpoint.transport_failed(now);
        self.given_up = true;
    }

    /// Something is queued, or left over, that does not wait for the write half to flush.
    const fn control_due(&mut self) {
        self.dirty = true;
        self.control_queued = true;
    }
}

impl<S: TryClone> Drop for Shared<S> {
    /// The last half is gone: one write, with Close(1001) in it, as for a whole connection.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.write_broken || state.endpoint.ready_state() == ReadyState::Closed {
            return;
        }
        let _ = state.endpoint.close(CloseCode::GOING_AWAY, "", self.clock.now());
        if writer.batch.remaining() == 0 {
            state.endpoint.take_batch(&mut writer.batch);
        }
        let mut slices = [&[][..]; MAX_SLICES];
        let count = writer.batch.slices(&mut slices);
        if count > 0 {
            let _ = writer.wire.write(slices.get(..count).unwrap_or_default(), Some(LAST_WORDS));
        }
        writer.wire.shutdown_write();
    }
}
