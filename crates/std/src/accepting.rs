//! A server's side: from a stream to a WebSocket, or to an HTTP answer.

use std::fmt;

use bytes::BytesMut;
use duologue_adapter::handshake::{HandshakeError, Request};
use duologue_adapter::opening::{Accept, Accepted, Decision, Outcome, Refused, ServerOpening};
use duologue_adapter::{Clock, Error, Role, ServerOptions, Timestamp};

use crate::driver::would_block;
use crate::outgoing::Outgoing;
use crate::transport::Transport;
use crate::websocket::WebSocket;
use crate::wire::{Progress, Wire};

/// The most bytes that are read and thrown away after a refusal.
const MOST_DRAINED: usize = 256 * 1024;

/// Accepts whatever request is a valid upgrade, with the default options and no subprotocol.
///
/// # Errors
///
/// As [`accept_with`].
pub fn accept<S: Transport>(stream: S) -> Result<WebSocket<S>, Error> {
    accept_with(stream, &ServerOptions::new(), |_| Accept::new().into())
}

/// Reads a request and lets the application decide: accept it, or answer with any HTTP response.
///
/// A request that wants a WebSocket and is no valid upgrade is refused without asking. One that
/// wants none, such as for a page, is the application's to answer; if it accepts that, the refusal
/// is 426.
///
/// A refusal is one response with `Connection: close`; then the sending direction is ended, and
/// input is thrown away until the client has ended its own, for [`Config::closing_timeout`] and 256
/// KiB at most: so that the client can read it.
///
/// ```
/// use duologue_std::{Accept, HttpResponse, Request, ServerOptions, accept_with};
///
/// # fn serve(stream: std::net::TcpStream) -> Result<(), duologue_std::Error> {
/// let mut websocket = accept_with(stream, &ServerOptions::new(), |request: &Request<'_>| {
///     match (request.path(), request.wants_upgrade()) {
///         ("/chat", true) => {
///             Accept::new().subprotocol(request.choose_subprotocol(&["chat"])).into()
///         }
///         ("/", false) => HttpResponse::html(200, "<h1>Hello</h1>").into(),
///         _ => HttpResponse::text(404, "not found").into(),
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// [`Config::closing_timeout`]: crate::Config::closing_timeout
///
/// # Errors
///
/// [`Error::Handshake`] if the request was answered with HTTP: with
/// [`TimedOut`](HandshakeError::TimedOut) after a 408, for a request that was not whole in time;
/// [`Error::OpeningTimeout`] if the client did not take the 101 in time; [`Error::ConnectionLost`]
/// if it went away inside its request; [`Error::Io`]. On a non-blocking transport use
/// [`Accepting`]: here `WouldBlock` ends the connection.
pub fn accept_with<S: Transport>(
    stream: S,
    options: &ServerOptions,
    decide: impl FnOnce(&Request<'_>) -> Decision,
) -> Result<WebSocket<S>, Error> {
    Accepting::new(stream, options, decide).advance()?.ok_or_else(would_block)
}

/// An opening handshake that can be gone on with, for a non-blocking transport.
pub struct Accepting<S, F> {
    /// `None` once the handshake is over.
    wire: Option<Wire<S>>,
    options: ServerOptions,
    /// `None` once it has been asked.
    decide: Option<F>,
    stage: Stage,
    deadline: Timestamp,
}

enum Stage {
    Reading(ServerOpening),
    /// Writing the 101.
    Accepting(Outgoing, Accepted),
    /// Writing the refusal.
    Refusing(Outgoing, Error),
    /// Throwing input away; there may be `usize` bytes more of it.
    Draining(usize, Error),
    Over,
}

impl<S, F> Accepting<S, F>
where
    S: Transport,
    F: FnOnce(&Request<'_>) -> Decision,
{
    /// A handshake at its start; its deadline runs from now. `decide` is as for [`accept_with`].
    pub fn new(mut stream: S, options: &ServerOptions, decide: F) -> Self {
        // That it cannot be set is no reason to refuse a client.
        let _ = stream.set_nodelay(options.tcp_nodelay());
        let wire = Wire::new(stream, Clock::new());
        Self {
            deadline: wire.clock.now() + options.config().opening_timeout,
            wire: Some(wire),
            options: *options,
            decide: Some(decide),
            stage: Stage::Reading(options.opening()),
        }
    }

    /// Goes as far as the transport lets it. `None` if that would block: call again when it is
    /// ready, or when [`Config::opening_timeout`](crate::Config::opening_timeout) has passed.
    ///
    /// # Errors
    ///
    /// As [`accept_with`]. After an error, or a result, there is nothing more to be had:
    /// [`Error::ConnectionLost`].
    pub fn advance(&mut self) -> Result<Option<WebSocket<S>>, Error> {
        let Some(mut wire) = self.wire.take() else {
            return Err(Error::ConnectionLost);
        };
        loop {
            let stage = std::mem::replace(&mut self.stage, Stage::Over);
            let progress = match stage {
                Stage::Over => return Err(Error::ConnectionLost),
                Stage::Reading(opening) => self.read(&mut wire, opening)?,
                Stage::Accepting(outgoing, accepted) if outgoing.is_done() => {
                    return Ok(Some(self.open(wire, accepted)));
                }
                Stage::Accepting(outgoing, accepted) => {
                    self.accept(&mut wire, outgoing, accepted)?
                }
                Stage::Refusing(outgoing, error) => self.refuse(&mut wire, outgoing, error)?,
                Stage::Draining(left, error) => self.drain(&mut wire, left, error)?,
            };
            if progress == Progress::WouldBlock {
                self.wire = Some(wire);
                return Ok(None);
            }
        }
    }

    /// The transport; `None` once the handshake is over.
    #[must_use]
    pub fn get_ref(&self) -> Option<&S> {
        self.wire.as_ref().map(|wire| &wire.stream)
    }

    fn read(&mut self, wire: &mut Wire<S>, mut opening: ServerOpening) -> Result<Progress, Error> {
        if wire.clock.now() >= self.deadline {
            let refused = opening.refuse(HandshakeError::TimedOut);
            return Ok(self.begin_refusal(wire, refused));
        }
        let progress = wire.read(opening.read_room(), Some(self.deadline))?;
        match progress {
            Progress::Bytes(0) => return Err(Error::ConnectionLost),
            Progress::WouldBlock | Progress::TimedOut => {
                self.stage = Stage::Reading(opening);
                return Ok(progress);
            }
            Progress::Bytes(_) => {}
        }
        match opening.poll() {
            Ok(false) => {
                self.stage = Stage::Reading(opening);
                Ok(progress)
            }
            Ok(true) => match self.decide.take() {
                Some(decide) => match opening.decide(decide) {
                    Outcome::Accepted(mut accepted) => {
                        let response = std::mem::take(&mut accepted.response);
                        self.stage = Stage::Accepting(Outgoing::new(response), accepted);
                        Ok(progress)
                    }
                    Outcome::Refused(refused) => Ok(self.begin_refusal(wire, refused)),
                },
                None => Err(Error::ConnectionLost),
            },
            Err(error) => Ok(self.begin_refusal(wire, opening.refuse(error))),
        }
    }

    fn accept(
        &mut self,
        wire: &mut Wire<S>,
        mut outgoing: Outgoing,
        accepted: Accepted,
    ) -> Result<Progress, Error> {
        let progress = outgoing.advance(wire, self.deadline)?;
        if progress == Progress::TimedOut {
            return Err(Error::OpeningTimeout);
        }
        self.stage = Stage::Accepting(outgoing, accepted);
        Ok(progress)
    }

    fn open(&self, wire: Wire<S>, accepted: Accepted) -> WebSocket<S> {
        WebSocket::open(
            wire,
            Role::Server,
            self.options.config(),
            accepted.extensions,
            accepted.leftover,
            accepted.subprotocol,
        )
    }

    fn begin_refusal(&mut self, wire: &Wire<S>, refused: Refused) -> Progress {
        self.deadline = wire.clock.now() + self.options.config().closing_timeout;
        let error = Error::Handshake(refused.error);
        self.stage = Stage::Refusing(Outgoing::new(refused.response), error);
        Progress::Bytes(0)
    }

    fn refuse(
        &mut self,
        wire: &mut Wire<S>,
        mut outgoing: Outgoing,
        error: Error,
    ) -> Result<Progress, Error> {
        let progress = outgoing.advance(wire, self.deadline)?;
        if progress == Progress::TimedOut {
            return Err(error);
        }
        if !outgoing.is_done() {
            self.stage = Stage::Refusing(outgoing, error);
            return Ok(progress);
        }
        let progress = wire.shutdown_write();
        self.stage = match progress {
            Progress::WouldBlock => Stage::Refusing(outgoing, error),
            _ => Stage::Draining(MOST_DRAINED, error),
        };
        Ok(progress)
    }

    /// Closing at once could reset the connection before the client has read the response.
    fn drain(&mut self, wire: &mut Wire<S>, left: usize, error: Error) -> Result<Progress, Error> {
        if wire.clock.now() >= self.deadline {
            return Err(error);
        }
        let mut sink = BytesMut::with_capacity(left.min(4096));
        match wire.read(&mut sink, Some(self.deadline)) {
            Ok(Progress::Bytes(count)) if 0 < count && count < left => {
                self.stage = Stage::Draining(left.saturating_sub(count), error);
                Ok(Progress::Bytes(count))
            }
            Ok(Progress::Bytes(_)) | Err(_) => Err(error),
            Ok(progress) => {
                self.stage = Stage::Draining(left, error);
                Ok(progress)
            }
        }
    }
}

impl<S, F> fmt::Debug for Accepting<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Reading(_) => "reading the request",
            Stage::Accepting(..) => "writing the 101",
            Stage::Refusing(..) | Stage::Draining(..) => "refusing",
            Stage::Over => "over",
        };
        f.debug_struct("Accepting").field("stage", &stage).finish_non_exhaustive()
    }
}
