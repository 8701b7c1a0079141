//! Makes tests of the README's programs: those that talk to the server of its section "Try it" are
//! run against one of their own, on a free port.
#![allow(clippy::expect_used, reason = "what cannot be made fails the build")]

use std::path::Path;
use std::{env, fs};

/// The server of "Try it", as the programs name it.
const URL: &str = "\"ws://127.0.0.1:9001/\"";

/// What names one that runs, in a test.
const TEST_URL: &str = "duologue_interop::readme::url()";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = root.join("README.md");
    println!("cargo::rerun-if-changed={}", readme.display());
    let text = fs::read_to_string(&readme).expect("the README is there");
    let mut blocks = text.split("```rust,no_run\n");
    let mut tests = String::from(blocks.next().unwrap_or_default());
    let mut run = 0;
    for block in blocks {
        let (program, behind) = block.split_once("\n```").expect("each block has its end");
        if program.contains(URL) && program.contains("fn main") {
            tests += "```rust\n";
            tests += &program.replace(URL, TEST_URL);
            run += 1;
        } else {
            tests += "```rust,no_run\n";
            tests += program;
        }
        tests += "\n```";
        tests += behind;
    }
    assert!(run >= 4, "{run} programs of the README are run");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("README.md"), tests).expect("it can be written");
}
