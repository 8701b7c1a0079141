//! What the tests share: either end of a connection in memory, and the frames of its peer.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[cfg(feature = "deflate")]
pub(crate) mod counting;
#[cfg(feature = "deflate")]
pub(crate) mod deflate;
#[cfg(feature = "alloc")]
pub(crate) mod endpoint;
#[cfg(feature = "deflate")]
pub(crate) mod inflater;
#[cfg(feature = "alloc")]
pub(crate) mod pair;
#[cfg(feature = "deflate")]
pub(crate) mod pool;
pub(crate) mod reference;
pub(crate) mod streams;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    CloseCode, CloseStatus, Config, Connection, EitherRole, Event, MaskingKeySource, MessageType,
    ProtocolError, ReadyState, Timestamp, Transmit,
};

use reference::{Heard, Rules};

/// When every test's connection opens.
pub(crate) const T0: Timestamp = Timestamp::from_millis(1_000);

/// The key with which [`from_peer`] masks.
pub(crate) const PEER_KEY: [u8; 4] = [0xA5, 0x5A, 0x3C, 0xC3];

/// The masking key that changes nothing, so that masked frames can be read as they stand.
pub(crate) const ZERO_KEY: [u8; 4] = [0; 4];

/// Which end is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Server,
    Client,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::Server, Self::Client];

    pub(crate) const fn role(self) -> Side {
        match self {
            Self::Server => EitherRole::Server,
            Self::Client => EitherRole::Client(Keys(1)),
        }
    }

    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }

    /// The rules for the frames that this end sends.
    pub(crate) const fn sending_rules(self) -> Rules {
        Rules { masked: matches!(self, Self::Client), ..Rules::UNLIMITED }
    }

    /// The rules for the frames that this end receives.
    pub(crate) const fn receiving_rules(self, config: &Config) -> Rules {
        Rules {
            masked: matches!(self, Self::Server),
            max_frame: config.max_frame_length,
            max_message: config.max_message_length,
            max_empty: config.max_empty_fragments,
        }
    }
}

/// A role that is known only at run time.
pub(crate) type Side = EitherRole<Keys>;

/// A source of masking keys in which no two neighbours are equal, and every run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys(u32);

impl MaskingKeySource for Keys {
    fn next_masking_key(&mut self) -> [u8; 4] {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0.to_be_bytes()
    }
}

/// A connection that has just opened.
pub(crate) fn opened(end: End, config: &Config) -> Connection<Side> {
    let mut connection = Connection::new(end.role(), config, T0);
    connection.open(NegotiatedExtensions::default(), T0);
    connection
}

/// Frames written as a server sends them, turned into what the peer of `end` sends: masked if
/// `end` is the server.
pub(crate) fn from_peer(end: End, frames: &[u8]) -> Vec<u8> {
    match end {
        End::Server => masked(frames, PEER_KEY),
        End::Client => frames.to_vec(),
    }
}

