//! The connection over its transport: everything that is polled. No `await` stands anywhere
//! between taking bytes and keeping what they came to, so whoever drives it may stop at any point.

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::string::String;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use duologue_adapter::pool;
use duologue_adapter::{Endpoint, Error, Failures, READ_SIZE, Role, open_endpoint};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    CloseCode, Config, MAX_SLICES, Message, ReadyState, SendError, Step, Timestamp, TransportStep,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::coop;

use crate::timer::{Timer, now};
use crate::wakers::{Side, Wakers};

/// How many bytes a read asks for after one that filled its room. Twice as many again would leave
/// the peer idle for longer and go past the second-level cache.
const LARGE_READ: usize = 2 * READ_SIZE;

/// So much work takes one unit of the budget after which a task lets others run, counted in bytes
/// read. The runtime by itself takes a unit for each read, however much comes of it: a peer that
/// floods would be listened to for megabytes while the other connections wait.
const WORK_OF_A_UNIT: u32 = 32 * 1024;

/// A message, a piece of one or a control frame is as much work as so many bytes.
const WORK_OF_AN_EVENT: u32 = 8 * 1024;

/// And so is a read, besides what it brings.
const WORK_OF_A_READ: u32 = 1024;

/// Queues the message in a place, if there is one, and leaves none.
pub(crate) type SendFrom = fn(&mut Endpoint, &mut Option<Message>) -> Result<(), SendError>;

/// As [`Endpoint::send_from`], uncompressed.
pub(crate) fn send_uncompressed_from(
    endpoint: &mut Endpoint,
    place: &mut Option<Message>,
) -> Result<(), SendError> {
    place.take().map_or(Ok(()), |message| endpoint.send_uncompressed(message))
}

/// What a whole endpoint is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Messages,
    Chunks,
}

/// An endpoint, its transport and its timer.
pub(crate) struct Driver<S: AsyncRead + AsyncWrite + Unpin> {
    transport: S,
    pub(crate) endpoint: Endpoint,
    timer: Timer,
    wakers: Wakers,
    /// The time of the last read, good enough for the events in it.
    now: Timestamp,
    /// The work that has not been taken from the task's budget yet.
    work: u32,
    /// `now` has gone on, by a read, since the deadlines were looked at.
    clock_moved: bool,
    /// The last read filled its room: the next one is given more.
    reads_large: bool,
    /// Bytes are written that the transport may still hold back.
    unflushed: bool,
    /// The transport has not flushed for a while, and the stall deadline runs.
    flush_blocked: bool,
    shutting_down: bool,
    /// The peer has ended its side of TCP: there is nothing to read any more.
    read_ended: bool,
    /// Bytes that were queued have been given up.
    lost: bool,
    /// The transport is closed as far as it can be while it is owned.
    ended: bool,
    /// That was not quite done when it ended.
    shutdown_pending: bool,
    /// The write side broke. What the peer sent before is still read.
    write_error: Option<io::Error>,
    /// What went wrong, told once the connection has come to rest.
    failures: Failures,
    pub(crate) subprotocol: Option<Box<str>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(crate) fn new(
        transport: S,
        role: Role,
        config: &Config,
        extensions: NegotiatedExtensions,
        leftover: BytesMut,
        subprotocol: Option<String>,
    ) -> Self {
        let now = now();
        let endpoint = open_endpoint(role, config, extensions, leftover, now);
        Self {
            transport,
            endpoint,
            timer: Timer::default(),
            wakers: Wakers::default(),
            now,
            work: 0,
            clock_moved: false,
            reads_large: false,
            unflushed: false,
            flush_blocked: false,
            shutting_down: false,
            read_ended: false,
            lost: false,
            ended: false,
            shutdown_pending: false,
            write_error: None,
            failures: Failures::default(),
            subprotocol: subprotocol.map(String::into_boxed_str),
        }
    }

    /// Whether the end has been told.
    pub(crate) const fn is_terminated(&self) -> bool {
        self.failures.is_told()
    }

    pub(crate) const fn transport(&self) -> &S {
        &self.transport
    }

    pub(crate) const fn transport_mut(&mut self) -> &mut S {
        &mut self.transport
    }

