//! Peers that are given bytes.

use bytes::BytesMut;

use duologue_core::READ_SIZE;

use super::Tally;
use crate::memory::batch::Batch;
use crate::memory::transport::Endless;
use crate::timing::Contender;

pub(super) fn sockudo_protocol(batch: &Batch) -> Contender<'_> {
    use sockudo_ws::Role;
    use sockudo_ws::protocol::Protocol;
    let mut protocol = Protocol::new(Role::Server, 256 << 20, 256 << 20);
    let mut buffer = BytesMut::with_capacity(batch.bytes.len());
    let mut messages = Vec::new();
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("sockudo-ws protocol", units, move |batches| {
        let mut tally = Tally::new(batch);
        let at_once = READ_SIZE.max(batch.longest_frame);
        for read in (0..batches).flat_map(|_| batch.bytes.chunks(at_once)) {
            buffer.extend_from_slice(read);
            protocol.process_into(&mut buffer, &mut messages).unwrap();
            for message in messages.drain(..) {
                tally.message(message.as_bytes());
            }
        }
        tally.check(batches);
    })
}

pub(super) fn embedded_websocket(batch: &Batch) -> Contender<'_> {
    use embedded_websocket::{WebSocketServer, WebSocketState};
    let mut websocket = WebSocketServer::new_server();
    websocket.state = WebSocketState::Open;
    let mut received = vec![0; batch.bytes.len()];
    let mut message = vec![0; batch.payload.len()];
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("embedded-websocket", units, move |batches| {
        let mut tally = Tally::new(batch);
        for _ in 0..batches {
            received.copy_from_slice(&batch.bytes);
            let mut rest = &received[..];
            let mut filled = 0;
            while !rest.is_empty() {
                let result = websocket.read(rest, &mut message[filled..]).unwrap();
                rest = &rest[result.len_from..];
                filled += result.len_to;
                if result.end_of_message {
                    tally.validate(&message[..filled]);
                    tally.message(&message[..filled]);
                    filled = 0;
                }
            }
        }
        tally.check(batches);
    })
}

pub(super) fn ws_framer(batch: &Batch) -> Contender<'_> {
    use ws_framer::{WsFrame, WsRxFramer};
    // A message of fragments is gathered in front of the frame that is being received.
    let gathered = if batch.longest_frame > batch.payload.len() { 0 } else { batch.payload.len() };
    let mut buffer = vec![0; (gathered + batch.longest_frame).max(1024)];
    let source = Endless::new(&batch.bytes);
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("ws-framer", units, move |batches| {
        let mut tally = Tally::new(batch);
        let mut missing = batches * batch.messages as u64;
        // It borrows its buffer, so each round has a framer of its own and begins anew.
        let mut source = source.clone();
        let mut framer = WsRxFramer::new(&mut buffer);
        while missing > 0 {
            match framer.next_frame() {
                Some(frame) => match frame.unwrap() {
                    WsFrame::Text(text) => {
                        tally.message(text.as_bytes());
                        missing -= 1;
                    }
                    WsFrame::Binary(bytes) => {
                        tally.message(bytes);
                        missing -= 1;
                    }
                    _ => {}
                },
                None => {
                    let room = framer.read_buf();
                    let count = std::io::Read::read(&mut source, room).unwrap();
                    framer.advance(count);
                }
            }
        }
        tally.check(batches);
    })
}

pub(super) fn websocket_sans_io(batch: &Batch) -> Contender<'_> {
    use websocket_sans_io::{WebsocketFrameDecoder, WebsocketFrameEvent};
    let mut decoder = WebsocketFrameDecoder::default();
    let mut buffer = vec![0; READ_SIZE];
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("websocket-sans-io", units, move |batches| {
        let mut tally = Tally::new(batch);
        for read in (0..batches).flat_map(|_| batch.bytes.chunks(READ_SIZE)) {
            let mut rest = &mut buffer[..read.len()];
            rest.copy_from_slice(read);
            loop {
                let result = decoder.add_data(rest).unwrap();
                let consumed = result.consumed_bytes;
                match result.event {
                    Some(WebsocketFrameEvent::PayloadChunk { .. }) => {
                        tally.validate(&rest[..consumed]);
                        tally.piece(&rest[..consumed]);
                    }
                    None if consumed == 0 => break,
                    _ => {}
                }
                rest = &mut rest[consumed..];
            }
        }
        tally.check(batches);
    })
}
