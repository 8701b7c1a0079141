//! A server's opening handshake over an owned buffer.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::BytesMut;

use crate::handshake::{
    AcceptError, Acceptance, ExtensionConfig, HandshakeError, HeadLimits, NegotiatedExtensions,
    Request, Response, ServerHandshake, WriteError,
};
use crate::opening::decision::{Accept, Decision, HttpResponse};
use crate::opening::lend;

/// The room that is made for each read of a request.
const ROOM: usize = 2048;

/// Reads a request and writes the answer. An adapter appends to [`read_room`](Self::read_room)
/// until [`poll`](Self::poll) finds the request whole, and then [`decide`](Self::decide)s.
#[derive(Debug)]
pub struct ServerOpening {
    handshake: ServerHandshake,
    received: BytesMut,
    head_length: usize,
    extensions: ExtensionConfig,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It is a WebSocket now.
    Accepted(Accepted),
    /// It was answered with HTTP.
    Refused(Refused),
}

/// An accepted request.
#[derive(Debug)]
pub struct Accepted {
    /// The 101, to be written.
    pub response: Vec<u8>,
    /// The bytes that came behind the request: frames.
    pub leftover: BytesMut,
    /// The subprotocol chosen.
    pub subprotocol: Option<String>,
    /// The extensions agreed on.
    pub extensions: NegotiatedExtensions,
}

/// A refused request. Write the response, end the sending direction, read on without looking until
/// the client has ended its own (within a bound), and close: so that the client can read it.
#[derive(Debug)]
pub struct Refused {
    /// The response, to be written.
    pub response: Vec<u8>,
    /// Why: [`HandshakeError::Rejected`] if the application answered.
    pub error: HandshakeError,
}

impl ServerOpening {
    /// A handshake at its start.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            handshake: ServerHandshake::new(limits),
            received: BytesMut::new(),
            head_length: 0,
            extensions: ExtensionConfig::default(),
        }
    }

    /// Sets the extensions that are accepted if a client offers them; by default none.
    #[must_use]
    pub const fn extensions(mut self, extensions: ExtensionConfig) -> Self {
        self.extensions = extensions;
        self
    }

    /// The buffer to read into: append to it, and do nothing else with it.
    pub fn read_room(&mut self) -> &mut BytesMut {
        self.received.reserve(ROOM);
        &mut self.received
    }

    /// Whether the request is whole.
    ///
    /// # Errors
    ///
    /// What is wrong with it as HTTP; [`refuse`](Self::refuse) it.
    pub fn poll(&mut self) -> Result<bool, HandshakeError> {
        if self.head_length == 0
            && let Some(request) = self.handshake.receive(&self.received)?
        {
            self.head_length = request.head_length();
        }
        Ok(self.head_length > 0)
    }

    /// The request, once it is whole.
    #[must_use]
    pub fn request(&self) -> Option<Request<'_>> {
        let head = self.received.get(..self.head_length).filter(|head| !head.is_empty())?;
        Request::parse(head).ok()
    }

    /// Refuses the request, such as with [`HandshakeError::TimedOut`].
    #[must_use]
    pub fn refuse(&self, error: HandshakeError) -> Refused {
        let head_only = self.is_head();
        Refused { response: written(&error.response(), head_only).unwrap_or_default(), error }
    }

    /// Lets the application decide. It is not asked about a request that wants a WebSocket and is
    /// no valid upgrade; nor about one that is not whole.
    pub fn decide(self, application: impl FnOnce(&Request<'_>) -> Decision) -> Outcome {
        let Some(request) = self.request() else {
            return Outcome::Refused(self.refuse(HandshakeError::Malformed));
        };
        let decision = match request.upgrade() {
            Err(error) if request.wants_upgrade() => {
                return Outcome::Refused(self.refuse(error));
            }
            _ => application(&request),
        };
        match decision {
            Decision::Accept(accept) => self.accept(accept),
            Decision::Respond(response) => Outcome::Refused(self.respond(&response)),
            Decision::Refuse(error) => Outcome::Refused(self.refuse(error)),
        }
    }

    /// Accepts the request, or refuses it with the status that says why it cannot be.
    #[must_use]
    pub fn accept(mut self, accept: Accept) -> Outcome {
        let Some(request) = self.request() else {
            return Outcome::Refused(self.refuse(HandshakeError::Malformed));
        };
        // What is no upgrade is refused as that, whatever else is wrong with it.
        if let Err(error) = request.upgrade() {
            return Outcome::Refused(self.refuse(error));
        }
        let extensions = match request.negotiate(self.extensions) {
            Ok(extensions) => extensions,
            Err(error) => return Outcome::Refused(self.refuse(error)),
        };
        let fields = lend(&accept.fields);
        let acceptance = Acceptance { subprotocol: accept.subprotocol.as_deref(), fields: &fields };
        let response =
            into_vec(|out| match ServerHandshake::accept(&request, &acceptance, extensions, out) {
                Err(AcceptError::Write(WriteError::BufferTooSmall(error))) => Ok(Err(error.needed)),
                Err(error) => Err(error),
                Ok(length) => Ok(Ok(length)),
            });
        match response {
            Ok(response) => {
                let leftover = self.received.split_off(self.head_length);
                let subprotocol = accept.subprotocol;
                Outcome::Accepted(Accepted { response, leftover, subprotocol, extensions })
            }
            Err(AcceptError::Request(error)) => Outcome::Refused(self.refuse(error)),
            Err(AcceptError::Write(_)) => {
                Outcome::Refused(self.refuse(HandshakeError::InvalidAcceptance))
            }
        }
    }

    /// Answers with HTTP. A response that cannot be written, such as one with a line break in a
    /// field, becomes a 500.
    #[must_use]
    pub fn respond(&self, response: &HttpResponse) -> Refused {
        let head_only = self.is_head();
        let fields = lend(&response.fields);
        match written(&Response::new(response.status, &fields, &response.body), head_only) {
            Ok(written) => {
                Refused { response: written, error: HandshakeError::Rejected(response.status) }
            }
            Err(_) => self.refuse(HandshakeError::InvalidAcceptance),
        }
    }

    /// Whether the request, whole and well-formed or not, is one for a head only.
    fn is_head(&self) -> bool {
        self.received.starts_with(b"HEAD ")
    }
}

fn written(response: &Response<'_>, head_only: bool) -> Result<Vec<u8>, WriteError> {
    into_vec(|out| match response.write(out, head_only) {
        Err(WriteError::BufferTooSmall(error)) => Ok(Err(error.needed)),
        Err(error) => Err(error),
        Ok(length) => Ok(Ok(length)),
    })
}

/// Runs `write` on a buffer of the size that it turns out to need.
pub(super) fn into_vec<E>(
    mut write: impl FnMut(&mut [u8]) -> Result<Result<usize, usize>, E>,
) -> Result<Vec<u8>, E> {
    let mut out = alloc::vec![0; 256];
    loop {
        match write(&mut out)? {
            Ok(length) => {
                out.truncate(length);
                return Ok(out);
            }
            Err(needed) => out.resize(needed, 0),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}
