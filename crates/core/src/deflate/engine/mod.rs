//! The engines that do DEFLATE (RFC 1951) itself, behind one small seam. Another one is put in by
//! implementing [`Codec`] in a file here and naming it below.

#[cfg(any(test, not(feature = "zlib-rs")))]
mod miniz;
#[cfg(feature = "zlib-rs")]
mod zlib;

#[cfg(not(feature = "zlib-rs"))]
pub(super) use miniz::Miniz as Engine;
#[cfg(feature = "zlib-rs")]
pub(super) use zlib::Zlib as Engine;

use crate::deflate::compressor::CompressorKind;

/// An engine: raw DEFLATE, without a wrapper, both ways.
pub(super) trait Codec {
    type Compressor: Compress;
    type Decompressor: Decompress;
}

/// How far one call went, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) consumed: usize,
    pub(super) produced: usize,
}

/// A compressor.
pub(super) trait Compress: Send {
    fn new(kind: CompressorKind) -> Self;

    /// Forgets what went before.
    fn reset(&mut self);

    /// Takes in bytes that the other end has and that may be referred to; nothing comes out. An
    /// engine that cannot do so does nothing, and refers to less.
    fn preload(&mut self, history: &[u8]);

    /// Compresses `input`, which is not empty, and flushes at a byte's boundary, with an empty
    /// block without compression. While `output` gets full, it is called again with what is left.
    ///
    /// If `forgets`, what comes later does not refer to this, as after a reset, which costs more.
    fn compress(&mut self, input: &[u8], output: &mut [u8], forgets: bool) -> Flow;
}

/// Where a decompressor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// More may follow.
    GoesOn,
    /// A block that says that it is the last one has ended.
    Final,
    /// The data is not DEFLATE, or ends where no block ends.
    Corrupt,
}

/// What one call of [`Decompress::decompress`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    /// Of corrupt data, what came out before it was.
    pub(super) flow: Flow,
    pub(super) state: State,
}

impl Inflated {
    pub(super) const NOTHING: Self =
        Self { flow: Flow { consumed: 0, produced: 0 }, state: State::GoesOn };
}

/// A decompressor, which keeps 32 KiB of what went before.
pub(super) trait Decompress: Send {
    fn new() -> Self;

    /// Forgets what went before, and any block that is not at its end.
    fn reset(&mut self);

    /// Takes in bytes that may be referred to.
    fn preload(&mut self, history: &[u8]);

    /// Inflates as much of `input` as goes into `output`. It takes all of it unless `output` is
    /// full or a final block has ended; with `output` full, more may come without further input.
    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> Inflated;

    /// Takes in the end of a message's data, which was cut off ([`TAIL`](super::TAIL)): after it,
    /// a block must be at its end.
    fn end_message(&mut self) -> State;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::TAIL;
    use crate::deflate::config::{CompressionLevel, MemoryLevel, WindowBits};
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn kind(level: u8, window_bits: u8) -> CompressorKind {
        CompressorKind {
            level: CompressionLevel::new(level).unwrap(),
            memory_level: MemoryLevel::DEFAULT,
            window_bits: WindowBits::new(window_bits).unwrap(),
        }
    }

    /// Compresses into pieces of `piece` bytes; the data ends as a message's does, and is cut off.
    fn compress(
        compressor: &mut impl Compress,
        mut input: &[u8],
        piece: usize,
        forgets: bool,
    ) -> Vec<u8> {
        let mut data = Vec::new();
        loop {
            let mut output = vec![0; piece];
            let flow = compressor.compress(input, &mut output, forgets);
            data.extend_from_slice(&output[..flow.produced]);
            input = &input[flow.consumed..];
            if flow.produced < piece {
                assert!(input.is_empty());
                assert!(data.ends_with(&TAIL), "{data:02x?}");
                data.truncate(data.len() - TAIL.len());
                return data;
            }
        }
    }

    /// Inflates a message from and into pieces, up to a final block if there is one.
    fn inflate(
        decompressor: &mut impl Decompress,
        data: &[u8],
        pieces: (usize, usize),
    ) -> (Vec<u8>, State) {
        let mut inflated = Vec::new();
        for mut data in data.chunks(pieces.0) {
            loop {
                let mut output = vec![0; pieces.1];
                let Inflated { flow, state } = decompressor.decompress(data, &mut output);
                inflated.extend_from_slice(&output[..flow.produced]);
                data = &data[flow.consumed..];
                if state != State::GoesOn {
                    return (inflated, state);
                }
                if flow.produced < pieces.1 {
                    assert!(data.is_empty());
                    break;
                }
            }
        }
        let state = decompressor.end_message();
        (inflated, state)
    }

