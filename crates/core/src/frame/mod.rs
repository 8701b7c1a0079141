//! Layer 0: frames (RFC 6455 section 5), as pure functions over bytes.

mod decoder;
mod header;
pub(crate) mod mask;

pub use decoder::FrameDecoder;
pub(crate) use header::RSV1;
pub use header::{Decoded, EncodedHeader, FrameHeader, FrameRules, MAX_HEADER_LENGTH};
pub use mask::Masker;

/// The most payload a control frame may carry, in bytes (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
