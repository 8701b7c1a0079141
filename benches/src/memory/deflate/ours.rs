//! Ours.

use bytes::{Bytes, BytesMut};
use duologue_adapter::pool;
use duologue_adapter::{Endpoint, OsKeys, Role, open_endpoint};
use duologue_core::deflate::{CompressionLevel, DeflateConfig, DeflateParameters};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{Config, MAX_SLICES, Message, Prepared, Step, Timestamp, TransportStep};

use super::wire::{End, Setting};
use super::{Ends, Turns};

const NOW: Timestamp = Timestamp::ZERO;

pub(super) const DEFLATE: DeflateConfig =
    DeflateConfig { level: CompressionLevel::FASTEST, ..DeflateConfig::DEFAULT };

const CONFIG: Config = Config { deflate: Some(DEFLATE), ..Config::DEFAULT };

/// Endpoints as the adapters drive them: an idle one holds no buffers.
pub(super) struct Ours {
    ends: Vec<(Endpoint, End)>,
}

impl Ours {
    /// With the pools of the adapters, or compressors of their own.
    pub(super) fn new(setting: &Setting, pooled: bool) -> Self {
        let mut extensions = NegotiatedExtensions::default();
        extensions.deflate = Some(DeflateParameters {
            server_no_context_takeover: !setting.takes_over,
            client_no_context_takeover: !setting.takes_over,
            ..DeflateParameters::default()
        });
        let make = |(index, end): (usize, &End)| {
            let role = if index.is_multiple_of(2) { Role::Server } else { Role::Client(OsKeys) };
            let endpoint = if pooled {
                open_endpoint(role, &CONFIG, extensions, BytesMut::new(), NOW)
            } else {
                let mut endpoint = Endpoint::new(role, &CONFIG, NOW);
                endpoint.open(extensions, BytesMut::new(), NOW);
                endpoint
            };
            (endpoint, end.clone())
        };
        Self { ends: setting.ends.iter().enumerate().map(make).collect() }
    }

    fn queue(&mut self, index: usize, queue: impl FnOnce(&mut Endpoint)) {
        let (endpoint, end) = &mut self.ends[index];
        if endpoint.needs_write_buffer() {
            endpoint.supply_write_buffer(pool::take_write());
        }
        queue(endpoint);
        let mut wire = end.outgoing.borrow_mut();
        while endpoint.transport_step() == TransportStep::Write {
            let mut slices = [&[][..]; MAX_SLICES];
            let count = endpoint.write_slices(&mut slices);
            slices[..count].iter().for_each(|slice| wire.write(slice));
            let written = slices[..count].iter().map(|slice| slice.len()).sum();
            endpoint.wrote(written);
        }
        wire.cut();
        if let Some(buffer) = endpoint.release_write_buffer() {
            pool::give_write(buffer);
        }
    }

    /// Sends one message to the client of every connection.
    pub(super) fn broadcast(&mut self, prepared: &Prepared) {
        for index in (0..self.ends.len()).step_by(2) {
            self.queue(index, |endpoint| endpoint.send_prepared(prepared).unwrap());
        }
    }
}

impl Ends for Ours {
    fn send(&mut self, turns: Turns<'_, '_>) {
        for (index, message) in turns {
            let text = core::str::from_utf8(message).unwrap();
            self.queue(index, |endpoint| endpoint.send_text(text).unwrap());
        }
    }

    fn receive(&mut self, turns: Turns<'_, '_>) {
        for (index, message) in turns {
            let (endpoint, end) = &mut self.ends[index];
            let mut received: Option<Bytes> = None;
            while received.is_none() {
                if endpoint.needs_read_buffer() {
                    endpoint.supply_read_buffer(pool::take_read());
                }
                let room = endpoint.read_room();
                let free = room.capacity() - room.len();
                let mut wire = end.incoming.borrow_mut();
                let bytes = wire.read(free);
                assert!(!bytes.is_empty(), "a message is missing");
                room.extend_from_slice(bytes);
                while let Some(step) = endpoint.next_message(NOW).unwrap() {
                    assert_eq!(step, Step::Message);
                    received = endpoint.take_message().map(Message::into_payload);
                }
                if let Some(buffer) = endpoint.release_read_buffer() {
                    pool::give_read(buffer);
                }
            }
            assert!(received.as_ref() == Some(message), "another message was sent");
        }
    }
}
