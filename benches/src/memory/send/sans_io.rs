//! Peers that give bytes.

use core::hint::black_box;
use std::io::Write;

use bytes::Bytes;
use duologue_adapter::OsKeys;
use duologue_core::MaskingKeySource;

use crate::memory::transport::Endless;
use crate::timing::Contender;

pub(super) fn embedded_websocket(payload: &Bytes) -> Contender<'_> {
    use embedded_websocket::{WebSocketSendMessageType, WebSocketServer, WebSocketState};
    let mut websocket = WebSocketServer::new_server();
    websocket.state = WebSocketState::Open;
    let mut buffer = vec![0; payload.len() + 14];
    let mut transport = Endless::sink();
    Contender::of_steps("embedded-websocket", move || {
        let binary = WebSocketSendMessageType::Binary;
        let length = websocket.write(binary, true, black_box(payload), &mut buffer).unwrap();
        transport.write_all(&buffer[..length]).unwrap();
    })
}

pub(super) fn ws_framer(payload: &Bytes, mask: bool) -> Contender<'_> {
    let mut buffer = vec![0; payload.len() + 14];
    let mut transport = Endless::sink();
    Contender::new("ws-framer", 1.0, move |messages| {
        let mut framer = ws_framer::WsTxFramer::new(mask, &mut buffer);
        for _ in 0..messages {
            transport.write_all(framer.binary(black_box(payload)).unwrap()).unwrap();
        }
    })
}

pub(super) fn websocket_sans_io(payload: &Bytes, mask: bool) -> Contender<'_> {
    use websocket_sans_io::{FrameInfo, Opcode, WebsocketFrameEncoder};
    let mut encoder = WebsocketFrameEncoder::default();
    let mut keys = OsKeys;
    let mut buffer = Vec::with_capacity(payload.len() + 14);
    let mut transport = Endless::sink();
    Contender::of_steps("websocket-sans-io", move || {
        let info = FrameInfo {
            opcode: Opcode::Binary,
            payload_length: payload.len() as u64,
            mask: mask.then(|| keys.next_masking_key()),
            fin: true,
            reserved: 0,
        };
        buffer.clear();
        buffer.extend_from_slice(&encoder.start_frame(&info));
        let header_length = buffer.len();
        buffer.extend_from_slice(black_box(payload));
        encoder.transform_frame_payload(&mut buffer[header_length..]);
        transport.write_all(&buffer).unwrap();
    })
}
