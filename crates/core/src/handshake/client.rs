//! A client's opening handshake over bytes (RFC 6455 section 4.1).

use core::fmt;
use core::mem::MaybeUninit;

use crate::handshake::HandshakeError;
use crate::handshake::extensions::{ExtensionConfig, NegotiatedExtensions};
use crate::handshake::field::{Field, InvalidField, is_host, is_token, judge_added, trim};
use crate::handshake::head::{Fields, HeadLimits, HeadScanner, MOST_FIELDS};
use crate::handshake::key::{AcceptKey, SecWebSocketKey};
use crate::handshake::response::{BufferTooSmall, Writer};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// The Host: a name or an address, with the port unless it is the scheme's own.
    pub authority: &'a str,
    /// The target: a path that begins with `/`, and a query, without a fragment.
    pub target: &'a str,
    /// The Origin, for a client that acts for a web page.
    pub origin: Option<&'a str>,
    /// The subprotocols offered, in order of preference.
    pub subprotocols: &'a [&'a str],
    /// Further fields, such as `Authorization` or `Cookie`.
    pub fields: &'a [Field<'a>],
    /// The extensions offered.
    pub extensions: ExtensionConfig,
    /// Whether a response that chooses no subprotocol fails, if any was offered. Browsers do so;
    /// RFC 6455 allows it.
    pub require_subprotocol: bool,
}

impl<'a> ClientRequest<'a> {
    /// A request that offers nothing.
    #[must_use]
    pub fn new(authority: &'a str, target: &'a str) -> Self {
        Self {
            authority,
            target,
            origin: None,
            subprotocols: &[],
            fields: &[],
            extensions: ExtensionConfig::default(),
            require_subprotocol: false,
        }
    }

    fn judge(&self) -> Result<(), InvalidRequest> {
        let visible = |text: &str| text.bytes().all(|byte| matches!(byte, 0x21..=0x7E));
        if !is_host(self.authority.as_bytes()) {
            return Err(InvalidRequest::Authority);
        }
        if !self.target.starts_with('/') || !visible(self.target) || self.target.contains('#') {
            return Err(InvalidRequest::Target);
        }
        if self.origin.is_some_and(|origin| origin.is_empty() || !visible(origin)) {
            return Err(InvalidRequest::Origin);
        }
        for (index, name) in self.subprotocols.iter().enumerate() {
            let earlier = self.subprotocols.get(..index).unwrap_or_default();
            if !is_token(name.as_bytes()) || earlier.contains(name) {
                return Err(InvalidRequest::Subprotocol);
            }
        }
        if self.origin.is_some() && self.fields.iter().any(|field| field.is("origin")) {
            return Err(InvalidRequest::Field(InvalidField::Reserved));
        }
        self.fields.iter().try_for_each(judge_added).map_err(InvalidRequest::Field)
    }
}

