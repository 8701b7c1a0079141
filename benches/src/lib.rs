//! Duologue beside its peers: `cargo run --release -p duologue-benches -- report`.
//!
//! The contenders of a comparison are measured in one run, in turn, and each is used as its own
//! documentation says is best. What a run measured is a list of [`results::Table`]s.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a measurement that goes wrong is to stop at once"
)]

pub mod counting;
pub mod echo;
pub mod instructions;
pub mod memory;
pub mod push;
pub mod report;
pub mod results;
pub mod scale;
pub mod timing;

pub use scale::Scale;
