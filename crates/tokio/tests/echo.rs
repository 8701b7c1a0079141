//! Messages there and back: both roles, all the ways to send and to receive.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use bytes::{Bytes, BytesMut};
use duologue_tokio::{
    CloseCode, Config, Error, Event, Message, MessageType, OsKeys, Prepared, Role, SendError,
    WebSocket, accept, client, connect,
};
use futures_util::{SinkExt, StreamExt, stream};
use support::{QUIET, frame, masked, pair, read_frame, server_and_raw, tcp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

const MIB: usize = 1 << 20;

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut websocket: WebSocket<S>) -> Result<(), Error> {
    while let Some(message) = websocket.next().await {
        websocket.feed(message?).await?;
    }
    Ok(())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(length).collect()
}

/// Messages that each end sends, one after the other, and gets back.
fn samples() -> Vec<Message> {
    let lengths = [0, 1, 125, 126, 1023, 1024, 65_535, 65_536, 3 * MIB];
    let mut samples = vec![Message::text(""), Message::text("Hello"), Message::text("κόσμε")];
    samples.extend(lengths.map(|length| Message::binary(pattern(length))));
    samples.push(Message::text("ß".repeat(MIB)));
    samples
}

#[tokio::test]
async fn echo_over_loopback_client_gets_every_message_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        echo(accept(stream).await?).await
    });
    let mut websocket = connect(&url).await.unwrap();
    assert!(websocket.get_ref().tcp().nodelay().unwrap());
    for message in samples() {
        websocket.send(message.clone()).await.unwrap();
        assert!(websocket.next().await.unwrap().unwrap() == message);
    }
    websocket.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn echo_over_loopback_server_gets_every_message_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let client = tokio::spawn(async move { echo(connect(&url).await?).await });
    let (stream, _) = listener.accept().await.unwrap();
    let mut websocket = accept(stream).await.unwrap();
    for message in samples() {
        websocket.send(message.clone()).await.unwrap();
        assert!(websocket.next().await.unwrap().unwrap() == message);
    }
    websocket.close(CloseCode::NORMAL, "").await.unwrap();
    client.await.unwrap().unwrap();
}

#[tokio::test]
async fn echo_over_any_stream_opens_and_answers() {
    let (near, far) = tokio::io::duplex(100);
    let server = tokio::spawn(async move { echo(accept(near).await?).await });
    let options = duologue_tokio::ClientOptions::new("ws://localhost/").unwrap();
    let mut websocket = client(far, &options).await.unwrap();
    for message in samples().into_iter().take(6) {
        websocket.send(message.clone()).await.unwrap();
        assert_eq!(websocket.next().await.unwrap().unwrap(), message);
    }
    websocket.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().unwrap();
}

/// A text may be cut inside a character; an empty piece sends no frame.
#[tokio::test]
async fn writer_text_cut_inside_a_character_arrives_whole() {
    let (mut server, mut client) = pair(4096, &QUIET);
    let mut writer = client.begin_message(MessageType::Text);
    // c3 9f: LATIN SMALL LETTER SHARP S.
    for piece in [&b"gro\xc3"[..], b"", b"\x9f", b"!"] {
        writer.write(piece).await.unwrap();
    }
    writer.finish().await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("groß!"));
}

#[tokio::test]
async fn writer_fragments_stand_on_the_wire_as_written() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let mut writer = server.begin_message(MessageType::Binary);
    writer.write(b"ab").await.unwrap();
    writer.write(b"c").await.unwrap();
    writer.finish().await.unwrap();
    server.begin_message(MessageType::Text).finish().await.unwrap();
    // 02 and 01 begin a message, 00 goes on with it, 80 ends it.
    for expected in [
        frame(0x02, b"ab"),
        frame(0x00, b"c"),
        frame(0x80, b""),
        frame(0x01, b""),
        frame(0x80, b""),
    ] {
        assert_eq!(read_frame(&mut raw).await, Some(expected));
    }
}

#[tokio::test]
async fn writer_unfinished_other_messages_are_refused_and_close_works() {
    let (mut server, mut client) = pair(4096, &QUIET);
    client.begin_message(MessageType::Text).write(b"half").await.unwrap();
    for refused in [
        client.send("other").await,
        client.feed_binary(b"other").await,
        client.begin_message(MessageType::Text).write(b"other").await,
        client.begin_message(MessageType::Text).finish().await,
    ] {
        assert!(matches!(refused, Err(Error::Send(SendError::MessageInProgress))));
    }
    client.ping(b"between").await.unwrap();
    let (closed, received) = tokio::join!(client.close(CloseCode::NORMAL, ""), server.next());
    closed.unwrap();
    assert!(received.is_none());
}

