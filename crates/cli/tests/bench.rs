//! `duologue bench` as a child process, against `duologue serve` and against servers that are no
//! echo servers.
#![allow(clippy::expect_used, reason = "helpers of tests count as none")]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use duologue_tokio::{Accept, HttpResponse};
use support::{Duologue, Ended, RawServer, Server, expect_close, read_frame, run};

/// How many messages came back, as the summary tells it.
#[track_caller]
fn messages(ended: &Ended) -> u64 {
    let line = ended.stdout.lines().nth(1).expect("a second line");
    let (number, _) = line.split_once(" messages came back: ").expect("the count");
    number.replace(',', "").parse().expect("a number")
}

#[test]
fn echo_server_is_measured_with_progress_and_histogram() {
    let server = Server::start(&[]);
    let arguments =
        ["bench", "-c", "3", "-s", "1000", "-i", "8", "-d", "2.5", "--text", &server.url()];
    let ended =
        run(&arguments, "").expect(0).tells(&format!("3 connections to {}\n", server.url()));
    let progress = ended.stderr.lines().filter(|line| line.contains(" messages/s ")).count();
    assert_eq!(progress, 2, "{ended:?}");
    assert!(messages(&ended) > 0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "3 connections, 1000 B text, 8 in flight each, for 2.5 s");
    assert!(lines[1].ends_with(" MB/s each way"), "{ended:?}");
    for name in ["latency: p50 ", "p90 ", "p99 ", "p99.9 ", "max "] {
        assert!(lines[2].contains(name), "{ended:?}");
    }
    assert!(
        lines[3..].iter().any(|line| line.ends_with("% ########################################"))
    );
}

#[test]
fn url_without_a_scheme_is_a_ws_one() {
    let server = Server::start(&[]);
    run(&["bench", "-d", "0.1", &server.address.to_string()], "").expect(0);
}

#[test]
fn messages_longer_than_all_buffers_do_not_get_stuck() {
    let server = Server::start(&[]);
    let arguments = ["bench", "-c", "2", "-s", "5000000", "-i", "4", "-d", "1", &server.url()];
    assert!(messages(&run(&arguments, "").expect(0)) > 0);
}

#[test]
fn empty_messages_are_messages() {
    let server = Server::start(&[]);
    assert!(messages(&run(&["bench", "-s", "0", "-d", "0.1", &server.url()], "").expect(0)) > 0);
}

#[test]
fn rate_is_kept() {
    let server = Server::start(&[]);
    let arguments = ["bench", "-c", "4", "--rate", "200", "-d", "1", &server.url()];
    let count = messages(&run(&arguments, "").expect(0));
    // A slow machine may fall behind; nothing may be sent ahead.
    assert!((20..=204).contains(&count), "{count} messages");
}

#[test]
fn signal_ends_the_load_with_a_summary() {
    let server = Server::start(&[]);
    let mut bench = Duologue::start(&["bench", "-d", "1000", &server.url()]);
    bench.wait_for_note(" messages/s ");
    let start = Instant::now();
    bench.signal("INT");
    let ended = bench.wait().expect(0);
    assert!(messages(&ended) > 0 && start.elapsed() < Duration::from_secs(20));
}

#[test]
fn refused_connection_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    drop(listener);
    let ended = run(&["bench", &address.to_string()], "").expect(1).tells(&format!(
        "cannot connect to ws://{address}: the connection was refused; is the server running?"
    ));
    assert_eq!(ended.stdout, "");
}

#[test]
fn refused_handshake_is_told() {
    let server = RawServer::start();
    let bench = Duologue::start(&["bench", "-c", "1", &server.url()]);
    drop(server.accept(|_| HttpResponse::text(404, "no such room").into()));
    bench.wait().expect(1).tells("cannot connect to ").tells("404");
}

#[test]
fn other_payload_is_told() {
    let server = RawServer::start();
    let bench = Duologue::start(&["bench", "-c", "1", "-s", "5", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    assert_eq!(read_frame(&mut stream), (0x82, true, b"abcde".to_vec()));
    stream.write_all(b"\x82\x05Hello").expect("it is read");
    let ended = bench.wait().expect(3);
    ended.tells("what came back is not what was sent: is it an echo server?");
}

#[test]
fn silence_is_told() {
    let server = RawServer::start();
    let bench = Duologue::start(&["bench", "-c", "1", "-d", "0.3", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    read_frame(&mut stream);
    expect_close(&mut stream, 1000, "");
    stream.write_all(b"\x88\x02\x03\xe8").expect("it is read");
    drop(stream);
    bench.wait().expect(3).tells("no message came back: is it an echo server?");
}

#[test]
fn close_of_the_server_is_told() {
    let server = RawServer::start();
    let bench = Duologue::start(&["bench", "-c", "1", "-d", "60", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    read_frame(&mut stream);
    // Close with 1001 (RFC 6455 section 7.4.1).
    stream.write_all(b"\x88\x02\x03\xe9").expect("it is read");
    expect_close(&mut stream, 1001, "");
    drop(stream);
    bench.wait().expect(3).tells("the server closed a connection with 1001");
}

#[test]
fn wrong_arguments_are_told() {
    for arguments in [
        &["bench", "--connections", "0", "localhost"][..],
        &["bench", "--in-flight", "0", "localhost"],
        &["bench", "--duration", "0", "localhost"],
        &["bench", "--rate", "0", "localhost"],
        &["bench", "--text", "--binary", "localhost"],
        &["bench", "ftp://localhost"],
        &["bench"],
    ] {
        run(arguments, "").expect(2);
    }
}
