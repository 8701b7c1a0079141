//! Compressed messages there and back (RFC 7692).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use bytes::BytesMut;
use duologue_tokio::deflate::{DeflateConfig, DeflateParameters, WindowBits};
use duologue_tokio::{
    ClientOptions, CloseCode, Config, Error, Message, MessageType, NegotiatedExtensions, Prepared,
    ProtocolError, Role, ServerOptions, WebSocket, accept_with, client,
};
use support::{QUIET, masked, tcp};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

/// With a threshold that most of the messages here are past.
const DEFLATE: DeflateConfig = DeflateConfig { threshold: 32, ..DeflateConfig::DEFAULT };

const COMPRESSING: Config = Config { deflate: Some(DEFLATE), ..QUIET };

/// Both ends over loopback, after the opening handshake.
async fn opened(
    client_config: Config,
    server_config: Config,
) -> (WebSocket<TcpStream>, WebSocket<TcpStream>) {
    let (near, far) = tcp().await;
    let asking = ClientOptions::new("ws://localhost/").unwrap().with_config(client_config);
    let answering = ServerOptions::new().with_config(server_config);
    let accept = accept_with(far, &answering, |_| duologue_tokio::Accept::new().into());
    let (ours, theirs) = tokio::join!(client(near, &asking), accept);
    (ours.unwrap(), theirs.unwrap())
}

fn extensions(deflate: Option<DeflateParameters>) -> NegotiatedExtensions {
    let mut extensions = NegotiatedExtensions::default();
    extensions.deflate = deflate;
    extensions
}

/// A server that has agreed on the defaults, and the raw stream of its client.
fn server_and_raw() -> (WebSocket<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let agreed = extensions(Some(DeflateParameters::default()));
    let server =
        WebSocket::from_raw_with(near, Role::Server, &COMPRESSING, agreed, BytesMut::new());
    (server, far)
}

/// The next frame's first byte and its payload.
async fn read_frame(raw: &mut DuplexStream) -> (u8, Vec<u8>) {
    let frame = support::read_frame(raw).await.unwrap();
    (frame.first, frame.payload)
}

fn record(number: usize) -> String {
    format!("{{\"number\":{number},\"name\":\"a name that is often the same\",\"on\":true}}")
}

#[tokio::test]
async fn both_ask_for_it_and_every_message_comes_back() {
    let (mut client, mut server) = opened(COMPRESSING, COMPRESSING).await;
    assert_eq!(client.extensions().to_string(), "permessage-deflate");
    assert_eq!(server.extensions(), client.extensions());
    let server = tokio::spawn(async move {
        while let Some(message) = server.next().await {
            server.feed(message?).await?;
        }
        Ok::<_, Error>(())
    });
    let noise: Vec<u8> =
        (0..300_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for message in [
        Message::text(""),
        Message::text("short"),
        Message::text("ß".repeat(1_000_000)),
        Message::binary(vec![0; 3 << 20]),
        Message::binary(noise),
    ] {
        client.send(message.clone()).await.unwrap();
        assert!(client.next().await.unwrap().unwrap() == message);
    }
    for number in 0..100 {
        client.feed(record(number)).await.unwrap();
    }
    client.flush().await.unwrap();
    for number in 0..100 {
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(record(number)));
    }
    client.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn only_one_asks_for_it_and_nothing_is_agreed_on() {
    for (ours, theirs) in [(COMPRESSING, QUIET), (QUIET, COMPRESSING)] {
        let (mut client, mut server) = opened(ours, theirs).await;
        assert_eq!(client.extensions(), NegotiatedExtensions::default());
        assert_eq!(server.extensions().to_string(), "");
        client.send(record(1).repeat(10)).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Message::text(record(1).repeat(10)));
    }
}

#[tokio::test]
async fn more_connections_than_a_thread_keeps_compressors_for_take_turns() {
    let takes_none_over = Config {
        deflate: Some(DeflateConfig {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            ..DEFLATE
        }),
        ..QUIET
    };
    let small = Config {
        deflate: Some(DeflateConfig {
            server_max_window_bits: WindowBits::new(9).unwrap(),
            client_max_window_bits: WindowBits::MIN,
            ..DEFLATE
        }),
        ..QUIET
    };
    let mut pairs = Vec::new();
    for index in 0..80 {
        let config = [COMPRESSING, takes_none_over, small][index % 3];
        pairs.push(opened(config, config).await);
    }
    for round in 0..4 {
        for (index, (client, server)) in pairs.iter_mut().enumerate() {
            let there = record(1000 * index + round);
            let back = record(round).repeat(1 + index * 7);
            client.send(there.clone()).await.unwrap();
            server.send(back.clone()).await.unwrap();
            assert_eq!(server.next().await.unwrap().unwrap(), Message::text(there));
            assert_eq!(client.next().await.unwrap().unwrap(), Message::text(back));
        }
    }
}

