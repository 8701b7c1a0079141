//! The loop between an endpoint and its transport.

use std::io::{self, ErrorKind};
use std::time::Duration;

use duologue_adapter::{
    CloseCode, Config, Endpoint, Error, Failures, MAX_SLICES, Message, Prepared, ProtocolError,
    ReadyState, SendError, Step, Timestamp, TransportStep, pool,
};

use crate::transport::Transport;
use crate::wire::{Progress, SURE_WAIT, Wire};

/// How long a dropped connection may take to write its Close frame.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(1);

/// An endpoint and its transport.
#[derive(Debug)]
pub(crate) struct Driver<S> {
    pub(crate) wire: Wire<S>,
    pub(crate) endpoint: Endpoint,
    /// The time when the bytes at hand were read: the messages in them need no clock.
    pub(crate) now: Timestamp,
    pub(crate) stall_timeout: Duration,
    pub(crate) closing_timeout: Duration,
    failures: Failures,
    /// The peer has ended its sending direction.
    eof: bool,
    /// Nothing can be written any more. What the peer has sent may still be read, its Close frame
    /// above all.
    pub(crate) write_broken: bool,
    /// Bytes were written that the transport may hold back.
    flush_due: bool,
    /// The transport has not flushed for a while, and the stall deadline runs.
    flush_blocked: bool,
    shutdown_due: bool,
    /// The transport is closed.
    ended: bool,
}

/// For how long a peer that takes nothing is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// By one write: until the next deadline, and while the connection is open, for a part of the
    /// stall timeout only. When a write that took a part of its bytes returns, nobody knows for how
    /// long it has waited since; so that must not be long.
    pub(crate) write: Duration,
    /// By one flush: until the peer counts as stalled, or until the closing deadline. What it moves
    /// does not show, so it is not interrupted.
    pub(crate) flush: Duration,
}

impl Patience {
    pub(crate) fn new(endpoint: &Endpoint, stall_timeout: Duration, now: Timestamp) -> Self {
        let deadline = endpoint.next_deadline().map(|deadline| deadline.saturating_since(now));
        let deadline = deadline.unwrap_or(Duration::MAX);
        let (write, flush) = match endpoint.ready_state() {
            ReadyState::Open => ((stall_timeout / 8).min(deadline), stall_timeout),
            _ => (stall_timeout.min(deadline), stall_timeout.min(deadline)),
        };
        Self { write: write.max(SURE_WAIT), flush: flush.max(SURE_WAIT) }
    }

    pub(crate) fn at_most(self, longest: Duration) -> Self {
        Self { write: self.write.min(longest), flush: self.flush.min(longest) }
    }
}

impl<S: Transport> Driver<S> {
    pub(crate) fn new(wire: Wire<S>, endpoint: Endpoint, config: &Config) -> Self {
        let now = wire.clock.now();
        Self {
            wire,
            endpoint,
            now,
            stall_timeout: config.write_stall_timeout,
            closing_timeout: config.closing_timeout,
            failures: Failures::default(),
            eof: false,
            write_broken: false,
            // The last bytes of the handshake, perhaps.
            flush_due: true,
            flush_blocked: false,
            shutdown_due: false,
            ended: false,
        }
    }

    /// The next event; `None` at the end. Messages come whole if `whole`, or else in pieces.
    pub(crate) fn next(&mut self, whole: bool) -> Result<Option<Step>, Error> {
        self.supply_buffers();
        loop {
            let step = if whole {
                self.endpoint.next_message(self.now)
            } else {
                self.endpoint.next_chunk(self.now)
            };
            match step {
                Ok(None) => {}
                // Closing begins now, not when the bytes that say so were read: the application may
                // have spent a while on the messages before them.
                Ok(Some(Step::Close)) => {
                    self.endpoint.restart_closing_timeout(self.wire.clock.now());
                }
                Ok(Some(step)) => return Ok(Some(step)),
                // The Close frame is queued; input is drained from here on, so that the peer can
                // read it (RFC 6455 section 7.1.7).
                Err(error) => {
                    self.failures.protocol(error);
                    self.endpoint.restart_closing_timeout(self.wire.clock.now());
                }
            }
            // A peer that keeps sending must not put off the closing deadline.
            self.handle_deadline(self.now);
            if !self.ended
                && let Err(error) = self.write_out()
                && self.eof
            {
                // There is nothing to read any more: writing is all that is waited for.
                self.now = self.wire.clock.now();
                if error.is_would_block() && !self.handle_deadline(self.now) {
                    return Err(error);
                }
                continue;
            }
            // Any other failure to write shows in what can be read, or is already kept.
            if self.ended {
                return self.conclude();
            }
            if self.is_given_up() {
                continue;
            }
            self.read()?;
        }
    }

