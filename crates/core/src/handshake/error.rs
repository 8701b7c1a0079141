//! Why a handshake is refused: by a server, with an HTTP status, or by a client.

use core::fmt;

use crate::handshake::Field;
use crate::handshake::response::Response;

/// What is wrong with the peer's side of the opening handshake, or which policy refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The head is no HTTP: a bad line, a bare LF, a folded line, a space before a colon, a target
    /// that is neither a path nor a URL.
    Malformed,
    /// The request line is over its limit.
    RequestLineTooLong,
    /// A field's line is over its limit.
    FieldTooLong,
    /// There are more fields than the limit.
    TooManyFields,
    /// The head is over its limit.
    HeadTooLarge,
    /// The request has no Host, more than one, or one that names no host.
    HostNotSingle,
    /// The request announces a body.
    RequestHasBody,
    /// The request came in too slowly.
    TimedOut,
    /// HTTP/1.0, or a version that is not known.
    UnsupportedHttpVersion,
    /// A method other than GET.
    MethodNotGet,
    /// `Upgrade` does not list `websocket`.
    NotAnUpgrade,
    /// `Connection` does not list `Upgrade`.
    ConnectionNotUpgrade,
    /// `Sec-WebSocket-Version` is missing, repeated, or not a number.
    MalformedVersion,
    /// `Sec-WebSocket-Version` is not 13.
    UnsupportedVersion,
    /// `Sec-WebSocket-Key` is missing, repeated, or not base64 of 16 bytes.
    InvalidKey,
    /// `Sec-WebSocket-Protocol` holds what is no token.
    MalformedSubprotocol,
    /// `Sec-WebSocket-Extensions` does not follow its grammar.
    MalformedExtensions,
    /// The Origin is not allowed.
    ForbiddenOrigin,
    /// The application answered with this status instead of accepting.
    Rejected(u16),
    /// The application accepted in a way that cannot be carried out, such as with a subprotocol
    /// that was not offered.
    InvalidAcceptance,

    /// A client's view: the status is not 101.
    UnexpectedStatus(u16),
    /// A client's view: `Upgrade` does not list `websocket`.
    UpgradeMissing,
    /// A client's view: `Connection` does not list `Upgrade`.
    ConnectionMissing,
    /// A client's view: `Sec-WebSocket-Accept` is missing, repeated, or not the key's.
    WrongAccept,
    /// A client's view: an extension that was not offered.
    UnofferedExtension,
    /// A client's view: an extension that was offered, but not with these parameters, or not twice.
    UnacceptableExtension,
    /// A client's view: a subprotocol that was not offered.
    UnofferedSubprotocol,
    /// A client's view: more than one subprotocol.
    SeveralSubprotocols,
    /// A client's view: no subprotocol, and one was required.
    SubprotocolMissing,
    /// A client's view: TCP ended before the response did.
    EndedEarly,
}

impl HandshakeError {
    /// The HTTP status of the refusal. For a client's errors, what a gateway would say: 502.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed
            | Self::HostNotSingle
            | Self::RequestHasBody
            | Self::ConnectionNotUpgrade
            | Self::MalformedVersion
            | Self::InvalidKey
            | Self::MalformedSubprotocol
            | Self::MalformedExtensions => 400,
            Self::ForbiddenOrigin => 403,
            Self::MethodNotGet => 405,
            Self::TimedOut => 408,
            Self::RequestLineTooLong => 414,
            Self::NotAnUpgrade | Self::UnsupportedVersion => 426,
            Self::FieldTooLong | Self::TooManyFields | Self::HeadTooLarge => 431,
            Self::Rejected(status) => status,
            Self::InvalidAcceptance => 500,
            Self::UnexpectedStatus(_)
            | Self::UpgradeMissing
            | Self::ConnectionMissing
            | Self::WrongAccept
            | Self::UnofferedExtension
            | Self::UnacceptableExtension
            | Self::UnofferedSubprotocol
            | Self::SeveralSubprotocols
            | Self::SubprotocolMissing
            | Self::EndedEarly => 502,
            Self::UnsupportedHttpVersion => 505,
        }
    }

    /// The refusal that a server writes.
    #[must_use]
    pub const fn response(self) -> Response<'static> {
        const TEXT: Field<'static> = Field::new("Content-Type", "text/plain; charset=utf-8");
        const PLAIN: &[Field<'static>] = &[TEXT];
        // A 405 says which methods are allowed (RFC 9110 section 15.5.6).
        const WITH_ALLOW: &[Field<'static>] = &[Field::new("Allow", "GET"), TEXT];
        let own = if matches!(self, Self::MethodNotGet) { WITH_ALLOW } else { PLAIN };
        Response::refusal(self.status(), own, self.text())
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed HTTP head",
            Self::RequestLineTooLong => "request line too long",
            Self::FieldTooLong => "header field too long",
            Self::TooManyFields => "too many header fields",
            Self::HeadTooLarge => "HTTP head too large",
            Self::HostNotSingle => "exactly one Host is required",
            Self::RequestHasBody => "a request with a body is not accepted",
            Self::TimedOut => "the request took too long",
            Self::UnsupportedHttpVersion => "HTTP/1.1 is required",
            Self::MethodNotGet => "the method must be GET",
            Self::NotAnUpgrade => "this is a WebSocket endpoint: upgrade to websocket",
            Self::ConnectionNotUpgrade => "Connection must list Upgrade",
            Self::MalformedVersion => "exactly one Sec-WebSocket-Version is required",
            Self::UnsupportedVersion => "the WebSocket version must be 13",
            Self::InvalidKey => "exactly one Sec-WebSocket-Key, base64 of 16 bytes, is required",
            Self::MalformedSubprotocol => "a subprotocol is not a token",
            Self::MalformedExtensions => "malformed Sec-WebSocket-Extensions",
            Self::ForbiddenOrigin => "the Origin is not allowed",
            Self::Rejected(_) => "rejected by the application",
            Self::InvalidAcceptance => "the application's answer cannot be carried out",
            Self::UnexpectedStatus(_) => "the server did not switch protocols",
            Self::UpgradeMissing => "the server's Upgrade does not list websocket",
            Self::ConnectionMissing => "the server's Connection does not list Upgrade",
            Self::WrongAccept => "the server's Sec-WebSocket-Accept does not fit the key",
            Self::UnofferedExtension => "the server chose an extension that was not offered",
            Self::UnacceptableExtension => "the server's extension does not fit what was offered",
            Self::UnofferedSubprotocol => "the server chose a subprotocol that was not offered",
            Self::SeveralSubprotocols => "the server chose several subprotocols",
            Self::SubprotocolMissing => "the server chose no subprotocol",
            Self::EndedEarly => "the connection ended inside the handshake",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(status) => write!(f, "{} with status {status}", self.text()),
            Self::UnexpectedStatus(status) => {
                write!(f, "{}: status {status} instead of 101", self.text())
            }
            _ => f.write_str(self.text()),
        }
    }
}

impl core::error::Error for HandshakeError {}
