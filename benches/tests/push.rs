//! Push and polling: every update has to come to every client before anything is worth measuring.
#![allow(clippy::expect_used, reason = "helpers of tests count as none")]

use std::process::{Command, Output};

fn deliver(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_duologue-benches"))
        .arg("push")
        .args(arguments)
        .output()
        .expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, stdout)
}

/// Each client checks that every update comes once, in order and unchanged; the program fails if
/// one does not. All ways of delivery have to be there.
fn assert_all_deliver(arguments: &[&str], deliveries: &str) {
    let (output, stdout) = deliver(arguments);
    assert!(output.status.success(), "{output:?}");
    let complete = stdout.lines().filter(|line| line.contains(deliveries)).count();
    assert_eq!((complete, stdout.lines().count()), (6, 6), "{stdout}");
    for name in ["WebSocket", "server-sent events", "long polling", "polling every 1 s"] {
        assert_eq!(stdout.lines().filter(|line| line.contains(name)).count(), 1, "{stdout}");
    }
}

#[test]
fn every_way_delivers_all_updates_to_one_client() {
    assert_all_deliver(&["--updates", "1000", "--mean", "100"], " 1000 deliveries,");
}

#[test]
fn every_way_delivers_all_updates_to_many_clients() {
    let arguments = ["--clients", "20", "--updates", "50", "--mean", "1000"];
    assert_all_deliver(&arguments, " 1000 deliveries,");
}
