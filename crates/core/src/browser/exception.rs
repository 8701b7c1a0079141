//! What the object's calls refuse.

use core::fmt;

use crate::address::UrlError;

/// Why a call was refused; nothing has happened then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DomException {
    /// The URL is none of a WebSocket.
    Url(UrlError),
    /// A protocol is no token.
    InvalidProtocol,
    /// A protocol stands twice, without regard to ASCII case.
    RepeatedProtocol,
    /// A close code that is neither 1000 nor one of 3000 to 4999.
    CloseCode(u16),
    /// A close reason of over 123 bytes of UTF-8.
    CloseReasonTooLong,
    /// `send` while the connection is not open yet.
    StillConnecting,
}

/// The name of a `DOMException` (Web IDL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExceptionName {
    /// `SyntaxError`.
    Syntax,
    /// `InvalidAccessError`.
    InvalidAccess,
    /// `InvalidStateError`.
    InvalidState,
}

impl DomException {
    /// The name that it has in a browser.
    #[must_use]
    pub const fn name(&self) -> ExceptionName {
        match self {
            Self::Url(_)
            | Self::InvalidProtocol
            | Self::RepeatedProtocol
            | Self::CloseReasonTooLong => ExceptionName::Syntax,
            Self::CloseCode(_) => ExceptionName::InvalidAccess,
            Self::StillConnecting => ExceptionName::InvalidState,
        }
    }
}

impl fmt::Display for ExceptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "SyntaxError",
            Self::InvalidAccess => "InvalidAccessError",
            Self::InvalidState => "InvalidStateError",
        })
    }
}

impl fmt::Display for DomException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::Url(error) => error.fmt(f),
            Self::InvalidProtocol => f.write_str("a protocol is not a token"),
            Self::RepeatedProtocol => f.write_str("a protocol stands twice"),
            Self::CloseCode(code) => {
                write!(f, "the close code must be 1000 or in the range 3000 to 4999, not {code}")
            }
            Self::CloseReasonTooLong => f.write_str("a close reason has at most 123 bytes"),
            Self::StillConnecting => f.write_str("the connection is not open yet"),
        }
    }
}

impl core::error::Error for DomException {}

impl From<UrlError> for DomException {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}