    /// Whether a whole message is next among the bytes at hand: to be had from the endpoint.
    /// Otherwise [`poll_data`](Self::poll_data) tells what is.
    #[inline]
    fn has_whole(&mut self) -> bool {
        match self.endpoint.next_whole(self.now) {
            Ok(found) => {
                if found {
                    self.note_work(WORK_OF_AN_EVENT);
                }
                found
            }
            Err(error) => {
                self.failures.protocol(error);
                self.closing_begins();
                false
            }
        }
    }

    /// The next event. `None` when the connection has come to rest after the peer closed it, or
    /// after its end has been told.
    pub(crate) fn poll_step(
        &mut self,
        mode: Mode,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Step>, Error>> {
        self.poll_for(context, |driver| driver.step(mode))
    }

    /// As [`poll_step`](Self::poll_step), of messages or their pieces only: `Some` when there is
    /// one to be had from the endpoint.
    #[inline]
    pub(crate) fn poll_data(
        &mut self,
        mode: Mode,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<()>, Error>> {
        if mode == Mode::Messages && self.has_whole() {
            return Poll::Ready(Ok(Some(())));
        }
        self.poll_for(context, |driver| driver.data(mode))
    }

    /// What `look` finds among the bytes at hand, as soon as it does. `None` as
    /// [`poll_step`](Self::poll_step).
    #[inline]
    fn poll_for<T>(
        &mut self,
        context: &mut Context<'_>,
        look: impl Fn(&mut Self) -> Option<T>,
    ) -> Poll<Result<Option<T>, Error>> {
        // Events at hand need neither the transport nor a waker.
        if self.endpoint.has_unread()
            && let Some(found) = look(self)
        {
            return Poll::Ready(Ok(Some(found)));
        }
        let result = match self.wakers.register(Side::Read, context.waker()) {
            None => self.poll_until_found(context, look),
            Some(waker) => self.poll_until_found(&mut Context::from_waker(&waker), look),
        };
        if result.is_ready() {
            self.wakers.clear(Side::Read);
        }
        result
    }

    fn poll_until_found<T>(
        &mut self,
        context: &mut Context<'_>,
        look: impl Fn(&mut Self) -> Option<T>,
    ) -> Poll<Result<Option<T>, Error>> {
        loop {
            // What was queued goes out before the read side waits. That the peer does not take it
            // keeps nobody from reading.
            if self.has_to_write() {
                let _ = self.poll_write(context);
            }
            if self.ended {
                return Poll::Ready(self.tell_end().map(|()| None));
            }
            // A peer that never stops sending does not keep the deadlines from being looked at.
            if std::mem::take(&mut self.clock_moved)
                && self.endpoint.next_deadline().is_some_and(|at| at <= self.now)
            {
                self.handle_timeout(self.now);
                self.wakers.wake_other(Side::Read);
                continue;
            }
            ready!(self.poll_read(context));
            if let Some(found) = look(self) {
                return Poll::Ready(Ok(Some(found)));
            }
        }
    }

    /// The next message, or piece of one, of the bytes at hand.
    #[inline]
    fn data(&mut self, mode: Mode) -> Option<()> {
        if mode == Mode::Messages && self.has_whole() {
            return Some(());
        }
        loop {
            if let Step::Message | Step::Chunk = self.step(mode)? {
                return Some(());
            }
        }
    }

    /// The next event of the bytes at hand that is one to the application.
    #[inline(never)]
    fn step(&mut self, mode: Mode) -> Option<Step> {
        let step = match mode {
            Mode::Messages => self.endpoint.next_message(self.now),
            Mode::Chunks => self.endpoint.next_chunk(self.now),
        };
        match step {
            Ok(Some(Step::Close)) => {
                self.closing_begins();
                None
            }
            Ok(step) => {
                if step.is_some() {
                    self.note_work(WORK_OF_AN_EVENT);
                }
                step
            }
            Err(error) => {
                // The endpoint has failed itself; the error is told when its Close frame is out.
                self.failures.protocol(error);
                self.closing_begins();
                None
            }
        }
    }

    /// Closing begins now, not when the bytes that say so were read: the application may have spent
    /// a while on the messages before them.
    #[cold]
    fn closing_begins(&mut self) {
        self.endpoint.restart_closing_timeout(now());
        self.wakers.wake_other(Side::Read);
    }

    /// Reads once, or does what time asks for. Ready when there is something to look at.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.read_ended {
            ready!(self.poll_timer(context));
            self.wakers.wake_other(Side::Read);
            return Poll::Ready(());
        }
        self.charge(context);
        if !coop::has_budget_remaining() {
            // Not every transport asks for itself. The task is woken at once.
            self.share_buffers();
            ready!(coop::poll_proceed(context)).made_progress();
        }
        if self.endpoint.needs_read_buffer() {
            self.endpoint.supply_read_buffer(pool::take_read());
        }
        let size = if self.reads_large { LARGE_READ } else { READ_SIZE };
        let room = self.endpoint.read_room_of(size);
        let offered = room.capacity().saturating_sub(room.len());
        let read = pin!(self.transport.read_buf(room)).poll(context);
        match read {
            Poll::Ready(Ok(0)) => {
                self.read_ended = true;
                self.endpoint.receive_eof(now());
                if self.write_error.is_some() {
                    self.transport_failed();
                }
                self.release_buffers();
                self.wakers.wake_other(Side::Read);
            }
            Poll::Ready(Ok(count)) => {
                self.now = now();
                self.clock_moved = true;
                self.note_work(u32::try_from(count).unwrap_or(u32::MAX));
                self.note_work(WORK_OF_A_READ);
                // A peer that fills the room has more to say; fewer calls then take larger pieces.
                self.reads_large = count == offered;
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(error)) => {
                self.transport_failed();
                self.failures.io(error);
                self.wakers.wake_other(Side::Read);
            }
            Poll::Pending => {
                self.release_buffers();
                ready!(self.poll_timer(context));
                self.wakers.wake_other(Side::Read);
            }
        }
        Poll::Ready(())
    }