#[tokio::test]
async fn halves_compress_and_inflate_in_two_tasks() {
    let (client, mut server) = opened(COMPRESSING, COMPRESSING).await;
    let (mut incoming, mut outgoing) = client.split();
    let echo = tokio::spawn(async move {
        while let Some(message) = server.next().await {
            server.feed(message?).await?;
        }
        Ok::<_, Error>(())
    });
    let reading = tokio::spawn(async move {
        for number in 0..200 {
            assert_eq!(incoming.next().await.unwrap().unwrap(), Message::text(record(number)));
        }
        assert_eq!(incoming.next().await.unwrap().unwrap(), Message::text(record(7).repeat(2)));
        assert!(incoming.next().await.is_none());
    });
    for number in 0..200 {
        outgoing.feed(record(number)).await.unwrap();
    }
    outgoing.send_uncompressed(record(7).repeat(2)).await.unwrap();
    outgoing.close(CloseCode::NORMAL, "").await.unwrap();
    reading.await.unwrap();
    echo.await.unwrap().unwrap();
}

#[tokio::test]
async fn streamed_message_is_compressed_and_read_in_pieces() {
    let (mut client, mut server) = opened(COMPRESSING, COMPRESSING).await;
    let writing = tokio::spawn(async move {
        let mut writer = client.begin_message(MessageType::Binary);
        for _ in 0..64 {
            writer.write(&[7; 10_000]).await.unwrap();
        }
        writer.finish().await.unwrap();
        client
    });
    let mut length = 0;
    loop {
        let chunk = server.next_chunk().await.unwrap().unwrap();
        assert!(chunk.payload.iter().all(|byte| *byte == 7));
        length += chunk.payload.len();
        if chunk.is_last {
            break;
        }
    }
    assert_eq!(length, 640_000);
    writing.await.unwrap();
}

#[tokio::test]
async fn secret_goes_uncompressed_and_the_rest_compressed() {
    let (mut server, mut raw) = server_and_raw();
    server.send(record(1).repeat(3)).await.unwrap();
    server.send_uncompressed(record(1).repeat(3)).await.unwrap();
    server.send("short").await.unwrap();
    let (first, payload) = read_frame(&mut raw).await;
    assert_eq!(first, 0xC1);
    assert!(payload.len() < 2 * record(1).len(), "{}", payload.len());
    assert_eq!(read_frame(&mut raw).await, (0x81, record(1).repeat(3).into_bytes()));
    assert_eq!(read_frame(&mut raw).await, (0x81, b"short".to_vec()));
}

#[tokio::test]
async fn secret_in_fragments_goes_uncompressed() {
    let (mut server, mut raw) = server_and_raw();
    let mut writer = server.begin_message(MessageType::Text).uncompressed();
    writer.write(record(1).as_bytes()).await.unwrap();
    writer.write(record(1).as_bytes()).await.unwrap();
    writer.finish().await.unwrap();
    assert_eq!(read_frame(&mut raw).await, (0x01, record(1).into_bytes()));
    assert_eq!(read_frame(&mut raw).await, (0x00, record(1).into_bytes()));
    assert_eq!(read_frame(&mut raw).await, (0x80, Vec::new()));
    let (_, mut outgoing) = server.split();
    outgoing.begin_uncompressed_message(MessageType::Text, record(2).as_bytes()).await.unwrap();
    outgoing.continue_message(record(2).as_bytes(), true).await.unwrap();
    assert_eq!(read_frame(&mut raw).await, (0x01, record(2).into_bytes()));
    assert_eq!(read_frame(&mut raw).await, (0x80, record(2).into_bytes()));
    // What is compressed afterwards refers to none of it.
    outgoing.begin_message(MessageType::Text, record(2).as_bytes()).await.unwrap();
    let (first, payload) = read_frame(&mut raw).await;
    assert_eq!(first, 0x41);
    assert!(payload.len() > record(2).len() / 2, "{}", payload.len());
}

#[tokio::test]
async fn prepared_message_is_compressed_once() {
    let text = record(5).repeat(4);
    let message = Message::text(text.clone());
    let prepared = Prepared::new(&message).compressed(&DEFLATE, WindowBits::new(12).unwrap());
    let (mut client, mut server) = opened(COMPRESSING, COMPRESSING).await;
    for _ in 0..3 {
        server.send(record(6)).await.unwrap();
        server.send_prepared(&prepared).await.unwrap();
        client.send_prepared(&prepared).await.unwrap();
        server.send(record(7).repeat(2)).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(record(6)));
        assert_eq!(client.next().await.unwrap().unwrap(), message);
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(record(7).repeat(2)));
        assert_eq!(server.next().await.unwrap().unwrap(), message);
    }
    let (mut server, mut raw) = server_and_raw();
    server.send_prepared(&prepared).await.unwrap();
    server.send_prepared(&prepared).await.unwrap();
    let (first, payload) = read_frame(&mut raw).await;
    assert_eq!(first, 0xC1);
    assert!(payload.len() < text.len() / 2);
    assert_eq!(read_frame(&mut raw).await, (first, payload));
}

#[tokio::test]
async fn corrupt_data_is_told_and_closes_with_1007() {
    let (mut server, mut raw) = server_and_raw();
    raw.write_all(&masked(0xC2, &[0xFF; 4])).await.unwrap();
    let told = tokio::spawn(async move { server.next().await });
    let (first, payload) = read_frame(&mut raw).await;
    assert_eq!((first, &payload[..2]), (0x88, &1007_u16.to_be_bytes()[..]));
    drop(raw);
    let error = told.await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::CorruptDeflate)), "{error}");
}
