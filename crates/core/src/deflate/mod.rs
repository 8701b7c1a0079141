//! Compression: permessage-deflate (RFC 7692).

mod compressor;
mod config;
mod decompressor;
mod deflating;
mod engine;
mod history;
mod inflating;
mod negotiation;
mod pool;

pub use compressor::{Compressor, CompressorKind};
pub use config::{CompressionLevel, DeflateConfig, MemoryLevel, WindowBits};
pub use decompressor::Decompressor;
pub(crate) use deflating::Deflating;
pub(crate) use inflating::Inflating;
pub use negotiation::DeflateParameters;
pub(crate) use negotiation::NAME;
pub use pool::{CodecPool, Lineage};

/// What a message's compressed data ends with before it is cut off, and what is put back behind it
/// (RFC 7692 sections 7.2.1 and 7.2.2): the end of an empty block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// One direction of a connection: how the end that sends in it compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) window_bits: WindowBits,
    /// Each message may refer to those before it.
    pub(crate) takes_over: bool,
}
