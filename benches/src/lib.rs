//! Benchmarks of duologue: `cargo bench -p duologue-benches`.
