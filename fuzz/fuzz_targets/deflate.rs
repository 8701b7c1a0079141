//! Compression under any parameters: hostile data in any frames, whole, cut and in chunks, gives
//! the same transcript within its limit and its memory; and any message arrives.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use arbitrary::Arbitrary;
use bytes::BytesMut;
use duologue_core::deflate::{
    CompressionLevel, DeflateConfig, DeflateParameters, MemoryLevel, WindowBits,
};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Config, EitherRole, Endpoint, MAX_SLICES, MaskingKeySource, Message, MessageType,
    ProtocolError, Step, Timestamp, TransportStep,
};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LIMIT: u64 = 40_000;

/// Buffers grow with what has come: the read buffer, what may be referred to, and the message.
const MOST_MEMORY: usize = 2 * LIMIT as usize + 2 * 32 * 1024 + 128 * 1024;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    client: bool,
    takes_over: [bool; 2],
    window_bits: u8,
    level: u8,
    memory_level: u8,
    cuts: Vec<u8>,
    /// The data of messages: fragments, each with a byte that says what kind of frame it is.
    frames: Vec<(u8, &'a [u8])>,
    messages: Vec<(u8, &'a [u8])>,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Message(MessageType, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close,
    Error(ProtocolError),
}

/// The key that changes nothing.
#[derive(Debug)]
struct ZeroKey;

impl MaskingKeySource for ZeroKey {
    fn next_masking_key(&mut self) -> [u8; 4] {
        [0; 4]
    }
}

impl Input<'_> {
    fn endpoint(&self, is_client: bool) -> Endpoint<EitherRole<ZeroKey>> {
        let bits = |bits: u8| Some(WindowBits::new(8 + bits % 8).unwrap());
        let deflate = DeflateConfig {
            level: CompressionLevel::new(1 + self.level % 9).unwrap(),
            memory_level: MemoryLevel::new(1 + self.memory_level % 9).unwrap(),
            threshold: 0,
            ..DeflateConfig::DEFAULT
        };
        let config =
            Config { max_message_length: LIMIT, deflate: Some(deflate), ..Config::DEFAULT };
        let parameters = DeflateParameters {
            server_no_context_takeover: !self.takes_over[0],
            client_no_context_takeover: !self.takes_over[1],
            server_max_window_bits: bits(self.window_bits),
            client_max_window_bits: bits(self.window_bits >> 3),
        };
        let role = if is_client { EitherRole::Client(ZeroKey) } else { EitherRole::Server };
        let mut extensions = NegotiatedExtensions::default();
        extensions.deflate = Some(parameters);
        let mut endpoint = Endpoint::new(role, &config, Timestamp::ZERO);
        endpoint.open(extensions, BytesMut::new(), Timestamp::ZERO);
        endpoint
    }

    /// What the peer sends: each frame's first byte is one of those that a message may have.
    fn hostile_bytes(&self) -> Vec<u8> {
        let firsts = [0xC1, 0xC2, 0x41, 0x42, 0x00, 0x80, 0x81, 0x82, 0x01, 0x89];
        let mut bytes = Vec::new();
        for (kind, data) in &self.frames {
            let first = firsts[usize::from(*kind) % firsts.len()];
            let data = &data[..data.len().min(if first == 0x89 { 125 } else { usize::MAX })];
            let mask = if self.client { 0 } else { 0x80 };
            match data.len() {
                length @ 0..126 => bytes.extend([first, mask | length as u8]),
                length @ 126..65_536 => {
                    bytes.extend([first, mask | 126]);
                    bytes.extend((length as u16).to_be_bytes());
                }
                length => {
                    bytes.extend([first, mask | 127]);
                    bytes.extend((length as u64).to_be_bytes());
                }
            }
            // Masked with the key that changes nothing.
            bytes.extend(&[0; 4][..if self.client { 0 } else { 4 }]);
            bytes.extend_from_slice(data);
        }
        bytes
    }
}

