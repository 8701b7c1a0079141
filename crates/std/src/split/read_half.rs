//! The half that reads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use duologue_adapter::handshake::NegotiatedExtensions;
use duologue_adapter::{
    ChunkRef, CloseOutcome, CloseStatus, Error, Event, Initiator, Message, MessageRef,
    ProtocolError, READ_SIZE, ReadBuffer, ReadyState, Step, Timestamp, TransportStep, pool,
};

use super::{AGAIN, Shared};
use crate::driver::would_block;
use crate::transport::TryClone;
use crate::wire::{Progress, Wire};

/// The half of a connection that reads, made by [`WebSocket::split`](crate::WebSocket::split).
///
/// It keeps the connection alive as [`WebSocket`](crate::WebSocket) does: while one of its methods
/// waits, pings are answered, keepalive pings are sent and deadlines are kept.
pub struct ReadHalf<S: TryClone> {
    shared: Arc<Shared<S>>,
    wire: Wire<S>,
    read: ReadBuffer,
    now: Timestamp,
    /// The write half may begin to close while this one waits; the closing deadline is then noticed
    /// after this time at the latest.
    longest_wait: Duration,
    /// When to try again to write control frames that the peer did not take.
    again: Option<Timestamp>,
    outcome: Option<Outcome>,
}

/// A [`CloseOutcome`], owned.
struct Outcome {
    status: CloseStatus,
    reason: String,
    sent: Option<CloseStatus>,
    initiator: Option<Initiator>,
    was_clean: bool,
    failure: Option<ProtocolError>,
}

impl<S: TryClone> ReadHalf<S> {
    pub(super) fn new(
        shared: Arc<Shared<S>>,
        wire: Wire<S>,
        read: ReadBuffer,
        now: Timestamp,
        longest_wait: Duration,
    ) -> Self {
        Self { shared, wire, read, now, longest_wait, again: None, outcome: None }
    }

    /// Waits for the next message; as [`WebSocket::read`](crate::WebSocket::read).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::read`](crate::WebSocket::read).
    pub fn read(&mut self) -> Result<Option<Message>, Error> {
        while let Some(step) = self.next(true)? {
            if step == Step::Message
                && let Some(message) = self.read.take_message()
            {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// As [`read`](Self::read), but lends the message where it lies: nothing is allocated.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_ref(&mut self) -> Result<Option<MessageRef<'_>>, Error> {
        while let Some(step) = self.next(true)? {
            if step == Step::Message {
                return Ok(self.read.message());
            }
        }
        Ok(None)
    }

    /// As [`read`](Self::read), but lends the messages in pieces as they come.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_chunk(&mut self) -> Result<Option<ChunkRef<'_>>, Error> {
        while let Some(step) = self.next(false)? {
            if step == Step::Chunk {
                return Ok(self.read.chunk());
            }
        }
        Ok(None)
    }

    /// As [`read`](Self::read), but shows pings and pongs too.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_event(&mut self) -> Result<Option<Event>, Error> {
        while let Some(step) = self.next(true)? {
            match step {
                Step::Message => {
                    if let Some(message) = self.read.take_message() {
                        return Ok(Some(Event::Message(message)));
                    }
                }
                Step::Ping(payload) => return Ok(Some(Event::Ping(payload))),
                Step::Pong(payload) => return Ok(Some(Event::Pong(payload))),
                Step::Chunk | Step::Close => {}
            }
        }
        Ok(None)
    }

