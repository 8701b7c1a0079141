//! A connection with its buffers: what an adapter drives.

#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use core::fmt;
use core::time::Duration;

use bytes::BytesMut;

use crate::close_code::CloseCode;
use crate::connection::{CloseOutcome, Config, Connection, Transmit};
#[cfg(feature = "deflate")]
use crate::deflate::Deflating;
use crate::error::{ProtocolError, SendError};
use crate::handshake::NegotiatedExtensions;
use crate::message::read_buffer::{ChunkRef, READ_SIZE, ReadBuffer, Step};
use crate::message::stall::Stall;
use crate::message::types::{Message, MessageRef};
use crate::message::write_queue::{MAX_SLICES, WriteBatch, WriteQueue};
use crate::ready_state::ReadyState;
use crate::role::Role;
use crate::time::Timestamp;
use crate::utf8::Utf8Validator;

/// A [`Connection`] with a read buffer and a write queue, in whole messages. It does no IO: an
/// adapter moves bytes between it and a transport, in this loop:
///
/// 1. [`next_message`](Self::next_message) (or [`next_chunk`](Self::next_chunk)) until it has no
///    more, answering as it goes;
/// 2. [`transport_step`](Self::transport_step): write, shut down or close, as it says;
/// 3. when there is nothing to write, read into [`read_room`](Self::read_room), or tell it of the
///    end with [`receive_eof`](Self::receive_eof); or the time has come, and
///    [`handle_timeout`](Self::handle_timeout).
///
/// Replies queued in step 1 thus go out together, in one write for each read.
///
/// Two threads can share it under a lock that neither holds while it waits for the transport: the
/// one that reads keeps a [`ReadBuffer`] of its own, for
/// [`next_message_in`](Self::next_message_in); the one that writes takes out what is queued as a
/// [`WriteBatch`], with [`take_batch`](Self::take_batch).
pub struct Endpoint<R> {
    pub(super) connection: Connection<R>,
    pub(super) read: ReadBuffer,
    pub(super) write: WriteQueue,
    /// Bytes of the batch taken out that are not written yet; they go out before `write`.
    taken: usize,
    high_water: usize,
    stall: Stall,
    shutdown_write: bool,
    close_transport: bool,
    aborted: bool,
    /// The text being sent in fragments.
    pub(super) outgoing_text: Option<Utf8Validator>,
    /// How messages are compressed, if that was agreed on, or may still be.
    #[cfg(feature = "deflate")]
    pub(super) deflating: Option<Box<Deflating>>,
}

/// What an adapter is to do with its transport now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportStep {
    /// Nothing: read, or wait.
    Idle,
    /// Write what [`Endpoint::write_slices`] gives, and tell [`Endpoint::wrote`].
    Write,
    /// End the sending direction, once; go on reading.
    ShutdownWrite,
    /// Close the transport. Nothing follows.
    Close,
}

impl<R: Role> Endpoint<R> {
    /// An endpoint whose opening handshake begins now.
    pub fn new(role: R, config: &Config, now: Timestamp) -> Self {
        Self {
            connection: Connection::new(role, config, now),
            read: ReadBuffer::new(),
            write: WriteQueue::new(),
            taken: 0,
            high_water: config.write_high_water,
            stall: Stall::new(config.write_stall_timeout),
            shutdown_write: false,
            close_transport: false,
            aborted: false,
            outgoing_text: None,
            #[cfg(feature = "deflate")]
            deflating: config.deflate.map(|config| Box::new(Deflating::new(&config))),
        }
    }

    /// The opening handshake succeeded; `leftover` are the bytes that came behind it.
    pub fn open(&mut self, extensions: NegotiatedExtensions, leftover: BytesMut, now: Timestamp) {
        self.read.begin_with(leftover);
        self.connection.open(extensions, now);
        #[cfg(feature = "deflate")]
        self.begin_compression(extensions);
    }

    /// The next event of the bytes at hand, messages only whole; `None` when more bytes are needed.
    ///
    /// For [`Step::Message`], the message is had by [`message`](Self::message) or
    /// [`take_message`](Self::take_message), until the next call.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke; the Close frame that says so is queued.
    #[inline]
    pub fn next_message(&mut self, now: Timestamp) -> Result<Option<Step>, ProtocolError> {
        self.step(true, now)
    }