/// Masks each of `frames`, whatever their headers say. The last one may be cut.
pub(crate) fn masked(mut frames: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let [first, second, rest @ ..] = frames {
        bytes.extend([*first, *second | 0x80]);
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((extension, rest)) = rest.split_at_checked(extended) else {
            bytes.extend_from_slice(rest);
            return bytes;
        };
        bytes.extend_from_slice(extension);
        bytes.extend(key);
        let declared = match extension.len() {
            0 => u64::from(second & 0x7F),
            _ => extension.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let length = usize::try_from(declared).unwrap_or(usize::MAX).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frames = rest;
    }
    bytes.extend_from_slice(frames);
    bytes
}

/// A frame as a server sends it: `first` is its first byte, the length takes its shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => bytes.push(short),
        (_, Ok(medium)) => {
            bytes.push(126);
            bytes.extend(medium.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Joins what a connection makes of its input, and carries out nothing but the noting of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) heard: Vec<Heard>,
    pub(crate) error: Option<ProtocolError>,
    pub(crate) transmitted: Vec<Transmit>,
    /// The pieces of the message that has not ended.
    pub(crate) unfinished: Vec<u8>,
}

impl Listener {
    /// Hands in `bytes` in one piece and drains the output after each event.
    pub(crate) fn feed(&mut self, connection: &mut Connection<Side>, bytes: &[u8], now: Timestamp) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        while !input.is_empty() {
            let length = input.len();
            match connection.receive(input, now) {
                Ok(received) => {
                    match received.event {
                        Some(event) => self.note(&event),
                        None => assert_eq!(received.consumed, length, "input was left over"),
                    }
                    assert!(received.consumed > 0, "no progress");
                    let consumed = received.consumed;
                    input = &mut input[consumed..];
                }
                Err(error) => {
                    assert_eq!(self.error.replace(error), None, "a second error");
                    self.unfinished.clear();
                    input = &mut [];
                }
            }
            self.drain(connection);
        }
    }

    pub(crate) fn drain(&mut self, connection: &mut Connection<Side>) {
        self.transmitted.extend(core::iter::from_fn(|| connection.poll_transmit()));
    }

    fn note(&mut self, event: &Event<'_>) {
        assert_eq!(self.error, None, "an event after an error");
        assert!(!matches!(self.heard.last(), Some(Heard::Close(..))), "an event after Close");
        match event {
            Event::Ping(payload) => self.heard.push(Heard::Ping(payload.to_vec())),
            Event::Pong(payload) => self.heard.push(Heard::Pong(payload.to_vec())),
            Event::Close(close) => {
                self.unfinished.clear();
                self.heard.push(Heard::close(close.status(), close.reason()));
            }
            Event::Data(chunk) => {
                assert_eq!(chunk.is_first(), self.unfinished.is_empty(), "first");
                assert!(chunk.is_last() || !chunk.payload().is_empty(), "an empty piece");
                assert!(!chunk.is_compressed());
                let whole_text = chunk.message_type() == MessageType::Text
                    && chunk.is_first()
                    && chunk.is_last();
                let text = whole_text.then(|| core::str::from_utf8(chunk.payload()).unwrap());
                assert_eq!(chunk.text(), text);
                self.unfinished.extend_from_slice(chunk.payload());
                if chunk.is_last() {
                    let payload = core::mem::take(&mut self.unfinished);
                    self.heard.push(Heard::message(chunk.message_type(), payload));
                }
            }
        }
    }
}

/// What `connection` makes of `bytes`, whole.
pub(crate) fn listen(connection: &mut Connection<Side>, bytes: &[u8]) -> Listener {
    let mut listener = Listener::default();
    listener.feed(connection, bytes, T0);
    listener
}

/// What `connection` makes of `bytes`, one by one.
pub(crate) fn listen_byte_by_byte(connection: &mut Connection<Side>, bytes: &[u8]) -> Listener {
    let mut listener = Listener::default();
    for byte in bytes {
        listener.feed(connection, &[*byte], T0);
    }
    listener
}

/// Something that a connection asked of its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Frame(Heard),
    ShutdownWrite,
    CloseTransport,
    AbortTransport,
}

/// What `end` asked for, its frames read by the reference decoder.
pub(crate) fn read_back(end: End, transmits: &[Transmit]) -> Vec<Sent> {
    let read = |transmit: &Transmit| match transmit {
        Transmit::Frame(frame) => {
            let verdict = reference::decode(frame.as_slice(), &end.sending_rules());
            assert_eq!((verdict.fault, verdict.at_rest), (None, true), "{frame:?}");
            let [heard] = &verdict.heard[..] else { panic!("not one frame: {frame:?}") };
            Sent::Frame(heard.clone())
        }
        Transmit::ShutdownWrite => Sent::ShutdownWrite,
        Transmit::CloseTransport => Sent::CloseTransport,
        Transmit::AbortTransport => Sent::AbortTransport,
    };
    transmits.iter().map(read).collect()
}

