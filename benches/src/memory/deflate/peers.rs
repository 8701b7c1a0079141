//! Peers. Their transports never wait, so that each of their futures is ready at once.

use bytes::Bytes;
use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::runtime::Handle;

use super::wire::{End, Setting, WtxEnd};
use super::{Ends, LEVEL, Turns};

/// More than every message, and every stream of them, has.
const LIMIT: usize = 256 << 20;

fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a message is missing")
}

/// Those who are a `Sink` and a `Stream` of messages.
struct Streams<W, F, I> {
    ends: Vec<(W, End)>,
    message: fn(Bytes) -> F,
    payload: fn(&I) -> &[u8],
    /// Some set timers of their own, and need a runtime for that.
    handle: Handle,
}

impl<W, F, I> Ends for Streams<W, F, I>
where
    W: Sink<F> + Stream<Item = I> + Unpin,
    W::Error: core::fmt::Debug,
{
    fn send(&mut self, turns: Turns<'_, '_>) {
        let _guard = self.handle.enter();
        for (index, message) in turns {
            let (websocket, end) = &mut self.ends[index];
            at_once(websocket.send((self.message)(message.clone()))).unwrap();
            end.outgoing.borrow_mut().cut();
        }
    }

    fn receive(&mut self, turns: Turns<'_, '_>) {
        let _guard = self.handle.enter();
        for (index, message) in turns {
            let received = at_once(self.ends[index].0.next()).unwrap();
            assert!((self.payload)(&received) == message, "another message was sent");
        }
    }
}

/// Servers and clients of `setting`, made by `make`.
fn ends<W>(setting: &Setting, mut make: impl FnMut(End, bool) -> W) -> Vec<(W, End)> {
    let _guard = setting.runtime.enter();
    let ends = setting.ends.iter().enumerate();
    ends.map(|(index, end)| (make(end.clone(), index.is_multiple_of(2)), end.clone())).collect()
}

pub(super) fn yawc(setting: &Setting) -> Box<dyn Ends> {
    use yawc::{CompressionLevel, DeflatePool, Frame, Options, Role, WebSocket};
    let mut options = Options::default()
        .with_utf8()
        .with_limits(LIMIT, LIMIT)
        .with_compression_level(CompressionLevel::new(LEVEL.into()));
    let mut agreed = "permessage-deflate";
    if !setting.takes_over {
        let pool = DeflatePool::new(8);
        setting.keep(pool.clone());
        options = options
            .server_no_context_takeover()
            .client_no_context_takeover()
            .with_deflate_pool(pool);
        agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    }
    if setting.small {
        options = options.with_read_buffer_capacity(1024).with_write_buffer_capacity(1024);
    }
    let make = |end, is_server| {
        let role = if is_server { Role::Server } else { Role::Client };
        let options = options.clone();
        WebSocket::from_stream_with_extensions(end, role, Some(agreed), options).unwrap()
    };
    Box::new(Streams {
        ends: ends(setting, make),
        message: |text| Frame::text(text),
        payload: |frame: &Frame| frame.payload(),
        handle: setting.runtime.handle().clone(),
    })
}

pub(super) fn sockudo_ws(setting: &Setting) -> Box<dyn Ends> {
    use sockudo_ws::{CompressedWebSocketStream, Config, DeflateConfig, Message, Result};
    let deflate = DeflateConfig {
        server_no_context_takeover: !setting.takes_over,
        client_no_context_takeover: !setting.takes_over,
        compression_level: LEVEL.into(),
        ..DeflateConfig::default()
    };
    let make = |end, is_server| {
        let (config, deflate) = (Config::default(), deflate.clone());
        if is_server {
            CompressedWebSocketStream::server(end, config, deflate)
        } else {
            CompressedWebSocketStream::client(end, config, deflate)
        }
    };
    Box::new(Streams {
        ends: ends(setting, make),
        message: Message::Text,
        payload: |message: &Result<Message>| message.as_ref().unwrap().as_bytes(),
        handle: setting.runtime.handle().clone(),
    })
}

/// wtx has its roles as a constant parameter.
enum WtxRole {
    Server(Wtx<false>),
    Client(Wtx<true>),
}

type Wtx<const IS_CLIENT: bool> = wtx::web_socket::WebSocketOwned<
    Option<wtx::web_socket::compression::NegotiatedFlate2>,
    wtx::rng::Xorshift64,
    WtxEnd,
    IS_CLIENT,
>;

struct WtxEnds {
    ends: Vec<(WtxRole, End)>,
    /// A payload is lent as mutable, so it is a copy.
    payload: Vec<u8>,
    received: wtx::collection::Vector<u8>,
}

fn wtx_end<const IS_CLIENT: bool>(end: End) -> Wtx<IS_CLIENT> {
    use wtx::rng::Xorshift64;
    use wtx::web_socket::compression::{Flate2, WindowBits};
    use wtx::web_socket::{Compression, CompressionLevel, DeflateConfig, WebSocketBuffer};
    let config = DeflateConfig {
        client_max_window_bits: WindowBits::Fifteen,
        compression_level: CompressionLevel::try_from(LEVEL).unwrap(),
        server_max_window_bits: WindowBits::Fifteen,
    };
    let field: [&[u8]; 2] = [b"sec-websocket-extensions", b"permessage-deflate"];
    let agreed = Compression::<IS_CLIENT>::negotiate(Flate2::from(config), [field].into_iter());
    let (rng, buffer) = (Xorshift64::new(1), WebSocketBuffer::new());
    let mut websocket = Wtx::new(agreed.unwrap(), false, rng, WtxEnd(end), buffer);
    websocket.set_max_payload_len(LIMIT);
    websocket
}

/// It takes no context over, whatever the other end would allow.
pub(super) fn wtx(setting: &Setting) -> Box<dyn Ends> {
    let make = |end, is_server| {
        if is_server { WtxRole::Server(wtx_end(end)) } else { WtxRole::Client(wtx_end(end)) }
    };
    let received = wtx::collection::Vector::new();
    Box::new(WtxEnds { ends: ends(setting, make), payload: Vec::new(), received })
}

impl Ends for WtxEnds {
    fn send(&mut self, turns: Turns<'_, '_>) {
        use wtx::web_socket::{Frame, OpCode};
        for (index, message) in turns {
            self.payload.clear();
            self.payload.extend_from_slice(message);
            let payload = &mut self.payload[..];
            let (websocket, end) = &mut self.ends[index];
            match websocket {
                WtxRole::Server(websocket) => {
                    let mut frame = Frame::new_fin(OpCode::Text, payload);
                    at_once(websocket.write_frame(&mut frame)).unwrap();
                }
                WtxRole::Client(websocket) => {
                    let mut frame = Frame::new_fin(OpCode::Text, payload);
                    at_once(websocket.write_frame(&mut frame)).unwrap();
                }
            }
            end.outgoing.borrow_mut().cut();
        }
    }

    fn receive(&mut self, turns: Turns<'_, '_>) {
        use wtx::web_socket::WebSocketPayloadOrigin::Adaptive;
        for (index, message) in turns {
            let received = &mut self.received;
            received.clear();
            let is_as_sent = match &mut self.ends[index].0 {
                WtxRole::Server(websocket) => {
                    let frame = at_once(websocket.read_frame(received, Adaptive)).unwrap();
                    &frame.payload()[..] == message
                }
                WtxRole::Client(websocket) => {
                    let frame = at_once(websocket.read_frame(received, Adaptive)).unwrap();
                    &frame.payload()[..] == message
                }
            };
            assert!(is_as_sent, "another message was sent");
        }
    }
}