    /// Whether a message that is at hand whole is next; then it is had as after
    /// [`next_message`](Self::next_message), of which this is the short cut: if not, nothing has
    /// been done, and `next_message` tells what is.
    ///
    /// # Errors
    ///
    /// As [`next_message`](Self::next_message).
    #[inline]
    pub fn next_whole(&mut self, now: Timestamp) -> Result<bool, ProtocolError> {
        let found = self.read.step_whole(&mut self.connection, now);
        if found.is_err() {
            self.pump();
        }
        found
    }

    /// The next event of the bytes at hand, messages in pieces as they come, in flat memory.
    ///
    /// For [`Step::Chunk`], the piece is had by [`chunk`](Self::chunk), until the next call. In the
    /// middle of a message one can change over: the rest of it is then had in the other form. The
    /// rest of a text that was left inside a character comes as a binary message.
    ///
    /// # Errors
    ///
    /// As [`next_message`](Self::next_message).
    #[inline]
    pub fn next_chunk(&mut self, now: Timestamp) -> Result<Option<Step>, ProtocolError> {
        self.step(false, now)
    }

    #[inline]
    fn step(&mut self, whole: bool, now: Timestamp) -> Result<Option<Step>, ProtocolError> {
        let step = self.read.step(&mut self.connection, whole, now);
        self.stepped(step)
    }

    #[inline]
    fn stepped(
        &mut self,
        step: Result<Option<Step>, ProtocolError>,
    ) -> Result<Option<Step>, ProtocolError> {
        if !matches!(step, Ok(None | Some(Step::Message | Step::Chunk | Step::Pong(_)))) {
            self.pump();
        }
        step
    }

    /// Whether there may be something for [`next_message`](Self::next_message) or
    /// [`next_chunk`](Self::next_chunk) among the bytes at hand, or something lent to be taken
    /// back. If not, neither need be called.
    #[must_use]
    #[inline]
    pub fn has_unread(&self) -> bool {
        self.read.has_unread()
    }

    /// Takes out the read buffer, with all that is in it, for a thread that reads by itself.
    pub fn take_read_buffer(&mut self) -> ReadBuffer {
        core::mem::take(&mut self.read)
    }

    /// [`next_message`](Self::next_message), of a read buffer that was taken out.
    ///
    /// # Errors
    ///
    /// As [`next_message`](Self::next_message).
    pub fn next_message_in(
        &mut self,
        read: &mut ReadBuffer,
        now: Timestamp,
    ) -> Result<Option<Step>, ProtocolError> {
        let step = read.step(&mut self.connection, true, now);
        self.stepped(step)
    }

    /// [`next_chunk`](Self::next_chunk), of a read buffer that was taken out.
    ///
    /// # Errors
    ///
    /// As [`next_message`](Self::next_message).
    pub fn next_chunk_in(
        &mut self,
        read: &mut ReadBuffer,
        now: Timestamp,
    ) -> Result<Option<Step>, ProtocolError> {
        let step = read.step(&mut self.connection, false, now);
        self.stepped(step)
    }

