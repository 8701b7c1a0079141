//! The buffered endpoint, driven by hand.

use bytes::BytesMut;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Config, Endpoint, MAX_SLICES, MessageType, ProtocolError, Step, Timestamp, TransportStep,
};

use super::reference::{self, Heard};
use super::{End, Side, T0};

/// An endpoint that has just opened, with nothing left over from the handshake.
pub(crate) fn endpoint(end: End, config: &Config) -> Endpoint<Side> {
    let mut endpoint = Endpoint::new(end.role(), config, T0);
    endpoint.open(NegotiatedExtensions::default(), BytesMut::new(), T0);
    endpoint
}

/// Whether messages are read whole or in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Messages,
    /// Whole, but only looked at where they lie.
    Lent,
    Chunks,
}

/// What came out of an endpoint, the pieces of messages joined.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) heard: Vec<Heard>,
    pub(crate) error: Option<ProtocolError>,
    unfinished: Vec<u8>,
    /// The type of the message of which a piece has come.
    begun_as: Option<MessageType>,
}

impl Reader {
    /// Takes every event that is at hand.
    pub(crate) fn read(&mut self, endpoint: &mut Endpoint<Side>, mode: Mode, now: Timestamp) {
        loop {
            let step = match mode {
                Mode::Messages | Mode::Lent => endpoint.next_message(now),
                Mode::Chunks => endpoint.next_chunk(now),
            };
            match step {
                Ok(None) => return,
                Ok(Some(step)) => self.note(endpoint, mode, &step),
                Err(error) => assert_eq!(self.error.replace(error), None, "a second error"),
            }
        }
    }

    fn note(&mut self, endpoint: &mut Endpoint<Side>, mode: Mode, step: &Step) {
        assert_eq!(self.error, None, "an event after an error");
        match step {
            Step::Message => {
                let lent = endpoint.message().unwrap();
                let (message_type, payload) = (lent.message_type(), lent.payload().to_vec());
                assert_eq!(lent.text().is_some(), message_type == MessageType::Text);
                if mode == Mode::Messages {
                    let message = endpoint.take_message().unwrap();
                    assert_eq!(message.message_type(), message_type);
                    assert_eq!(message.payload(), payload);
                    assert!(endpoint.message().is_none(), "a message is taken once");
                }
                // The rest of a text that was left inside a character comes as bytes.
                let begun_as = self.begun_as.take().unwrap_or(message_type);
                if begun_as != message_type {
                    assert_eq!(begun_as, MessageType::Text);
                    assert!(core::str::from_utf8(&payload).is_err());
                }
                self.unfinished.extend(payload);
                let payload = core::mem::take(&mut self.unfinished);
                self.heard.push(Heard::message(begun_as, payload));
            }
            Step::Chunk => {
                let chunk = endpoint.chunk().unwrap();
                assert_eq!(chunk.is_first, self.unfinished.is_empty(), "first");
                self.unfinished.extend_from_slice(chunk.payload);
                self.begun_as = (!chunk.is_last).then_some(chunk.message_type);
                if chunk.is_last {
                    let payload = core::mem::take(&mut self.unfinished);
                    self.heard.push(Heard::message(chunk.message_type, payload));
                }
            }
            Step::Ping(payload) => self.heard.push(Heard::Ping(payload.to_vec())),
            Step::Pong(payload) => self.heard.push(Heard::Pong(payload.to_vec())),
            Step::Close => self.heard.push(Heard::Close(None, String::new())),
        }
    }
}

/// Puts `bytes` into the read buffer, as one read of an adapter.
pub(crate) fn put(endpoint: &mut Endpoint<Side>, bytes: &[u8]) {
    endpoint.read_room().extend_from_slice(bytes);
}

/// What comes out of `bytes` in whole messages, read in pieces of at most `piece` bytes.
pub(crate) fn hear(endpoint: &mut Endpoint<Side>, bytes: &[u8], piece: usize) -> Reader {
    let mut reader = Reader::default();
    for bytes in bytes.chunks(piece) {
        put(endpoint, bytes);
        reader.read(endpoint, Mode::Messages, T0);
    }
    reader
}

/// Writes everything that waits, and returns it; stops at the first step that writes nothing.
pub(crate) fn write_all(endpoint: &mut Endpoint<Side>) -> (Vec<u8>, TransportStep) {
    let mut bytes = Vec::new();
    loop {
        let foreseen = endpoint.has_transport_step();
        let step = endpoint.transport_step();
        assert_eq!(foreseen, step != TransportStep::Idle, "{step:?}");
        if step != TransportStep::Write {
            return (bytes, step);
        }
        let before = bytes.len();
        let mut slices = [&[][..]; MAX_SLICES];
        let count = endpoint.write_slices(&mut slices);
        if let Some(slice) = endpoint.write_slice() {
            assert_eq!(slices[..count], [slice]);
        }
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        let written = bytes.len() - before;
        assert!(written > 0, "nothing to write");
        endpoint.wrote(written);
    }
}

/// Writes everything that waits, as the frames that the peer of `end` reads in it.
pub(crate) fn written_frames(end: End, endpoint: &mut Endpoint<Side>) -> Vec<Heard> {
    let (bytes, _) = write_all(endpoint);
    let verdict = reference::decode(&bytes, &end.sending_rules());
    assert_eq!(verdict.fault, None);
    verdict.heard
}
