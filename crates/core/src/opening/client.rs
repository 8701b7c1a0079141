//! A client's opening handshake over owned buffers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::handshake::{
    ClientHandshake, ClientRequest, ExtensionConfig, Fields, HandshakeError, HeadLimits,
    InvalidRequest, NegotiatedExtensions, RequestError, reason_phrase,
};
use crate::opening::lend;
use crate::opening::server::into_vec;

/// The room that is made for each read of a response.
const ROOM: usize = 2048;

/// What a client asks for, owned.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    authority: String,
    target: String,
    origin: Option<String>,
    subprotocols: Vec<String>,
    fields: Vec<(String, String)>,
    extensions: ExtensionConfig,
    require_subprotocol: bool,
}

impl ConnectRequest {
    /// A request for `target` (a path and a query) of the server called `authority` (a host, with
    /// the port unless it is the scheme's own).
    #[must_use]
    pub fn new(authority: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            authority: authority.into(),
            target: target.into(),
            origin: None,
            subprotocols: Vec::new(),
            fields: Vec::new(),
            extensions: ExtensionConfig::default(),
            require_subprotocol: false,
        }
    }

    /// Adds a subprotocol to the offer, less preferred than those before it.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Adds a field, such as `Authorization`.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sets the Origin.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Offers extensions.
    #[must_use]
    pub const fn extensions(mut self, extensions: ExtensionConfig) -> Self {
        self.extensions = extensions;
        self
    }

    /// Whether it is a failure when the server chooses none of the subprotocols offered. Default
    /// no.
    #[must_use]
    pub const fn require_subprotocol(mut self, required: bool) -> Self {
        self.require_subprotocol = required;
        self
    }

    /// Whether a field called `name` has been added, without regard to case.
    #[must_use]
    pub fn has_field(&self, name: &str) -> bool {
        self.fields.iter().any(|(added, _)| added.eq_ignore_ascii_case(name))
    }

    /// Runs `then` on the request, lent.
    fn with<T>(&self, then: impl FnOnce(&ClientRequest<'_>) -> T) -> T {
        let fields = lend(&self.fields);
        let subprotocols: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        then(&ClientRequest {
            authority: &self.authority,
            target: &self.target,
            origin: self.origin.as_deref(),
            subprotocols: &subprotocols,
            fields: &fields,
            extensions: self.extensions,
            require_subprotocol: self.require_subprotocol,
        })
    }
}

/// The values of fields, such as `Authorization` and `Cookie`, are nobody's to see.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ConnectRequest")
            .field("authority", &self.authority)
            .field("target", &self.target)
            .field("origin", &self.origin)
            .field("subprotocols", &self.subprotocols)
            .field("fields", &fields)
            .finish_non_exhaustive()
    }
}

/// Writes a request and reads the response. An adapter writes
/// [`request_bytes`](Self::request_bytes), then appends to [`read_room`](Self::read_room) until
/// [`poll`](Self::poll) has a result.
pub struct ClientOpening {
    handshake: ClientHandshake,
    request: ConnectRequest,
    request_bytes: Vec<u8>,
    received: BytesMut,
}

impl fmt::Debug for ClientOpening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOpening")
            .field("request", &self.request)
            .field("received", &self.received.len())
            .finish_non_exhaustive()
    }
}

/// An established connection.
#[derive(Debug)]
pub struct Opened {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The extensions agreed on.
    pub extensions: NegotiatedExtensions,
    /// The fields of the response, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The bytes that came behind the response: frames.
    pub leftover: BytesMut,
}

/// Why no connection was established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningFailure {
    /// What was wrong.
    pub error: HandshakeError,
    /// The response, if a whole head came: to follow a redirect, to answer a 401, or to be shown.
    pub response: Option<Box<ResponseHead>>,
}

/// A response that did not establish a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The fields, in order.
    pub fields: Vec<(String, Vec<u8>)>,
    /// As much of the body as came along with the head.
    pub body: Bytes,
}

