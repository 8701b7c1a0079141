//! Limits, deadlines and manners of a connection.

use core::time::Duration;

#[cfg(feature = "deflate")]
use crate::deflate::DeflateConfig;

/// What a connection accepts, how long it waits, and what it does by itself.
///
/// Every limit is inclusive: exactly the limit passes.
///
/// ```
/// use duologue_core::Config;
///
/// let config = Config { max_message_length: 64 * 1024, ..Config::DEFAULT };
/// assert!(config.automatic_pong);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The largest message received, in bytes, over all its fragments; of a compressed one the
    /// inflated size, which the buffered endpoint sees to. Default 16 MiB.
    pub max_message_length: u64,
    /// The largest payload of one data frame received, in bytes. Default: as much as a message may
    /// have.
    pub max_frame_length: u64,
    /// How many empty fragments may stand between a message's first frame and its last. Default
    /// 1,024. Fragments with a payload are bounded by the message's length, if it is not
    /// compressed.
    pub max_empty_fragments: u32,
    /// How long the opening handshake may take in all. Default 10 s.
    pub opening_timeout: Duration,
    /// How long the closing handshake and the end of TCP may take in all. Default 5 s.
    pub closing_timeout: Duration,
    /// Keepalive pings; `None` sends none. By default every 20 s, and 20 s to answer.
    pub keepalive: Option<Keepalive>,
    /// How many bytes may wait to be written before sending waits for the transport. One frame may
    /// go past it. Used by the buffered endpoint. Default 64 KiB.
    pub write_high_water: usize,
    /// How long the peer may accept nothing while bytes wait to be written. Used by the buffered
    /// endpoint. Default 30 s.
    pub write_stall_timeout: Duration,
    /// Whether a ping is answered without the caller's doing (RFC 6455 section 5.5.2). Default yes.
    pub automatic_pong: bool,
    /// Compression: permessage-deflate, if the peer has it too. Used by the buffered endpoint, and
    /// by adapters in the opening handshake. Default off: where secrets and what others choose go
    /// through one connection, sizes tell of the secrets (RFC 7692 section 8).
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateConfig>,
}

/// Keepalive, or heartbeat: a ping when nothing has come for a while, and a deadline for anything
/// to come then. Any byte counts as life, not only a pong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// A ping is sent when no byte has come for this long. Default 20 s.
    pub interval: Duration,
    /// The connection fails when no byte has come for this long after the ping. Default 20 s.
    pub timeout: Duration,
    /// Whether a ping is sent at every interval, even while bytes come, so that the round-trip time
    /// is always fresh. Default no.
    pub always: bool,
}

impl Keepalive {
    /// 20 s and 20 s, in silence only.
    pub const DEFAULT: Self =
        Self { interval: Duration::from_secs(20), timeout: Duration::from_secs(20), always: false };
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Config {
    /// The defaults, each stated at its field.
    pub const DEFAULT: Self = Self {
        max_message_length: 16 << 20,
        max_frame_length: u64::MAX,
        max_empty_fragments: 1024,
        opening_timeout: Duration::from_secs(10),
        closing_timeout: Duration::from_secs(5),
        keepalive: Some(Keepalive::DEFAULT),
        write_high_water: 64 * 1024,
        write_stall_timeout: Duration::from_secs(30),
        automatic_pong: true,
        #[cfg(feature = "deflate")]
        deflate: None,
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}
