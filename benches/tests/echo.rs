//! The servers that are measured: each of them has to echo before its speed is of interest.
#![allow(clippy::expect_used, reason = "helpers of tests count as none")]

use std::process::Command;

fn load(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_duologue-echo"))
        .arg("load")
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_server_echoes() {
    for size in ["0", "20", "300", "70000"] {
        let arguments = ["--connections", "3", "--in-flight", "5", "--seconds", "0.02"];
        let (success, stdout, stderr) = load(&[&arguments[..], &["--size", size]].concat());
        assert!(success, "{size} B: {stdout}{stderr}");
        // Only Node.js may be missing.
        let left_out = stdout.lines().filter(|line| line.contains(" is left out: "));
        assert!(left_out.clone().all(|line| line.starts_with("ws (Node.js)")), "{stdout}{stderr}");
        let measured = stdout.lines().filter(|line| line.contains(" messages/s, ")).count();
        assert!(measured >= 14, "{stdout}{stderr}");
    }
}

#[test]
fn unknown_server_is_told() {
    let (success, _, stderr) = load(&["nobody"]);
    assert!(!success && stderr.contains("there is no server \\\"nobody\\\""), "{stderr}");
}