    /// One read, and what follows from its end.
    fn read(&mut self) -> Result<(), Error> {
        let deadline = self.endpoint.next_deadline();
        let progress = self.wire.read(self.endpoint.read_room(), deadline);
        let now = self.wire.clock.now();
        self.now = now;
        match progress {
            Ok(Progress::Bytes(0)) => {
                self.eof = true;
                self.endpoint.receive_eof(now);
                if self.write_broken {
                    self.transport_failed(now);
                }
            }
            Ok(Progress::Bytes(_)) => {}
            Ok(Progress::TimedOut) => {
                self.handle_deadline(now);
            }
            Ok(Progress::WouldBlock) => {
                if !self.handle_deadline(now) {
                    self.release_buffers();
                    return Err(would_block());
                }
            }
            Err(error) => {
                self.failures.io(error);
                self.transport_failed(now);
            }
        }
        Ok(())
    }

    /// Nothing can go in or out any more.
    fn transport_failed(&mut self, now: Timestamp) {
        self.endpoint.transport_failed(now);
        self.stop_waiting();
    }

    /// Does what time asks for.
    fn handle_timeout(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        let result = self.endpoint.handle_timeout(now);
        if let Err(error) = result {
            self.failures.protocol(error);
        }
        if self.endpoint.ready_state() == ReadyState::Closed {
            self.stop_waiting();
        }
        result
    }

    /// A transport that is broken, or past its deadline, is not waited for: neither to flush nor to
    /// shut down.
    const fn stop_waiting(&mut self) {
        self.flush_due = false;
        self.shutdown_due = false;
    }

    /// Whether writing has come to its end at a deadline: the transport is to be closed, and no more
    /// read from.
    fn is_given_up(&self) -> bool {
        let closed = self.endpoint.ready_state() == ReadyState::Closed;
        closed && !self.eof && !self.flush_due && !self.shutdown_due
    }

    /// Carries out what the endpoint wants done with the transport, as far as it goes.
    pub(crate) fn write_out(&mut self) -> Result<(), Error> {
        loop {
            match self.endpoint.transport_step() {
                // What waits stays queued, so that a Close frame among it does not count as sent.
                TransportStep::Write if self.write_broken => {
                    return Err(Error::Io(ErrorKind::BrokenPipe.into()));
                }
                TransportStep::Write => self.write()?,
                TransportStep::ShutdownWrite => {
                    self.flush_due = true;
                    self.shutdown_due = true;
                }
                TransportStep::Idle => return self.finish_writing(),
                TransportStep::Close => {
                    // What the transport holds back would be lost with it. The peer may have been
                    // faster; nothing is left to be done about a failure.
                    if let Err(error) = self.finish_writing()
                        && error.is_would_block()
                    {
                        return Err(error);
                    }
                    let _ = self.wire.stream.close();
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }

    /// One write.
    fn write(&mut self) -> Result<(), Error> {
        let started = self.wire.clock.now();
        let patience = Patience::new(&self.endpoint, self.stall_timeout, started).write;
        let mut slices = [&[][..]; MAX_SLICES];
        let count = self.endpoint.write_slices(&mut slices);
        let progress = self.wire.write(slices.get(..count).unwrap_or_default(), Some(patience));
        match progress {
            Ok(Progress::Bytes(count)) => {
                self.endpoint.wrote(count);
                self.flush_due = true;
                Ok(())
            }
            Ok(Progress::TimedOut) => {
                self.endpoint.write_blocked(started);
                let now = self.wire.clock.now().max(started + patience);
                self.handle_timeout(now).map_err(Error::Protocol)
            }
            Ok(Progress::WouldBlock) => {
                self.endpoint.write_blocked(started);
                Err(would_block())
            }
            Err(error) => Err(self.write_failed(error)),
        }
    }

    /// Flushes and ends the sending direction, if that is due.
    fn finish_writing(&mut self) -> Result<(), Error> {
        if self.flush_due && !self.write_broken {
            let started = self.wire.clock.now();
            let patience = Patience::new(&self.endpoint, self.stall_timeout, started);
            match self.wire.flush(patience.write, patience.flush) {
                Ok(Progress::Bytes(_)) => {
                    self.flush_due = false;
                    if std::mem::take(&mut self.flush_blocked) {
                        // Of an empty queue this takes nothing; it ends the stall.
                        self.endpoint.wrote(1);
                    }
                }
                Ok(Progress::TimedOut) => {
                    self.flush_held_up(started);
                    let now = self.wire.clock.now().max(started + patience.flush);
                    return self.handle_timeout(now).map_err(Error::Protocol);
                }
                Ok(Progress::WouldBlock) => {
                    self.flush_held_up(started);
                    return Err(would_block());
                }
                Err(error) => return Err(self.write_failed(error)),
            }
        }
        if self.shutdown_due {
            let started = self.wire.clock.now();
            if self.wire.shutdown_write() == Progress::WouldBlock {
                self.flush_held_up(started);
                return Err(would_block());
            }
            self.shutdown_due = false;
        }
        Ok(())
    }

    /// The transport neither flushes nor shuts down. While closing, the closing deadline runs;
    /// before it, and after the peer's end of TCP, the one for a peer that takes nothing.
    fn flush_held_up(&mut self, since: Timestamp) {
        if self.endpoint.ready_state() != ReadyState::Closing {
            self.endpoint.write_blocked(since);
            self.flush_blocked = true;
        }
    }

    /// Nothing can be written any more.
    #[cold]
    fn write_failed(&mut self, error: io::Error) -> Error {
        self.write_broken = true;
        // The sender is told this error; the reader one like it, if nothing better comes.
        self.failures.io(error.kind().into());
        if self.eof {
            self.transport_failed(self.wire.clock.now());
        }
        Error::from(error)
    }

    /// Does what is due at `now`; whether anything was.
    fn handle_deadline(&mut self, now: Timestamp) -> bool {
        if self.endpoint.next_deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        // What it fails with is kept.
        let _ = self.handle_timeout(now);
        true
    }

    /// Tells how the connection ended, once.
    fn conclude(&mut self) -> Result<Option<Step>, Error> {
        self.release_buffers();
        self.failures.conclude(self.endpoint.close_outcome()).map(|()| None)
    }

    /// Queues what `queue` queues, when there is room, and writes it out: at once, or only past the
    /// high-water mark.
    pub(crate) fn send(
        &mut self,
        at_once: bool,
        queue: impl FnOnce(&mut Endpoint) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.make_room()?;
        queue(&mut self.endpoint)?;
        if at_once || !self.endpoint.has_room() { self.push() } else { Ok(()) }
    }

    /// Writes until there is room.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.write_broken && !self.ended {
            return Err(Error::Io(ErrorKind::BrokenPipe.into()));
        }
        self.supply_buffers();
        while !self.endpoint.has_room() && !self.ended {
            self.write_out()?;
        }
        Ok(())
    }

    /// Writes out; what a non-blocking transport does not take is queued, which is as good.
    pub(crate) fn push(&mut self) -> Result<(), Error> {
        match self.write_out() {
            Err(error) if error.is_would_block() => Ok(()),
            result => result,
        }
    }

    /// Begins the closing handshake.
    pub(crate) fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.endpoint.close(code, reason, self.wire.clock.now())?;
        self.push()
    }

