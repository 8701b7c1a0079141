//! The way in: messages inflated (RFC 7692 section 7.2.2).

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};

use crate::deflate::Direction;
use crate::deflate::decompressor::{Decompressor, PIECE};
use crate::deflate::engine::{Flow, Inflated, State};
use crate::deflate::history::History;
use crate::deflate::pool::{CodecPool, Lineage};
use crate::error::ProtocolError;
use crate::opcode::MessageType;
use crate::utf8::Utf8Validator;

/// The receiving half of the extension on one connection.
///
/// A message's data comes in by [`inflate`](Self::inflate), piece by piece, and goes out in pieces
/// of 16 KiB at most. Compressed data is never gathered, and inflated data only if it is
/// [asked for](Self::gather).
#[derive(Debug)]
pub(crate) struct Inflating {
    takes_over: bool,
    /// The end of what was inflated so far, while it may be referred to.
    history: History,
    /// Of the decompressor that holds just that, wherever it is; `None` where nothing is taken
    /// over.
    lineage: Option<Lineage>,
    decompressor: Option<Box<Decompressor>>,
    pool: Option<&'static dyn CodecPool>,
    /// The largest message, in bytes, inflated.
    limit: u64,
    message: Option<Inflation>,
    /// What has been inflated of a message that is wanted whole.
    gathered: BytesMut,
}

/// A message being inflated.
#[derive(Clone, Copy, Debug)]
struct Inflation {
    /// Bytes that it may still have.
    remaining: u64,
    text: Option<Utf8Validator>,
    /// No data has come yet. Without any the message is empty.
    is_empty: bool,
    /// The output was full: there may be more without further input.
    is_full: bool,
    ending: Ending,
}

/// Where a message's data is with respect to a block that says that it is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// There has been none.
    Open,
    /// It has ended. Only the start of an empty block is taken behind it, as RFC 7692 section
    /// 7.2.3.4 has it; what would be further blocks counts as junk.
    Final,
    /// That has come too.
    Padded,
}

/// How far one call of [`Inflating::inflate`] went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Bytes of the input that are used up.
    pub(crate) consumed: usize,
    /// Bytes that are in [`Inflating::piece`].
    pub(crate) produced: usize,
    /// The message is at its end.
    pub(crate) is_last: bool,
}

impl Inflating {
    pub(crate) fn new(direction: Direction, limit: u64) -> Self {
        let Direction { window_bits, takes_over } = direction;
        Self {
            takes_over,
            history: History::new(window_bits.window()),
            lineage: None,
            decompressor: None,
            pool: None,
            limit,
            message: None,
            gathered: BytesMut::new(),
        }
    }

    pub(crate) fn share(&mut self, pool: &'static dyn CodecPool) {
        self.pool = Some(pool);
    }

    /// A message begins.
    pub(crate) fn begin(&mut self, message_type: MessageType) {
        self.gathered.clear();
        self.message = Some(Inflation {
            remaining: self.limit,
            text: (message_type == MessageType::Text).then(Utf8Validator::new),
            is_empty: true,
            is_full: false,
            ending: Ending::Open,
        });
        if !self.takes_over
            && let Some(decompressor) = &mut self.decompressor
        {
            decompressor.reset();
        }
    }

    /// Whether a message is being inflated.
    pub(crate) const fn in_message(&self) -> bool {
        self.message.is_some()
    }

    /// Whether what is left of a piece of input has to go in yet, or of the output to come out.
    pub(crate) fn is_full(&self) -> bool {
        self.message.is_some_and(|message| message.is_full)
    }

    /// Inflates the next bytes of the message, until they are used up or a piece is full. `fin`:
    /// the message ends with them.
    pub(crate) fn inflate(&mut self, input: &[u8], fin: bool) -> Result<Progress, ProtocolError> {
        let result = self.inflate_on(input, fin);
        if result.is_err() {
            self.abandon();
        }
        result
    }

    /// Nothing more is inflated: the connection has failed.
    pub(crate) fn abandon(&mut self) {
        self.message = None;
        self.lineage = None;
        if let Some(mut decompressor) = self.decompressor.take()
            && let Some(pool) = self.pool
        {
            decompressor.set_lineage(None);
            pool.give_decompressor(decompressor);
        }
    }

