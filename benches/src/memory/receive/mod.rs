//! Receiving as a server: masked frames from memory.

mod asynchronous;
mod blocking;
mod ours;
mod sans_io;

use core::hint::black_box;

use duologue_core::MessageType;

use crate::memory::batch::Batch;
use crate::memory::size_name;
use crate::results::{Table, names};
use crate::scale::Scale;
use crate::timing::{Contender, measure};

const SIZES: [usize; 6] = [16, 125, 1024, 16 * 1024, 64 * 1024, 1024 * 1024];

const NOTE: &str = "\
    Client frames, built beforehand, are received as a server does. Every contender is given \
    them by a copy into its buffer, as the system's read would, and that copy is part of its \
    figure: 16 KiB at once where the caller owns the buffer and pieces of a payload are given \
    out (ours borrowed, websocket-sans-io), 16 KiB or one frame for sockudo-ws protocol, 64 KiB \
    of whole frames for embedded-websocket, else as much as it has room for. All of them keep \
    every check that they have. Ours borrowed: `Connection::receive`. Ours messages: \
    `Endpoint::next_message` and `take_message`, owned. Ours on tokio: `WebSocket::next` of \
    duologue-tokio, in one `block_on` a round, with its clock and its timers. tungstenite: \
    `WebSocket::read`, its 128 KiB buffer as it advises for high load. tokio-websockets, yawc \
    (with `with_utf8`), sockudo-ws: their stream's `next`, in one `block_on` a round. sockudo-ws \
    protocol: its sans-IO `process_into`. fastwebsockets: `FragmentCollector::read_frame`. \
    soketto: `receive_data` into one `Vec`. wtx: `read_frame`, payload lent. ws-framer: a buffer \
    of one frame or 1 KiB, for it moves all that follows forward after each frame. \
    embedded-websocket, websocket-sans-io, ws-framer, fastwebsockets and soketto take unmasked \
    frames of a client too, and wtx takes RSV1; websocket-sans-io checks nothing else either. \
    soketto, embedded-websocket and websocket-sans-io do not validate text: their caller does, \
    with `core::str`.";

/// Those who do not fail what RFC 6455 tells a server to fail: unmasked frames (section 5.1), or
/// RSV1 without an extension (section 5.2).
pub(crate) const LENIENT: [&str; 6] =
    ["fastwebsockets", "soketto", "wtx", "embedded-websocket", "ws-framer", "websocket-sans-io"];

/// What a contender has received; in tests each message is compared.
pub(crate) struct Tally<'a> {
    batch: &'a Batch,
    bytes: u64,
}

impl<'a> Tally<'a> {
    pub(crate) const fn new(batch: &'a Batch) -> Self {
        Self { batch, bytes: 0 }
    }

    /// A whole message.
    #[inline]
    pub(crate) fn message(&mut self, payload: &[u8]) {
        if cfg!(test) {
            assert!(payload == self.batch.payload, "another message was sent");
        }
        self.piece(payload);
    }

    /// A piece of one.
    #[inline]
    pub(crate) fn piece(&mut self, payload: &[u8]) {
        self.bytes += payload.len() as u64;
        black_box(payload.as_ptr());
    }

    /// What the caller has to do for a text where the contender does not.
    #[inline]
    fn validate(&self, payload: &[u8]) {
        if self.batch.message_type == MessageType::Text {
            black_box(core::str::from_utf8(payload).unwrap());
        }
    }

    /// After so many batches.
    pub(crate) fn check(&self, batches: u64) {
        assert_eq!(self.bytes, batches * self.batch.payload_bytes(), "messages are missing");
    }
}

/// Ours.
#[must_use]
pub fn ours(batch: &Batch) -> Vec<Contender<'_>> {
    vec![ours::borrowed(batch), ours::messages(batch), ours::on_tokio(batch)]
}

/// Everyone who receives.
#[must_use]
pub fn contenders(batch: &Batch) -> Vec<Contender<'_>> {
    let mut contenders = ours(batch);
    contenders.extend(peers(batch));
    contenders
}

fn peers(batch: &Batch) -> Vec<Contender<'_>> {
    vec![
        blocking::tungstenite(batch),
        asynchronous::tokio_websockets(batch),
        asynchronous::fastwebsockets(batch),
        asynchronous::soketto(batch),
        asynchronous::yawc(batch),
        asynchronous::sockudo(batch),
        sans_io::sockudo_protocol(batch),
        asynchronous::wtx(batch),
        sans_io::embedded_websocket(batch),
        sans_io::ws_framer(batch),
        sans_io::websocket_sans_io(batch),
    ]
}

fn table(id: &str, title: &str, note: &str, message_type: MessageType, scale: Scale) -> Table {
    let mut figures = Vec::new();
    for size in SIZES {
        let batch = Batch::new(message_type, size, 1);
        figures.extend(measure(&size_name(size), scale, contenders(&batch)));
    }
    Table {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: "ns a message".to_owned(),
        note: note.to_owned(),
        smaller_is_better: true,
        lenient: names(&LENIENT),
        figures,
    }
}

/// The comparison with binary messages.
#[must_use]
pub fn binary(scale: Scale) -> Table {
    table("receive-binary", "Receiving binary messages", NOTE, MessageType::Binary, scale)
}

/// The comparison with text.
#[must_use]
pub fn text(scale: Scale) -> Table {
    let note = "As above, with ASCII text.";
    table("receive-text", "Receiving text messages", note, MessageType::Text, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_receives_every_message_as_it_was_sent() {
        for message_type in [MessageType::Text, MessageType::Binary] {
            for size in [16, 125, 1024, 70_000] {
                let batch = Batch::new(message_type, size, 1);
                for mut contender in contenders(&batch) {
                    contender.run(1);
                    contender.run(3);
                }
            }
        }
    }
}