    /// How long the last keepalive ping and its pong took; `None` before the first pong. Pings are
    /// sent as [`Config::keepalive`](crate::Config::keepalive) says.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.shared.state().endpoint.round_trip_time()
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.shared.ready_state()
    }

    /// The extensions agreed on.
    #[must_use]
    pub fn extensions(&self) -> NegotiatedExtensions {
        self.shared.state().endpoint.extensions()
    }

    /// The subprotocol agreed on.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.subprotocol.as_deref()
    }

    /// How the connection ended; `None` before [`read`](Self::read) has come to the end.
    #[must_use]
    pub fn close_outcome(&self) -> Option<CloseOutcome<'_>> {
        self.outcome.as_ref().map(|outcome| CloseOutcome {
            status: outcome.status,
            reason: &outcome.reason,
            sent: outcome.sent,
            initiator: outcome.initiator,
            was_clean: outcome.was_clean,
            failure: outcome.failure,
        })
    }

    /// The transport.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.wire.stream
    }

    fn next(&mut self, whole: bool) -> Result<Option<Step>, Error> {
        loop {
            if let Some(step) = self.parse(whole) {
                return Ok(Some(step));
            }
            if self.again.is_none_or(|again| again <= self.now) {
                let all_out = self.shared.flush_control_frames();
                self.again = (!all_out).then(|| self.wire.clock.now() + AGAIN);
            }
            let (ended, deadline) = {
                let state = self.shared.state();
                (state.endpoint.ready_state() == ReadyState::Closed, state.endpoint.next_deadline())
            };
            if ended {
                if self.outcome.is_none()
                    && let Err(error) = self.shared.write_last()
                {
                    self.now = self.wire.clock.now();
                    if !self.shared.state().handle_deadline(self.now) {
                        return Err(error);
                    }
                }
                return self.conclude();
            }
            let latest = self.wire.clock.now() + self.longest_wait;
            let deadline = [deadline, self.again, Some(latest)].into_iter().flatten().min();
            self.read_once(deadline)?;
        }
    }

    /// The next event in the bytes at hand.
    fn parse(&mut self, whole: bool) -> Option<Step> {
        let mut state = self.shared.state();
        loop {
            let step = if whole {
                state.endpoint.next_message_in(&mut self.read, self.now)
            } else {
                state.endpoint.next_chunk_in(&mut self.read, self.now)
            };
            match step {
                Ok(Some(Step::Close)) => {
                    state.endpoint.restart_closing_timeout(self.wire.clock.now());
                    state.control_due();
                }
                Ok(Some(step)) => {
                    if matches!(step, Step::Ping(_)) {
                        state.control_due();
                    }
                    return Some(step);
                }
                Ok(None) => break,
                Err(error) => {
                    state.failures.protocol(error);
                    state.endpoint.restart_closing_timeout(self.wire.clock.now());
                    state.control_due();
                }
            }
        }
        // A peer that keeps sending must not put off the closing deadline.
        state.handle_deadline(self.now);
        None
    }

    /// One read, without any lock, and what follows from its end.
    fn read_once(&mut self, deadline: Option<Timestamp>) -> Result<(), Error> {
        if self.read.needs_buffer() {
            self.read.supply(pool::take_read());
        }
        let progress = self.wire.read(self.read.room(READ_SIZE), deadline);
        let now = self.wire.clock.now();
        self.now = now;
        if let Ok(Progress::Bytes(1..)) = progress {
            return Ok(());
        }
        let mut state = self.shared.state();
        match progress {
            Ok(Progress::Bytes(_)) => {
                state.endpoint.receive_eof(now);
                if state.write_broken {
                    state.transport_failed(now);
                }
                state.control_due();
            }
            Ok(progress) => {
                if !state.handle_deadline(now) && progress == Progress::WouldBlock {
                    if let Some(buffer) = self.read.release() {
                        pool::give_read(buffer);
                    }
                    return Err(would_block());
                }
            }
            Err(error) => {
                state.failures.io(error);
                state.transport_failed(now);
                state.control_due();
            }
        }
        Ok(())
    }

    /// Tells how the connection ended, once.
    fn conclude(&mut self) -> Result<Option<Step>, Error> {
        if let Some(buffer) = self.read.release() {
            pool::give_read(buffer);
        }
        if self.outcome.is_some() {
            return Ok(None);
        }
        let mut guard = self.shared.state();
        let state = &mut *guard;
        // The write half may be waiting for the peer in the middle of a message; this ends it.
        if state.endpoint.buffered_amount() == 0
            && state.endpoint.transport_step() == TransportStep::Close
        {
            let _ = self.wire.stream.close();
        }
        let outcome = state.endpoint.close_outcome();
        self.outcome = outcome.map(|outcome| Outcome {
            status: outcome.status,
            reason: outcome.reason.to_owned(),
            sent: outcome.sent,
            initiator: outcome.initiator,
            was_clean: outcome.was_clean,
            failure: outcome.failure,
        });
        state.failures.conclude(outcome).map(|()| None)
    }
}

impl<S: TryClone> Drop for ReadHalf<S> {
    fn drop(&mut self) {
        if let Some(buffer) = self.read.release() {
            pool::give_read(buffer);
        }
    }
}

impl<S: TryClone> fmt::Debug for ReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").field("ready_state", &self.ready_state()).finish_non_exhaustive()
    }
}
