//! `duologue connect` in a pipe: what goes out and what comes in.
#![cfg(unix)]
#![allow(clippy::expect_used, reason = "helpers of tests count as none")]

mod support;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use duologue_tokio::Accept;
use support::{Duologue, RawServer, Server, expect_close, read_frame, run};

/// A directory that is gone at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("duologue-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("it can be made");
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").into()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn lines_in_a_pipe_come_back_before_the_clean_end() {
    let server = Server::start(&[]);
    // A line end of each kind, an empty line, and a last line without an end.
    let input = "Hello\nH\u{e9}llo \u{1f310}\r\n\n/ping\nlast";
    let ended = run(&["connect", &server.url()], input).expect(0);
    assert_eq!(ended.stdout, "Hello\nH\u{e9}llo \u{1f310}\n\n/ping\nlast\n");
    assert_eq!(ended.stderr, format!("connected to {}\nclosed: 1000\n", server.url()));
}

#[test]
fn url_without_a_scheme_is_a_ws_one() {
    let server = Server::start(&[]);
    let ended = run(&["connect", &server.address.to_string()], "Hello\n").expect(0);
    assert_eq!(ended.stdout, "Hello\n");
}

#[test]
fn quiet_tells_nothing_but_messages() {
    let server = Server::start(&[]);
    let ended = run(&["connect", "--quiet", &server.url()], "Hello\n").expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("Hello\n", ""));
}

#[test]
fn many_lines_come_back_in_order() {
    let server = Server::start(&[]);
    let input: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    let mut client = Duologue::start(&["connect", &server.url()]);
    client.write(&input);
    let ended = client.finish().expect(0);
    assert!(ended.stdout == input, "{} bytes of {}", ended.stdout.len(), input.len());
}

#[test]
fn line_of_megabytes_comes_back_whole() {
    let server = Server::start(&[]);
    let input = format!("{}\n", "0123456789".repeat(800_000));
    let ended = run(&["connect", &server.url()], &input).expect(0);
    assert!(ended.stdout == input, "{} bytes", ended.stdout.len());
}

#[test]
fn line_that_is_not_utf8_is_told_and_the_others_are_sent() {
    let server = Server::start(&[]);
    let ended = run(&["connect", &server.url()], b"one\ntw\xff\nthree\n").expect(2);
    assert_eq!(ended.stdout, "one\nthree\n");
    let ended = ended.tells("duologue: line 2: not UTF-8");
    assert!(ended.stderr.contains("closed: 1000"), "{ended:?}");
}

#[test]
fn hex_lines_are_binary_messages() {
    let server = Server::start(&[]);
    let ended = run(&["connect", "--hex", &server.url()], "00 FF\r\n\n0a0b\n").expect(0);
    assert_eq!(ended.stdout, "00ff\n\n0a0b\n");
}

#[test]
fn hex_line_that_is_none_is_told_and_the_others_are_sent() {
    let server = Server::start(&[]);
    run(&["connect", "--quiet", "--hex", &server.url()], "00\n0\n0g\n01\n")
        .expect(2)
        .tells("line 2: an odd number of hexadecimal digits")
        .tells("line 3: 'g' is no hexadecimal digit");
}

#[test]
fn executed_text_is_sent_without_reading_the_input() {
    let server = Server::start(&[]);
    let client = Duologue::start(&["connect", "-x", "one", "-x", "-2", &server.url()]);
    // The input stays open.
    assert_eq!(client.wait().expect(0).stdout, "one\n-2\n");
}

#[test]
fn executed_text_is_sent_before_the_input_if_interactive() {
    let server = Server::start(&[]);
    let ended = run(&["connect", "-i", "-x", "one", &server.url()], "two\n").expect(0);
    assert_eq!(ended.stdout, "one\ntwo\n");
}

#[test]
fn file_that_is_sent_is_saved_as_it_was_and_overwrites_none() {
    let server = Server::start(&[]);
    let directory = Directory::new("files");
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let sent = directory.path("sent");
    fs::write(&sent, &bytes).expect("it can be written");
    // The directory is made.
    let save_to = directory.path("a/b");
    for name in ["000001.bin", "000002.bin"] {
        let arguments = [
            "connect",
            "--send-file",
            &sent,
            "--save-binary",
            &save_to,
            "-x",
            "text",
            &server.url(),
        ];
        let ended = run(&arguments, "").expect(0);
        let saved = directory.path(&format!("a/b/{name}"));
        assert_eq!(ended.stdout, format!("text\n{saved}\n"));
        assert!(fs::read(&saved).expect("it is there") == bytes);
    }
}

#[test]
fn message_that_cannot_be_saved_is_told_with_status_2() {
    let server = Server::start(&[]);
    let directory = Directory::new("gone");
    let save_to = directory.path("gone");
    let mut client =
        Duologue::start(&["connect", "--hex", "--save-binary", &save_to, &server.url()]);
    client.wait_for_note("connected");
    fs::remove_dir(&save_to).expect("it is there");
    client.write("00\n");
    // The input stays open.
    client.wait().expect(2).tells(&format!("cannot write to {save_to}"));
}

#[test]
fn slash_commands_are_carried_out() {
    let server = Server::start(&[]);
    let directory = Directory::new("slash");
    let file = directory.path("two words");
    fs::write(&file, [1, 2]).expect("it can be written");
    let input =
        format!("/help\n//text\n/binary 00 ff\n/file {file}\n/close 3001 good bye\nnot sent\n");
    let ended = run(&["connect", "--slash", &server.url()], input).expect(0);
    assert_eq!(ended.stdout, "/text\n00ff\n0102\n");
    ended.tells("/ping [TEXT]").tells("closed: 3001\n");
}

