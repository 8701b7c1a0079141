//! Both ends over loopback, and a peer of bare bytes.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duologue_adapter::handshake::AcceptKey;
use duologue_std::{
    Accept, ClientOptions, Config, Error, Keepalive, ServerOptions, WebSocket, accept_with, client,
};

/// A valid request, with the key of RFC 6455 section 1.3.
pub(crate) const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// A test that does not end is a failure; no deadline in these tests is near this.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn no_keepalive() -> Config {
    Config { keepalive: None, ..Config::DEFAULT }
}

/// Deadlines short enough to be waited for.
pub(crate) fn short() -> Config {
    Config {
        opening_timeout: Duration::from_millis(200),
        closing_timeout: Duration::from_millis(200),
        write_stall_timeout: Duration::from_millis(200),
        keepalive: None,
        ..Config::DEFAULT
    }
}

pub(crate) fn short_keepalive() -> Config {
    let timeout = Duration::from_millis(100);
    Config {
        keepalive: Some(Keepalive { interval: timeout, timeout, ..Keepalive::DEFAULT }),
        ..short()
    }
}

/// Two connected sockets.
pub(crate) fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    for socket in [&ours, &theirs] {
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
    }
    (ours, theirs)
}

/// A client and a server, connected.
pub(crate) fn pair(
    client_config: Config,
    server_config: Config,
) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let (ours, theirs) = sockets();
    let server = thread::spawn(move || {
        let options = ServerOptions::new().with_config(server_config);
        accept_with(theirs, &options, |_| Accept::new().into()).unwrap()
    });
    let options = ClientOptions::new("ws://localhost/").unwrap().with_config(client_config);
    let client = client(ours, &options).unwrap();
    (client, server.join().unwrap())
}

/// A server that sends back what it gets, in a thread; it returns how the connection ended.
pub(crate) fn echo(
    mut server: WebSocket<TcpStream>,
) -> JoinHandle<Result<WebSocket<TcpStream>, Error>> {
    thread::spawn(move || {
        while let Some(message) = server.read()? {
            server.feed(message)?;
        }
        Ok(server)
    })
}

/// A server, and a peer of bare bytes whose handshake is done.
pub(crate) fn server_and_raw_client(config: Config) -> (WebSocket<TcpStream>, TcpStream) {
    let (mut ours, theirs) = sockets();
    ours.write_all(REQUEST).unwrap();
    let options = ServerOptions::new().with_config(config);
    let server = accept_with(theirs, &options, |_| Accept::new().into()).unwrap();
    read_head(&mut ours);
    (server, ours)
}

/// A client, and a peer of bare bytes whose handshake is done.
pub(crate) fn client_and_raw_server(config: Config) -> (WebSocket<TcpStream>, TcpStream) {
    let (ours, mut theirs) = sockets();
    let server = thread::spawn(move || {
        accept_raw(&mut theirs, b"");
        theirs
    });
    let options = ClientOptions::new("ws://localhost/").unwrap().with_config(config);
    let client = client(ours, &options).unwrap();
    (client, server.join().unwrap())
}

/// Reads a request and answers with a 101, and `behind` in the same write.
pub(crate) fn accept_raw(stream: &mut (impl Read + Write), behind: &[u8]) {
    let head = read_head(stream);
    let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let accept = AcceptKey::for_key(key.as_bytes());
    let start = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: ";
    let answer = [&start[..], accept.as_bytes(), b"\r\n\r\n", behind].concat();
    stream.write_all(&answer).unwrap();
}

/// Reads up to the empty line.
pub(crate) fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Reads to the end.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Reads exactly the bytes expected.
pub(crate) fn expect_bytes(stream: &mut impl Read, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

/// A client's frame of up to 125 bytes, masked with zeros.
pub(crate) fn masked(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first_byte, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// A Close frame of a server's, without a reason.
pub(crate) fn close_frame(code: u16) -> Vec<u8> {
    [&[0x88, 2][..], &code.to_be_bytes()].concat()
}

/// Asserts that `work` takes about as long as `expected`.
pub(crate) fn takes_about<T>(expected: Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    let took = started.elapsed();
    assert!(took + Duration::from_millis(10) >= expected, "too early: {took:?}");
    assert!(took < expected + Duration::from_secs(5), "too late: {took:?}");
    result
}
