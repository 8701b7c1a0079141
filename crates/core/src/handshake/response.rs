//! Writing heads into the caller's buffer: a server's answers.

use core::fmt;

use crate::handshake::extensions::NegotiatedExtensions;
use crate::handshake::field::{Field, InvalidField, judge_added};
use crate::handshake::key::AcceptKey;

/// The caller's buffer is too small for what is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTooSmall {
    /// The bytes needed in all.
    pub needed: usize,
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the buffer is too small: {} bytes are needed", self.needed)
    }
}

impl core::error::Error for BufferTooSmall {}

/// Why an answer cannot be written. Nothing has been decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The buffer is too small.
    BufferTooSmall(BufferTooSmall),
    /// A field of the application's is not allowed.
    InvalidField(InvalidField),
    /// The status is not one of 200 to 599.
    InvalidStatus,
    /// The subprotocol was not offered by the client.
    SubprotocolNotOffered,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferTooSmall(error) => error.fmt(f),
            Self::InvalidField(error) => error.fmt(f),
            Self::InvalidStatus => f.write_str("the status is not one of 200 to 599"),
            Self::SubprotocolNotOffered => f.write_str("the subprotocol was not offered"),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<InvalidField> for WriteError {
    fn from(error: InvalidField) -> Self {
        Self::InvalidField(error)
    }
}

/// Writes into a slice, and counts on past its end.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, length: 0 }
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let rest = self.out.get_mut(self.length..).unwrap_or_default();
        if let Some(place) = rest.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.length = self.length.saturating_add(bytes.len());
        self
    }

    pub(crate) fn field(&mut self, field: &Field<'_>) -> &mut Self {
        self.put(field.name.as_bytes()).put(b": ").put(field.value).put(b"\r\n")
    }

    fn number(&mut self, number: usize) -> &mut Self {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut count = 0_usize;
        for digit in digits.iter_mut().rev() {
            #[expect(clippy::cast_possible_truncation, reason = "a digit")]
            let value = (rest % 10) as u8;
            *digit = value.wrapping_add(b'0');
            count = count.saturating_add(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let start = digits.len().saturating_sub(count);
        self.put(digits.get(start..).unwrap_or_default())
    }

    pub(crate) fn finish(self) -> Result<usize, BufferTooSmall> {
        if self.length <= self.out.len() {
            Ok(self.length)
        } else {
            Err(BufferTooSmall { needed: self.length })
        }
    }
}

/// An HTTP response that is no 101, after which the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The status, 200 to 599.
    pub status: u16,
    /// The application's fields. `Connection: close` and `Content-Length` are added, and to a 426
    /// what can be upgraded to.
    pub fields: &'a [Field<'a>],
    /// The body. A status that has none, such as 204, is written without it.
    pub body: &'a [u8],
    /// Our own fields.
    own: &'static [Field<'static>],
}

impl<'a> Response<'a> {
    /// A response of the application's.
    #[must_use]
    pub const fn new(status: u16, fields: &'a [Field<'a>], body: &'a [u8]) -> Self {
        Self { status, fields, body, own: &[] }
    }

    pub(crate) const fn refusal(
        status: u16,
        own: &'static [Field<'static>],
        text: &'static str,
    ) -> Self {
        Self { status, fields: &[], body: text.as_bytes(), own }
    }

    /// Writes the response into `out`; returns its length. The answer to a HEAD request, for which
    /// `head_only` is true, has no body but says its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`]. With an empty `out` one learns the length needed.
    pub fn write(&self, out: &mut [u8], head_only: bool) -> Result<usize, WriteError> {
        if !matches!(self.status, 200..=599) {
            return Err(WriteError::InvalidStatus);
        }
        let mut writer = Writer::new(out);
        writer
            .put(b"HTTP/1.1 ")
            .number(usize::from(self.status))
            .put(b" ")
            .put(reason_phrase(self.status).as_bytes())
            .put(b"\r\n");
        for field in self.fields {
            judge_added(field)?;
            writer.field(field);
        }
        for field in self.own {
            writer.field(field);
        }
        // A 426 says what to upgrade to, and names Upgrade in Connection too (RFC 9110 sections
        // 15.5.22 and 7.8; RFC 6455 section 4.4).
        writer.put(if self.status == 426 {
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: close, Upgrade\r\n"
        } else {
            b"Connection: close\r\n"
        });
        // 204, 205 and 304 have no body; of these only 205 says a length (RFC 9110 sections 8.6,
        // 15.3.5, 15.3.6 and 15.4.5).
        let body = if matches!(self.status, 204 | 205 | 304) { &[] } else { self.body };
        if !matches!(self.status, 204 | 304) {
            writer.put(b"Content-Length: ").number(body.len()).put(b"\r\n");
        }
        writer.put(b"\r\n");
        if !head_only {
            writer.put(body);
        }
        writer.finish().map_err(WriteError::BufferTooSmall)
    }
}

/// How a server accepts: what it adds to the 101.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acceptance<'a> {
    /// The subprotocol chosen, one of those offered.
    pub subprotocol: Option<&'a str>,
    /// The application's fields.
    pub fields: &'a [Field<'a>],
}

/// Writes the 101 (RFC 6455 section 4.2.2).
pub(crate) fn write_switching_protocols(
    accept: &AcceptKey,
    acceptance: &Acceptance<'_>,
    extensions: NegotiatedExtensions,
    out: &mut [u8],
) -> Result<usize, WriteError> {
    let mut writer = Writer::new(out);
    writer
        .put(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        .put(b"Sec-WebSocket-Accept: ")
        .put(accept.as_bytes())
        .put(b"\r\n");
    if let Some(subprotocol) = acceptance.subprotocol {
        writer.put(b"Sec-WebSocket-Protocol: ").put(subprotocol.as_bytes()).put(b"\r\n");
    }
    extensions.write_response(&mut writer);
    for field in acceptance.fields {
        judge_added(field)?;
        writer.field(field);
    }
    writer.put(b"\r\n");
    writer.finish().map_err(WriteError::BufferTooSmall)
}

/// The reason phrase of a status; it means nothing to a client (RFC 9112 section 4).
#[must_use]
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}
