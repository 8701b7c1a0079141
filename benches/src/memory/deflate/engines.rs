//! The engines alone, in the same arrangement: without frames, limits, or validation of text.

use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, compress};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use zlib_rs::{
    Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Method, Status, Strategy,
};

use super::wire::{End, Setting};
use super::{Ends, LEVEL, Turns};

/// What a message's data ends with before it is cut off (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// What one engine does with a message, from slice to slice; how long that becomes.
trait Engine {
    fn new() -> Self;
    fn forget_sent(&mut self);
    fn forget_received(&mut self);
    fn deflate(&mut self, input: &[u8], output: &mut [u8]) -> usize;
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> usize;
}

struct Zlib(Deflate, Inflate);

impl Engine for Zlib {
    fn new() -> Self {
        let config = DeflateConfig {
            level: i32::from(LEVEL),
            method: Method::Deflated,
            window_bits: -15,
            mem_level: 8,
            strategy: Strategy::Default,
        };
        Self(Deflate::new_with_config(config), Inflate::new(false, 15))
    }

    fn forget_sent(&mut self) {
        self.0.reset();
    }

    fn forget_received(&mut self) {
        self.1.reset(false);
    }

    fn deflate(&mut self, input: &[u8], output: &mut [u8]) -> usize {
        let before = self.0.total_out();
        self.0.compress(input, output, DeflateFlush::SyncFlush).unwrap();
        usize::try_from(self.0.total_out() - before).unwrap()
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> usize {
        let before = self.1.total_out();
        let status = self.1.decompress(input, output, InflateFlush::SyncFlush).unwrap();
        assert_eq!(status, Status::Ok);
        usize::try_from(self.1.total_out() - before).unwrap()
    }
}

struct Miniz(Box<CompressorOxide>, Box<InflateState>);

impl Engine for Miniz {
    fn new() -> Self {
        let strategy = CompressionStrategy::Default;
        let compressor = CompressorOxide::with_params(DataFormat::Raw, LEVEL, strategy, 15);
        Self(Box::new(compressor), InflateState::new_boxed(DataFormat::Raw))
    }

    fn forget_sent(&mut self) {
        self.0.reset();
    }

    fn forget_received(&mut self) {
        self.1.reset(DataFormat::Raw);
    }

    fn deflate(&mut self, input: &[u8], output: &mut [u8]) -> usize {
        compress(&mut self.0, input, output, TDEFLFlush::Sync).2
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> usize {
        inflate(&mut self.1, input, output, MZFlush::None).bytes_written
    }
}

struct Alone<E> {
    /// One for each end where context is taken over, else one for all.
    engines: Vec<E>,
    ends: Vec<End>,
    takes_over: bool,
    data: Vec<u8>,
    output: Vec<u8>,
}

impl<E: Engine> Alone<E> {
    fn new(setting: &Setting) -> Self {
        let count = if setting.takes_over { setting.ends.len() } else { 1 };
        Self {
            engines: (0..count).map(|_| E::new()).collect(),
            ends: setting.ends.clone(),
            takes_over: setting.takes_over,
            data: Vec::new(),
            output: Vec::new(),
        }
    }

    fn engine(&mut self, index: usize) -> &mut E {
        if self.takes_over {
            return &mut self.engines[index];
        }
        &mut self.engines[0]
    }
}

impl<E: Engine> Ends for Alone<E> {
    fn send(&mut self, turns: Turns<'_, '_>) {
        for (index, message) in turns {
            let mut output = core::mem::take(&mut self.output);
            output.resize(output.len().max(message.len() + 128), 0);
            let takes_over = self.takes_over;
            let engine = self.engine(index);
            if !takes_over {
                engine.forget_sent();
            }
            let length = engine.deflate(message, &mut output) - TAIL.len();
            assert_eq!(output[length..length + TAIL.len()], TAIL);
            let mut wire = self.ends[index].outgoing.borrow_mut();
            wire.write(&output[..length]);
            wire.cut();
            self.output = output;
        }
    }

    fn receive(&mut self, turns: Turns<'_, '_>) {
        for (index, message) in turns {
            let mut data = core::mem::take(&mut self.data);
            let mut output = core::mem::take(&mut self.output);
            data.clear();
            data.extend_from_slice(self.ends[index].incoming.borrow_mut().read(usize::MAX >> 1));
            data.extend_from_slice(&TAIL);
            let takes_over = self.takes_over;
            let engine = self.engine(index);
            if !takes_over {
                engine.forget_received();
            }
            let length = engine.inflate(&data, &mut output);
            assert!(output[..length] == message[..], "another message was sent");
            (self.data, self.output) = (data, output);
        }
    }
}

pub(super) fn zlib_rs(setting: &Setting) -> Box<dyn Ends> {
    Box::new(Alone::<Zlib>::new(setting))
}

pub(super) fn miniz_oxide(setting: &Setting) -> Box<dyn Ends> {
    Box::new(Alone::<Miniz>::new(setting))
}