/// A request that cannot be sent as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The authority is empty or holds what a Host cannot.
    Authority,
    /// The target does not begin with `/`, or holds a fragment, a space or a control character.
    Target,
    /// The Origin is empty or holds a space or a control character.
    Origin,
    /// A subprotocol is no token, or stands twice.
    Subprotocol,
    /// A further field is not allowed.
    Field(InvalidField),
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "the authority cannot be a Host",
            Self::Target => "the target must begin with / and hold no fragment or space",
            Self::Origin => "the Origin is not valid",
            Self::Subprotocol => "a subprotocol is not a token, or stands twice",
            Self::Field(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for InvalidRequest {}

/// Writes a request and reads the response, however it is cut.
///
/// As with [`ServerHandshake`](super::ServerHandshake), the caller keeps all bytes received and
/// hands in the whole of them each time.
#[derive(Clone, Copy, Debug)]
pub struct ClientHandshake {
    key: SecWebSocketKey,
    scanner: HeadScanner,
}

impl ClientHandshake {
    /// A handshake with a nonce: 16 random bytes, fresh for each connection.
    #[must_use]
    pub fn new(nonce: [u8; 16], limits: HeadLimits) -> Self {
        Self { key: SecWebSocketKey::from_nonce(nonce), scanner: HeadScanner::new(limits) }
    }

    /// The accept value that the server must answer.
    #[must_use]
    pub fn expected_accept(&self) -> AcceptKey {
        self.key.accept()
    }

    /// Writes the request into `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`RequestError`]. With an empty `out` one learns the length needed.
    pub fn write_request(
        &self,
        request: &ClientRequest<'_>,
        out: &mut [u8],
    ) -> Result<usize, RequestError> {
        request.judge().map_err(RequestError::Invalid)?;
        let mut writer = Writer::new(out);
        writer
            .put(b"GET ")
            .put(request.target.as_bytes())
            .put(b" HTTP/1.1\r\nHost: ")
            .put(request.authority.as_bytes())
            .put(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ")
            .put(self.key.as_bytes())
            .put(b"\r\nSec-WebSocket-Version: 13\r\n");
        if let Some(origin) = request.origin {
            writer.field(&Field::new("Origin", origin));
        }
        for (index, name) in request.subprotocols.iter().enumerate() {
            let lead: &[u8] = if index == 0 { b"Sec-WebSocket-Protocol: " } else { b", " };
            writer.put(lead).put(name.as_bytes());
        }
        if !request.subprotocols.is_empty() {
            writer.put(b"\r\n");
        }
        request.extensions.write_offer(&mut writer);
        for field in request.fields {
            writer.field(field);
        }
        writer.put(b"\r\n");
        writer.finish().map_err(RequestError::BufferTooSmall)
    }

    /// Looks at `bytes`, which holds everything received so far; the response, once its head is
    /// whole.
    ///
    /// # Errors
    ///
    /// What is wrong with it as HTTP.
    pub fn receive<'b>(
        &mut self,
        bytes: &'b [u8],
    ) -> Result<Option<ServerResponse<'b>>, HandshakeError> {
        if let Some(limits) = self.scanner.limits_at_start()
            && let Some(response) = ServerResponse::parse_plain(bytes, limits)
        {
            return Ok(Some(response));
        }
        match self.scanner.scan(bytes)? {
            None => Ok(None),
            Some(length) => {
                ServerResponse::parse(bytes.get(..length).unwrap_or_default()).map(Some)
            }
        }
    }
}

/// Why a request was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The request is not valid.
    Invalid(InvalidRequest),
    /// The buffer is too small.
    BufferTooSmall(BufferTooSmall),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::BufferTooSmall(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RequestError {}

/// A well-formed response, of any status.
#[derive(Clone, Copy, Debug)]
pub struct ServerResponse<'b> {
    head: &'b [u8],
    status: u16,
    seen: Seen<'b>,
}

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgraded<'b> {
    /// The subprotocol, one of those offered.
    pub subprotocol: Option<&'b str>,
    /// The extensions.
    pub extensions: NegotiatedExtensions,
}

impl<'b> ServerResponse<'b> {
    fn parse(head: &'b [u8]) -> Result<Self, HandshakeError> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        match config.parse_response_with_uninit_headers(&mut parsed, head, &mut fields) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            _ => return Err(HandshakeError::Malformed),
        }
        Self::of(head, &parsed).ok_or(HandshakeError::Malformed)
    }

    /// Parses a head that stands whole at the start of `bytes`, as most do at the first look, and
    /// of which it is plain that it keeps to `limits`: the result is that of
    /// [`parse`](Self::parse). `None` if it takes a closer look.
    fn parse_plain(bytes: &'b [u8], limits: &HeadLimits) -> Option<Self> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_response_with_uninit_headers(&mut parsed, bytes, &mut fields);
        let httparse::Status::Complete(length) = status.ok()? else { return None };
        let head = bytes.get(..length)?;
        let is_plain = limits.plainly_allow(head, parsed.headers);
        Self::of(head, &parsed).filter(|_| is_plain)
    }

    fn of(head: &'b [u8], parsed: &httparse::Response<'_, 'b>) -> Option<Self> {
        let fields = parsed.headers.iter().map(|h| Field { name: h.name, value: h.value });
        Some(Self { head, status: parsed.code?, seen: Seen::of(fields) })
    }

    /// The head's length in bytes. Behind it in the caller's buffer are frames, if the status is
    /// 101, and the start of a body otherwise.
    #[must_use]
    pub const fn head_length(&self) -> usize {
        self.head.len()
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// All fields, in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'b> {
        Fields::of(self.head)
    }

    /// The value of the first field called `name`, without regard to case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields().find(|field| field.is(name)).map(|field| field.value)
    }

    /// Judges the response to `request`.
    ///
    /// # Errors
    ///
    /// What keeps the connection from being established (RFC 6455 section 4.1). No Close frame is
    /// sent then; the connection just ends.
    pub fn verify(
        &self,
        handshake: &ClientHandshake,
        request: &ClientRequest<'_>,
    ) -> Result<Upgraded<'b>, HandshakeError> {
        self.seen.judge(self.status, self.fields(), handshake.expected_accept(), request)
    }
}