fn transcript(
    mut endpoint: Endpoint<EitherRole<ZeroKey>>,
    bytes: &[u8],
    cuts: &[u8],
    in_chunks: bool,
) -> (Vec<Seen>, Vec<u8>) {
    let now = Timestamp::ZERO;
    let (mut seen, mut message, mut rest) = (Vec::new(), Vec::new(), bytes);
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| usize::from(*cut).clamp(1, rest.len()));
        let (piece, after) = rest.split_at(length);
        rest = after;
        endpoint.read_room().extend_from_slice(piece);
        loop {
            let step =
                if in_chunks { endpoint.next_chunk(now) } else { endpoint.next_message(now) };
            match step {
                Ok(None) => break,
                Ok(Some(Step::Message | Step::Chunk)) => {
                    let chunk = endpoint.chunk().unwrap();
                    message.extend_from_slice(chunk.payload);
                    assert!(message.len() as u64 <= LIMIT);
                    if chunk.is_last {
                        let payload = core::mem::take(&mut message);
                        if chunk.message_type == MessageType::Text {
                            assert!(core::str::from_utf8(&payload).is_ok());
                        }
                        seen.push(Seen::Message(chunk.message_type, payload));
                    }
                }
                Ok(Some(Step::Ping(payload))) => seen.push(Seen::Ping(payload.to_vec())),
                Ok(Some(Step::Pong(payload))) => seen.push(Seen::Pong(payload.to_vec())),
                Ok(Some(Step::Close)) => seen.push(Seen::Close),
                Err(error) => seen.push(Seen::Error(error)),
            }
        }
        assert!(endpoint.buffer_capacity() <= MOST_MEMORY + bytes.len());
    }
    (seen, written(&mut endpoint))
}

fn written(endpoint: &mut Endpoint<EitherRole<ZeroKey>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while endpoint.transport_step() == TransportStep::Write {
        let mut slices = [&[][..]; MAX_SLICES];
        let count = endpoint.write_slices(&mut slices);
        let before = bytes.len();
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        let written = bytes.len() - before;
        endpoint.wrote(written);
    }
    bytes
}

/// Sends each message in the way that its byte says, and returns the bytes of all of them.
fn sent(input: &Input<'_>) -> (Vec<u8>, Vec<Seen>) {
    let mut sender = input.endpoint(!input.client);
    let mut expected = Vec::new();
    for (how, data) in &input.messages {
        // A message again and again compresses well, at any distance.
        let message = data.repeat(1 + usize::from(how >> 4));
        let message = &message[..message.len().min(LIMIT as usize)];
        match how % 4 {
            0 => sender.send_uncompressed(Message::binary(message.to_vec())).unwrap(),
            1 => {
                let (first, rest) = message.split_at(message.len() / 2);
                sender.begin_message(MessageType::Binary, first).unwrap();
                sender.continue_message(rest, true).unwrap();
            }
            _ => sender.send_binary(message).unwrap(),
        }
        expected.push(Seen::Message(MessageType::Binary, message.to_vec()));
    }
    (written(&mut sender), expected)
}

/// The most that is held while the bytes come, messages are dropped, and what is to be written
/// waits: the buffers, and a window and a decompressor as `docs/security.md` states them.
fn check_memory(input: &Input<'_>, bytes: &[u8]) {
    let ((), held, most) = counted(|| {
        let mut endpoint = input.endpoint(input.client);
        for piece in bytes.chunks(1000) {
            endpoint.read_room().extend_from_slice(piece);
            loop {
                match endpoint.next_message(Timestamp::ZERO) {
                    Ok(None) => break,
                    Ok(Some(_)) => drop(endpoint.take_message()),
                    Err(_) => {}
                }
            }
        }
    });
    assert_eq!(held, 0, "bytes leaked");
    let bound = MOST_MEMORY + bytes.len() + 35_112 + 64_136;
    assert!(most.unsigned_abs() <= bound, "{most} bytes held");
}

fuzz_target!(|input: Input<'_>| {
    let run = |bytes: &[u8], cuts: &[u8], in_chunks| {
        transcript(input.endpoint(input.client), bytes, cuts, in_chunks)
    };
    let bytes = input.hostile_bytes();
    let whole = run(&bytes, &[], false);
    assert_eq!(whole, run(&bytes, &input.cuts, false));
    assert_eq!(whole, run(&bytes, &[], true));
    assert_eq!(whole, run(&bytes, &input.cuts, true));
    assert_eq!(whole, run(&bytes, &vec![1; bytes.len()], true));

    check_memory(&input, &bytes);

    let (bytes, expected) = sent(&input);
    assert_eq!(run(&bytes, &[], false).0, expected);
    assert_eq!(run(&bytes, &input.cuts, true).0, expected);
});
