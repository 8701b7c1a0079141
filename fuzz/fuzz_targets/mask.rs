//! Masking in pieces, in place and while copying, against RFC 6455 section 5.3 to the letter.
//! Nothing is allocated where nothing is appended.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::frame::Masker;
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|input: ([u8; 4], u8, &[u8])| {
    let (key, size, bytes) = input;
    let expected: Vec<u8> = bytes.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect();
    let mut in_place = bytes.to_vec();
    let mut copied = vec![0; bytes.len()];
    let mut appended = Vec::new();
    let (mut a, mut b, mut c) = (Masker::new(key), Masker::new(key), Masker::new(key));
    let size = usize::from(size).max(1);
    for (index, piece) in bytes.chunks(size).enumerate() {
        let at = index * size;
        let ((), _, most) = counted(|| {
            a.apply(&mut in_place[at..at + piece.len()]);
            b.apply_to(piece, &mut copied[at..]);
        });
        assert_eq!(most, 0, "masking has allocated");
        c.append_to(piece, &mut appended);
    }
    assert_eq!(in_place, expected);
    assert_eq!(copied, expected);
    assert_eq!(appended, expected);
});