/// Judges an already parsed response: the entry for a client that reads HTTP by other means.
///
/// # Errors
///
/// As [`ServerResponse::verify`].
pub fn verify_parsed<'b>(
    status: u16,
    fields: impl Iterator<Item = Field<'b>> + Clone,
    expected_accept: AcceptKey,
    request: &ClientRequest<'_>,
) -> Result<Upgraded<'b>, HandshakeError> {
    Seen::of(fields.clone()).judge(status, fields, expected_accept, request)
}

/// What the fields of a response say, gathered in one pass.
#[derive(Clone, Copy, Debug, Default)]
struct Seen<'b> {
    upgrade: bool,
    connection: bool,
    accept: Option<&'b [u8]>,
    accepts: usize,
    has_extensions: bool,
    has_subprotocol: bool,
}

impl<'b> Seen<'b> {
    fn of(fields: impl Iterator<Item = Field<'b>>) -> Self {
        let mut seen = Self::default();
        for field in fields {
            // The lengths of the names tell most fields apart from those that matter here.
            match field.name.len() {
                7 if field.is("Upgrade") => seen.upgrade |= field.lists("websocket"),
                10 if field.is("Connection") => seen.connection |= field.lists("Upgrade"),
                20 if field.is("Sec-WebSocket-Accept") => {
                    seen.accept = Some(trim(field.value));
                    seen.accepts = seen.accepts.saturating_add(1);
                }
                22 if field.is("Sec-WebSocket-Protocol") => seen.has_subprotocol = true,
                24 if field.is("Sec-WebSocket-Extensions") => seen.has_extensions = true,
                _ => {}
            }
        }
        seen
    }

    /// RFC 6455 section 4.1.
    fn judge(
        &self,
        status: u16,
        fields: impl Iterator<Item = Field<'b>> + Clone,
        expected_accept: AcceptKey,
        request: &ClientRequest<'_>,
    ) -> Result<Upgraded<'b>, HandshakeError> {
        if status != 101 {
            return Err(HandshakeError::UnexpectedStatus(status));
        }
        if !self.upgrade {
            return Err(HandshakeError::UpgradeMissing);
        }
        if !self.connection {
            return Err(HandshakeError::ConnectionMissing);
        }
        if self.accept != Some(expected_accept.as_bytes()) || self.accepts != 1 {
            return Err(HandshakeError::WrongAccept);
        }
        let extensions = if self.has_extensions {
            request.extensions.verify(fields.clone())?
        } else {
            NegotiatedExtensions::default()
        };
        let subprotocol = if self.has_subprotocol {
            Some(chosen_subprotocol(fields, request)?)
        } else if request.require_subprotocol && !request.subprotocols.is_empty() {
            return Err(HandshakeError::SubprotocolMissing);
        } else {
            None
        };
        Ok(Upgraded { subprotocol, extensions })
    }
}

/// The subprotocol that the server chose: the whole of one field, to the letter one of those
/// offered (RFC 6455 sections 4.1 and 11.3.4).
fn chosen_subprotocol<'b>(
    fields: impl Iterator<Item = Field<'b>>,
    request: &ClientRequest<'_>,
) -> Result<&'b str, HandshakeError> {
    let mut lines = fields.filter(|field| field.is("sec-websocket-protocol"));
    let line = lines.next().ok_or(HandshakeError::SubprotocolMissing)?;
    if lines.next().is_some() || line.elements().nth(1).is_some() {
        return Err(HandshakeError::SeveralSubprotocols);
    }
    core::str::from_utf8(trim(line.value))
        .ok()
        .filter(|name| request.subprotocols.contains(name))
        .ok_or(HandshakeError::UnofferedSubprotocol)
}
