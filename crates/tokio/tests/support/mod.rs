//! What the tests share: ends of connections in memory and over loopback, and raw frames.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod counting;
pub mod dialled;
pub mod wire;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use duologue_tokio::{Config, OsKeys, Role, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::coop;

/// No keepalive, so that nothing but the test itself moves.
pub const QUIET: Config = Config { keepalive: None, ..Config::DEFAULT };

pub fn server<S: AsyncRead + AsyncWrite + Unpin>(stream: S, config: &Config) -> WebSocket<S> {
    WebSocket::from_raw(stream, Role::Server, config, BytesMut::new())
}

pub fn client<S: AsyncRead + AsyncWrite + Unpin>(stream: S, config: &Config) -> WebSocket<S> {
    WebSocket::from_raw(stream, Role::Client(OsKeys), config, BytesMut::new())
}

/// A server and a client, joined by pipes that hold `size` bytes each way.
pub fn pair(size: usize, config: &Config) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (near, far) = tokio::io::duplex(size);
    (server(near, config), client(far, config))
}

/// A server, and the raw stream of its client.
pub fn server_and_raw(size: usize, config: &Config) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(size);
    (server(near, config), far)
}

/// A client, and the raw stream of its server.
pub fn client_and_raw(size: usize, config: &Config) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(size);
    (client(near, config), far)
}

/// Both ends of a TCP connection over loopback.
pub async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (accepted.unwrap().0, connected.unwrap())
}

/// A frame that begins with `first` (FIN and opcode), not masked: as a server sends it.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    append_length(&mut frame, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

/// A frame as a client sends it, with a masking key of zeros, which is legal (section 5.3).
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    append_length(&mut frame, payload.len(), 0x80);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

fn append_length(frame: &mut Vec<u8>, length: usize, mask_bit: u8) {
    if let Some(short) = u8::try_from(length).ok().filter(|length| *length < 126) {
        frame.push(mask_bit | short);
    } else if let Ok(length) = u16::try_from(length) {
        frame.push(mask_bit | 126);
        frame.extend_from_slice(&length.to_be_bytes());
    } else {
        frame.push(mask_bit | 127);
        frame.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// A frame as it came: its first byte, and its payload, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

/// Shorthand for the frame expected.
pub fn frame(first: u8, payload: &[u8]) -> Frame {
    Frame { first, payload: payload.to_vec() }
}

/// The next frame of a raw stream; `None` at its end.
pub async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Frame> {
    let first = stream.read_u8().await.ok()?;
    let second = stream.read_u8().await.unwrap();
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap(),
        short => u64::from(short),
    };
    let mut key = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut key).await.unwrap();
    }
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    Some(Frame { first, payload })
}

/// All frames in `bytes`, which must end with the last one.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let frame = poll_once(&mut Box::pin(read_frame(&mut bytes)));
        let Poll::Ready(frame) = frame else { unreachable!("a slice is always ready") };
        frames.extend(frame);
    }
    frames
}

/// The next frame must be a Close with `code`; returns its reason.
pub async fn expect_close<S: AsyncRead + Unpin>(stream: &mut S, code: u16) -> String {
    let frame = read_frame(stream).await.expect("a Close frame");
    assert_eq!(frame.first, 0x88, "{frame:02x?}");
    let (status, reason) = frame.payload.split_at(2);
    assert_eq!(status, code.to_be_bytes());
    String::from_utf8(reason.to_vec()).unwrap()
}

/// The stream must end here.
pub async fn expect_end<S: AsyncRead + Unpin>(stream: &mut S) {
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

pub async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// Polls once, with a waker that does nothing, as if in a turn of its own.
pub fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    let turn = pin!(coop::unconstrained(future.as_mut()));
    turn.poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets every other task of a single-threaded runtime come to rest.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