/// The writer is dropped inside a character, and the message is gone on with.
#[tokio::test]
async fn writer_dropped_message_is_resumed_and_arrives_whole() {
    let (mut server, mut client) = pair(4096, &QUIET);
    assert!(client.resume_message().is_none());
    client.begin_message(MessageType::Text).write(b"gro\xc3").await.unwrap();
    let mut writer = client.resume_message().unwrap();
    let refused = writer.write(b"\xff").await;
    assert!(matches!(refused, Err(Error::Send(SendError::InvalidUtf8))), "{refused:?}");
    writer.write(b"\x9f").await.unwrap();
    client.ping(b"between").await.unwrap();
    client.resume_message().unwrap().finish().await.unwrap();
    assert!(client.resume_message().is_none());
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("groß"));

    // A text that ends inside a character is refused, and can still be gone on with.
    let mut writer = client.begin_message(MessageType::Text);
    writer.write(b"\xc3").await.unwrap();
    assert!(writer.finish().await.is_err());
    let mut writer = client.resume_message().unwrap();
    writer.write(b"\x9f").await.unwrap();
    writer.finish().await.unwrap();
    client.send("next").await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("ß"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("next"));
}

#[tokio::test]
async fn writer_text_that_is_not_utf8_is_refused() {
    let (mut server, _client) = pair(4096, &QUIET);
    let refused = server.begin_message(MessageType::Text).write(b"\xff").await;
    assert!(matches!(refused, Err(Error::Send(SendError::InvalidUtf8))));
    let mut writer = server.begin_message(MessageType::Text);
    writer.write(b"\xc3").await.unwrap();
    let refused = writer.finish().await;
    assert!(matches!(refused, Err(Error::Send(SendError::InvalidUtf8))));
}

#[tokio::test]
async fn next_ref_lends_messages_that_can_be_answered() {
    let (mut server, mut client) = pair(1 << 20, &QUIET);
    client.feed_text("one").await.unwrap();
    client.feed_binary(b"two").await.unwrap();
    client.feed_text("").await.unwrap();
    client.flush().await.unwrap();
    let message = server.next_ref().await.unwrap().unwrap();
    assert_eq!(message.text(), Some("one"));
    let copy = message.to_message();
    server.feed(copy).await.unwrap();
    let message = server.next_ref().await.unwrap().unwrap();
    assert_eq!((message.message_type(), message.payload()), (MessageType::Binary, &b"two"[..]));
    assert_eq!(server.next_ref().await.unwrap().unwrap().text(), Some(""));
    server.flush().await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("one"));
}

/// 64 MiB in one message of many fragments, and again in one frame, through a pipe of 64 KiB: the
/// buffers stay as small as for a small message.
#[tokio::test]
async fn next_chunk_message_larger_than_memory_goes_through_flat_memory() {
    const LENGTH: usize = 64 * MIB;
    const PIECE: usize = 64 * 1024;
    const FLAT: usize = 64 * 1024;
    let config = Config { max_message_length: u64::MAX, max_frame_length: u64::MAX, ..QUIET };
    let (near, mut raw) = tokio::io::duplex(64 * 1024);
    let mut server = support::server(near, &config);
    let sender = tokio::spawn(async move {
        let piece = vec![0x5a; PIECE];
        support::write(&mut raw, &masked(0x02, &piece)).await;
        for _ in 1..LENGTH / PIECE {
            support::write(&mut raw, &masked(0x00, &piece)).await;
        }
        support::write(&mut raw, &masked(0x80, b"")).await;
        // 82: whole, binary; ff: masked, with a length of 64 bits; the key.
        support::write(&mut raw, b"\x82\xff").await;
        support::write(&mut raw, &(LENGTH as u64).to_be_bytes()).await;
        support::write(&mut raw, &[0; 4]).await;
        for _ in 0..LENGTH / PIECE {
            support::write(&mut raw, &piece).await;
        }
        raw
    });
    for _ in 0..2 {
        let mut received = 0;
        loop {
            let chunk = server.next_chunk().await.unwrap().unwrap();
            assert_eq!(chunk.is_first, received == 0);
            received += chunk.payload.len();
            let last = chunk.is_last;
            assert!(server.buffer_capacity() <= FLAT, "{}", server.buffer_capacity());
            if last {
                break;
            }
        }
        assert_eq!(received, LENGTH);
    }
    drop(sender.await.unwrap());
}

#[tokio::test]
async fn next_chunk_then_next_gives_the_rest_of_the_message() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    support::write(&mut raw, &masked(0x01, b"first")).await;
    let chunk = server.next_chunk().await.unwrap().unwrap();
    assert_eq!((chunk.payload, chunk.is_last), (&b"first"[..], false));
    support::write(&mut raw, &masked(0x00, b"sec")).await;
    support::write(&mut raw, &masked(0x80, b"ond")).await;
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("second"));
}

