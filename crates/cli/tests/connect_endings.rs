//! `duologue connect`: how it ends, what it says then, and with which exit status.
#![cfg(unix)]
#![allow(clippy::expect_used, reason = "helpers of tests count as none")]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use duologue_tokio::{Accept, HttpResponse};
use support::{Duologue, PATIENCE, RawServer, Server, expect_close, read_frame, run};

/// The exit status of a client whose server sends these bytes after the opening handshake, and then
/// ends the connection.
fn after(bytes: &[u8]) -> support::Ended {
    let server = RawServer::start();
    let client = Duologue::start(&["connect", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    stream.write_all(bytes).expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    drop(stream);
    client.wait()
}

#[test]
fn end_of_the_input_closes_with_1000_and_ends_with_status_0() {
    let server = RawServer::start();
    let mut client = Duologue::start(&["connect", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    client.end_input();
    expect_close(&mut stream, 1000, "");
    stream.write_all(b"\x88\x02\x03\xe8").expect("it reads");
    drop(stream);
    client.wait().expect(0).tells("closed: 1000\n");
}

#[test]
fn close_option_is_what_the_server_sees() {
    for (arguments, reason) in [
        // Before the URL and behind it, with and without a reason.
        (&["--close", "3000", "good bye", "URL"][..], "good bye"),
        (&["URL", "--close", "3000", "good bye"], "good bye"),
        (&["--close", "3000", "URL"], ""),
        (&["URL", "--close", "3000"], ""),
    ] {
        let server = RawServer::start();
        let url = server.url();
        let arguments: Vec<&str> = std::iter::once("connect")
            .chain(
                arguments.iter().map(|&argument| if argument == "URL" { &url } else { argument }),
            )
            .collect();
        let mut client = Duologue::start(&arguments);
        let mut stream = server.accept(|_| Accept::new().into());
        client.end_input();
        expect_close(&mut stream, 3000, reason);
        stream.write_all(b"\x88\x02\x0b\xb8").expect("it reads");
        drop(stream);
        client.wait().expect(0).tells("closed: 3000");
    }
}

#[test]
fn error_code_that_was_our_own_is_no_error() {
    let server = Server::start(&[]);
    run(&["connect", &server.url(), "--close", "1011", "tired"], "")
        .expect(0)
        .tells("closed: 1011\n");
}

#[test]
fn signal_closes_and_ends_with_status_0() {
    for signal in ["INT", "TERM"] {
        let server = RawServer::start();
        let mut client = Duologue::start(&["connect", &server.url(), "--close", "3000"]);
        let mut stream = server.accept(|_| Accept::new().into());
        client.wait_for_note("connected");
        client.signal(signal);
        expect_close(&mut stream, 3000, "");
        stream.write_all(b"\x88\x02\x0b\xb8").expect("it reads");
        drop(stream);
        client.wait().expect(0).tells("closed: 3000");
    }
}

#[test]
fn second_signal_ends_at_once_with_status_3() {
    let server = RawServer::start();
    let mut client = Duologue::start(&["connect", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    client.wait_for_note("connected");
    client.signal("INT");
    expect_close(&mut stream, 1000, "");
    client.wait_for_note("closing");
    let begun = Instant::now();
    client.signal("INT");
    client.wait().expect(3).tells("ended without a closing handshake");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn server_that_stops_is_told_with_1001_and_status_0() {
    let server = Server::start(&[]);
    let mut client = Duologue::start(&["connect", &server.url()]);
    client.wait_for_note("connected");
    client.write("Hello\n");
    assert_eq!(client.line(), "Hello");
    server.process.signal("TERM");
    // The input stays open.
    client.wait().expect(0).tells("closed: 1001 the server stops\n");
    server.process.wait().expect(0);
}

#[test]
fn message_that_the_server_refuses_ends_with_status_3() {
    let server = Server::start(&["--max-message", "4"]);
    run(&["connect", &server.url()], "abcd\nabcde\n")
        .expect(3)
        .tells("the server closed with 1009");
}

#[test]
fn message_that_is_too_big_for_us_ends_with_status_3() {
    let server = Server::start(&[]);
    run(&["connect", "--max-message", "4", &server.url()], "abcde\n").expect(3).tells("too big");
}

#[test]
fn close_code_of_the_server_decides_the_status() {
    for (code, status, text) in [
        (1000_u16, 0, "closed: 1000 why\n"),
        (4000, 0, "closed: 4000 why\n"),
        (1008, 3, "the server closed with 1008 why\n"),
        (1011, 3, "the server closed with 1011 why\n"),
    ] {
        let frame = [&[0x88, 5][..], &code.to_be_bytes(), b"why"].concat();
        after(&frame).expect(status).tells(text);
    }
    after(b"\x88\0").expect(0).tells("closed: 1005\n");
}

#[test]
fn control_characters_of_the_server_reach_no_terminal() {
    let ended = after(b"\x88\x06\x03\xe8\x1b[2J").expect(0).tells("closed: 1000 \\u{1b}[2J");
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn connection_that_ends_without_a_close_ends_with_status_3() {
    let ended = after(b"\x81\x05Hello").expect(3).tells("1006");
    assert_eq!(ended.stdout, "Hello\n");
}

#[test]
fn server_that_breaks_the_protocol_ends_with_status_3() {
    // A masked frame: RFC 6455 section 5.1.
    after(b"\x81\x80\0\0\0\0").expect(3).tells("frame masked");
}

#[test]
fn server_that_does_not_answer_a_close_ends_with_status_3() {
    let server = RawServer::start();
    let mut client = Duologue::start(&["connect", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    client.end_input();
    expect_close(&mut stream, 1000, "");
    drop(stream);
    client
        .wait()
        .expect(3)
        .tells("the connection ended without a closing handshake (close code 1006)");
}

#[test]
fn output_that_nobody_reads_on_closes_with_status_0() {
    let server = RawServer::start();
    let mut client = Duologue::start(&["connect", &server.url()]);
    let mut stream = server.accept(|_| Accept::new().into());
    stream.write_all(b"\x81\x05first").expect("it reads");
    assert_eq!(client.line(), "first");
    client.break_output();
    // The reader lets go of the pipe when one more line has come, and the line behind that fails.
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
    let begun = Instant::now();
    while stream.peek(&mut [0]).is_err() {
        assert!(begun.elapsed() < PATIENCE, "nothing comes");
        stream.write_all(b"\x81\x04more").expect("it reads");
    }
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // The input stays open.
    let (first, _, payload) = read_frame(&mut stream);
    assert_eq!((first, &payload[..]), (0x88, &1000_u16.to_be_bytes()[..]));
    stream.write_all(b"\x88\x02\x03\xe8").expect("it reads");
    drop(stream);
    client.wait().expect(0);
}

#[test]
fn errors_and_notes_that_nobody_reads_change_nothing() {
    let server = Server::start(&[]);
    let mut client = Duologue::start(&["connect", &server.url()]);
    client.break_notes();
    client.write("one\ntw\u{ff}\n");
    assert_eq!(client.finish().expect(0).stdout, "one\ntw\u{ff}\n");
}

#[test]
fn refused_connection_is_told_with_status_1() {
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("it listens"));
    drop(listener);
    run(&["connect", &url], "").expect(1).tells(&format!(
        "duologue: cannot connect to {url}: the connection was refused; is the server running?"
    ));
}

#[test]
fn answer_other_than_101_is_told_with_status_1() {
    let server = Server::start(&[]);
    run(&["connect", &format!("{}nothing", server.url())], "")
        .expect(1)
        .tells("the server answered 404 Not Found instead of 101 Switching Protocols")
        .tells("There is nothing here");
}

#[test]
fn redirection_is_told_with_where_it_points() {
    let server = RawServer::start();
    let client = Duologue::start(&["connect", &server.url()]);
    server.accept(|_| HttpResponse::new(302).field("Location", "ws://elsewhere/\u{7f}").into());
    drop(server);
    let ended = client.wait();
    // Whether a control character may be sent at all is the server's to decide.
    assert_eq!(ended.status, Some(1), "{ended:?}");

    let server = RawServer::start();
    let client = Duologue::start(&["connect", &server.url()]);
    server.accept(|_| HttpResponse::new(302).field("Location", "ws://elsewhere/").into());
    client.wait().expect(1).tells("302 Found").tells("it points to ws://elsewhere/");
}

#[test]
fn server_that_speaks_no_http_is_told_with_status_1() {
    let server = RawServer::start();
    let client = Duologue::start(&["connect", &server.url()]);
    let mut stream = server.accept_tcp();
    stream.write_all(b"220 mail.example.com ESMTP\r\n\r\n").expect("it reads");
    client.wait().expect(1).tells("malformed HTTP head");
}

#[test]
fn server_that_ends_inside_the_handshake_is_told_with_status_1() {
    let server = RawServer::start();
    let client = Duologue::start(&["connect", &server.url()]);
    drop(server.accept_tcp());
    let ended = client.wait().expect(1);
    assert!(ended.stderr.starts_with("duologue: cannot connect to"), "{ended:?}");
}

#[test]
fn wss_url_of_a_port_where_nobody_listens_is_told_with_status_1() {
    run(&["connect", "wss://127.0.0.1:1/"], "").expect(1).tells("the connection was refused");
}

#[test]
fn url_that_is_none_is_told_with_status_2() {
    for (url, text) in [
        ("ftp://127.0.0.1/", "begins with ws:// or wss://"),
        ("ws://", "not a URL"),
        ("ws://127.0.0.1:99999/", "not a URL"),
        ("ws://127.0.0.1/#part", "fragment"),
    ] {
        run(&["connect", url], "").expect(2).tells(&format!("duologue: {url}: ")).tells(text);
    }
}

#[test]
fn wrong_arguments_are_told_with_status_2() {
    let long = "x".repeat(124);
    for (arguments, text) in [
        (&["connect"][..], "<URL>"),
        (&["connect", "--close", "1000"], "there is no URL"),
        (&["connect", "ws://h/", "--close", "1005"], "1005 is no close code"),
        (&["connect", "ws://h/", "--close", "x"], "x is no close code"),
        (&["connect", "ws://h/", "--close", "1000", &long], "at most 123 bytes"),
        (&["connect", "ws://h/", "--header", "no colon"], "Name: value"),
        (&["connect", "ws://h/", "--send-file", "/does/not/exist"], "/does/not/exist: "),
        (&["connect", "ws://h/", "--save-binary", "/dev/null"], "/dev/null: "),
        (&["connect", "ws://h/", "--wait=-1"], "a number of seconds"),
        (&["connect", "ws://h/", "--wait=NaN"], "a number of seconds"),
        (&["connect", "ws://h/", "--nothing"], "--nothing"),
        (&["nothing"], "nothing"),
        (&[], "Usage"),
    ] {
        run(arguments, "").expect(2).tells(text);
    }
}

#[test]
fn field_of_the_handshake_itself_is_refused_with_status_2() {
    let server = Server::start(&[]);
    run(&["connect", "-H", "Sec-WebSocket-Version: 8", &server.url()], "").expect(2);
    run(&["connect", "-H", "bad name: x", &server.url()], "").expect(2);
    run(&["connect", "-s", "a", "-s", "a", &server.url()], "").expect(2).tells("stands twice");
}

#[test]
fn help_explains_the_exit_status() {
    for arguments in [&["--help"][..], &["connect", "--help"], &["serve", "--help"]] {
        let ended = run(arguments, "").expect(0);
        assert!(ended.stdout.contains("Exit status:"), "{ended:?}");
    }
}