    #[inline]
    const fn note_work(&mut self, work: u32) {
        self.work = self.work.saturating_add(work);
    }

    /// Takes the work done from the task's budget, as far as that goes.
    fn charge(&mut self, context: &mut Context<'_>) {
        while self.work >= WORK_OF_A_UNIT {
            if !coop::has_budget_remaining() {
                // The next turn begins with a whole budget.
                self.work = 0;
                return;
            }
            self.work -= WORK_OF_A_UNIT;
            if let Poll::Ready(unit) = coop::poll_proceed(context) {
                unit.made_progress();
            }
        }
    }

    /// Nothing can go out any more.
    fn transport_failed(&mut self) {
        self.give_up(|endpoint| endpoint.transport_failed(now()));
    }

    /// Does what may end the connection at once, and notes what that loses.
    fn give_up<T>(&mut self, act: impl FnOnce(&mut Endpoint) -> T) -> T {
        let waiting = self.endpoint.buffered_amount();
        let result = act(&mut self.endpoint);
        self.lost |= waiting > 0 && self.endpoint.buffered_amount() == 0;
        if self.endpoint.ready_state() == ReadyState::Closed {
            // Nor is the transport waited for, to flush or to shut down.
            self.lost |= self.unflushed;
            self.unflushed = false;
            self.shutting_down = false;
        }
        result
    }

