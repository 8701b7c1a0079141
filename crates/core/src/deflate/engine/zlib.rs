//! zlib-rs: the fastest, with SIMD.

use zlib_rs::{
    Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Method, Status, Strategy,
};

use crate::deflate::TAIL;
use crate::deflate::compressor::CompressorKind;
use crate::deflate::config::WindowBits;
use crate::deflate::engine::{Codec, Compress, Decompress, Flow, Inflated, State};

pub(in crate::deflate) struct Zlib;

impl Codec for Zlib {
    type Compressor = Deflater;
    type Decompressor = Inflater;
}

pub(in crate::deflate) struct Deflater(Deflate);

pub(in crate::deflate) struct Inflater(Inflate);

/// The difference of two of the engine's totals: how much one call did, never more than a slice's
/// length.
fn since(before: u64, after: u64) -> usize {
    usize::try_from(after.wrapping_sub(before)).unwrap_or(0)
}

impl Compress for Deflater {
    fn new(kind: CompressorKind) -> Self {
        // The engine has no window of 8 bits, but with one of 9 it refers back by 512 - 262 bytes
        // at most, which is within the 256 that 8 bits allow.
        let window_bits = kind.window_bits.get().max(9);
        Self(Deflate::new_with_config(DeflateConfig {
            level: i32::from(kind.level.get()),
            method: Method::Deflated,
            // Negative: without a wrapper.
            window_bits: i32::from(window_bits).wrapping_neg(),
            mem_level: i32::from(kind.memory_level.get()),
            strategy: Strategy::Default,
        }))
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn preload(&mut self, history: &[u8]) {
        // It refuses only in the middle of a block, where nobody preloads.
        let status = self.0.set_dictionary(history);
        debug_assert!(status.is_ok(), "{status:?}");
    }

    fn compress(&mut self, input: &[u8], output: &mut [u8], forgets: bool) -> Flow {
        let flush = if forgets { DeflateFlush::FullFlush } else { DeflateFlush::SyncFlush };
        let (consumed, produced) = (self.0.total_in(), self.0.total_out());
        // Without a finished stream there is nothing that could go wrong here but a full output.
        let status = self.0.compress(input, output, flush);
        debug_assert!(status.is_ok(), "{status:?}");
        Flow {
            consumed: since(consumed, self.0.total_in()),
            produced: since(produced, self.0.total_out()),
        }
    }
}

impl Decompress for Inflater {
    fn new() -> Self {
        Self(Inflate::new(false, WindowBits::MAX.get()))
    }

    fn reset(&mut self) {
        self.0.reset(false);
    }

    fn preload(&mut self, history: &[u8]) {
        let _ = self.0.set_dictionary(history);
    }

    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Inflated {
        let (consumed, produced) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, InflateFlush::NoFlush);
        let state = match status {
            Ok(Status::StreamEnd) => State::Final,
            Ok(Status::Ok | Status::BufError) => State::GoesOn,
            Err(_) => State::Corrupt,
        };
        let flow = Flow {
            consumed: since(consumed, self.0.total_in()),
            produced: since(produced, self.0.total_out()),
        };
        Inflated { flow, state }
    }

    fn end_message(&mut self) -> State {
        // It stops between two blocks, so a byte more is left over if one ends with the tail. That
        // it stops before is possible too, but at most once for each byte. Nothing may come out.
        let [a, b, c, d] = TAIL;
        let with_one_more = [a, b, c, d, 0];
        let mut rest = with_one_more.as_slice();
        let inflated = self.0.total_out();
        for _ in 0..=TAIL.len() {
            let before = self.0.total_in();
            let status = self.0.decompress(rest, &mut [0; 1], InflateFlush::Block);
            let consumed = since(before, self.0.total_in());
            rest = rest.get(consumed..).unwrap_or_default();
            if status != Ok(Status::Ok) || self.0.total_out() != inflated {
                return State::Corrupt;
            }
            match rest {
                [] => return State::Corrupt,
                // Without input it goes on only if it need not look for another block.
                [_] => return self.decompress(&[], &mut [0; 1]).state,
                _ => {}
            }
        }
        State::Corrupt
    }
}
