//! UTF-8 in pieces, against the standard library on the whole. Nothing is allocated.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::Utf8Validator;
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let expected = core::str::from_utf8(bytes);
    for size in [usize::from(size).max(1), 1, bytes.len().max(1)] {
        let mut validator = Utf8Validator::new();
        let mut fed = 0;
        let mut verdict = Ok(());
        for piece in bytes.chunks(size) {
            let (validated, _, most) = counted(|| validator.validate(piece));
            assert_eq!(most, 0, "validating has allocated");
            verdict = validated;
            if verdict.is_err() {
                break;
            }
            fed += piece.len();
        }
        match expected {
            Ok(_) => assert!(verdict.and_then(|()| validator.finish()).is_ok()),
            Err(error) if error.error_len().is_some() => {
                // The first impossible byte lies in the piece that failed.
                assert!(verdict.is_err());
                assert!(fed <= error.valid_up_to() + error.error_len().unwrap_or(0));
            }
            Err(_) => {
                assert!(verdict.is_ok());
                assert!(validator.finish().is_err());
            }
        }
    }
});
