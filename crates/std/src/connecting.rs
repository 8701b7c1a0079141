//! A client's side: from a URL or a stream to a WebSocket.

use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use duologue_adapter::opening::{ClientOpening, Opened};
use duologue_adapter::{ClientOptions, Clock, Config, Error, OsKeys, RefusalBody, Role, Timestamp};

use crate::driver::would_block;
use crate::outgoing::Outgoing;
use crate::stream::{ClientStream, Stream};
use crate::transport::Transport;
use crate::websocket::WebSocket;
use crate::wire::{Progress, Wire};

/// Connects to a `ws://` or `wss://` URL, with the default options.
///
/// # Errors
///
/// As [`connect_with`].
pub fn connect(url: &str) -> Result<WebSocket<ClientStream>, Error> {
    connect_with(&ClientOptions::new(url)?)
}

/// Connects over TCP, with TLS if the URL is a `wss://` one. [`Config::opening_timeout`] bounds
/// TCP, TLS and the opening handshake together; only the look-up of the name takes what time the
/// operating system gives it.
///
/// # Errors
///
/// [`Error::Tls`]; [`Error::TlsUnavailable`] for a `wss://` URL without the feature `rustls`: make
/// the TLS connection first, and use [`client`]; [`Error::InvalidRequest`]; [`Error::Io`];
/// [`Error::OpeningTimeout`]; [`Error::Opening`] if the server does not answer with a valid 101,
/// which holds its response, with up to 4 KiB of the body as far as they come in time.
pub fn connect_with(options: &ClientOptions) -> Result<WebSocket<ClientStream>, Error> {
    let opening = options.opening()?;
    let clock = Clock::new();
    let (stream, deadline) = connect_stream_by(options, clock)?;
    Connecting::begin(stream, options, opening, clock, deadline).advance()?.ok_or_else(would_block)
}

/// A stream to the server of `options`, within its opening timeout.
pub(crate) fn connect_stream(options: &ClientOptions) -> Result<ClientStream, Error> {
    connect_stream_by(options, Clock::new()).map(|(stream, _)| stream)
}

/// As [`connect_stream`], with the end of the opening timeout, which begins when the name is
/// looked up.
fn connect_stream_by(
    options: &ClientOptions,
    clock: Clock,
) -> Result<(ClientStream, Timestamp), Error> {
    let address = options.address();
    if address.secure && !cfg!(feature = "rustls") {
        return Err(Error::TlsUnavailable);
    }
    let addresses: Vec<SocketAddr> =
        (address.host.as_str(), address.port).to_socket_addrs()?.collect();
    let deadline = clock.now() + options.config().opening_timeout;
    let tcp = connect_tcp(&addresses, clock, deadline)?;
    // That it cannot be set is no reason not to connect.
    let _ = tcp.set_nodelay(options.tcp_nodelay());
    Ok((ClientStream { inner: secured(tcp, options, clock, deadline)? }, deadline))
}

/// With TLS, if that is asked for.
#[cfg(feature = "rustls")]
fn secured(
    tcp: TcpStream,
    options: &ClientOptions,
    clock: Clock,
    deadline: Timestamp,
) -> Result<Stream, Error> {
    if options.address().secure {
        crate::tls::connect(tcp, options, clock, deadline)
    } else {
        Ok(Stream::Tcp(tcp))
    }
}

/// Without the feature there is no TLS.
#[cfg(not(feature = "rustls"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
fn secured(
    tcp: TcpStream,
    _options: &ClientOptions,
    _clock: Clock,
    _deadline: Timestamp,
) -> Result<Stream, Error> {
    Ok(Stream::Tcp(tcp))
}

/// Tries the addresses in turn; each may take its share of the time that is left.
fn connect_tcp(
    addresses: &[SocketAddr],
    clock: Clock,
    deadline: Timestamp,
) -> Result<TcpStream, Error> {
    let mut failure = Error::Io(std::io::ErrorKind::AddrNotAvailable.into());
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len().saturating_sub(index)).unwrap_or(u32::MAX);
        let patience = deadline.saturating_since(clock.now()) / left.max(1);
        if patience.is_zero() {
            return Err(Error::OpeningTimeout);
        }
        match TcpStream::connect_timeout(address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Error::Io(error),
        }
    }
    Err(if clock.now() >= deadline { Error::OpeningTimeout } else { failure })
}