    /// The message that [`Step::Message`] told of, where it lies; `None` after any other step.
    #[must_use]
    #[inline]
    pub fn message(&self) -> Option<MessageRef<'_>> {
        self.read.message()
    }

    /// The whole message that the last step came to: one of up to 1 KiB copied, so that keeping it
    /// does not keep the read buffer; a longer one split off without a copy.
    #[inline]
    pub fn take_message(&mut self) -> Option<Message> {
        self.read.take_message()
    }

    /// [`take_message`](Self::take_message), if it is a small binary one, as most are: if not, it
    /// is still to be had.
    #[inline(always)]
    pub fn take_small(&mut self) -> Option<bytes::Bytes> {
        self.read.take_small()
    }

    /// The piece of a message that the last step came to, where it lies.
    #[must_use]
    #[inline]
    pub fn chunk(&self) -> Option<ChunkRef<'_>> {
        self.read.chunk()
    }

    /// The buffer to read into: append to it, and do nothing else with it. It has room for some
    /// KiB at least, and grows with what has come.
    pub fn read_room(&mut self) -> &mut BytesMut {
        self.read.room(READ_SIZE)
    }

    /// As [`read_room`](Self::read_room), about `bytes` large: after reads that filled all of it,
    /// for fewer calls of the transport.
    pub fn read_room_of(&mut self, bytes: usize) -> &mut BytesMut {
        self.read.room(bytes)
    }

    /// The peer ended its side of TCP.
    pub fn receive_eof(&mut self, now: Timestamp) {
        self.connection.receive_eof(now);
        self.pump();
    }

    /// TCP broke, such as by a reset.
    pub fn transport_failed(&mut self, now: Timestamp) {
        self.connection.transport_failed(now);
        self.pump();
        // After the peer's end of TCP the state changes no more, but bytes may still wait.
        self.abort();
    }

    /// What is to be done with the transport now.
    #[inline]
    pub fn transport_step(&mut self) -> TransportStep {
        if self.aborted {
            return TransportStep::Close;
        }
        // Also while bytes wait: a queue that is never quite empty must not keep a pong back.
        self.pump();
        if self.buffered_amount() > 0 {
            TransportStep::Write
        } else if core::mem::take(&mut self.shutdown_write) {
            TransportStep::ShutdownWrite
        } else if self.close_transport {
            TransportStep::Close
        } else {
            TransportStep::Idle
        }
    }

    /// Whether [`transport_step`](Self::transport_step) has anything but [`TransportStep::Idle`].
    #[must_use]
    #[inline]
    pub const fn has_transport_step(&self) -> bool {
        self.buffered_amount() > 0
            || self.connection.has_transmit()
            || self.shutdown_write
            || self.close_transport
            || self.aborted
    }

    /// The bytes to be written next, if they all lie in one piece: small messages do. If not,
    /// [`write_slices`](Self::write_slices) has them.
    #[must_use]
    #[inline]
    pub fn write_slice(&self) -> Option<&[u8]> {
        self.write.slice()
    }

    /// The bytes to be written next, in `slices`; returns how many slices there are. While a batch
    /// is taken out, its bytes come before these.
    pub fn write_slices<'a>(&'a self, slices: &mut [&'a [u8]; MAX_SLICES]) -> usize {
        self.write.slices(slices)
    }

    /// The transport took `count` bytes.
    pub fn wrote(&mut self, count: usize) {
        let of_batch = count.min(self.taken);
        self.taken = self.taken.saturating_sub(of_batch);
        self.write.consume(count.saturating_sub(of_batch));
        if count > 0 {
            self.stall.end();
        }
    }

    /// Takes out what waits to be written, for a thread that writes while others go on queueing.
    /// `batch` must be written out: what is left in it goes out first, and nothing is taken then.
    ///
    /// The endpoint still counts these bytes as waiting: tell [`wrote`](Self::wrote) as they are
    /// written. Drop the batch when [`transport_step`](Self::transport_step) says to close.
    pub fn take_batch(&mut self, batch: &mut WriteBatch) {
        if self.taken == 0 && !self.aborted {
            self.write.swap_into(batch);
            self.taken = batch.remaining();
        }
    }

    /// The transport took nothing: from now on the stall deadline runs, if it does not already.
    pub fn write_blocked(&mut self, now: Timestamp) {
        self.stall.begin(now);
    }

    /// Bytes that wait to be written, framing included.
    #[must_use]
    #[inline]
    pub const fn buffered_amount(&self) -> usize {
        self.write.queued().saturating_add(self.taken)
    }

    /// Whether so little waits to be written that more may be queued.
    #[must_use]
    #[inline]
    pub const fn has_room(&self) -> bool {
        // With nothing waiting there is always room, however low the mark.
        self.buffered_amount() == 0 || self.buffered_amount() < self.high_water
    }

    /// Begins the closing handshake; see [`Connection::close`]. What is queued goes out first.
    ///
    /// # Errors
    ///
    /// [`SendError::CloseReasonTooLong`].
    pub fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), SendError> {
        self.connection.close(code, reason, now)?;
        self.pump();
        Ok(())
    }

    /// Begins the closing handshake with an empty Close frame.
    pub fn close_without_code(&mut self, now: Timestamp) {
        self.connection.close_without_code(now);
        self.pump();
    }

    /// Fails the connection; see [`Connection::fail`].
    ///
    /// # Errors
    ///
    /// [`SendError::CloseReasonTooLong`].
    pub fn fail(&mut self, code: CloseCode, reason: &str, now: Timestamp) -> Result<(), SendError> {
        self.connection.fail(code, reason, now)?;
        self.pump();
        Ok(())
    }

    /// Lets the closing timeout run from `now`; see [`Connection::restart_closing_timeout`].
    pub fn restart_closing_timeout(&mut self, now: Timestamp) {
        self.connection.restart_closing_timeout(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match (self.connection.next_deadline(), self.stall.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Does what is due at `now`; harmless when nothing is.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::PongTimeout`] or [`ProtocolError::WriteStalled`], once: the peer no longer
    /// answers, or no longer reads.
    pub fn handle_timeout(&mut self, now: Timestamp) -> Result<(), ProtocolError> {
        let result = if self.stall.deadline().is_some_and(|deadline| deadline <= now) {
            self.connection.note_failure(ProtocolError::WriteStalled);
            self.transport_failed(now);
            Err(ProtocolError::WriteStalled)
        } else {
            let due = self.connection.next_deadline().is_some_and(|deadline| deadline <= now);
            if due && self.ready_state() == ReadyState::Open {
                let waiting = self.buffered_amount() > 0;
                if self.stall.was_blocked(waiting) {
                    self.connection.postpone_pong_deadline(now);
                }
            }
            self.connection.handle_timeout(now)
        };
        self.pump();
        result
    }

    /// The extensions agreed on.
    #[must_use]
    pub fn extensions(&self) -> NegotiatedExtensions {
        #[cfg(feature = "deflate")]
        let deflate = self.deflating.as_ref().and_then(|deflating| deflating.agreed());
        NegotiatedExtensions {
            #[cfg(feature = "deflate")]
            deflate,
        }
    }

    /// The state, as the browser's `readyState` gives it.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.connection.ready_state()
    }

    /// How long the last keepalive ping and its pong took; see [`Connection::round_trip_time`].
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.connection.round_trip_time()
    }

    /// How the connection ended; `None` before it has.
    #[must_use]
    pub fn close_outcome(&self) -> Option<CloseOutcome<'_>> {
        self.connection.close_outcome()
    }

    /// The connection inside.
    #[must_use]
    pub const fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// Whether all bytes read have been handed out and nothing waits to be written.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.read.is_idle() && self.buffered_amount() == 0
    }

    /// Whether there is no buffer to read into, so that the next read would allocate one.
    #[must_use]
    #[inline]
    pub fn needs_read_buffer(&self) -> bool {
        self.read.needs_buffer()
    }

    /// Whether there is no buffer to write into, so that the next message would allocate one.
    #[must_use]
    #[inline]
    pub const fn needs_write_buffer(&self) -> bool {
        self.write.needs_buffer()
    }

    /// The read buffer, if nothing in it is needed: so that an idle connection holds none. One of
    /// which a message is still held is not given out, but let go of.
    pub fn release_read_buffer(&mut self) -> Option<BytesMut> {
        self.read.release()
    }

    /// Gives a buffer to read into, if there is none.
    pub fn supply_read_buffer(&mut self, buffer: BytesMut) {
        self.read.supply(buffer);
    }

    /// The write buffer, if nothing in it is needed: so that an idle connection holds none.
    pub fn release_write_buffer(&mut self) -> Option<WriteBatch> {
        self.write.release()
    }

    /// Gives an empty buffer to write into, if there is none.
    pub fn supply_write_buffer(&mut self, buffer: WriteBatch) {
        self.write.supply(buffer);
    }

    /// Bytes of memory that the buffers take up, shared payloads apart.
    #[must_use]
    pub fn buffer_capacity(&self) -> usize {
        let capacity = self.read.capacity().saturating_add(self.write.capacity());
        #[cfg(feature = "deflate")]
        let capacity = capacity.saturating_add(self.deflating.as_ref().map_or(0, |d| d.capacity()));
        capacity
    }

    /// Moves what the connection has to send into the queue. While a peer that does not read
    /// keeps the queue full, its pings wait in the connection's one slot, where only the newest
    /// is kept (RFC 6455 section 5.5.3); so a flood of them takes no memory.
    #[inline]
    fn pump(&mut self) {
        if self.connection.has_transmit() {
            self.pump_on();
        }
    }

    fn pump_on(&mut self) {
        while self.has_room() || self.connection.ready_state() > ReadyState::Open {
            match self.connection.poll_transmit() {
                None => return,
                Some(Transmit::Frame(frame)) => {
                    self.write.append(|out| out.extend_from_slice(frame.as_slice()));
                }
                Some(Transmit::ShutdownWrite) => self.shutdown_write = true,
                Some(Transmit::CloseTransport) => self.close_transport = true,
                Some(Transmit::AbortTransport) => self.abort(),
            }
        }
    }

    /// Nothing can be written any more.
    fn abort(&mut self) {
        // Nothing is queued behind a Close frame: if anything is left, at least its end is.
        if self.buffered_amount() > 0 {
            self.connection.close_frame_lost();
        }
        self.write.discard();
        self.taken = 0;
        self.stall.end();
        self.aborted = true;
    }
}

impl<R> fmt::Debug for Endpoint<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("connection", &self.connection)
            .field("buffered_amount", &self.write.queued())
            .finish_non_exhaustive()
    }
}

// What every open connection takes, beside what its adapter adds.
const _: () = assert!(size_of::<Endpoint<crate::Server>>() <= 688);
