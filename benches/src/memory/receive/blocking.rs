//! Peers over blocking transports.

use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use super::Tally;
use crate::memory::batch::Batch;
use crate::memory::transport::Endless;
use crate::timing::Contender;

pub(super) fn tungstenite(batch: &Batch) -> Contender<'_> {
    let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    let source = Endless::new(&batch.bytes);
    let mut websocket = WebSocket::from_raw_socket(source, Role::Server, Some(config));
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("tungstenite", units, move |batches| {
        let mut tally = Tally::new(batch);
        for _ in 0..batches * batch.messages as u64 {
            match websocket.read().unwrap() {
                Message::Text(text) => tally.message(text.as_bytes()),
                Message::Binary(bytes) => tally.message(&bytes),
                _ => {}
            }
        }
        tally.check(batches);
    })
}
