//! Messages in fragments.

use core::hint::black_box;

use bytes::Bytes;
use duologue_core::{MessageType, Server};
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use crate::memory::batch::Batch;
use crate::memory::transport::{Endless, WtxEndless, runtime};
use crate::memory::{binary, receive as receiving, send as sending};
use crate::results::{Table, names};
use crate::scale::Scale;
use crate::timing::{Contender, measure};

const SIZE: usize = 64 * 1024;
const COUNTS: [usize; 4] = [1, 16, 256, 4096];

fn row(count: usize) -> String {
    if count == 1 { "1 fragment".to_owned() } else { format!("{count} fragments") }
}

/// A message of 64 KiB received in fragments.
#[must_use]
pub fn receive(scale: Scale) -> Table {
    let mut figures = Vec::new();
    for count in COUNTS {
        let batch = Batch::new(MessageType::Binary, SIZE, count);
        let mut contenders = receiving::contenders(&batch);
        if count > 256 {
            // It moves all that is gathered for each frame: minutes, at this count.
            contenders.retain(|contender| contender.name() != "ws-framer");
        }
        figures.extend(measure(&row(count), scale, contenders));
    }
    Table {
        id: "receive-fragments".to_owned(),
        title: "Receiving a message of 64 KiB in fragments".to_owned(),
        unit: "ns a message".to_owned(),
        note: "Received as above; a binary message comes in frames of equal size. Ours borrowed \
               gives its pieces as they come, and so does websocket-sans-io; embedded-websocket \
               puts them behind each other; the others give the whole. ws-framer is left out at \
               4,096 fragments, where it takes minutes."
            .to_owned(),
        smaller_is_better: true,
        lenient: names(&receiving::LENIENT),
        figures,
    }
}

fn pieces(payload: &Bytes, count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|index| payload.slice(SIZE * index / count..SIZE * (index + 1) / count))
        .collect()
}

fn ours(pieces: &[Bytes]) -> Contender<'_> {
    let mut endpoint = sending::endpoint(Server);
    let mut transport = Endless::sink();
    Contender::of_steps("ours", move || {
        let (first, rest) = pieces.split_first().unwrap();
        if rest.is_empty() {
            endpoint.send_binary(black_box(first)).unwrap();
        } else {
            endpoint.begin_message(MessageType::Binary, black_box(first)).unwrap();
        }
        for (index, piece) in rest.iter().enumerate() {
            if !endpoint.has_room() {
                sending::drain(&mut endpoint, &mut transport);
            }
            endpoint.continue_message(black_box(piece), index + 1 == rest.len()).unwrap();
        }
        sending::drain(&mut endpoint, &mut transport);
    })
}

fn tungstenite(pieces: &[Bytes]) -> Contender<'_> {
    let mut websocket = WebSocket::from_raw_socket(Endless::sink(), Role::Server, None);
    Contender::of_steps("tungstenite", move || {
        for (index, piece) in pieces.iter().enumerate() {
            let data = if index == 0 { Data::Binary } else { Data::Continue };
            let last = index + 1 == pieces.len();
            let frame = Frame::message(black_box(piece).clone(), OpCode::Data(data), last);
            websocket.write(Message::Frame(frame)).unwrap();
        }
        websocket.flush().unwrap();
    })
}

fn fastwebsockets(pieces: &[Bytes]) -> Contender<'_> {
    use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket};
    let mut websocket = WebSocket::after_handshake(Endless::sink(), Role::Server);
    let runtime = runtime();
    Contender::of_steps("fastwebsockets", move || {
        runtime.block_on(async {
            for (index, piece) in pieces.iter().enumerate() {
                let opcode = if index == 0 { OpCode::Binary } else { OpCode::Continuation };
                let payload = Payload::Borrowed(black_box(piece));
                let frame = Frame::new(index + 1 == pieces.len(), opcode, None, payload);
                websocket.write_frame(frame).await.unwrap();
            }
        });
    })
}

fn wtx(pieces: &[Bytes]) -> Contender<'_> {
    use wtx::rng::Xorshift64;
    use wtx::web_socket::{Frame, OpCode, WebSocketBuffer, WebSocketOwned};
    let transport = WtxEndless(Endless::sink());
    let mut websocket: WebSocketOwned<(), _, _, false> =
        WebSocketOwned::new((), false, Xorshift64::new(1), transport, WebSocketBuffer::new());
    let mut pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let runtime = runtime();
    Contender::of_steps("wtx", move || {
        let last = pieces.len() - 1;
        runtime.block_on(async {
            for (index, piece) in pieces.iter_mut().enumerate() {
                let op_code = if index == 0 { OpCode::Binary } else { OpCode::Continuation };
                let payload = black_box(&mut piece[..]);
                let mut frame = if index == last {
                    Frame::new_fin(op_code, payload)
                } else {
                    Frame::new_unfin(op_code, payload)
                };
                websocket.write_frame(&mut frame).await.unwrap();
            }
        });
    })
}

/// A message of 64 KiB sent in fragments.
#[must_use]
pub fn send(scale: Scale) -> Table {
    let payload = Bytes::from(binary(SIZE));
    let mut figures = Vec::new();
    for count in COUNTS {
        let pieces = pieces(&payload, count);
        let contenders =
            vec![ours(&pieces), tungstenite(&pieces), fastwebsockets(&pieces), wtx(&pieces)];
        figures.extend(measure(&row(count), scale, contenders));
    }
    Table {
        id: "send-fragments".to_owned(),
        title: "Streaming a message of 64 KiB, as a server".to_owned(),
        unit: "ns a message".to_owned(),
        note: "The message is sent in frames of equal size into a transport that copies it, \
               flushed after each message. Ours: `begin_message` and `continue_message`. \
               tungstenite: `Message::Frame` by `write`. fastwebsockets and wtx: `write_frame`, \
               which hands each frame to the transport by itself, its payload not copied \
               before. The others cannot send fragments as they choose through their public \
               API, or make nothing of a message at all."
            .to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_receives_the_fragments() {
        for count in [1, 16, 256] {
            let batch = Batch::new(MessageType::Binary, SIZE, count);
            for mut contender in receiving::contenders(&batch) {
                contender.run(3);
            }
        }
    }

    #[test]
    fn every_contender_sends_the_fragments() {
        let payload = Bytes::from(binary(SIZE));
        let pieces = pieces(&payload, 256);
        for mut contender in
            [ours(&pieces), tungstenite(&pieces), fastwebsockets(&pieces), wtx(&pieces)]
        {
            contender.run(3);
        }
    }
}
