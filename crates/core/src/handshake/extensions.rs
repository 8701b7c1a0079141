//! Extensions (RFC 6455 section 9): the grammar of their lists, and the one place of negotiation.

/// The extensions that both ends agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiatedExtensions {}

impl NegotiatedExtensions {
    /// The reserved bits that they claim on a message's first frame: RSV1 0x40, RSV2 0x20, RSV3 0x10.
    #[must_use]
    pub const fn claimed_rsv(self) -> u8 {
        0
    }
}
