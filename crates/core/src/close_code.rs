//! Close codes (RFC 6455 section 7.4): those that travel, and those that are only reported.

use core::fmt;

/// A close code that may stand in a Close frame: 1000-1003, 1007-1014 or 3000-4999.
///
/// 1005, 1006 and 1015 tell what happened where no code was sent; they are no value of this type,
/// so they cannot be sent (RFC 6455 section 7.4.1). [`CloseStatus`] reports them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away: a server stops, a page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a kind of data that is not accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: a message's data does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message broke the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the client misses an extension that the server did not agree to.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the endpoint met a condition that keeps it from going on.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code `code`, or `None` if it may not stand in a Close frame.
    #[must_use]
    #[inline]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The code as a number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How one side of a connection closed, as reported to the application (RFC 6455 section 7.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseStatus {
    /// A Close frame with a code.
    Code(CloseCode),
    /// 1005: a Close frame without a code.
    NoStatus,
    /// 1006: no Close frame at all.
    Abnormal,
}

impl CloseStatus {
    /// The number a browser would show as `CloseEvent.code`.
    #[must_use]
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::Code(code) => code.get(),
            Self::NoStatus => 1005,
            Self::Abnormal => 1006,
        }
    }
}

impl fmt::Display for CloseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_u16().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_the_registry_may_be_sent() {
        for code in 0..=u16::MAX {
            let expected = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            assert_eq!(CloseCode::new(code).map(CloseCode::get), expected.then_some(code));
        }
    }

    #[test]
    fn reported_codes_have_the_browsers_numbers() {
        assert_eq!(CloseStatus::Code(CloseCode::NORMAL).to_u16(), 1000);
        assert_eq!(CloseStatus::NoStatus.to_u16(), 1005);
        assert_eq!(CloseStatus::Abnormal.to_u16(), 1006);
    }
}
