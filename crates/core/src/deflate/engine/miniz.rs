//! `miniz_oxide`: without unsafe code, and for targets without std.

use alloc::boxed::Box;
use alloc::vec::Vec;

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, compress};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
    TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::deflate::TAIL;
use crate::deflate::compressor::CompressorKind;
use crate::deflate::config::WindowBits;
use crate::deflate::engine::{Codec, Compress, Decompress, Flow, Inflated, State};

pub(in crate::deflate) struct Miniz;

impl Codec for Miniz {
    type Compressor = Deflater;
    type Decompressor = Inflater;
}

/// A compressor. The engine keeps to no window but the largest, whatever it is told, so for a
/// smaller one it forgets everything after each piece of that size.
pub(in crate::deflate) struct Deflater {
    state: Box<CompressorOxide>,
    /// The size of such pieces, in bytes; `None` for the largest window.
    piece: Option<usize>,
    /// How much of a piece has been taken in.
    taken: usize,
}

impl Compress for Deflater {
    /// The memory level means nothing to the engine.
    fn new(kind: CompressorKind) -> Self {
        let state = CompressorOxide::with_params(
            DataFormat::Raw,
            kind.level.get(),
            CompressionStrategy::Default,
            WindowBits::MAX.get(),
        );
        let bits = Some(kind.window_bits).filter(|bits| *bits < WindowBits::MAX);
        Self { state: Box::new(state), piece: bits.map(WindowBits::window), taken: 0 }
    }

    fn reset(&mut self) {
        self.state.reset();
        self.taken = 0;
    }

    fn preload(&mut self, _history: &[u8]) {}

    fn compress(&mut self, input: &[u8], output: &mut [u8], forgets: bool) -> Flow {
        let Some(piece) = self.piece else {
            let flush = if forgets { TDEFLFlush::Full } else { TDEFLFlush::Sync };
            let (_, consumed, produced) = compress(&mut self.state, input, output, flush);
            return Flow { consumed, produced };
        };
        let mut flow = Flow { consumed: 0, produced: 0 };
        loop {
            let rest = input.get(flow.consumed..).unwrap_or_default();
            let next = rest.get(..piece.saturating_sub(self.taken)).unwrap_or(rest);
            let room = output.get_mut(flow.produced..).unwrap_or_default();
            let (_, consumed, produced) = compress(&mut self.state, next, room, TDEFLFlush::Full);
            self.taken = self.taken.saturating_add(consumed);
            flow.consumed = flow.consumed.saturating_add(consumed);
            flow.produced = flow.produced.saturating_add(produced);
            if flow.produced == output.len() {
                return flow;
            }
            self.taken = 0;
            if flow.consumed == input.len() {
                return flow;
            }
        }
    }
}

/// A decompressor and its window: the first `length` bytes of `window` have been inflated, of which
/// those from `handed_out` on are still to be handed out.
pub(in crate::deflate) struct Inflater {
    state: Box<DecompressorOxide>,
    window: Vec<u8>,
    length: usize,
    handed_out: usize,
}

/// What may be referred to, and as much again to inflate into.
const WINDOW: usize = 2 * WindowBits::MAX.window();

/// The window is linear, so the engine sees what refers to before its start.
const FLAGS: u32 = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | TINFL_FLAG_HAS_MORE_INPUT;

impl Inflater {
    /// Makes room behind what may be referred to.
    fn slide(&mut self) {
        if self.length == self.window.len() {
            let kept = WindowBits::MAX.window();
            let from = self.length.saturating_sub(kept);
            self.window.copy_within(from.., 0);
            self.length = kept;
            self.handed_out = self.handed_out.saturating_sub(from);
        }
    }

    /// Moves what has been inflated into `output`.
    fn hand_out(&mut self, output: &mut [u8]) -> usize {
        let ready = self.window.get(self.handed_out..self.length).unwrap_or_default();
        let count = ready.len().min(output.len());
        if let (Some(to), Some(from)) = (output.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        self.handed_out = self.handed_out.saturating_add(count);
        count
    }
}

impl Decompress for Inflater {
    fn new() -> Self {
        Self { state: Box::default(), window: alloc::vec![0; WINDOW], length: 0, handed_out: 0 }
    }

    fn reset(&mut self) {
        self.state.init();
        self.length = 0;
        self.handed_out = 0;
    }

    fn preload(&mut self, history: &[u8]) {
        let surplus = history.len().saturating_sub(WindowBits::MAX.window());
        for piece in history.get(surplus..).unwrap_or_default().chunks(1024) {
            if self.window.len().saturating_sub(self.length) < piece.len() {
                let kept = WindowBits::MAX.window().min(self.length);
                let from = self.length.saturating_sub(kept);
                self.window.copy_within(from..self.length, 0);
                self.length = kept;
            }
            let end = self.length.saturating_add(piece.len());
            if let Some(place) = self.window.get_mut(self.length..end) {
                place.copy_from_slice(piece);
                self.length = end;
            }
        }
        self.handed_out = self.length;
    }

    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Inflated {
        let mut flow = Flow { consumed: 0, produced: self.hand_out(output) };
        let mut state = State::GoesOn;
        while flow.produced < output.len() && state == State::GoesOn {
            self.slide();
            let rest = input.get(flow.consumed..).unwrap_or_default();
            let (status, consumed, produced) =
                decompress(&mut self.state, rest, &mut self.window, self.length, FLAGS);
            self.length = self.length.saturating_add(produced);
            flow.consumed = flow.consumed.saturating_add(consumed);
            let room = output.get_mut(flow.produced..).unwrap_or_default();
            flow.produced = flow.produced.saturating_add(self.hand_out(room));
            match status {
                TINFLStatus::Done => state = State::Final,
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput => break,
                _ => state = State::Corrupt,
            }
        }
        // An end is told when everything before it has been handed out.
        if self.handed_out < self.length {
            state = State::GoesOn;
        }
        Inflated { flow, state }
    }

    fn end_message(&mut self) -> State {
        let mut rest = TAIL.as_slice();
        // The engine stops at the end of each block, of which at most one for each byte has any.
        for _ in 0..=TAIL.len() {
            self.slide();
            let flags = FLAGS | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
            let (status, consumed, produced) =
                decompress(&mut self.state, rest, &mut self.window, self.length, flags);
            rest = rest.get(consumed..).unwrap_or_default();
            match status {
                TINFLStatus::BlockBoundary if produced == 0 && rest.is_empty() => {
                    return State::GoesOn;
                }
                TINFLStatus::Done if produced == 0 && rest.is_empty() => return State::Final,
                TINFLStatus::BlockBoundary if produced == 0 => {}
                _ => return State::Corrupt,
            }
        }
        State::Corrupt
    }
}
