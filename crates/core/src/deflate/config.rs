//! What an application chooses about compression.

/// How to compress, and what to offer or accept (RFC 7692 section 7.1).
///
/// A client offers what stands here. A server takes the first offer that it can keep to, and of
/// each parameter the stricter of the client's wish and its own.
///
/// ```
/// use duologue_core::Config;
/// use duologue_core::deflate::{CompressionLevel, DeflateConfig};
///
/// let deflate = DeflateConfig { level: CompressionLevel::FASTEST, ..DeflateConfig::DEFAULT };
/// let config = Config { deflate: Some(deflate), ..Config::DEFAULT };
/// assert_eq!(config.deflate.unwrap().threshold, 128);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// How much time is spent on a better ratio. Default 1, the fastest.
    pub level: CompressionLevel,
    /// How much memory a compressor takes for the symbols of a block. Default 5: as good for
    /// messages as zlib's own 8, with 100 KB less to go through.
    pub memory_level: MemoryLevel,
    /// Messages shorter than this go uncompressed, in bytes; messages in fragments, whose length is
    /// not known, never. Default 128.
    pub threshold: usize,
    /// The server compresses each message by itself. Default no: what went before is referred to,
    /// for a better ratio.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself. Default no. A server can ask it of any client.
    pub client_no_context_takeover: bool,
    /// How far back the server refers. Default 15, 32 KiB; the client keeps as much of what it has
    /// received.
    pub server_max_window_bits: WindowBits,
    /// How far back the client refers. Default 15. A server can ask for less only of a client that
    /// offers it, as browsers do; it keeps as much of what it has received.
    pub client_max_window_bits: WindowBits,
}

impl DeflateConfig {
    /// The defaults, each stated at its field.
    pub const DEFAULT: Self = Self {
        level: CompressionLevel::FASTEST,
        memory_level: MemoryLevel::DEFAULT,
        threshold: 128,
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: WindowBits::MAX,
        client_max_window_bits: WindowBits::MAX,
    };
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A compression level, 1 (fastest) to 9 (smallest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompressionLevel(u8);

impl CompressionLevel {
    /// Level 1.
    pub const FASTEST: Self = Self(1);
    /// Level 9.
    pub const SMALLEST: Self = Self(9);

    /// A level of 1 to 9; `None` for any other number.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        if matches!(level, 1..=9) { Some(Self(level)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The size of a compressor's buffers for symbols, 1 (smallest) to 9 (largest), as zlib counts it:
/// `7 << (level + 6)` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryLevel(u8);

impl MemoryLevel {
    /// Memory level 5.
    pub const DEFAULT: Self = Self(5);

    /// A memory level of 1 to 9; `None` for any other number.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        if matches!(level, 1..=9) { Some(Self(level)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How far back compressed data refers: 8 (256 bytes) to 15 (32 KiB), as the base-2 logarithm
/// (RFC 7692 section 7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB.
    pub const MAX: Self = Self(15);

    /// 8 to 15; `None` for any other number.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if matches!(bits, 8..=15) { Some(Self(bits)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The window's size in bytes.
    #[must_use]
    pub const fn window(self) -> usize {
        1 << self.0
    }
}