    /// Begins the closing handshake with an empty Close frame.
    pub(crate) fn start_close_without_code(&mut self) -> Result<(), Error> {
        self.endpoint.close_without_code(self.wire.clock.now());
        self.push()
    }

    /// Carries the closing handshake to its end.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        // Another failure to write does not keep the peer's Close frame from being read.
        if let Err(error @ Error::Send(_)) = self.start_close(code, reason) {
            return Err(error);
        }
        while self.next(false)?.is_some() {}
        Ok(())
    }

    pub(crate) fn send_message(&mut self, message: Message, at_once: bool) -> Result<(), Error> {
        self.send(at_once, |endpoint| endpoint.send(message))
    }

    pub(crate) fn send_prepared(&mut self, message: &Prepared, at_once: bool) -> Result<(), Error> {
        self.send(at_once, |endpoint| endpoint.send_prepared(message))
    }

    /// Takes buffers from the thread's pool, where the endpoint has none.
    #[inline]
    fn supply_buffers(&mut self) {
        if self.endpoint.needs_read_buffer() {
            self.endpoint.supply_read_buffer(pool::take_read());
        }
        if self.endpoint.needs_write_buffer() {
            self.endpoint.supply_write_buffer(pool::take_write());
        }
    }

    /// Gives the buffers back in which nothing is left.
    fn release_buffers(&mut self) {
        if let Some(buffer) = self.endpoint.release_read_buffer() {
            pool::give_read(buffer);
        }
        if let Some(buffer) = self.endpoint.release_write_buffer() {
            pool::give_write(buffer);
        }
    }

    /// What a dropped connection can still do, without waiting: one write, with Close(1001) in it.
    /// A transport without timeouts might wait for long, so it gets none.
    pub(crate) fn abandon(&mut self) {
        let open = self.endpoint.ready_state() == ReadyState::Open;
        if open {
            let _ = self.endpoint.close(CloseCode::GOING_AWAY, "", self.wire.clock.now());
        }
        if !self.ended
            && !self.write_broken
            && self.wire.stream.supports_timeouts()
            && self.endpoint.transport_step() == TransportStep::Write
        {
            let mut slices = [&[][..]; MAX_SLICES];
            let count = self.endpoint.write_slices(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            if let Ok(Progress::Bytes(count)) = self.wire.write(slices, Some(LAST_WORDS)) {
                self.endpoint.wrote(count);
            }
            if self.endpoint.buffered_amount() == 0 {
                self.wire.shutdown_write();
            }
        }
        self.release_buffers();
    }

    /// Takes out what the two halves go on with. What is left does nothing more.
    pub(crate) fn take_apart(&mut self) -> (Endpoint, Failures) {
        let role = *self.endpoint.connection().role();
        let rest = Endpoint::new(role, &Config::DEFAULT, self.now);
        self.ended = true;
        (std::mem::replace(&mut self.endpoint, rest), std::mem::take(&mut self.failures))
    }
}

pub(crate) fn would_block() -> Error {
    Error::Io(ErrorKind::WouldBlock.into())
}
