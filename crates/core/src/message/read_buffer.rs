//! The read buffer, in which messages are assembled where they lie.

use alloc::boxed::Box;

use bytes::{Buf, Bytes, BytesMut};

use crate::connection::{Connection, ControlPayload, Event};
use crate::error::ProtocolError;
#[cfg(feature = "deflate")]
use crate::message::inflation::Inflation;
use crate::message::types::{Message, MessageRef, Utf8Bytes};
use crate::opcode::MessageType;
use crate::role::Role;
use crate::time::Timestamp;
use crate::utf8;

/// How many bytes one read asks for, about: as many as stay in a first-level cache.
pub const READ_SIZE: usize = 16 * 1024;

/// The capacity that a new buffer is made with, to read into or to queue in: [`READ_SIZE`] bytes
/// and a few more, so that neither it nor what it grows to is a power of two (but for some buffers
/// that `bytes` makes while messages of the one before are held).
///
/// Allocators put blocks of one size one after the other, each with a header of 16 bytes. From a
/// block of a power of two to its neighbour some processors (AMD, by `rep movsb`) copy in up to
/// fifteen times the time, because the low bits of the addresses are nearly the same. And a message
/// of a power of two, as many are, would just fill such a buffer: split off, it leaves nothing of
/// the buffer by which to have the memory again once the message is gone.
pub const BUFFER_CAPACITY: usize = READ_SIZE + SPARE;

/// By how much a buffer is larger than what it is needed for: by a header and a cache line. With
/// much more, a peer that keeps some 64 KiB in flight would be read dry at once.
const SPARE: usize = 96;

/// Up to this length a message is copied out of the read buffer, which takes no longer than sharing
/// the buffer would; longer ones are split off without a copy.
pub(super) const COPY_UP_TO: usize = 1024;

/// What one step of reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole message is there.
    Message,
    /// A piece of a message is there.
    Chunk,
    /// A ping came; unless the configuration says otherwise, it is being answered.
    Ping(ControlPayload<'static>),
    /// A pong came.
    Pong(ControlPayload<'static>),
    /// The peer's Close frame came.
    Close,
}

/// A piece of a message lent from the read buffer, until the next call on the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef<'a> {
    /// The type of the message that this is a piece of.
    pub message_type: MessageType,
    /// The bytes, unmasked. Of a text, they are valid so far, but may end inside a character.
    pub payload: &'a [u8],
    /// Whether the message begins with this piece.
    pub is_first: bool,
    /// Whether the message ends with this piece.
    pub is_last: bool,
}

/// Bytes read, of which those up to `parsed` have gone through the connection. The message being
/// assembled is `buffer[start..end]`, with `end <= parsed`.
///
/// A fragment's payload is unmasked where it lies and then moved down over the header before it,
/// so that a message is contiguous in the buffer and can be split off without a copy.
///
/// It is part of an [`Endpoint`](super::Endpoint); a thread that reads by itself takes it out, with
/// [`Endpoint::take_read_buffer`](super::Endpoint::take_read_buffer).
#[derive(Debug, Default)]
pub struct ReadBuffer {
    buffer: BytesMut,
    parsed: usize,
    start: usize,
    end: usize,
    /// The message whose pieces are coming; `None` between messages.
    message: Option<MessageType>,
    /// Whether a piece of that message has been handed out.
    begun: bool,
    /// What was handed out last, to be dropped at the next step.
    lent: Option<Lent>,
    /// A message has been split off the buffer, and may still be held.
    split: bool,
    /// Where compressed messages are inflated, if compression was agreed on.
    #[cfg(feature = "deflate")]
    pub(super) inflation: Option<Box<Inflation>>,
}

#[derive(Clone, Copy, Debug)]
struct Lent {
    message_type: MessageType,
    first: bool,
    last: bool,
    /// Handed out as a message, not as a piece of one.
    whole: bool,
    /// It was compressed, and lies where it was inflated.
    #[cfg(feature = "deflate")]
    inflated: bool,
}

impl Lent {
    #[inline]
    const fn is_inflated(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.inflated;
        #[cfg(not(feature = "deflate"))]
        false
    }
}