/// What `connection`, at `end`, asks for now.
pub(crate) fn drained(end: End, connection: &mut Connection<Side>) -> Vec<Sent> {
    let transmits: Vec<_> = core::iter::from_fn(|| connection.poll_transmit()).collect();
    read_back(end, &transmits)
}

/// A Close frame with a code and a reason.
pub(crate) fn close_sent(code: u16, reason: &str) -> Sent {
    Sent::Frame(Heard::Close(Some(code), reason.to_owned()))
}

/// A Close frame with an empty body.
pub(crate) fn empty_close_sent() -> Sent {
    Sent::Frame(Heard::Close(None, String::new()))
}

pub(crate) fn pong_sent(payload: &[u8]) -> Sent {
    Sent::Frame(Heard::Pong(payload.to_vec()))
}

pub(crate) fn code(code: u16) -> CloseCode {
    CloseCode::new(code).unwrap()
}

pub(crate) fn status(status: u16) -> CloseStatus {
    CloseStatus::Code(code(status))
}

/// Asserts that `end` hears `expected` in `frames` (written as a server sends them), whole and
/// byte by byte, and stays open.
pub(crate) fn assert_hears(end: End, config: &Config, frames: &[u8], expected: &[Heard]) {
    let bytes = from_peer(end, frames);
    for listen in [listen, listen_byte_by_byte] {
        let mut connection = opened(end, config);
        let listener = listen(&mut connection, &bytes);
        assert_eq!(listener.error, None, "{end:?} {frames:02x?}");
        assert_eq!(listener.heard, expected, "{end:?}");
        assert_eq!(connection.ready_state(), ReadyState::Open);
    }
}

/// Asserts that `end` fails the connection for `error` on `frames` (written as a server sends
/// them), whole and byte by byte, after hearing nothing.
pub(crate) fn assert_fails(
    end: End,
    config: &Config,
    frames: &[u8],
    error: ProtocolError,
    code: u16,
) {
    let connection = || opened(end, config);
    assert_fails_with(end, &connection, &from_peer(end, frames), error, code);
}

/// Asserts that `bytes` make a connection at `end` fail for `error` (RFC 6455 section 7.1.7):
/// Close with `code` and the end of its sending are queued, and later input is swallowed. It does
/// so whole and byte by byte, and no message comes out of `bytes`.
pub(crate) fn assert_fails_with(
    end: End,
    connection: &dyn Fn() -> Connection<Side>,
    bytes: &[u8],
    error: ProtocolError,
    code: u16,
) {
    for listen in [listen, listen_byte_by_byte] {
        let mut connection = connection();
        let listener = listen(&mut connection, bytes);
        assert_eq!(listener.error, Some(error), "{end:?} {bytes:02x?}");
        assert_eq!(listener.heard, [], "{end:?} {bytes:02x?}");
        assert_eq!(connection.ready_state(), ReadyState::Closing);
        assert_close_then_shutdown(end, &listener.transmitted, code);

        let good = from_peer(end, b"\x81\x02Hi\x89\x00");
        let later = listen_byte_by_byte(&mut connection, &good);
        assert_eq!(later, Listener::default(), "input after a fault is swallowed");
        connection.receive_eof(T0);
        assert_eq!(drained(end, &mut connection), [Sent::CloseTransport]);
        let outcome = connection.close_outcome().unwrap();
        assert_eq!(outcome.failure, Some(error));
        assert_eq!(outcome.sent.map(CloseStatus::to_u16), Some(code));
        assert!(!outcome.was_clean);
    }
}

fn assert_close_then_shutdown(end: End, transmitted: &[Transmit], code: u16) {
    match &read_back(end, transmitted)[..] {
        [Sent::Frame(Heard::Close(Some(sent), _)), Sent::ShutdownWrite] => assert_eq!(*sent, code),
        other => panic!("not Close({code}) and the end of sending: {other:?}"),
    }
}
