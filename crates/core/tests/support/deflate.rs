//! Endpoints that have agreed on compression, and data compressed by something else.

use bytes::BytesMut;

use duologue_core::deflate::{DeflateConfig, DeflateParameters, WindowBits};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{Config, Endpoint};

use super::endpoint::write_all;
use super::{End, Side, T0};

/// Compression with the defaults but for a threshold: every message is compressed.
pub(crate) const ALL: DeflateConfig = DeflateConfig { threshold: 0, ..DeflateConfig::DEFAULT };

/// The defaults with compression on for every message.
pub(crate) const CONFIG: Config = Config { deflate: Some(ALL), ..Config::DEFAULT };

/// What was agreed on when nothing is said: full windows, context taken over by both.
pub(crate) fn agreed() -> DeflateParameters {
    DeflateParameters::default()
}

/// Nothing is taken over by either end.
pub(crate) fn alone() -> DeflateParameters {
    DeflateParameters {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateParameters::default()
    }
}

pub(crate) fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

/// An endpoint that has just opened with compression.
pub(crate) fn compressing(
    end: End,
    config: &Config,
    parameters: DeflateParameters,
) -> Endpoint<Side> {
    let mut endpoint = Endpoint::new(end.role(), config, T0);
    let mut extensions = NegotiatedExtensions::default();
    extensions.deflate = Some(parameters);
    endpoint.open(extensions, BytesMut::new(), T0);
    endpoint
}

/// What the data of a message ends with before it is cut off (RFC 7692 section 7.2.1).
pub(crate) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// A frame as it went out, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentFrame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// What `endpoint` has to write, as frames.
pub(crate) fn sent_frames(endpoint: &mut Endpoint<Side>) -> Vec<SentFrame> {
    frames_in(&write_all(endpoint).0)
}

/// The frames in `bytes`, all of them whole.
pub(crate) fn frames_in(mut bytes: &[u8]) -> Vec<SentFrame> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (extension, rest) = rest.split_at(extended);
        let length = match extended {
            0 => usize::from(second & 0x7F),
            _ => extension.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        let (key, rest) = rest.split_at(if second & 0x80 == 0 { 0 } else { 4 });
        let (payload, rest) = rest.split_at(length);
        let mut payload = payload.to_vec();
        if !key.is_empty() {
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        frames.push(SentFrame { first: *first, payload });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a frame that is cut");
    frames
}

/// Bytes that look random, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    core::iter::repeat_with(next).take(length).collect()
}

/// Text of words that come again, some of them of more than one byte a character.
pub(crate) fn words(seed: u64, length: usize) -> String {
    const WORDS: [&str; 16] = [
        "the ",
        "server ",
        "keeps ",
        "what ",
        "a ",
        "client ",
        "has ",
        "sent ",
        "\u{e4}pfel ",
        "\u{1f600} ",
        "window\n",
        "of ",
        "messages, ",
        "\u{20ac}5 ",
        "compressed ",
        "again. ",
    ];
    let mut text = String::new();
    for byte in noise(seed, length) {
        let word = WORDS[usize::from(byte % 16)];
        if text.len() + word.len() > length {
            break;
        }
        text.push_str(word);
    }
    text
}

/// An object of about `length` bytes as services send them, whose values depend on the seed.
pub(crate) fn json(seed: u64, length: usize) -> String {
    let mut text = String::from("{\"type\":\"snapshot\",\"items\":[");
    for (at, byte) in noise(seed, length / 40 + 1).into_iter().enumerate() {
        let item = format!("{{\"id\":{},\"price\":{byte}.5,\"open\":true}},", 1000 + at);
        if text.len() + item.len() + 4 > length {
            break;
        }
        text.push_str(&item);
    }
    text.push_str("{}]}");
    text
}
