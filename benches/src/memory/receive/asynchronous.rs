//! Peers over asynchronous transports, which are always ready here.

use futures_util::StreamExt;

use super::Tally;
use crate::memory::batch::Batch;
use crate::memory::transport::{Endless, WtxEndless, runtime};
use crate::timing::Contender;

/// More than every size measured.
const LIMIT: usize = 256 << 20;

pub(super) fn tokio_websockets(batch: &Batch) -> Contender<'_> {
    use tokio_websockets::{Limits, ServerBuilder};
    let limits = Limits::default().max_payload_len(Some(LIMIT));
    let source = Endless::new(&batch.bytes);
    let mut websocket = ServerBuilder::new().limits(limits).serve(source);
    let runtime = runtime();
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("tokio-websockets", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                tally.message(websocket.next().await.unwrap().unwrap().as_payload());
            }
        });
        tally.check(batches);
    })
}

pub(super) fn fastwebsockets(batch: &Batch) -> Contender<'_> {
    use fastwebsockets::{FragmentCollector, Role, WebSocket};
    let mut websocket = WebSocket::after_handshake(Endless::new(&batch.bytes), Role::Server);
    websocket.set_max_message_size(LIMIT);
    let mut websocket = FragmentCollector::new(websocket);
    let runtime = runtime();
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("fastwebsockets", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                tally.message(&websocket.read_frame().await.unwrap().payload);
            }
        });
        tally.check(batches);
    })
}

pub(super) fn soketto(batch: &Batch) -> Contender<'_> {
    use soketto::connection::{Builder, Mode};
    let source = Endless::new(&batch.bytes);
    let (_sender, mut receiver) = Builder::new(source, Mode::Server).finish();
    let mut message = Vec::new();
    let runtime = runtime();
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("soketto", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                message.clear();
                receiver.receive_data(&mut message).await.unwrap();
                tally.validate(&message);
                tally.message(&message);
            }
        });
        tally.check(batches);
    })
}

pub(super) fn yawc(batch: &Batch) -> Contender<'_> {
    use yawc::{Options, Role, WebSocket};
    let options = Options::default().with_limits(LIMIT, LIMIT).with_utf8();
    let runtime = runtime();
    let source = Endless::new(&batch.bytes);
    // It may set timers of its own, and needs a runtime for that.
    let guard = runtime.enter();
    let mut websocket = WebSocket::from_stream(source, Role::Server, options).unwrap();
    drop(guard);
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("yawc", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                tally.message(websocket.next().await.unwrap().payload());
            }
        });
        tally.check(batches);
    })
}

pub(super) fn sockudo(batch: &Batch) -> Contender<'_> {
    use sockudo_ws::{Config, WebSocketStream};
    let config = Config { max_message_size: LIMIT, max_frame_size: LIMIT, ..Config::default() };
    let runtime = runtime();
    let guard = runtime.enter();
    let mut websocket = WebSocketStream::server(Endless::new(&batch.bytes), config);
    drop(guard);
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("sockudo-ws", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                tally.message(websocket.next().await.unwrap().unwrap().as_bytes());
            }
        });
        tally.check(batches);
    })
}

pub(super) fn wtx(batch: &Batch) -> Contender<'_> {
    use wtx::collection::Vector;
    use wtx::rng::Xorshift64;
    use wtx::web_socket::{WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin};
    let source = WtxEndless(Endless::new(&batch.bytes));
    let mut websocket: WebSocketOwned<(), _, _, false> =
        WebSocketOwned::new((), false, Xorshift64::new(1), source, WebSocketBuffer::new());
    websocket.set_max_payload_len(LIMIT);
    let mut buffer = Vector::new();
    let runtime = runtime();
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("wtx", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                buffer.clear();
                let origin = WebSocketPayloadOrigin::Adaptive;
                let frame = websocket.read_frame(&mut buffer, origin).await.unwrap();
                tally.message(frame.payload());
            }
        });
        tally.check(batches);
    })
}