#[test]
fn slash_command_that_cannot_be_carried_out_is_told() {
    let server = Server::start(&[]);
    run(&["connect", "--slash", &server.url()], "/nothing\n/close 1005\n/file /does/not/exist\n")
        .expect(2)
        .tells("line 1: there is no command /nothing")
        .tells("line 2: 1005 is no close code")
        .tells("line 3: /does/not/exist: ");
}

#[test]
fn pong_to_a_ping_command_is_told() {
    let server = Server::start(&[]);
    let mut client = Duologue::start(&["connect", "--slash", &server.url()]);
    client.write("/ping\n");
    client.wait_for_note("(pong ping)");
    client.write("/ping a\u{1b}b\n");
    client.wait_for_note("(pong a\\u{1b}b)");
    client.finish().expect(0);
}

#[test]
fn subprotocol_agreed_on_is_told() {
    let server = Server::start(&["--subprotocol", "superchat"]);
    run(&["connect", "-s", "chat", "-s", "superchat", &server.url()], "")
        .expect(0)
        .tells(&format!("connected to {} (superchat)\n", server.url()));
}

#[test]
fn fields_and_origin_and_subprotocols_reach_the_server() {
    let server = RawServer::start();
    let mut client = Duologue::start(&[
        "connect",
        "-H",
        "X-One: 1",
        "--header",
        "X-Two:  a:b ",
        "--origin",
        "http://example.com",
        "-s",
        "a",
        "-s",
        "b",
        &server.url(),
    ]);
    let mut stream = server.accept(|request| {
        let field = |name| request.field(name).map(|value| String::from_utf8_lossy(value));
        assert_eq!(field("x-one").as_deref(), Some("1"));
        assert_eq!(field("x-two").as_deref(), Some("a:b"));
        assert_eq!(field("origin").as_deref(), Some("http://example.com"));
        Accept::new().subprotocol(request.choose_subprotocol(&["b"])).into()
    });
    client.wait_for_note("(b)");
    client.end_input();
    expect_close(&mut stream, 1000, "");
    stream.write_all(b"\x88\x02\x03\xe8").expect("it reads");
    drop(stream);
    client.wait().expect(0);
}

#[test]
fn message_after_the_end_of_the_input_is_received_while_waiting() {
    let server = RawServer::start();
    let mut client = Duologue::start(&["connect", "--wait", "1", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    client.write("question\n");
    client.end_input();
    assert_eq!(read_frame(&mut stream), (0x81, true, b"question".to_vec()));
    let begun = Instant::now();
    stream.write_all(b"\x81\x06answer").expect("it reads");
    assert_eq!(client.line(), "answer");
    expect_close(&mut stream, 1000, "");
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    // What comes before the server's Close is received too.
    stream.write_all(b"\x81\x04more\x88\x02\x03\xe8").expect("it reads");
    drop(stream);
    assert_eq!(client.wait().expect(0).stdout, "more\n");
}

#[test]
fn pings_go_out_in_silence() {
    let server = RawServer::start();
    let mut client =
        Duologue::start(&["connect", "--ping-interval", "0.2", "--show-pings", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    for number in 1..=3 {
        assert_eq!(read_frame(&mut stream), (0x89, true, vec![0, number]));
        stream.write_all(&[0x8a, 2, 0, number]).expect("it reads");
        client.wait_for_note(&format!("(pong \\0\\u{{{number}}})"));
    }
    stream.write_all(b"\x89\x02hi").expect("it reads");
    client.wait_for_note("(ping hi)");
    client.end_input();
}

#[test]
fn pongs_that_the_person_has_not_asked_for_are_not_told() {
    let server = RawServer::start();
    let mut client =
        Duologue::start(&["connect", "--slash", "--ping-interval", "0.2", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    assert_eq!(read_frame(&mut stream), (0x89, true, vec![0, 1]));
    stream.write_all(b"\x8a\x02\0\x01\x8a\x03any").expect("it reads");
    client.write("/ping mine\n");
    while read_frame(&mut stream).2 != b"mine" {}
    stream.write_all(b"\x8a\x04mine\x88\x02\x03\xe8").expect("it reads");
    drop(stream);
    let ended = client.wait();
    assert!(ended.stderr.contains("(pong mine)\n"), "{ended:?}");
    assert_eq!(ended.stderr.matches("(pong").count(), 1, "{ended:?}");
}

#[test]
fn ping_without_an_answer_fails_the_connection() {
    let server = RawServer::start();
    let client = Duologue::start(&["connect", "--ping-interval", "0.2", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    assert_eq!(read_frame(&mut stream), (0x89, true, vec![0, 1]));
    let (first, _, _) = read_frame(&mut stream);
    assert_eq!(first, 0x88);
    drop(stream);
    client.wait().expect(3).tells("keepalive timeout");
}

#[test]
fn pings_are_answered_and_not_told_unless_asked() {
    let server = RawServer::start();
    let mut client = Duologue::start(&["connect", "--ping-interval", "0", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    stream.write_all(b"\x89\x02hi").expect("it reads");
    assert_eq!(read_frame(&mut stream), (0x8a, true, b"hi".to_vec()));
    client.end_input();
    expect_close(&mut stream, 1000, "");
    stream.write_all(b"\x88\x02\x03\xe8").expect("it reads");
    drop(stream);
    let ended = client.wait().expect(0);
    assert!(!ended.stderr.contains("ping"), "{ended:?}");
}
