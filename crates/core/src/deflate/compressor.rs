//! A compressor with its output buffer.

use alloc::vec::Vec;
use core::fmt;

use crate::deflate::config::{CompressionLevel, MemoryLevel, WindowBits};
use crate::deflate::engine::{Compress, Engine, Flow};
use crate::deflate::history::History;
use crate::deflate::pool::Lineage;

/// The largest output buffer that is kept from one message to the next, in bytes.
const LARGEST_KEPT: usize = 64 * 1024;

/// What a compressor is made for; one is as good as another of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CompressorKind {
    /// How much time it takes.
    pub level: CompressionLevel,
    /// How much memory it takes for symbols.
    pub memory_level: MemoryLevel,
    /// How far back it refers.
    pub window_bits: WindowBits,
}

/// The state of a DEFLATE compressor (RFC 1951). It belongs to one stream of messages at a time,
/// and is otherwise in a [`CodecPool`](super::CodecPool).
pub struct Compressor {
    engine: <Engine as super::engine::Codec>::Compressor,
    kind: CompressorKind,
    /// Wholly initialised; the engine writes into it.
    output: Vec<u8>,
    lineage: Option<Lineage>,
    /// Nothing has gone through it since it was new, or started anew.
    is_clean: bool,
}

impl Compressor {
    pub(super) fn new(kind: CompressorKind) -> Self {
        Self {
            engine: Compress::new(kind),
            kind,
            output: Vec::new(),
            lineage: None,
            is_clean: true,
        }
    }

    /// What it is made for.
    #[must_use]
    pub const fn kind(&self) -> CompressorKind {
        self.kind
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

    /// Goes on where another one has left off, as far as the history reaches.
    pub(super) fn resume(&mut self, history: &History) {
        let (first, second) = history.pieces();
        for piece in [first, second] {
            if !piece.is_empty() {
                self.engine.preload(piece);
                self.is_clean = false;
            }
        }
    }

    /// Compresses `input`, up to a byte's boundary; returns how long that became. It ends with an
    /// empty block without compression (RFC 7692 section 7.2.1). If it `forgets`, what comes later
    /// does not refer to this.
    pub(super) fn compress(&mut self, mut input: &[u8], forgets: bool) -> usize {
        self.is_clean = forgets;
        // What does not compress grows by an eighth at most, and the flush is a few bytes.
        let bound = input.len().saturating_add(input.len() / 8).saturating_add(64);
        if self.output.len() < bound {
            self.output.resize(bound, 0);
        }
        let mut length = 0;
        loop {
            let room = self.output.get_mut(length..).unwrap_or_default();
            let offered = room.len();
            let Flow { consumed, produced } = self.engine.compress(input, room, forgets);
            length = length.saturating_add(produced);
            input = input.get(consumed..).unwrap_or_default();
            if produced < offered {
                debug_assert!(input.is_empty(), "with room, all input is taken");
                return length;
            }
            self.output.resize(self.output.len().saturating_mul(2), 0);
        }
    }

    /// The first `length` bytes of what [`compress`](Self::compress) gave.
    pub(super) fn output(&self, length: usize) -> &[u8] {
        self.output.get(..length).unwrap_or_default()
    }

    /// Lets go of an output buffer that has grown large.
    pub(super) fn trim(&mut self) {
        if self.output.len() > LARGEST_KEPT {
            self.output = Vec::new();
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("kind", &self.kind).finish_non_exhaustive()
    }
}
