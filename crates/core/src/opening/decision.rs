//! What an application decides about a request.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::handshake::HandshakeError;

/// An application's answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Become a WebSocket. If the request is no valid upgrade, it is refused with the status that
    /// says so.
    Accept(Accept),
    /// Answer with HTTP and close: a refusal, or a page for whoever does not want a WebSocket.
    Respond(HttpResponse),
    /// Refuse, with the status and the answer that belong to the error: such as 403 for what an
    /// [`OriginPolicy`](crate::handshake::OriginPolicy) forbids.
    Refuse(HandshakeError),
}

impl From<HandshakeError> for Decision {
    fn from(error: HandshakeError) -> Self {
        Self::Refuse(error)
    }
}

impl From<Accept> for Decision {
    fn from(accept: Accept) -> Self {
        Self::Accept(accept)
    }
}

impl From<HttpResponse> for Decision {
    fn from(response: HttpResponse) -> Self {
        Self::Respond(response)
    }
}

/// How to accept: with which subprotocol, and which fields in the 101.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    pub(super) subprotocol: Option<String>,
    pub(super) fields: Vec<(String, String)>,
}

impl Accept {
    /// Without a subprotocol and further fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { subprotocol: None, fields: Vec::new() }
    }

    /// With a subprotocol, which must be one of those offered; `None` chooses none.
    #[must_use]
    pub fn subprotocol<'a>(mut self, name: impl Into<Option<&'a str>>) -> Self {
        self.subprotocol = name.into().map(String::from);
        self
    }

    /// With a further field, such as `Set-Cookie`. It may not be one of the handshake's own.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

/// An HTTP response other than 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl HttpResponse {
    /// A response with a status of 200 to 599 and no body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Bytes::new() }
    }

    /// A plain text.
    #[must_use]
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status).field("Content-Type", "text/plain; charset=utf-8").body(text.into())
    }

    /// A page.
    #[must_use]
    pub fn html(status: u16, page: impl Into<String>) -> Self {
        Self::new(status).field("Content-Type", "text/html; charset=utf-8").body(page.into())
    }

    /// With a further field. `Connection` and `Content-Length` are added without your doing.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }
}