    /// Messages with something in common, and one that does not compress.
    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let words = proptest::collection::vec(0_u8..8, 1..3000)
            .prop_map(|words| words.iter().flat_map(|word| [b'a' + word; 3]).collect());
        let noise = proptest::collection::vec(any::<u8>(), 1..3000);
        proptest::collection::vec(prop_oneof![3 => words, 1 => noise], 1..6)
    }

    /// What one engine compresses, another inflates, in one stream or starting anew.
    fn exchange<A: Codec, B: Codec>(
        messages: &[Vec<u8>],
        kind: CompressorKind,
        pieces: (usize, usize, usize),
        anew: bool,
    ) {
        let mut compressor = A::Compressor::new(kind);
        let mut decompressor = B::Decompressor::new();
        for (index, message) in messages.iter().enumerate() {
            // There are two ways to start anew.
            let forgets = anew && index % 2 == 0;
            let data = compress(&mut compressor, message, pieces.0, forgets);
            let inflated = inflate(&mut decompressor, &data, (pieces.1, pieces.2));
            assert_eq!(inflated, (message.clone(), State::GoesOn));
            if anew {
                if !forgets {
                    compressor.reset();
                }
                decompressor.reset();
            }
        }
    }

    /// A stream goes on with other engines that know its history.
    fn resume<A: Codec, B: Codec>(messages: &[Vec<u8>], kind: CompressorKind, forgets: bool) {
        let mut history = Vec::new();
        for message in messages {
            let mut compressor = A::Compressor::new(kind);
            let mut decompressor = B::Decompressor::new();
            // What another stream left behind is gone.
            compress(&mut compressor, b"another stream", 1000, forgets);
            let _ = decompressor.decompress(b"\xf2", &mut [0; 9]);
            if !forgets {
                compressor.reset();
            }
            decompressor.reset();
            let (first, second) = history.split_at(history.len() / 3);
            for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
                compressor.preload(piece);
                decompressor.preload(piece);
            }
            let data = compress(&mut compressor, message, 100_000, false);
            let inflated = inflate(&mut decompressor, &data, (100_000, 100_000));
            assert_eq!(inflated, (message.clone(), State::GoesOn));
            history.extend_from_slice(message);
        }
    }

    proptest! {
        #[test]
        fn either_engine_inflates_what_either_compresses(
            messages in messages(),
            level in 1_u8..=9,
            window_bits in 8_u8..=15,
            pieces in (64_usize..3000, 1_usize..3000, 1_usize..3000),
            anew in any::<bool>(),
        ) {
            let kind = kind(level, window_bits);
            exchange::<Engine, Engine>(&messages, kind, pieces, anew);
            exchange::<Engine, miniz::Miniz>(&messages, kind, pieces, anew);
            exchange::<miniz::Miniz, Engine>(&messages, kind, pieces, anew);
            exchange::<miniz::Miniz, miniz::Miniz>(&messages, kind, pieces, anew);
        }

        #[test]
        fn a_stream_goes_on_with_an_engine_that_knows_its_history(
            messages in messages(),
            level in 1_u8..=9,
            window_bits in 8_u8..=15,
            forgets in any::<bool>(),
        ) {
            let kind = kind(level, window_bits);
            resume::<Engine, Engine>(&messages, kind, forgets);
            resume::<miniz::Miniz, Engine>(&messages, kind, forgets);
            resume::<Engine, miniz::Miniz>(&messages, kind, forgets);
        }

        #[test]
        fn any_bytes_inflate_alike_or_are_corrupt_to_both(
            data in proptest::collection::vec(any::<u8>(), 0..200),
            pieces in (1_usize..300, 1_usize..3000),
        ) {
            let ours = inflate(&mut <Engine as Codec>::Decompressor::new(), &data, pieces);
            let theirs = inflate(&mut miniz::Inflater::new(), &data, (1, 70_000));
            prop_assert_eq!(ours, theirs);
        }
    }
}
