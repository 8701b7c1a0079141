//! `duologue serve`, over bare sockets.
#![cfg(unix)]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{
    Duologue, PATIENCE, Server, expect_close, expect_end, read_frame, run, upgrade_request,
};

/// The value of a field of a response's head.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Frames of a client whose masking key is zero, so that the payload stands as it is.
const CLOSE_1000: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";
const CLOSE_1001: &[u8] = b"\x88\x82\0\0\0\0\x03\xe9";

#[test]
fn page_on_a_plain_get_is_served_with_its_policy() {
    let server = Server::start(&[]);
    let (head, body) = server.answer("GET /?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(field(&head, "Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(field(&head, "Content-Length"), Some(body.len().to_string().as_str()));
    assert_eq!(field(&head, "Connection"), Some("close"));
    assert!(
        field(&head, "Content-Security-Policy").expect("a policy").contains("default-src 'none'")
    );
    assert!(body.starts_with("<!DOCTYPE html>"));
    assert!(body.trim_end().ends_with("</html>"));
}

#[test]
fn page_on_a_head_is_its_head_alone() {
    let server = Server::start(&[]);
    let (of_get, body) = server.answer("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (of_head, nothing) = server.answer("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(of_head, of_get);
    assert_eq!(nothing, "");
    assert!(!body.is_empty());
}

#[test]
fn request_elsewhere_is_answered_with_404() {
    let server = Server::start(&[]);
    let (head, body) = server.answer("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert_eq!(body, "There is nothing here; the WebSocket is at /\n");
    let (head, _) = server.answer(&upgrade_request("/nothing", ""));
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
}

#[test]
fn another_method_is_answered_with_405() {
    let server = Server::start(&[]);
    let (head, _) = server.answer("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{head}");
    assert_eq!(field(&head, "Allow"), Some("GET, HEAD"));
}

#[test]
fn path_option_moves_page_and_websocket() {
    let server = Server::start(&["--path", "/echo"]);
    let (head, _) = server.answer("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, _) = server.answer("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let url = format!("ws://{}/echo", server.address);
    assert_eq!(run(&["connect", &url], "Hello\n").expect(0).stdout, "Hello\n");
}

#[test]
fn upgrade_of_the_rfc_is_accepted() {
    let server = Server::start(&[]);
    let (_stream, head) = server.websocket("");
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    // RFC 6455 section 1.3.
    assert_eq!(field(&head, "Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), None);
}

#[test]
fn upgrade_of_another_version_is_refused_with_426() {
    let server = Server::start(&[]);
    let request = upgrade_request("/", "").replace("Version: 13", "Version: 8");
    let (head, _) = server.answer(&request);
    assert!(head.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{head}");
    assert_eq!(field(&head, "Sec-WebSocket-Version"), Some("13"));
}

#[test]
fn subprotocol_that_both_have_is_agreed_on() {
    let server = Server::start(&["--subprotocol", "b", "--subprotocol", "c"]);
    let (_stream, head) = server.websocket("Sec-WebSocket-Protocol: a, c\r\n");
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), Some("c"));
    let (_stream, head) = server.websocket("Sec-WebSocket-Protocol: a\r\n");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), None);
}

#[test]
fn messages_and_pings_on_a_bare_socket_come_back() {
    let server = Server::start(&[]);
    let (mut stream, _) = server.websocket("");
    // The masked "Hello" of RFC 6455 section 5.7, a binary message in two fragments, and a ping.
    stream.write_all(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").expect("it reads");
    stream.write_all(b"\x02\x81\0\0\0\0\x01\x80\x81\0\0\0\0\x02").expect("it reads");
    stream.write_all(b"\x89\x83\0\0\0\0abc").expect("it reads");
    // A pong may overtake messages.
    let mut frames: Vec<_> = (0..3).map(|_| read_frame(&mut stream)).collect();
    frames.sort_unstable();
    assert_eq!(
        frames,
        [
            (0x81, false, b"Hello".to_vec()),
            (0x82, false, vec![1, 2]),
            (0x8a, false, b"abc".to_vec())
        ]
    );
    stream.write_all(CLOSE_1000).expect("it reads");
    expect_close(&mut stream, 1000, "");
    expect_end(&mut stream);
}

#[test]
fn message_over_the_limit_is_refused_with_1009() {
    let server = Server::start(&["--max-message", "4"]);
    let (mut stream, _) = server.websocket("");
    stream.write_all(b"\x81\x84\0\0\0\0abcd\x81\x85\0\0\0\0abcde").expect("it reads");
    assert_eq!(read_frame(&mut stream), (0x81, false, b"abcd".to_vec()));
    let (first, _, payload) = read_frame(&mut stream);
    assert_eq!((first, &payload[..2]), (0x88, &1009_u16.to_be_bytes()[..]));
}

#[test]
fn each_signal_tells_every_client_1001_and_ends_with_status_0() {
    for signal in ["INT", "TERM"] {
        let server = Server::start(&[]);
        let mut clients: Vec<TcpStream> = (0..3).map(|_| server.websocket("").0).collect();
        server.process.signal(signal);
        for client in &mut clients {
            expect_close(client, 1001, "the server stops");
            client.write_all(CLOSE_1001).expect("it reads");
            expect_end(client);
        }
        drop(clients);
        server.process.wait().expect(0).tells("stopping").tells("stopped");
    }
}

#[test]
fn connection_without_a_request_holds_no_stop_up() {
    let server = Server::start(&[]);
    let _idle = server.request("");
    let _half = server.request("GET / HT");
    let begun = Instant::now();
    server.process.signal("TERM");
    server.process.wait().expect(0);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn client_that_answers_nothing_holds_a_stop_up_for_a_while_only() {
    let server = Server::start(&[]);
    let (mut deaf, _) = server.websocket("");
    server.process.signal("TERM");
    expect_close(&mut deaf, 1001, "the server stops");
    let begun = Instant::now();
    let ended = server.process.wait();
    assert!(matches!(ended.status, Some(0 | 3)), "{ended:?}");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
}

#[test]
fn second_signal_ends_at_once_with_status_3() {
    let mut server = Server::start(&[]);
    let (mut deaf, _) = server.websocket("");
    server.process.signal("INT");
    expect_close(&mut deaf, 1001, "the server stops");
    server.process.wait_for_note("stopping");
    let begun = Instant::now();
    server.process.signal("INT");
    server.process.wait().expect(3);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn port_that_is_taken_is_told_with_status_1() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    run(&["serve", "--addr", &address], "")
        .expect(1)
        .tells(&format!("duologue: cannot listen on {address}: the port is taken"));
}

#[test]
fn address_that_is_none_is_told_with_status_1() {
    run(&["serve", "--addr", "127.0.0.1"], "").expect(1).tells("give an address and a port");
}

#[test]
fn path_without_a_slash_is_told_with_status_2() {
    run(&["serve", "--path", "echo"], "").expect(2).tells("a path begins with /");
}

#[test]
fn connections_and_requests_are_logged_without_colours() {
    let mut server = Server::start(&["-vv"]);
    run(&["connect", &server.url()], "Hello\n").expect(0);
    server.process.wait_for_note("GET /");
    server.process.wait_for_note("connected");
    server.process.wait_for_note("of 5 bytes");
    server.process.wait_for_note("closed: 1000");
    server.process.signal("TERM");
    let ended = server.process.wait().expect(0);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn output_that_nobody_reads_stops_no_server() {
    let mut server = Duologue::start(&["serve", "--addr", "127.0.0.1:0"]);
    server.break_output();
    server.wait_for_note("echo on");
    server.signal("TERM");
    server.wait().expect(0);
}

#[test]
fn compression_is_agreed_on_if_both_ask_for_it() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let plain = Server::start(&[]);
    let (_, head) = plain.websocket(offer);
    assert_eq!(field(&head, "Sec-WebSocket-Extensions"), None);

    let compressing = Server::start(&["--compress"]);
    let (mut stream, head) = compressing.websocket(offer);
    assert_eq!(field(&head, "Sec-WebSocket-Extensions"), Some("permessage-deflate"));
    // "Hello", compressed as in RFC 7692 section 7.2.3.1; it comes back as it is, for it is short.
    stream.write_all(b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00").expect("written");
    assert_eq!(read_frame(&mut stream), (0x81, false, b"Hello".to_vec()));
    let (_, head) = compressing.websocket("");
    assert_eq!(field(&head, "Sec-WebSocket-Extensions"), None);

    let alone = Server::start(&["-z", "--no-context-takeover", "--level", "9"]);
    let (_, head) = alone.websocket(offer);
    assert_eq!(
        field(&head, "Sec-WebSocket-Extensions"),
        Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    );
}

#[test]
fn compressed_lines_come_back_and_the_agreement_is_told() {
    let server = Server::start(&["--compress"]);
    let url = format!("ws://{}/", server.address);
    let lines = "a line that is long enough to be compressed, and long enough, and long enough\n";
    let lines = lines.trim_end().repeat(3) + "\n";
    let lines = lines.repeat(20);
    let ended = run(&["connect", "--compress", &url], &lines).expect(0);
    assert_eq!(ended.stdout, lines);
    ended.tells("(permessage-deflate)");
    let ended = run(&["connect", &url], &lines).expect(0);
    assert_eq!(ended.stdout, lines);
    assert!(!ended.stderr.contains("permessage"), "{ended:?}");
    let bench = ["bench", "-z", "--size", "2000", "--duration", "0.2", "--connections", "2", &url];
    run(&bench, "").expect(0);
}

#[test]
fn compression_level_out_of_range_is_refused() {
    for arguments in [&["serve", "-z", "--level", "10"][..], &["serve", "--level", "2"]] {
        run(arguments, "").expect(2);
    }
}
