//! What is sent: records in JSON, alike as an application's are, and no two the same.

use core::fmt::Write as _;

use bytes::Bytes;

const NAMES: [&str; 6] = [
    "Ada Lovelace",
    "Grace Hopper",
    "Edsger Dijkstra",
    "Barbara Liskov",
    "Donald Knuth",
    "Alan Turing",
];
const CITIES: [&str; 6] = ["Hamburg", "Lisbon", "Trondheim", "Kyoto", "Valparaiso", "Nairobi"];
const TITLES: [&str; 6] = [
    "coffee beans, whole",
    "paper filters, 100",
    "kettle, gooseneck",
    "grinder, hand-cranked",
    "scales, 0.1 g",
    "cup, porcelain",
];
const STATES: [&str; 4] = ["paid", "packed", "shipped", "delivered"];
const SERIES: [&str; 4] = ["KT", "CF", "PF", "GR"];
const DISCOUNTS: [&str; 3] = ["null", "0.05", "0.1"];

/// The longest record without items, and the longest item, in bytes.
const HEAD: usize = 330;
const ITEM: usize = 140;

/// A generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        let index = self.below(words.len() as u64);
        words[usize::try_from(index).unwrap()]
    }
}

/// The record of this number, in exactly `length` bytes: an order with as many items as fit. A
/// short one has no more than a number, a time, a state and a city.
pub(super) fn record(number: u64, length: usize) -> String {
    let mut numbers = Numbers(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678);
    let mut text = String::with_capacity(length);
    let id = 100_000 + number;
    let (hour, minute) = (numbers.below(24), numbers.below(60));
    let (second, millisecond) = (numbers.below(60), numbers.below(1000));
    let time = format!("2025-03-17T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z");
    let state = numbers.one_of(&STATES);
    let city = numbers.one_of(&CITIES);
    write!(text, r#"{{"sequence":{id},"time":"{time}","status":"{state}","city":"{city}""#)
        .unwrap();
    if length >= HEAD {
        let unique = numbers.below(1 << 31) << 31 | numbers.below(1 << 31);
        let customer = 10_000 + numbers.below(90_000);
        let name = numbers.one_of(&NAMES);
        write!(
            text,
            r#","type":"order.updated","id":"{unique:016x}","customer":{{"id":{customer},"name":"#
        )
        .unwrap();
        write!(text, r#""{name}"}},"currency":"EUR","items":["#).unwrap();
        let first = text.len();
        while text.len() + ITEM < length {
            if text.len() > first {
                text.push(',');
            }
            let (series, model) = (numbers.one_of(&SERIES), 1000 + numbers.below(9000));
            let (title, quantity) = (numbers.one_of(&TITLES), 1 + numbers.below(9));
            let (price, cents) = (1 + numbers.below(200), numbers.below(100));
            let (discount, stocked) = (numbers.one_of(&DISCOUNTS), numbers.below(4) != 0);
            write!(text, r#"{{"sku":"{series}-{model}","title":"{title}","quantity":"#).unwrap();
            write!(text, r#"{quantity},"price":{price}.{cents:02},"discount":{discount},"#)
                .unwrap();
            write!(text, r#""in_stock":{stocked}}}"#).unwrap();
        }
        text.push(']');
    }
    text.push_str(r#","note":""#);
    while text.len() + 2 < length {
        let letter = numbers.below(26);
        text.push(char::from(b'a' + u8::try_from(letter).unwrap()));
    }
    text.push_str(r#""}"#);
    assert_eq!(text.len(), length, "too short for a record");
    text
}

/// The messages of `connections`, which take turns: each connection has 64 KiB of its own, twice
/// what a window holds, before its messages begin again.
pub(super) fn records(connections: usize, length: usize) -> Vec<Bytes> {
    let each = (64 * 1024 / length).max(2);
    let numbers = 0..connections * each;
    let records = numbers.map(|number| Bytes::from(record(number as u64, length)));
    // The first clone of all allocates, and is to count for nobody.
    records.inspect(|record| drop(record.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_json_of_the_length_asked_for_and_differ() {
        for length in [128, 930, 16 * 1024] {
            let records = records(2, length);
            for record in &records {
                assert_eq!(record.len(), length);
                let _: serde_json::Value = serde_json::from_slice(record).unwrap();
            }
            assert_ne!(records[0], records[1]);
        }
    }
}
