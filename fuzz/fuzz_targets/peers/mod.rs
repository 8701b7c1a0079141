//! What other implementations make of bytes after the opening handshake.

mod wire;

use futures_util::{FutureExt, StreamExt};

use crate::support::End;
use wire::Wire;

/// The most that a frame or a message may have, with everybody.
pub(crate) const LIMIT: usize = 65_536;

/// The other implementations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Tungstenite,
    Fastwebsockets,
    Soketto,
    TokioWebsockets,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] =
        [Self::Tungstenite, Self::Fastwebsockets, Self::Soketto, Self::TokioWebsockets];

    /// What it makes of `bytes`, which come to its `end`.
    pub(crate) fn read(self, end: End, bytes: &[u8]) -> Verdict {
        let wire = Wire::new(bytes);
        let mut heard = Vec::new();
        let end = match self {
            Self::Tungstenite => tungstenite(end, wire, &mut heard),
            Self::Fastwebsockets => fastwebsockets(end, wire, &mut heard),
            Self::Soketto => soketto(end, wire, &mut heard),
            Self::TokioWebsockets => tokio_websockets(end, wire, &mut heard),
        };
        Verdict { heard, error: end.err() }
    }
}

/// What was accepted, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Close,
}

/// What somebody makes of a stream.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) heard: Vec<Accepted>,
    /// What was wrong with it. That it ended is no error.
    pub(crate) error: Option<String>,
}

fn tungstenite(end: End, wire: Wire<'_>, heard: &mut Vec<Accepted>) -> Result<(), String> {
    use tungstenite::error::{Error, ProtocolError};
    use tungstenite::protocol::{Role, WebSocketConfig};
    use tungstenite::{Message, WebSocket};
    let role = match end {
        End::Server => Role::Server,
        End::Client => Role::Client,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT))
        .read_buffer_size(4096);
    let mut websocket = WebSocket::from_raw_socket(wire, role, Some(config));
    loop {
        match websocket.read() {
            Ok(Message::Text(text)) => heard.push(Accepted::Text(text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => heard.push(Accepted::Binary(bytes.to_vec())),
            Ok(Message::Close(_)) => {
                heard.push(Accepted::Close);
                return Ok(());
            }
            Ok(_) => {}
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_)) => {
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn fastwebsockets(end: End, wire: Wire<'_>, heard: &mut Vec<Accepted>) -> Result<(), String> {
    use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket, WebSocketError};
    let role = match end {
        End::Server => Role::Server,
        End::Client => Role::Client,
    };
    let mut websocket = WebSocket::after_handshake(wire, role);
    // It refuses what is as long as its limit.
    websocket.set_max_message_size(LIMIT + 1);
    let mut websocket = FragmentCollector::new(websocket);
    loop {
        match websocket.read_frame().now_or_never().expect("the wire is always ready") {
            Ok(frame) => match frame.opcode {
                OpCode::Text => heard.push(Accepted::Text(frame.payload.to_vec())),
                OpCode::Binary => heard.push(Accepted::Binary(frame.payload.to_vec())),
                OpCode::Close => {
                    heard.push(Accepted::Close);
                    return Ok(());
                }
                _ => {}
            },
            Err(WebSocketError::UnexpectedEOF | WebSocketError::IoError(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn soketto(end: End, wire: Wire<'_>, heard: &mut Vec<Accepted>) -> Result<(), String> {
    use soketto::connection::{Builder, Error, Mode};
    use soketto::{Data, Incoming};
    let mode = match end {
        End::Server => Mode::Server,
        End::Client => Mode::Client,
    };
    let closed = wire.closed();
    let mut builder = Builder::new(wire, mode);
    builder.set_max_message_size(LIMIT);
    builder.set_max_frame_size(LIMIT);
    let (_sender, mut receiver) = builder.finish();
    loop {
        let mut message = Vec::new();
        let received = receiver.receive(&mut message).now_or_never();
        let text = match received.expect("the wire is always ready") {
            Ok(Incoming::Data(Data::Text(_))) => true,
            Ok(Incoming::Data(Data::Binary(_))) => false,
            Ok(Incoming::Pong(_)) => continue,
            Ok(Incoming::Closed(_)) => {
                heard.push(Accepted::Close);
                return Ok(());
            }
            // So it tells of an empty Close frame, which it has answered then, and of the end.
            Err(Error::Io(_) | Error::Closed) => {
                heard.extend(closed.get().then_some(Accepted::Close));
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        heard.push(if text { Accepted::Text(message) } else { Accepted::Binary(message) });
    }
}

fn tokio_websockets(end: End, wire: Wire<'_>, heard: &mut Vec<Accepted>) -> Result<(), String> {
    use tokio_websockets::{ClientBuilder, Error, Limits, ServerBuilder};
    let limits = Limits::default().max_payload_len(Some(LIMIT));
    let mut websocket = match end {
        End::Server => ServerBuilder::new().limits(limits).serve(wire),
        End::Client => ClientBuilder::new().limits(limits).take_over(wire),
    };
    loop {
        match websocket.next().now_or_never().expect("the wire is always ready") {
            None | Some(Err(Error::Io(_))) => return Ok(()),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(message)) => {
                let payload = message.as_payload().to_vec();
                if message.is_text() {
                    heard.push(Accepted::Text(payload));
                } else if message.is_binary() {
                    heard.push(Accepted::Binary(payload));
                } else if message.is_close() {
                    heard.push(Accepted::Close);
                    return Ok(());
                }
            }
        }
    }
}