#[tokio::test]
async fn next_event_shows_pings_and_pongs_in_their_order() {
    let (mut server, mut client) = pair(4096, &QUIET);
    client.ping(b"are you there").await.unwrap();
    client.feed("message").await.unwrap();
    client.pong(b"unasked").await.unwrap();
    let ping = server.next_event().await.unwrap().unwrap();
    assert!(matches!(ping, Event::Ping(payload) if *payload == *b"are you there"));
    let message = server.next_event().await.unwrap().unwrap();
    assert_eq!(message, Event::Message(Message::text("message")));
    let pong = server.next_event().await.unwrap().unwrap();
    assert!(matches!(pong, Event::Pong(payload) if *payload == *b"unasked"));
    // The reply goes out before the read side waits (section 5.5.2).
    let waited = tokio::select! {
        biased;
        _ = server.next() => false,
        pong = client.next_event() => {
            let Some(Ok(Event::Pong(payload))) = pong else { panic!("{pong:?}") };
            assert_eq!(*payload, *b"are you there");
            true
        }
    };
    assert!(waited);
}

#[tokio::test]
async fn ping_payload_over_125_bytes_is_refused() {
    let (mut server, _client) = pair(4096, &QUIET);
    let refused = server.ping(&[0; 126]).await;
    assert!(matches!(refused, Err(Error::Send(SendError::ControlPayloadTooLong))));
    server.ping(&[0; 125]).await.unwrap();
}

/// From 4 KiB on, the frame is shared and not copied; a client masks it anew for each.
#[tokio::test]
async fn prepared_message_reaches_many_from_either_role() {
    for length in [0, 10, 4091, 4092, 100_000] {
        let message = Message::binary(pattern(length));
        let prepared = Prepared::new(&message);
        let mut pairs: Vec<_> = (0..5).map(|_| pair(256 * 1024, &QUIET)).collect();
        for (server, client) in &mut pairs {
            server.send_prepared(&prepared).await.unwrap();
            client.feed_prepared(&prepared).await.unwrap();
            client.flush().await.unwrap();
        }
        for (server, client) in &mut pairs {
            assert!(server.next().await.unwrap().unwrap() == message);
            assert!(client.next().await.unwrap().unwrap() == message);
        }
    }
}

#[tokio::test]
async fn stream_and_sink_forward_echoes_to_the_close() {
    let (server, client) = pair(64, &QUIET);
    let server = tokio::spawn(async move {
        let (sink, stream) = StreamExt::split(server);
        stream.forward(sink).await
    });
    let (mut sink, mut replies) = StreamExt::split(client);
    let sent: Vec<_> = (0..100).map(|n| Message::text(format!("message {n}"))).collect();
    let mut all = stream::iter(sent.clone()).map(Ok);
    let (fed, received) = tokio::join!(
        sink.send_all(&mut all),
        (&mut replies).take(sent.len()).map(Result::unwrap).collect::<Vec<_>>(),
    );
    fed.unwrap();
    assert_eq!(received, sent);
    SinkExt::close(&mut sink).await.unwrap();
    assert!(replies.next().await.is_none());
    server.await.unwrap().unwrap();
}

/// Frames that somebody else read behind the opening handshake come first.
#[tokio::test]
async fn from_raw_leftover_is_received_first() {
    let (near, mut raw) = tokio::io::duplex(4096);
    // 81 85, key 37fa213d: "Hello" masked (section 5.7); and the beginning of the next message.
    let mut leftover = BytesMut::from(&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..]);
    leftover.extend_from_slice(&masked(0x82, b"more")[..3]);
    let mut server = WebSocket::from_raw(near, Role::Server, &QUIET, leftover);
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("Hello"));
    support::write(&mut raw, &masked(0x82, b"more")[3..]).await;
    let message = server.next().await.unwrap().unwrap();
    assert_eq!(message, Message::binary(Bytes::from_static(b"more")));
}

#[tokio::test]
async fn many_messages_at_once_over_loopback_come_in_order() {
    const COUNT: u32 = 20_000;
    let (near, far) = tcp().await;
    let mut server = support::server(near, &QUIET);
    let mut client = WebSocket::from_raw(far, Role::Client(OsKeys), &QUIET, BytesMut::new());
    let sender = tokio::spawn(async move {
        for n in 0..COUNT {
            client.feed_binary(&n.to_be_bytes()).await.unwrap();
        }
        client.close(CloseCode::NORMAL, "").await.unwrap();
    });
    for n in 0..COUNT {
        let message = server.next_ref().await.unwrap().unwrap();
        assert_eq!(message.payload(), n.to_be_bytes());
    }
    assert!(server.next().await.is_none());
    sender.await.unwrap();
}