    fn inflate_on(&mut self, input: &[u8], fin: bool) -> Result<Progress, ProtocolError> {
        let Some(mut message) = self.message else {
            return Err(ProtocolError::CorruptDeflate);
        };
        // One byte past the limit is enough to know, and is not handed out.
        let room = usize::try_from(message.remaining.saturating_add(1)).unwrap_or(PIECE).min(PIECE);
        let decompressor = self.ready();
        let mut inflated = Inflated::NOTHING;
        if message.ending == Ending::Open {
            inflated = decompressor.inflate(input, room);
        }
        let Flow { consumed, produced } = inflated.flow;
        // What came out is judged first, in the order of its bytes: so it does not matter how the
        // data is cut.
        let allowed = usize::try_from(message.remaining).unwrap_or(usize::MAX).min(produced);
        if let Some(text) = &mut message.text {
            text.validate(decompressor.output(allowed)).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        if allowed < produced {
            return Err(ProtocolError::MessageTooBig);
        }
        message.remaining = message.remaining.saturating_sub(produced as u64);
        message.is_full = produced == room;
        message.is_empty &= input.is_empty();
        match inflated.state {
            State::GoesOn => {}
            State::Final => message.ending = Ending::Final,
            State::Corrupt => return Err(ProtocolError::CorruptDeflate),
        }
        let mut consumed = consumed;
        if message.ending != Ending::Open {
            message.is_full = false;
            for byte in input.get(consumed..).unwrap_or_default() {
                if *byte != 0 || message.ending == Ending::Padded {
                    return Err(ProtocolError::CorruptDeflate);
                }
                message.ending = Ending::Padded;
            }
            consumed = input.len();
        }
        let is_last = fin && !message.is_full;
        if is_last && message.ending == Ending::Open && !message.is_empty {
            match decompressor.end_message() {
                State::GoesOn => {}
                State::Final => message.ending = Ending::Final,
                State::Corrupt => return Err(ProtocolError::CorruptDeflate),
            }
        }
        if is_last && let Some(text) = &mut message.text {
            text.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        self.end_piece(produced, is_last.then_some(message.ending));
        self.message = if is_last { None } else { Some(message) };
        Ok(Progress { consumed, produced, is_last })
    }

    /// Keeps what may be referred to.
    fn end_piece(&mut self, produced: usize, ending: Option<Ending>) {
        let Some(decompressor) = &mut self.decompressor else {
            return;
        };
        if self.takes_over {
            self.history.append(decompressor.output(produced));
            if ending.is_some_and(|ending| ending != Ending::Open) {
                // The engine is past its end: it goes on from what it has left.
                decompressor.reset();
                decompressor.resume(&self.history);
            }
        }
    }

    /// A decompressor that is ready for this connection's next bytes.
    fn ready(&mut self) -> &mut Decompressor {
        if self.takes_over {
            self.lineage.get_or_insert_with(Lineage::new);
        }
        let (pool, lineage) = (self.pool, self.lineage.as_ref());
        let is_new = self.decompressor.is_none();
        let decompressor = self.decompressor.get_or_insert_with(|| {
            let pooled = pool.and_then(|pool| pool.take_decompressor(lineage));
            pooled.unwrap_or_else(|| Box::new(Decompressor::new()))
        });
        if is_new && !self.takes_over {
            decompressor.reset();
        } else if is_new && decompressor.lineage() != lineage {
            decompressor.reset();
            decompressor.resume(&self.history);
            // Whichever has the old one, if any does, falls behind from here on.
            self.lineage = Some(Lineage::new());
        }
        decompressor
    }

    /// The bytes that [`inflate`](Self::inflate) came to last.
    pub(crate) fn piece(&self, length: usize) -> &[u8] {
        self.decompressor.as_ref().map_or(&[], |decompressor| decompressor.output(length))
    }

    /// Adds the piece to what is gathered.
    pub(crate) fn gather(&mut self, length: usize) {
        if let Some(decompressor) = &self.decompressor {
            self.gathered.extend_from_slice(decompressor.output(length));
        }
    }

    /// What has been gathered.
    pub(crate) fn gathered(&self) -> &[u8] {
        &self.gathered
    }

    /// Takes out what has been gathered.
    pub(crate) fn take_gathered(&mut self) -> Bytes {
        self.gathered.split().freeze()
    }

    /// Drops what has been gathered.
    pub(crate) fn forget_gathered(&mut self) {
        self.gathered.clear();
    }

    /// Gives the decompressor back, and lets go of memory, unless a message still needs them.
    /// Nothing that was handed out is in use any more.
    pub(crate) fn release(&mut self) {
        if self.message.is_some() {
            return;
        }
        self.gathered = BytesMut::new();
        if let Some(pool) = self.pool
            && let Some(mut decompressor) = self.decompressor.take()
        {
            decompressor.set_lineage(self.lineage.clone());
            pool.give_decompressor(decompressor);
        }
    }

    /// Bytes of memory taken up, a decompressor apart.
    pub(crate) fn capacity(&self) -> usize {
        self.history.capacity().saturating_add(self.gathered.capacity())
    }
}
