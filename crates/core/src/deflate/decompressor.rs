//! A decompressor with its output buffer.

use alloc::vec::Vec;
use core::fmt;

use crate::deflate::engine::{Codec, Decompress, Engine, Inflated, State};
use crate::deflate::history::History;
use crate::deflate::pool::Lineage;

/// How many bytes are inflated at a time, at most.
pub(super) const PIECE: usize = 16 * 1024;

/// The state of a DEFLATE decompressor (RFC 1951). It belongs to one stream of messages at a time,
/// and is otherwise in a [`CodecPool`](super::CodecPool).
pub struct Decompressor {
    engine: <Engine as Codec>::Decompressor,
    /// Wholly initialised; the engine writes into it.
    output: Vec<u8>,
    lineage: Option<Lineage>,
    is_clean: bool,
}

impl Decompressor {
    pub(super) fn new() -> Self {
        Self {
            engine: Decompress::new(),
            output: alloc::vec![0; PIECE],
            lineage: None,
            is_clean: true,
        }
    }

    /// Which stream of messages it was used for last, if it can go on with that.
    #[must_use]
    pub const fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    pub(super) fn set_lineage(&mut self, lineage: Option<Lineage>) {
        self.lineage = lineage;
    }

    /// Forgets what went before.
    pub(super) fn reset(&mut self) {
        if !self.is_clean {
            self.engine.reset();
            self.is_clean = true;
        }
        self.lineage = None;
    }

    /// Goes on where another one has left off.
    pub(super) fn resume(&mut self, history: &History) {
        let (first, second) = history.pieces();
        for piece in [first, second] {
            if !piece.is_empty() {
                self.engine.preload(piece);
                self.is_clean = false;
            }
        }
    }

    /// Inflates into the output buffer, `room` bytes at most.
    pub(super) fn inflate(&mut self, input: &[u8], room: usize) -> Inflated {
        self.is_clean = false;
        let room = self.output.get_mut(..room).unwrap_or_default();
        self.engine.decompress(input, room)
    }

    /// Puts back the end that a message's data was cut off, with which a block must end.
    pub(super) fn end_message(&mut self) -> State {
        self.engine.end_message()
    }

    /// The first `length` bytes of what was inflated last.
    pub(super) fn output(&self, length: usize) -> &[u8] {
        self.output.get(..length).unwrap_or_default()
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}