    /// Does what is due. Ready if anything was.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.endpoint.next_deadline();
        let now = ready!(self.timer.poll(deadline, &mut self.wakers.timer_has_it, context));
        self.handle_timeout(now);
        Poll::Ready(())
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        if let Err(error) = self.give_up(|endpoint| endpoint.handle_timeout(now)) {
            self.failures.protocol(error);
        }
    }

    /// Whether [`poll_write`](Self::poll_write) has anything to do.
    #[inline]
    const fn has_to_write(&self) -> bool {
        self.unflushed || self.shutting_down || self.endpoint.has_transport_step()
    }

    /// Writes what is queued and does what the endpoint wants of the transport. Ready when there is
    /// nothing left to do now, or nothing more can be done.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.ended {
            if self.shutting_down {
                // Whether it worked or not, there is nothing more to write.
                let Poll::Ready(_) = Pin::new(&mut self.transport).poll_shutdown(context) else {
                    return self.held_up();
                };
                self.shutting_down = false;
                self.unflushed = false;
            }
            match self.endpoint.transport_step() {
                TransportStep::Close if self.unflushed => {
                    // What the transport holds back would be lost with it.
                    match Pin::new(&mut self.transport).poll_flush(context) {
                        Poll::Ready(Ok(())) => self.flushed(),
                        Poll::Ready(Err(error)) => self.write_failed(error),
                        Poll::Pending => return self.held_up(),
                    }
                }
                TransportStep::Close => self.end(context),
                TransportStep::ShutdownWrite => self.shutting_down = true,
                _ if self.write_error.is_some() => return Poll::Ready(()),
                TransportStep::Write => {
                    let written = match self.endpoint.write_slice() {
                        Some(slice) => Pin::new(&mut self.transport).poll_write(context, slice),
                        None => self.poll_write_vectored(context),
                    };
                    match written {
                        Poll::Ready(Ok(0)) => self.write_failed(io::ErrorKind::WriteZero.into()),
                        Poll::Ready(Ok(count)) => {
                            self.unflushed = true;
                            self.endpoint.wrote(count);
                        }
                        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                        Poll::Ready(Err(error)) => self.write_failed(error),
                        Poll::Pending => {
                            self.endpoint.write_blocked(now());
                            return Poll::Pending;
                        }
                    }
                }
                TransportStep::Idle if self.unflushed => {
                    match Pin::new(&mut self.transport).poll_flush(context) {
                        Poll::Ready(Ok(())) => {
                            self.flushed();
                            return Poll::Ready(());
                        }
                        Poll::Ready(Err(error)) => self.write_failed(error),
                        Poll::Pending => return self.held_up(),
                    }
                }
                TransportStep::Idle => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }

    /// Writes what lies in more than one piece.
    #[inline(never)]
    fn poll_write_vectored(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [&[][..]; MAX_SLICES];
        let count = self.endpoint.write_slices(&mut slices);
        let io_slices = slices.map(io::IoSlice::new);
        let io_slices = io_slices.get(..count).unwrap_or_default();
        Pin::new(&mut self.transport).poll_write_vectored(context, io_slices)
    }

    /// The transport neither flushes nor shuts down. While closing, the closing deadline runs;
    /// before it, and after the peer's end of TCP, the one for a peer that takes nothing.
    fn held_up(&mut self) -> Poll<()> {
        if self.endpoint.ready_state() != ReadyState::Closing {
            self.endpoint.write_blocked(now());
            self.flush_blocked = true;
        }
        Poll::Pending
    }

    /// The transport holds nothing back any more, and nothing is queued either.
    fn flushed(&mut self) {
        self.unflushed = false;
        if std::mem::take(&mut self.flush_blocked) {
            // Of an empty queue this takes nothing; it ends the stall.
            self.endpoint.wrote(1);
        }
    }

    fn write_failed(&mut self, error: io::Error) {
        self.write_error = Some(error);
        self.unflushed = false;
        if self.read_ended {
            self.transport_failed();
        }
    }

    /// The endpoint is done with the transport. It is closed when its owner drops it; until then,
    /// its sending direction ends at least.
    fn end(&mut self, context: &mut Context<'_>) {
        self.shutdown_pending = Pin::new(&mut self.transport).poll_shutdown(context).is_pending();
        self.ended = true;
        self.release_buffers();
    }

    /// Tells how the connection ended: once, then nothing any more.
    fn tell_end(&mut self) -> Result<(), Error> {
        if let Some(error) = self.write_error.take() {
            self.failures.io(error);
        }
        self.failures.conclude(self.endpoint.close_outcome())
    }

    /// Waits until so little is queued that more may be.
    #[inline]
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.endpoint.has_room() {
            return Poll::Ready(self.can_send());
        }
        self.poll_as_writer(context, |driver| driver.endpoint.has_room())
    }

    /// Waits until everything queued is written and the transport flushed.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = ready!(self.poll_as_writer(context, |driver| {
            driver.endpoint.buffered_amount() == 0 && !driver.unflushed
        }));
        self.release_write_buffer();
        Poll::Ready(flushed)
    }

    // Out of line, so that `poll_ready` is small enough to be inlined for each message.
    #[inline(never)]
    fn poll_as_writer(
        &mut self,
        context: &mut Context<'_>,
        enough: impl Fn(&Self) -> bool,
    ) -> Poll<Result<(), Error>> {
        let result = match self.wakers.register(Side::Write, context.waker()) {
            Some(waker) => self.poll_until(&mut Context::from_waker(&waker), enough),
            None => self.poll_until(context, enough),
        };
        if result.is_ready() {
            self.wakers.clear(Side::Write);
        }
        result
    }

    fn poll_until(
        &mut self,
        context: &mut Context<'_>,
        enough: impl Fn(&Self) -> bool,
    ) -> Poll<Result<(), Error>> {
        loop {
            let written = self.poll_write(context);
            if enough(self) || written.is_ready() {
                return Poll::Ready(self.can_send());
            }
            ready!(self.poll_timer(context));
            self.wakers.wake_other(Side::Write);
        }
    }

    /// Whether what is queued has a way out.
    fn can_send(&mut self) -> Result<(), Error> {
        match &self.write_error {
            Some(error) => Err(Error::Io(error.kind().into())),
            None if self.lost || self.ended && self.endpoint.buffered_amount() > 0 => {
                Err(Error::Send(SendError::Closing))
            }
            None => Ok(()),
        }
    }

    /// Queues something by `send`, with a buffer to queue it in.
    #[inline]
    pub(crate) fn queue(
        &mut self,
        send: impl FnOnce(&mut Endpoint) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        if self.endpoint.needs_write_buffer() {
            self.endpoint.supply_write_buffer(pool::take_write());
        }
        send(&mut self.endpoint).map_err(Error::Send)
    }

    /// Waits until something may be queued, and queues it by `send`; dropped before that, it is not
    /// queued. `done` says whether that has been, and is not done again.
    #[inline]
    pub(crate) fn poll_queue(
        &mut self,
        done: &mut bool,
        send: impl FnOnce(&mut Endpoint) -> Result<(), SendError>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_ready(context))?;
        if std::mem::replace(done, true) {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.queue(send))
    }

    /// As [`poll_queue`](Self::poll_queue), of a message that `send` takes out of its place.
    #[inline]
    pub(crate) fn poll_feed(
        &mut self,
        place: &mut Option<Message>,
        send: SendFrom,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_ready(context))?;
        Poll::Ready(self.queue(|endpoint| send(endpoint, place)))
    }

    /// As [`poll_feed`](Self::poll_feed), and waits until it is written.
    pub(crate) fn poll_send(
        &mut self,
        place: &mut Option<Message>,
        send: SendFrom,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if place.is_some() {
            ready!(self.poll_feed(place, send, context))?;
        }
        self.poll_flush(context)
    }

    /// Begins the closing handshake.
    pub(crate) fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.endpoint.close(code, reason, now()).map_err(Error::Send)?;
        // The closing deadline runs now.
        self.wakers.wake_other(Side::Write);
        Ok(())
    }

    /// Begins the closing handshake with an empty Close frame.
    pub(crate) fn start_close_without_code(&mut self) {
        self.endpoint.close_without_code(now());
        self.wakers.wake_other(Side::Write);
    }

    /// Drives the connection to its end, dropping what still comes. That the peer did not answer
    /// our Close frame is no error to who asked for the end.
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match ready!(self.poll_data(Mode::Chunks, context)) {
                Ok(Some(())) => {}
                Ok(None) | Err(Error::ConnectionLost) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Says goodbye as far as that goes without waiting.
    fn say_goodbye(&mut self, context: &mut Context<'_>) {
        if self.ended {
            if self.shutdown_pending {
                let _ = Pin::new(&mut self.transport).poll_shutdown(context);
            }
            return;
        }
        if self.endpoint.ready_state() == ReadyState::Open {
            let _ = self.endpoint.close(CloseCode::GOING_AWAY, "", now());
        }
        if self.poll_write(context).is_ready() {
            let _ = Pin::new(&mut self.transport).poll_shutdown(context);
        }
        self.release_buffers();
    }

    fn release_buffers(&mut self) {
        if let Some(buffer) = self.endpoint.release_read_buffer() {
            pool::give_read(buffer);
        }
        self.release_write_buffer();
    }

    /// Lets the tasks that run next have the buffers. What the pool would not keep stays for the
    /// next large message, since this task goes on soon.
    fn share_buffers(&mut self) {
        if let Some(large) = self.endpoint.release_read_buffer().and_then(pool::share_read) {
            self.endpoint.supply_read_buffer(large);
        }
        self.release_write_buffer();
    }

    fn release_write_buffer(&mut self) {
        if let Some(buffer) = self.endpoint.release_write_buffer() {
            pool::give_write(buffer);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Driver<S> {
    fn drop(&mut self) {
        // What was read may have used up the task's budget; there is no other turn for this.
        let goodbye = poll_fn(|context| {
            self.say_goodbye(context);
            Poll::Ready(())
        });
        let _ = pin!(coop::unconstrained(goodbye)).poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> std::fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
