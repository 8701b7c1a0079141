//! `ws` on Node.js: a script that npm's package is installed for on demand.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) const NAME: &str = "ws (Node.js)";

/// The script and its package files, with this crate's sources.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// Becomes the server.
pub(super) fn serve() -> io::Result<()> {
    let directory = installed()?;
    Err(Command::new("node").arg("server.js").current_dir(directory).exec())
}

/// Where the script stands with its package beside it: next to this program, in the target
/// directory.
fn installed() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let directory = program.parent().unwrap_or(Path::new(".")).join("duologue-benches-node");
    std::fs::create_dir_all(&directory)?;
    for file in ["package.json", "package-lock.json", "server.js"] {
        std::fs::copy(Path::new(SOURCES).join(file), directory.join(file))?;
    }
    if !directory.join("node_modules").join("ws").is_dir() {
        let status = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other("npm cannot install ws"));
        }
    }
    Ok(directory)
}