/// Makes a WebSocket of a stream to the server of the options' URL: for TLS, a proxy, or any other
/// transport.
///
/// # Errors
///
/// As [`connect_with`]. On a non-blocking transport use [`Connecting`]: here `WouldBlock` ends the
/// connection.
pub fn client<S: Transport>(stream: S, options: &ClientOptions) -> Result<WebSocket<S>, Error> {
    Connecting::new(stream, options)?.advance()?.ok_or_else(would_block)
}

/// An opening handshake that can be gone on with, for a non-blocking transport.
pub struct Connecting<S> {
    /// `None` once the handshake is over.
    wire: Option<Wire<S>>,
    opening: ClientOpening,
    request: Outgoing,
    /// The server has refused, and may not have said all of it yet.
    refusal: Option<RefusalBody>,
    config: Config,
    deadline: Timestamp,
}

impl<S: Transport> Connecting<S> {
    /// A handshake at its start; its deadline runs from now.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`].
    pub fn new(stream: S, options: &ClientOptions) -> Result<Self, Error> {
        let clock = Clock::new();
        let deadline = clock.now() + options.config().opening_timeout;
        Ok(Self::begin(stream, options, options.opening()?, clock, deadline))
    }

    fn begin(
        mut stream: S,
        options: &ClientOptions,
        opening: ClientOpening,
        clock: Clock,
        deadline: Timestamp,
    ) -> Self {
        // That it cannot be set is no reason not to connect.
        let _ = stream.set_nodelay(options.tcp_nodelay());
        Self {
            wire: Some(Wire::new(stream, clock)),
            request: Outgoing::new(opening.request_bytes().to_vec()),
            opening,
            refusal: None,
            config: *options.config(),
            deadline,
        }
    }

    /// Goes as far as the transport lets it. `None` if that would block: call again when it is
    /// ready, or when [`Config::opening_timeout`] has passed.
    ///
    /// # Errors
    ///
    /// As [`connect_with`]. After an error, or a result, there is nothing more to be had:
    /// [`Error::ConnectionLost`].
    pub fn advance(&mut self) -> Result<Option<WebSocket<S>>, Error> {
        let Some(mut wire) = self.wire.take() else {
            return Err(Error::ConnectionLost);
        };
        loop {
            let progress = if let Some(refusal) = self.refusal.take() {
                self.read_refusal(&mut wire, refusal)?
            } else if self.request.is_done() {
                let progress = wire.read(self.opening.read_room(), Some(self.deadline))?;
                match progress {
                    Progress::Bytes(0) => return Err(ClientOptions::ended_early()),
                    Progress::Bytes(_) => match self.opening.poll() {
                        Ok(None) => {}
                        Ok(Some(opened)) => return Ok(Some(self.open(wire, opened))),
                        Err(failure) => {
                            self.refusal = Some(RefusalBody::new(failure));
                            let patience = wire.clock.now() + RefusalBody::PATIENCE;
                            self.deadline = self.deadline.min(patience);
                        }
                    },
                    Progress::TimedOut | Progress::WouldBlock => {}
                }
                progress
            } else {
                self.request.advance(&mut wire, self.deadline)?
            };
            if self.refusal.is_none() && wire.clock.now() >= self.deadline {
                return Err(Error::OpeningTimeout);
            }
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

    /// Reads on in the body of a refusal. Whatever ends that, the error is the refusal.
    fn read_refusal(
        &mut self,
        wire: &mut Wire<S>,
        mut refusal: RefusalBody,
    ) -> Result<Progress, Error> {
        if refusal.poll() || wire.clock.now() >= self.deadline {
            return Err(refusal.into_error());
        }
        match wire.read(refusal.read_room(), Some(self.deadline)) {
            Ok(Progress::Bytes(0)) | Err(_) => Err(refusal.into_error()),
            Ok(progress) => {
                self.refusal = Some(refusal);
                Ok(progress)
            }
        }
    }

    fn open(&self, wire: Wire<S>, opened: Opened) -> WebSocket<S> {
        WebSocket::open(
            wire,
            Role::Client(OsKeys),
            &self.config,
            opened.extensions,
            opened.leftover,
            opened.subprotocol,
        )
    }
}

impl<S> fmt::Debug for Connecting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("opening", &self.opening)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
