//! Random streams of frames, written as a server sends them, and random cuts of them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use duologue_core::Config;

use super::frame;

/// Limits that random streams often meet.
pub(crate) const TIGHT: Config = Config {
    max_message_length: 300,
    max_frame_length: 200,
    max_empty_fragments: 2,
    ..Config::DEFAULT
};

/// `cases` cases, the same in every run unless `PROPTEST_RNG_SEED` says otherwise. What fails
/// becomes a test of its own.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let mut config =
        ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(6455);
    }
    config
}

/// Ping or Pong, with any payload that it may have.
pub(crate) fn control() -> impl Strategy<Value = Vec<u8>> {
    (any::<bool>(), vec(any::<u8>(), 0..=125)).prop_map(|(ping, payload)| {
        let first = if ping { 0x89 } else { 0x8A };
        frame(first, &payload)
    })
}

/// A payload of a text or a binary message, with the opcode.
pub(crate) fn payload(longest: usize) -> impl Strategy<Value = (u8, Vec<u8>)> {
    let text = vec(any::<char>(), 0..longest / 4);
    prop_oneof![
        text.prop_map(|text| (1, String::from_iter(text).into_bytes())),
        vec(any::<u8>(), 0..longest).prop_map(|bytes| (2, bytes)),
    ]
}

/// A message in any fragments, empty ones among them, with control frames between them.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let cuts = vec((any::<Index>(), option::of(control())), 0..5);
    (payload(320), cuts).prop_map(|((opcode, payload), mut cuts)| {
        cuts.sort_by_key(|(at, _)| at.index(payload.len() + 1));
        let mut bytes = Vec::new();
        let (mut opcode, mut from) = (opcode, 0);
        for (at, control) in cuts {
            let to = at.index(payload.len() + 1);
            bytes.extend(frame(opcode, &payload[from..to]));
            bytes.extend(control.unwrap_or_default());
            (opcode, from) = (0, to);
        }
        bytes.extend(frame(0x80 | opcode, &payload[from..]));
        bytes
    })
}

/// A Close frame that keeps the rules, empty or with a code and a reason.
fn close() -> impl Strategy<Value = Vec<u8>> {
    let body = (3000_u16..5000, ".{0,20}");
    option::of(body).prop_map(|body| match body {
        None => frame(0x88, b""),
        Some((code, reason)) => {
            let mut body = code.to_be_bytes().to_vec();
            body.extend_from_slice(reason.as_bytes());
            frame(0x88, &body)
        }
    })
}

/// Messages and control frames, sometimes with a Close frame at the end and bytes behind it.
pub(crate) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let frames = vec(prop_oneof![3 => message(), 1 => control()], 0..7);
    let end = option::of((close(), vec(any::<u8>(), 0..9)));
    (frames, end).prop_map(|(frames, end)| {
        let mut bytes = frames.concat();
        if let Some((close, behind)) = end {
            bytes.extend(close);
            bytes.extend(behind);
        }
        bytes
    })
}

/// A small damage to a stream.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Truncate(Index),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
            Self::Truncate(at) => bytes.truncate(at.index(length + 1)),
            _ if length == 0 => {}
            Self::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Self::Remove(at) => drop(bytes.remove(at.index(length))),
        }
    }
}

/// A few damages, or none.
pub(crate) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let damage = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        1 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ];
    prop_oneof![vec(damage.clone(), 0..1), vec(damage, 1..4)]
}

/// `bytes`, damaged.
pub(crate) fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        damage.apply(&mut bytes);
    }
    bytes
}

/// Lengths of pieces, short ones and long ones.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![0_usize..4, 0_usize..200], 0..40)
}

/// `bytes` in pieces of these lengths, the last of them as long as is left.
pub(crate) fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = bytes.split_at((*cut).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}
