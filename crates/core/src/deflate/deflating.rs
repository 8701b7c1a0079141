//! The way out: messages compressed (RFC 7692 section 7.2.1).

use alloc::boxed::Box;

use crate::deflate::compressor::{Compressor, CompressorKind};
use crate::deflate::config::{DeflateConfig, WindowBits};
use crate::deflate::history::History;
use crate::deflate::negotiation::DeflateParameters;
use crate::deflate::pool::{CodecPool, Lineage};
use crate::deflate::{Direction, TAIL};

/// How much of what was sent is kept for a compressor that has to go on where another one left off,
/// in bytes. To refer to less than the window holds is allowed, and to take in more costs time.
const REMEMBERED: usize = 2 * 1024;

/// A message's data when there is none: the first byte of an empty block, whose rest is cut off
/// (RFC 7692 section 7.2.3.6).
const EMPTY: &[u8] = &[0x00];

/// The sending half of the extension on one connection.
#[derive(Debug)]
pub(crate) struct Deflating {
    kind: CompressorKind,
    threshold: usize,
    takes_over: bool,
    /// The end of what was compressed so far, while that may be referred to.
    history: History,
    /// Of the compressor that holds just that, wherever it is; `None` where nothing is taken over.
    lineage: Option<Lineage>,
    compressor: Option<Box<Compressor>>,
    pool: Option<&'static dyn CodecPool>,
    /// The fragments of a message are compressed together.
    in_message: bool,
    /// Nothing of the message in hand has been compressed yet.
    at_start: bool,
    agreed: Option<DeflateParameters>,
}

impl Deflating {
    /// As the configuration has it. Until it is [agreed](Self::agree) otherwise, nothing is taken
    /// over.
    pub(crate) const fn new(config: &DeflateConfig) -> Self {
        Self {
            kind: CompressorKind {
                level: config.level,
                memory_level: config.memory_level,
                window_bits: WindowBits::MAX,
            },
            threshold: config.threshold,
            takes_over: false,
            history: History::new(REMEMBERED),
            lineage: None,
            compressor: None,
            pool: None,
            in_message: false,
            at_start: true,
            agreed: None,
        }
    }

    /// Keeps to what both ends have agreed on.
    pub(crate) fn agree(&mut self, parameters: DeflateParameters, direction: Direction) {
        let Direction { window_bits, takes_over } = direction;
        self.agreed = Some(parameters);
        self.takes_over = takes_over;
        self.history = History::new(window_bits.window().min(REMEMBERED));
        self.limit_window(window_bits);
    }

    /// Refers back by no more than this.
    pub(crate) const fn limit_window(&mut self, window_bits: WindowBits) {
        self.kind.window_bits = window_bits;
    }

    /// What both ends have agreed on.
    pub(crate) const fn agreed(&self) -> Option<DeflateParameters> {
        self.agreed
    }

    pub(crate) fn share(&mut self, pool: &'static dyn CodecPool) {
        self.pool = Some(pool);
    }

    pub(crate) const fn pool(&self) -> Option<&'static dyn CodecPool> {
        self.pool
    }

    pub(crate) const fn kind(&self) -> CompressorKind {
        self.kind
    }

    /// Whether a message of `length` bytes is long enough to be compressed.
    pub(crate) const fn wants(&self, length: usize) -> bool {
        length >= self.threshold
    }

    pub(crate) const fn in_message(&self) -> bool {
        self.in_message
    }

    /// Compresses a whole message. `None` if it is better sent as it is.
    ///
    /// Call [`release`](Self::release) when the data has been copied.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Option<&[u8]> {
        if payload.is_empty() {
            return Some(EMPTY);
        }
        let forgets = !self.takes_over;
        let compressed = self.ready().compress(payload, forgets);
        self.at_start = true;
        let length = compressed.saturating_sub(TAIL.len());
        // What the other end does not get may not be referred to: so only where nothing will be.
        if !self.takes_over && length >= payload.len() {
            return None;
        }
        if self.takes_over {
            self.history.append(payload);
        }
        self.compressor.as_ref().map(|compressor| compressor.output(length))
    }

    /// Compresses a message's next fragment: everything in it can be inflated when it comes.
    ///
    /// Call [`release`](Self::release) when the data has been copied.
    pub(crate) fn fragment(&mut self, payload: &[u8], fin: bool) -> &[u8] {
        if payload.is_empty() {
            self.in_message = !fin;
            self.at_start |= fin;
            return if fin { EMPTY } else { &[] };
        }
        let forgets = fin && !self.takes_over;
        let compressed = self.ready().compress(payload, forgets);
        self.in_message = !fin;
        self.at_start = fin;
        if self.takes_over {
            self.history.append(payload);
        }
        let cut_off = if fin { TAIL.len() } else { 0 };
        let length = compressed.saturating_sub(cut_off);
        self.compressor.as_ref().map_or(&[], |compressor| compressor.output(length))
    }

    /// A message goes out that was compressed by itself, elsewhere: what comes after it can refer
    /// to it, and no longer to what was before.
    pub(crate) fn passed_by(&mut self, payload: &[u8]) {
        if self.takes_over {
            self.history.append(payload);
            self.lineage = None;
            if let Some(compressor) = &mut self.compressor {
                compressor.reset();
                compressor.resume(&self.history);
            }
        }
    }

    /// A compressor that is ready for this connection's next bytes.
    fn ready(&mut self) -> &mut Compressor {
        if self.takes_over {
            self.lineage.get_or_insert_with(Lineage::new);
        }
        let (kind, pool, lineage) = (self.kind, self.pool, self.lineage.as_ref());
        let is_new = self.compressor.is_none();
        let compressor = self.compressor.get_or_insert_with(|| {
            let pooled = pool.and_then(|pool| pool.take_compressor(kind, lineage));
            pooled
                .filter(|compressor| compressor.kind() == kind)
                .unwrap_or_else(|| Box::new(Compressor::new(kind)))
        });
        if !self.takes_over {
            if is_new || self.at_start {
                compressor.reset();
            }
        } else if is_new && compressor.lineage() != lineage {
            compressor.reset();
            compressor.resume(&self.history);
            // Whichever has the old one, if any does, falls behind from here on.
            self.lineage = Some(Lineage::new());
        }
        compressor
    }

    /// Gives the compressor back, unless a message in fragments still needs it.
    pub(crate) fn release(&mut self) {
        if let Some(compressor) = &mut self.compressor {
            compressor.trim();
        }
        if self.in_message {
            return;
        }
        if let Some(pool) = self.pool
            && let Some(mut compressor) = self.compressor.take()
        {
            compressor.set_lineage(self.lineage.clone());
            pool.give_compressor(compressor);
        }
    }

    /// Bytes of memory taken up, a compressor apart.
    pub(crate) fn capacity(&self) -> usize {
        self.history.capacity()
    }
}
