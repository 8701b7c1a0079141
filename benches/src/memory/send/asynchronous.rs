//! Peers over asynchronous transports, which are always ready here.

use core::hint::black_box;

use bytes::Bytes;
use futures_util::{Sink, SinkExt};

use crate::memory::transport::{Endless, WtxEndless, runtime};
use crate::timing::Contender;

/// Feeds message after message, and flushes at the end.
fn feeding<'a, M, S: Sink<M> + Unpin + 'a>(
    name: &str,
    make: impl FnOnce() -> S,
    mut message: impl FnMut() -> M + 'a,
) -> Contender<'a>
where
    S::Error: core::fmt::Debug,
{
    let runtime = runtime();
    // Some set timers of their own, and need a runtime for that.
    let guard = runtime.enter();
    let mut websocket = make();
    drop(guard);
    Contender::new(name, 1.0, move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                websocket.feed(message()).await.unwrap();
            }
            websocket.flush().await.unwrap();
        });
    })
}

pub(super) fn tokio_websockets_server(payload: &Bytes) -> Contender<'_> {
    use tokio_websockets::{Message, ServerBuilder};
    feeding(
        "tokio-websockets",
        || ServerBuilder::new().serve(Endless::sink()),
        move || Message::binary(black_box(payload).clone()),
    )
}

pub(super) fn tokio_websockets_client(payload: &Bytes) -> Contender<'_> {
    use tokio_websockets::{ClientBuilder, Message};
    feeding(
        "tokio-websockets",
        || ClientBuilder::new().take_over(Endless::sink()),
        move || Message::binary(black_box(payload).clone()),
    )
}

pub(super) fn yawc(payload: &Bytes, role: yawc::Role) -> Contender<'_> {
    use yawc::{Frame, Options, WebSocket};
    feeding(
        "yawc",
        || WebSocket::from_stream(Endless::sink(), role, Options::default()).unwrap(),
        move || Frame::binary(black_box(payload).clone()),
    )
}

pub(super) fn sockudo_server(payload: &Bytes) -> Contender<'_> {
    use sockudo_ws::{Config, Message, WebSocketStream};
    feeding(
        "sockudo-ws",
        || WebSocketStream::server(Endless::sink(), Config::default()),
        move || Message::Binary(black_box(payload).clone()),
    )
}

pub(super) fn sockudo_client(payload: &Bytes) -> Contender<'_> {
    use sockudo_ws::{Config, Message, WebSocketStream};
    feeding(
        "sockudo-ws",
        || WebSocketStream::client(Endless::sink(), Config::default()),
        move || Message::Binary(black_box(payload).clone()),
    )
}

pub(super) fn fastwebsockets_server(payload: &Bytes) -> Contender<'_> {
    use fastwebsockets::{Frame, Payload, Role, WebSocket};
    let mut websocket = WebSocket::after_handshake(Endless::sink(), Role::Server);
    let runtime = runtime();
    Contender::new("fastwebsockets", 1.0, move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let frame = Frame::binary(Payload::Borrowed(black_box(payload)));
                websocket.write_frame(frame).await.unwrap();
            }
        });
    })
}

pub(super) fn fastwebsockets_client(payload: &Bytes) -> Contender<'_> {
    use fastwebsockets::{Frame, Payload, Role, WebSocket};
    let mut websocket = WebSocket::after_handshake(Endless::sink(), Role::Client);
    let mut payload = payload.to_vec();
    let runtime = runtime();
    Contender::new("fastwebsockets", 1.0, move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let frame = Frame::binary(Payload::BorrowedMut(black_box(&mut payload)));
                websocket.write_frame(frame).await.unwrap();
            }
        });
    })
}

pub(super) fn soketto_server(payload: &Bytes) -> Contender<'_> {
    use soketto::connection::{Builder, Mode};
    let (mut sender, receiver) = Builder::new(Endless::sink(), Mode::Server).finish();
    let runtime = runtime();
    Contender::new("soketto", 1.0, move |messages| {
        let _both_halves = &receiver;
        runtime.block_on(async {
            for _ in 0..messages {
                sender.send_binary(black_box(payload)).await.unwrap();
            }
            sender.flush().await.unwrap();
        });
    })
}

pub(super) fn soketto_client(payload: &Bytes) -> Contender<'_> {
    use soketto::connection::{Builder, Mode};
    let (mut sender, receiver) = Builder::new(Endless::sink(), Mode::Client).finish();
    let mut payload = payload.to_vec();
    let runtime = runtime();
    Contender::new("soketto", 1.0, move |messages| {
        let _both_halves = &receiver;
        runtime.block_on(async {
            for _ in 0..messages {
                sender.send_binary_mut(black_box(&mut payload)).await.unwrap();
            }
            sender.flush().await.unwrap();
        });
    })
}

/// Both roles of wtx, which has them as a constant parameter.
fn wtx<const IS_CLIENT: bool>(payload: &Bytes) -> Contender<'_> {
    use wtx::rng::Xorshift64;
    use wtx::web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned};
    let transport = WtxEndless(Endless::sink());
    let mut websocket: WebSocketOwned<(), _, _, IS_CLIENT> =
        WebSocketOwned::new((), false, Xorshift64::new(1), transport, WebSocketBuffer::new());
    let mut payload = payload.to_vec();
    let runtime = runtime();
    Contender::new("wtx", 1.0, move |messages| {
        runtime.block_on(async {
            for _ in 0..messages {
                let mut frame = Frame::new_fin(OpCode::Binary, black_box(&mut payload[..]));
                websocket.write_frame(&mut frame).await.unwrap();
            }
        });
    })
}

pub(super) fn wtx_server(payload: &Bytes) -> Contender<'_> {
    wtx::<false>(payload)
}

pub(super) fn wtx_client(payload: &Bytes) -> Contender<'_> {
    wtx::<true>(payload)
}
