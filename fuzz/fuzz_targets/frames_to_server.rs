//! Bytes that a client sends, hostile or not, to a server's connection and endpoint.
#![no_main]

mod frames;
#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::End;
use support::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|input: &[u8]| frames::check(End::Server, input));