impl ResponseHead {
    /// The value of the first field called `name`, without regard to case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// How many bytes of the body may still come, up to 4 KiB in all: an adapter reads on for
    /// them, for as long as it cares to wait, so that the start of the body can be shown.
    ///
    /// The body is kept as it comes, a transfer coding included.
    #[must_use]
    pub fn missing_body(&self) -> usize {
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        let chunked = self.field("transfer-encoding").is_some();
        let expected = if bodiless || chunked && self.body.ends_with(LAST_CHUNK) {
            0
        } else if chunked {
            MOST_BODY
        } else {
            self.content_length().unwrap_or(MOST_BODY)
        };
        expected.min(MOST_BODY).saturating_sub(self.body.len())
    }

    fn content_length(&self) -> Option<usize> {
        core::str::from_utf8(self.field("content-length")?).ok()?.parse().ok()
    }

    /// Appends bytes of the body that came later; what goes past 4 KiB in all is dropped.
    pub fn extend_body(&mut self, bytes: &[u8]) {
        let room = MOST_BODY.saturating_sub(self.body.len());
        let mut body = Vec::from(core::mem::take(&mut self.body));
        body.extend(bytes.iter().take(room));
        self.body = body.into();
    }
}

/// The most of a refusal's body that is kept, in bytes.
const MOST_BODY: usize = 4096;

/// What ends a chunked body without trailers (RFC 9112 section 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl From<HandshakeError> for OpeningFailure {
    fn from(error: HandshakeError) -> Self {
        Self { error, response: None }
    }
}

impl fmt::Display for OpeningFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            HandshakeError::UnexpectedStatus(status) => write!(
                f,
                "the server answered {status} {} instead of 101 Switching Protocols",
                reason_phrase(status)
            ),
            error => error.fmt(f),
        }
    }
}

impl core::error::Error for OpeningFailure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl ClientOpening {
    /// A handshake at its start. `nonce` is 16 random bytes, fresh for each connection.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if the request cannot be sent as it is.
    pub fn new(
        request: ConnectRequest,
        limits: HeadLimits,
        nonce: [u8; 16],
    ) -> Result<Self, InvalidRequest> {
        let handshake = ClientHandshake::new(nonce, limits);
        let request_bytes = request.with(|request| {
            into_vec(|out| match handshake.write_request(request, out) {
                Ok(length) => Ok(Ok(length)),
                Err(RequestError::BufferTooSmall(error)) => Ok(Err(error.needed)),
                Err(RequestError::Invalid(error)) => Err(error),
            })
        })?;
        Ok(Self { handshake, request, request_bytes, received: BytesMut::new() })
    }

    /// The request, to be written.
    #[must_use]
    pub fn request_bytes(&self) -> &[u8] {
        &self.request_bytes
    }

    /// The buffer to read into: append to it, and do nothing else with it.
    pub fn read_room(&mut self) -> &mut BytesMut {
        self.received.reserve(ROOM);
        &mut self.received
    }

    /// The result, once the response is whole; `None` before.
    ///
    /// # Errors
    ///
    /// [`OpeningFailure`]; the connection is to be closed, without a Close frame.
    pub fn poll(&mut self) -> Result<Option<Opened>, OpeningFailure> {
        let Some(response) = self.handshake.receive(&self.received)? else {
            return Ok(None);
        };
        let head_length = response.head_length();
        let fields = owned(response.fields());
        let verdict = self.request.with(|request| {
            response
                .verify(&self.handshake, request)
                .map(|upgraded| (upgraded.subprotocol.map(String::from), upgraded.extensions))
        });
        let status = response.status();
        let leftover = self.received.split_off(head_length);
        match verdict {
            Ok((subprotocol, extensions)) => {
                Ok(Some(Opened { subprotocol, extensions, fields, leftover }))
            }
            Err(error) => {
                let head = ResponseHead { status, fields, body: leftover.freeze() };
                Err(OpeningFailure { error, response: Some(Box::new(head)) })
            }
        }
    }
}

fn owned(fields: Fields<'_>) -> Vec<(String, Vec<u8>)> {
    fields.map(|field| (String::from(field.name), field.value.to_vec())).collect()
}
