//! A server's opening handshake over bytes (RFC 6455 section 4.2).

use crate::handshake::HandshakeError;
use crate::handshake::extensions::NegotiatedExtensions;
use crate::handshake::head::{HeadLimits, HeadScanner};
use crate::handshake::request::Request;
use crate::handshake::response::{Acceptance, WriteError};

/// Reads a request, however it is cut.
///
/// The caller keeps all bytes received in a buffer of its own and hands in the whole of it each
/// time; only what is new is looked at. When the [`Request`] is there, the application decides:
/// [`accept`](Self::accept) writes the 101, and a [`Response`](super::Response) anything else.
///
/// ```
/// use duologue_core::handshake::{Acceptance, HeadLimits, ServerHandshake};
///
/// let received = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Sec-WebSocket-Version: 13\r\n\r\n";
/// let mut handshake = ServerHandshake::new(HeadLimits::DEFAULT);
/// assert!(handshake.receive(&received[..40]).unwrap().is_none());
/// let request = handshake.receive(received).unwrap().unwrap();
/// assert_eq!(request.path(), "/chat");
///
/// let mut response = [0; 256];
/// let extensions = Default::default();
/// let length =
///     ServerHandshake::accept(&request, &Acceptance::default(), extensions, &mut response).unwrap();
/// assert!(response[..length].starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServerHandshake {
    scanner: HeadScanner,
}

impl ServerHandshake {
    /// A handshake at its start.
    #[must_use]
    pub const fn new(limits: HeadLimits) -> Self {
        Self { scanner: HeadScanner::new(limits) }
    }

    /// Looks at `bytes`, which holds everything received so far; the request, once it is whole.
    ///
    /// # Errors
    ///
    /// What is wrong with it as HTTP. Answer with [`HandshakeError::response`], read nothing more,
    /// and close.
    pub fn receive<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<Request<'b>>, HandshakeError> {
        if let Some(limits) = self.scanner.limits_at_start()
            && let Some(verdict) = Request::parse_plain(bytes, limits)
        {
            return verdict.map(Some);
        }
        match self.scanner.scan(bytes)? {
            None => Ok(None),
            Some(length) => Request::parse(bytes.get(..length).unwrap_or_default()).map(Some),
        }
    }

    /// Writes the 101 into `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]: the request is no valid upgrade, or the 101 cannot be written. With an
    /// empty `out` one learns the length needed.
    pub fn accept(
        request: &Request<'_>,
        acceptance: &Acceptance<'_>,
        extensions: NegotiatedExtensions,
        out: &mut [u8],
    ) -> Result<usize, AcceptError> {
        let upgrade = request.upgrade().map_err(AcceptError::Request)?;
        if let Some(chosen) = acceptance.subprotocol
            && !request.subprotocols().any(|offered| offered == chosen)
        {
            return Err(AcceptError::Write(WriteError::SubprotocolNotOffered));
        }
        upgrade.accept(acceptance, extensions, out).map_err(AcceptError::Write)
    }
}

/// Why a request was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The client's fault.
    Request(HandshakeError),
    /// The caller's fault.
    Write(WriteError),
}

impl core::fmt::Display for AcceptError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AcceptError {}