impl ReadBuffer {
    pub(crate) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            parsed: 0,
            start: 0,
            end: 0,
            message: None,
            begun: false,
            lent: None,
            split: false,
            #[cfg(feature = "deflate")]
            inflation: None,
        }
    }

    /// Puts in bytes that were read before there was a connection.
    pub(crate) fn begin_with(&mut self, leftover: BytesMut) {
        self.buffer = leftover;
    }

    /// Bytes read that have not gone through the connection yet.
    pub(crate) fn unparsed(&self) -> usize {
        let unparsed = self.buffer.len().saturating_sub(self.parsed);
        #[cfg(feature = "deflate")]
        let unparsed = unparsed.saturating_add(self.inflation.as_ref().map_or(0, |i| i.waiting()));
        unparsed
    }

    /// Whether a step may come to something, or has something to let go of.
    #[inline]
    pub(crate) fn has_unread(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.inflation.is_some() {
            return true;
        }
        self.parsed < self.buffer.len() || self.message.is_some() || self.lent.is_some()
    }

    /// One step: the next event in the bytes at hand, whole messages only if `whole`.
    #[inline]
    pub(crate) fn step<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        whole: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, ProtocolError> {
        if whole && self.step_whole(connection, now)? {
            return Ok(Some(Step::Message));
        }
        self.step_on(connection, whole, now)
    }

    /// The short cut for a message in one frame that is at hand whole, as most are: whether there
    /// is one next. If not, nothing has been done.
    #[inline]
    pub(crate) fn step_whole<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        now: Timestamp,
    ) -> Result<bool, ProtocolError> {
        if self.message.is_some() {
            return Ok(false);
        }
        let Some(input) = self.buffer.get_mut(self.parsed..) else {
            return Ok(false);
        };
        match connection.receive_whole(input, now) {
            None => Ok(false),
            Some(Ok(message)) => {
                #[cfg(feature = "deflate")]
                self.take_back_inflated();
                self.start = self.parsed.saturating_add(message.payload_at);
                self.end = self.start.saturating_add(message.length);
                self.parsed = self.end;
                self.lend(message.message_type, true, true);
                Ok(true)
            }
            Some(Err(error)) => {
                self.fail();
                Err(error)
            }
        }
    }

    /// Drops everything, after a fault of the peer.
    #[cold]
    fn fail(&mut self) {
        self.lent = None;
        self.parsed = self.buffer.len();
        self.forget();
    }

    /// [`step`](Self::step) of whatever is not a message that is at hand whole.
    fn step_on<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        whole: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, ProtocolError> {
        self.take_back();
        if !whole && let Some(message_type) = self.message.filter(|_| self.start < self.end) {
            // Pieces were being gathered; whoever now wants pieces gets those first.
            self.lend(message_type, false, false);
            return Ok(Some(Step::Chunk));
        }
        #[cfg(feature = "deflate")]
        if let Some(step) = self.inflate(connection, whole, now)? {
            return Ok(Some(step));
        }
        while let Some(input) = self.buffer.get_mut(self.parsed..).filter(|input| !input.is_empty())
        {
            let received = match connection.receive(input, now) {
                Ok(received) => received,
                Err(error) => {
                    self.fail();
                    return Err(error);
                }
            };
            self.parsed = self.parsed.saturating_add(received.consumed);
            let chunk = match received.event {
                None => continue,
                Some(Event::Data(chunk)) => chunk,
                Some(Event::Ping(payload)) => return Ok(Some(Step::Ping(payload.to_owned()))),
                Some(Event::Pong(payload)) => return Ok(Some(Step::Pong(payload.to_owned()))),
                Some(Event::Close(_)) => {
                    self.forget();
                    return Ok(Some(Step::Close));
                }
            };
            let (message_type, length) = (chunk.message_type(), chunk.payload().len());
            let last = chunk.is_last();
            #[cfg(feature = "deflate")]
            if chunk.is_compressed() {
                let is_first = chunk.is_first();
                self.message = Some(message_type);
                if let Some(inflation) = &mut self.inflation {
                    inflation.take_in(message_type, is_first, self.parsed, length, last);
                }
                match self.inflate(connection, whole, now)? {
                    None => continue,
                    step => return Ok(step),
                }
            }
            self.gather(length);
            self.message = Some(message_type);
            if last || !whole {
                let cut = whole && self.begun && !self.is_text();
                self.lend(if cut { MessageType::Binary } else { message_type }, last, whole);
                return Ok(Some(if whole { Step::Message } else { Step::Chunk }));
            }
        }
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &mut self.inflation {
            inflation.release();
        }
        Ok(None)
    }

    /// Goes on inflating what has come of a compressed message: the next step in it, if it comes to
    /// one before all of that is used up.
    #[cfg(feature = "deflate")]
    fn inflate<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        whole: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, ProtocolError> {
        let (Some(inflation), Some(message_type)) = (&mut self.inflation, self.message) else {
            return Ok(None);
        };
        if !connection.reads_frames() {
            // It has failed or ended meanwhile.
            self.forget();
            return Ok(None);
        }
        match inflation.step(&self.buffer, whole) {
            Ok(None) => Ok(None),
            Ok(Some(last)) => {
                let cut = whole && self.begun && utf8::whole(inflation.lent()).is_none();
                self.lend(if cut { MessageType::Binary } else { message_type }, last, whole);
                if let Some(lent) = &mut self.lent {
                    lent.inflated = true;
                }
                Ok(Some(if whole { Step::Message } else { Step::Chunk }))
            }
            Err(error) => {
                connection.peer_broke(error, now);
                self.fail();
                Err(error)
            }
        }
    }

    /// Whether what has been gathered is UTF-8 by itself.
    fn is_text(&self) -> bool {
        self.buffer.get(self.start..self.end).is_some_and(|payload| utf8::whole(payload).is_some())
    }

    /// Joins the `length` bytes before `parsed` to the message.
    #[inline]
    fn gather(&mut self, length: usize) {
        let at = self.parsed.saturating_sub(length);
        if self.start == self.end {
            self.start = at;
            self.end = self.parsed;
        } else {
            if at != self.end {
                self.buffer.copy_within(at..self.parsed, self.end);
            }
            self.end = self.end.saturating_add(length);
        }
    }

    /// Hands out what has been gathered.
    #[inline]
    fn lend(&mut self, message_type: MessageType, last: bool, whole: bool) {
        self.lent = Some(Lent {
            message_type,
            first: !self.begun,
            last,
            whole,
            #[cfg(feature = "deflate")]
            inflated: false,
        });
        self.begun = !last;
        if last {
            self.message = None;
        }
    }

    /// Drops what was handed out last.
    #[inline]
    fn take_back(&mut self) {
        #[cfg(feature = "deflate")]
        self.take_back_inflated();
        if self.lent.take().is_some() {
            self.start = self.parsed;
            self.end = self.parsed;
        }
    }

    /// Drops what was handed out last, if it was compressed.
    #[cfg(feature = "deflate")]
    #[inline]
    fn take_back_inflated(&mut self) {
        if let Some(Lent { inflated: true, .. }) = self.lent
            && let Some(inflation) = &mut self.inflation
        {
            inflation.take_back();
        }
    }

    fn forget(&mut self) {
        self.message = None;
        self.begun = false;
        self.start = self.parsed;
        self.end = self.parsed;
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &mut self.inflation {
            inflation.forget();
        }
    }

    /// The message that [`Step::Message`] told of, lent; `None` after any other step.
    #[must_use]
    pub fn message(&self) -> Option<MessageRef<'_>> {
        let lent = self.lent.filter(|lent| lent.whole)?;
        let payload = self.payload(&lent)?;
        Some(MessageRef { message_type: lent.message_type, payload })
    }

    /// The piece that the last step came to, lent.
    #[must_use]
    pub fn chunk(&self) -> Option<ChunkRef<'_>> {
        let lent = self.lent?;
        let payload = self.payload(&lent)?;
        let Lent { message_type, first: is_first, last: is_last, .. } = lent;
        Some(ChunkRef { message_type, payload, is_first, is_last })
    }

    /// The bytes handed out.
    #[inline]
    fn payload(&self, lent: &Lent) -> Option<&[u8]> {
        #[cfg(feature = "deflate")]
        if lent.inflated {
            return self.inflation.as_ref().map(|inflation| inflation.lent());
        }
        let _ = lent;
        self.buffer.get(self.start..self.end)
    }

    /// The whole message that the last step came to: one of up to 1 KiB copied, so that keeping it
    /// does not keep the buffer; a longer one split off without a copy.
    // Inlined wherever it is called: a small message that is moved through memory on its way waits
    // for its own stores each time, which comes to more than all of its receiving.
    #[inline(always)]
    pub fn take_message(&mut self) -> Option<Message> {
        match self.take_small() {
            Some(payload) => Some(Message::Binary(payload)),
            None => self.take_other(),
        }
    }

    /// The whole message that the last step came to, if it is a binary one that is copied.
    #[inline(always)]
    pub(crate) fn take_small(&mut self) -> Option<Bytes> {
        let lent = self.lent.as_ref().filter(|lent| lent.whole)?;
        let length = self.end.saturating_sub(self.start);
        if length > COPY_UP_TO || lent.message_type == MessageType::Text || lent.is_inflated() {
            return None;
        }
        self.lent = None;
        Some(self.copy_out())
    }

    #[inline(never)]
    fn take_other(&mut self) -> Option<Message> {
        let lent = self.lent.take_if(|lent| lent.whole)?;
        let payload = self.take_payload(&lent);
        match lent.message_type {
            MessageType::Binary => Some(Message::Binary(payload)),
            // The text is known to be valid; the type that says so checks it once more.
            MessageType::Text => Utf8Bytes::try_from(payload).ok().map(Message::Text),
        }
    }

    fn take_payload(&mut self, lent: &Lent) -> Bytes {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = self.inflation.as_mut().filter(|_| lent.inflated) {
            return inflation.take();
        }
        let _ = lent;
        let length = self.end.saturating_sub(self.start);
        if length <= COPY_UP_TO { self.copy_out() } else { self.split_off(length) }
    }

    /// A small message that is kept must not keep a whole buffer with it.
    #[inline]
    fn copy_out(&mut self) -> Bytes {
        let gathered = self.buffer.get(self.start..self.end).unwrap_or_default();
        let payload = Bytes::from(Box::<[u8]>::from(gathered));
        self.start = self.parsed;
        self.end = self.parsed;
        payload
    }

    fn split_off(&mut self, length: usize) -> Bytes {
        self.split = true;
        self.buffer.advance(self.start);
        self.parsed = self.parsed.saturating_sub(self.start).saturating_sub(length);
        self.start = self.parsed;
        self.end = self.parsed;
        self.buffer.split_to(length).freeze()
    }

    /// Room to read into, about `size` bytes, such as [`READ_SIZE`]: bytes are to be appended to
    /// what is returned, and nothing else done.
    ///
    /// Everything in the buffer but an unfinished message has been dropped. The buffer grows with
    /// what has come, to two `size`s or to twice that and one `size`, whichever is more, with some
    /// bytes to spare, and never by what a header declares.
    pub fn room(&mut self, size: usize) -> &mut BytesMut {
        self.take_back();
        if self.unparsed() == 0 {
            if self.start == self.end {
                self.buffer.clear();
                self.start = 0;
                // What messages were split off is had again if they are gone, while there is
                // nothing that would have to be moved for it.
                let _ = self.buffer.try_reclaim(self.buffer.capacity().saturating_add(1));
            } else {
                // What lies before the message is given back to the buffer: where each read ends
                // inside a message, there is never a time to clear it.
                self.buffer.truncate(self.end);
                self.buffer.advance(self.start);
                self.start = 0;
            }
            self.parsed = self.buffer.len();
            self.end = self.parsed;
        }
        let room = self.buffer.capacity().saturating_sub(self.buffer.len());
        if room < size && !self.buffer.try_reclaim(size) {
            // A smaller room will do, unless there is nothing that would have to be moved.
            if room < size / 4 || self.buffer.is_empty() {
                self.grow(size);
            }
        }
        &mut self.buffer
    }

    /// Makes room for `size` bytes behind what is in the buffer, which is moved for it.
    #[cold]
    fn grow(&mut self, size: usize) {
        let unfinished = self.buffer.len();
        if (size / 4..size).contains(&unfinished) {
            // The more there is to move, the less often that should happen: it has twice the room
            // then. What was before it does not go along.
            let mut buffer = BytesMut::with_capacity(size.saturating_mul(2).saturating_add(SPARE));
            buffer.extend_from_slice(&self.buffer);
            self.buffer = buffer;
            self.split = false;
        } else {
            self.buffer.reserve(size.saturating_add(SPARE));
        }
    }

    /// Whether nothing is in the buffer that is still needed.
    pub(crate) fn is_idle(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.inflation.as_ref().is_some_and(|inflation| inflation.holds_bytes()) {
            return false;
        }
        self.unparsed() == 0 && self.start == self.end
    }

    /// The buffer itself, if nothing in it is needed: an idle connection holds none. If a message
    /// that was split off it is still held, it is left to that message.
    pub fn release(&mut self) -> Option<BytesMut> {
        if !self.is_idle() || self.lent.is_some() || self.buffer.capacity() == 0 {
            return None;
        }
        (self.parsed, self.start, self.end) = (0, 0, 0);
        let mut buffer = core::mem::take(&mut self.buffer);
        buffer.clear();
        let more = buffer.capacity().saturating_add(1);
        if core::mem::take(&mut self.split) && !buffer.try_reclaim(more) {
            // There is no more of it, or somebody else holds that.
            buffer = buffer.freeze().try_into_mut().ok()?;
        }
        Some(buffer)
    }

    /// Whether there is no buffer to read into, so that the next read would allocate one.
    #[must_use]
    #[inline]
    pub fn needs_buffer(&self) -> bool {
        self.buffer.capacity() == 0
    }

    /// Takes a buffer to read into, if there is none.
    pub fn supply(&mut self, buffer: BytesMut) {
        if self.buffer.capacity() == 0 {
            self.buffer = buffer;
            self.split = false;
        }
    }

    /// Bytes of memory that the buffer takes up.
    pub(crate) fn capacity(&self) -> usize {
        let capacity = self.buffer.capacity();
        #[cfg(feature = "deflate")]
        let capacity = capacity.saturating_add(self.inflation.as_ref().map_or(0, |i| i.capacity()));
        capacity
    }
}
