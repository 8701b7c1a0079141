//! What can go wrong with a connection, by who is at fault.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use duologue_core::handshake::{HandshakeError, InvalidRequest};
use duologue_core::opening::OpeningFailure;
use duologue_core::{ProtocolError, SendError, UrlError};

use crate::tls_error::TlsError;

/// Why a connection was not established, or did not go on. A normal close is no error.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed; or it is non-blocking and would block
    /// ([`is_would_block`](Self::is_would_block)), in which case nothing is lost.
    Io(io::Error),
    /// The peer broke the protocol, no longer answers, or no longer reads.
    ///
    /// A method that reads tells this when the Close frame that says why has been written, and the
    /// peer has ended TCP or had the closing timeout to read it; only a peer that took nothing any
    /// more got no frame. On a non-blocking transport the reading method has to be called on for
    /// that. A method that sends tells at once that nothing goes out any more: a blocking one with
    /// [`WriteStalled`](ProtocolError::WriteStalled), an async one with [`Error::Send`].
    Protocol(ProtocolError),
    /// The caller asked for what cannot be sent; nothing was sent.
    Send(SendError),
    /// A server refused a request; the response has been written. With
    /// [`TimedOut`](HandshakeError::TimedOut), the request was not whole in time.
    Handshake(HandshakeError),
    /// The server did not answer a client with a valid 101. The failure holds its response.
    Opening(Box<OpeningFailure>),
    /// The request cannot be sent as the caller wants it.
    InvalidRequest(InvalidRequest),
    /// The URL leads to no WebSocket.
    Url(UrlError),
    /// The URL is a `wss://` one, and there is no TLS here: build with the feature `rustls`, or
    /// make the TLS connection first and hand it in as the transport.
    TlsUnavailable,
    /// There is no TLS connection, or none any more.
    Tls(Box<TlsError>),
    /// The opening handshake took too long, and there was nobody to answer to: a client's, or a
    /// server's whose 101 the client did not take.
    OpeningTimeout,
    /// TCP ended without a closing handshake: what browsers report as close code 1006.
    ConnectionLost,
}

impl Error {
    /// Whether a non-blocking transport is not ready: the same call can be made again when it is.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Protocol(error) => write!(f, "the connection failed: {error}"),
            Self::Send(error) => error.fmt(f),
            Self::Handshake(error) => write!(f, "the request was refused: {error}"),
            Self::Opening(failure) => failure.fmt(f),
            Self::InvalidRequest(error) => error.fmt(f),
            Self::Url(error) => error.fmt(f),
            Self::TlsUnavailable => {
                f.write_str("a wss:// URL needs TLS, which the feature `rustls` adds")
            }
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::OpeningTimeout => f.write_str("the opening handshake took too long"),
            Self::ConnectionLost => {
                f.write_str("the connection ended without a closing handshake (close code 1006)")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The variants that only repeat what they hold pass on its source.
        match self {
            Self::Io(error) => error.source(),
            Self::Protocol(error) => Some(error),
            Self::Handshake(error) => Some(error),
            Self::Opening(failure) => failure.source(),
            Self::Tls(error) => Some(error),
            Self::Send(_)
            | Self::InvalidRequest(_)
            | Self::Url(_)
            | Self::TlsUnavailable
            | Self::OpeningTimeout
            | Self::ConnectionLost => None,
        }
    }
}

/// An error that holds a [`TlsError`], as those of the adapters' own streams may, is
/// [`Error::Tls`].
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.downcast::<TlsError>() {
            Ok(error) => Self::from(error),
            Err(error) => Self::Io(error),
        }
    }
}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<OpeningFailure> for Error {
    fn from(failure: OpeningFailure) -> Self {
        Self::Opening(Box::new(failure))
    }
}

impl From<InvalidRequest> for Error {
    fn from(error: InvalidRequest) -> Self {
        Self::InvalidRequest(error)
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_status_than_101_is_told_in_plain_words() {
        let failure =
            OpeningFailure { error: HandshakeError::UnexpectedStatus(404), response: None };
        let text = Error::from(failure).to_string();
        assert_eq!(text, "the server answered 404 Not Found instead of 101 Switching Protocols");
    }

    #[test]
    fn would_block_is_told_from_other_io() {
        assert!(Error::from(io::Error::from(io::ErrorKind::WouldBlock)).is_would_block());
        assert!(!Error::from(io::Error::from(io::ErrorKind::TimedOut)).is_would_block());
        assert!(!Error::ConnectionLost.is_would_block());
    }

    #[test]
    fn a_tls_failure_of_a_stream_is_told_as_one() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, TlsError::UnknownIssuer);
        let error = Error::from(inner);
        assert!(matches!(&error, Error::Tls(error) if **error == TlsError::UnknownIssuer));
        assert_eq!(
            error.to_string(),
            "TLS failed: the certificate was issued by an unknown authority"
        );
    }

    #[test]
    fn an_error_is_small_and_can_be_sent_between_threads() {
        fn check<T: Send + Sync + StdError>() {}
        check::<Error>();
        assert!(size_of::<Error>() <= 32);
    }
}
