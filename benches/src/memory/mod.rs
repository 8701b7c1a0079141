//! The comparisons that need no network.

pub mod allocations;
pub mod batch;
pub mod deflate;
pub mod fragments;
pub mod growth;
pub mod handshake;
pub mod mask;
pub mod receive;
pub mod send;
pub mod transport;
pub mod utf8;

use crate::results::Table;
use crate::scale::Scale;

/// A comparison, not measured yet.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The id of its table.
    pub id: &'static str,
    /// Measures it.
    pub measure: fn(Scale) -> Table,
}

/// All of them, in the order of the report.
pub const COMPARISONS: [Comparison; 19] = [
    Comparison { id: "mask", measure: mask::table },
    Comparison { id: "utf8", measure: utf8::table },
    Comparison { id: "receive-binary", measure: receive::binary },
    Comparison { id: "receive-text", measure: receive::text },
    Comparison { id: "receive-fragments", measure: fragments::receive },
    Comparison { id: "send-server", measure: send::server },
    Comparison { id: "send-client", measure: send::client },
    Comparison { id: "send-fragments", measure: fragments::send },
    Comparison { id: "handshake-server", measure: handshake::server },
    Comparison { id: "handshake-client", measure: handshake::client },
    Comparison { id: "deflate", measure: deflate::many },
    Comparison { id: "deflate-alone", measure: deflate::alone },
    Comparison { id: "deflate-size", measure: deflate::size },
    Comparison { id: "deflate-broadcast", measure: deflate::broadcast },
    Comparison { id: "deflate-memory", measure: deflate::memory },
    Comparison { id: "instructions", measure: crate::instructions::table },
    Comparison { id: "allocations", measure: allocations::table },
    Comparison { id: "growth-size", measure: growth::sizes },
    Comparison { id: "growth-fragments", measure: growth::fragments },
];

/// A size as rows name it.
#[must_use]
pub fn size_name(bytes: usize) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => {
            format!("{} MiB", bytes >> 20)
        }
        bytes if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => {
            format!("{} KiB", bytes >> 10)
        }
        bytes => format!("{bytes} B"),
    }
}

/// Text of exactly `length` bytes: ASCII, or with characters of two, three and four bytes in it.
#[must_use]
pub fn text(length: usize, mixed: bool) -> String {
    let pattern = if mixed {
        "Grüße, 世界! Καλημέρα κόσμε 🌍 "
    } else {
        "The quick brown fox. "
    };
    let mut text = String::with_capacity(length);
    for character in pattern.chars().cycle() {
        if text.len() + character.len_utf8() > length {
            break;
        }
        text.push(character);
    }
    text.extend(core::iter::repeat_n('.', length - text.len()));
    text
}

/// Bytes that no text would be.
#[must_use]
pub fn binary(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(167) >> 1).to_le_bytes()[0]).collect()
}
