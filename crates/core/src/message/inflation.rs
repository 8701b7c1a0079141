//! The read buffer's side of compression: which of its bytes are to be inflated, and where what
//! comes of them lies.

use bytes::Bytes;

use crate::deflate::{CodecPool, Inflating};
use crate::error::ProtocolError;
use crate::message::read_buffer::COPY_UP_TO;
use crate::opcode::MessageType;

/// Compressed bytes in the read buffer, from `at` to `end`, and the state of their stream.
#[derive(Debug)]
pub(crate) struct Inflation {
    inflating: Inflating,
    at: usize,
    end: usize,
    /// There is something to do: bytes to inflate, or an end to come to.
    is_due: bool,
    /// The message ends at `end`.
    is_last: bool,
    /// What the last step handed out.
    lent: Place,
}

/// Where inflated bytes lie.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// They are the piece inflated last, of this length.
    Piece(usize),
    /// They are all that has been gathered.
    Gathered,
}

impl Inflation {
    pub(crate) const fn new(inflating: Inflating) -> Self {
        Self { inflating, at: 0, end: 0, is_due: false, is_last: false, lent: Place::Piece(0) }
    }

    pub(crate) fn share(&mut self, pool: &'static dyn CodecPool) {
        self.inflating.share(pool);
    }

    /// Compressed bytes that wait in the read buffer.
    pub(crate) fn waiting(&self) -> usize {
        if self.is_due { self.end.saturating_sub(self.at).max(1) } else { 0 }
    }

    /// The `length` bytes before `end` in the read buffer are the next ones of a message.
    pub(crate) fn take_in(
        &mut self,
        message_type: MessageType,
        is_first: bool,
        end: usize,
        length: usize,
        is_last: bool,
    ) {
        if is_first {
            self.inflating.begin(message_type);
        }
        (self.at, self.end) = (end.saturating_sub(length), end);
        self.is_due = true;
        self.is_last = is_last;
    }

    /// Inflates up to something to hand out, [`lent`](Self::lent), and says whether the message
    /// ends with it: a whole message, if `whole`, or a piece of one. `None` when more bytes have to
    /// come first.
    pub(crate) fn step(
        &mut self,
        buffer: &[u8],
        whole: bool,
    ) -> Result<Option<bool>, ProtocolError> {
        let Some((place, is_last)) = self.next_place(buffer, whole)? else {
            return Ok(None);
        };
        self.lent = place;
        Ok(Some(is_last))
    }

    fn next_place(
        &mut self,
        buffer: &[u8],
        whole: bool,
    ) -> Result<Option<(Place, bool)>, ProtocolError> {
        if !whole && self.inflating.in_message() && !self.inflating.gathered().is_empty() {
            return Ok(Some((Place::Gathered, false)));
        }
        while self.is_due {
            let input = buffer.get(self.at..self.end).unwrap_or_default();
            let progress = self.inflating.inflate(input, self.is_last)?;
            self.at = self.at.saturating_add(progress.consumed);
            self.is_due = !progress.is_last && (self.inflating.is_full() || self.at < self.end);
            let length = progress.produced;
            if whole && progress.is_last && self.inflating.gathered().is_empty() {
                return Ok(Some((Place::Piece(length), true)));
            }
            if whole {
                self.inflating.gather(length);
                if progress.is_last {
                    return Ok(Some((Place::Gathered, true)));
                }
            } else if length > 0 || progress.is_last {
                return Ok(Some((Place::Piece(length), progress.is_last)));
            }
        }
        Ok(None)
    }

    /// What was handed out.
    pub(crate) fn lent(&self) -> &[u8] {
        match self.lent {
            Place::Piece(length) => self.inflating.piece(length),
            Place::Gathered => self.inflating.gathered(),
        }
    }

    /// Takes out what was handed out.
    pub(crate) fn take(&mut self) -> Bytes {
        match self.lent {
            Place::Gathered if self.inflating.gathered().len() > COPY_UP_TO => {
                self.inflating.take_gathered()
            }
            _ => {
                let bytes = Bytes::copy_from_slice(self.lent());
                self.take_back();
                bytes
            }
        }
    }

    /// Drops what was handed out.
    pub(crate) fn take_back(&mut self) {
        if matches!(self.lent, Place::Gathered) {
            self.inflating.forget_gathered();
        }
    }

    /// Drops everything, after a fault of the peer.
    pub(crate) fn forget(&mut self) {
        self.is_due = false;
        self.inflating.forget_gathered();
        self.inflating.abandon();
    }

    /// Whether inflated bytes are gathered.
    pub(crate) fn holds_bytes(&self) -> bool {
        !self.inflating.gathered().is_empty()
    }

    /// Lets go of what no message needs.
    pub(crate) fn release(&mut self) {
        self.inflating.release();
    }

    /// Bytes of memory taken up, a decompressor apart.
    pub(crate) fn capacity(&self) -> usize {
        self.inflating.capacity()
    }
}
