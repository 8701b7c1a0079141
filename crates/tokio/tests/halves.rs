//! Two halves in two tasks: neither waits for the other, and no wake-up is lost.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use duologue_tokio::{
    CloseCode, CloseStatus, Config, Error, Event, Message, MessageType, Prepared, ProtocolError,
    ReadyState, SendError, WebSocket,
};
use futures_util::{SinkExt, StreamExt};
use support::wire::Wire;
use support::{
    QUIET, expect_close, expect_end, frame, masked, pair, poll_once, read_frame, server_and_raw,
    settle, write,
};
use tokio::io::DuplexStream;
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn read_half_alone_answers_pings_and_close() {
    let (server, mut raw) = server_and_raw(4096, &QUIET);
    let (mut reader, writer) = server.split();
    let task = tokio::spawn(async move { reader.next().await.is_none() });
    write(&mut raw, &masked(0x89, b"a")).await;
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x8a, b"a")));
    write(&mut raw, &masked(0x88, b"\x03\xe8")).await;
    expect_close(&mut raw, 1000).await;
    expect_end(&mut raw).await;
    assert!(task.await.unwrap());
    assert_eq!(writer.ready_state(), ReadyState::Closed);
}

/// A ping and a Close have been read while the transport took nothing; then nobody reads any more.
#[tokio::test(start_paused = true)]
async fn write_half_alone_sends_the_pong_and_the_close_reply_that_are_owed() {
    let wire = Wire::new();
    wire.with(|state| state.full = true);
    let (mut reader, mut writer) = support::server(wire.end(), &QUIET).split();
    wire.put(&masked(0x89, b"a"));
    wire.put(&masked(0x88, b"\x03\xe8"));
    assert!(poll_once(&mut Box::pin(reader.next())).is_pending());
    drop(reader);
    wire.unblock();
    writer.flush().await.unwrap();
    let expected = [frame(0x8a, b"a"), frame(0x88, b"\x03\xe8")];
    assert_eq!(support::frames(&wire.take_output()), expected);
    assert!(wire.with(|state| state.shut_down));
}

#[tokio::test]
async fn reader_is_not_held_up_by_a_blocked_writer() {
    let (server, mut raw) = server_and_raw(1000, &QUIET);
    let (mut reader, mut writer) = server.split();
    let sender = tokio::spawn(async move {
        let sent = writer.send(vec![1; 100_000]).await;
        (writer, sent)
    });
    settle().await;
    // The raw peer reads nothing.
    for n in 0..100_u8 {
        write(&mut raw, &masked(0x82, &[n; 100])).await;
        assert_eq!(reader.next().await.unwrap().unwrap().payload(), [n; 100]);
    }
    assert!(!sender.is_finished());
    let received = read_frame(&mut raw).await.unwrap();
    assert_eq!(received.payload.len(), 100_000);
    let (_writer, sent) = sender.await.unwrap();
    sent.unwrap();
}

#[tokio::test]
async fn writer_is_not_held_up_by_a_waiting_reader() {
    let (server, mut raw) = server_and_raw(1000, &QUIET);
    let (mut reader, mut writer) = server.split();
    let receiver = tokio::spawn(async move { reader.next().await });
    settle().await;
    let sender = tokio::spawn(async move {
        for n in 0..100_u8 {
            writer.send(vec![n; 3000]).await.unwrap();
        }
        writer
    });
    for n in 0..100_u8 {
        assert_eq!(read_frame(&mut raw).await, Some(frame(0x82, &[n; 3000])));
    }
    let _writer = sender.await.unwrap();
    assert!(!receiver.is_finished());
    write(&mut raw, &masked(0x81, b"now")).await;
    assert_eq!(receiver.await.unwrap().unwrap().unwrap(), Message::text("now"));
}

#[tokio::test]
async fn close_from_the_write_half_is_seen_by_the_read_half() {
    let (server, mut client) = pair(4096, &QUIET);
    let (mut reader, mut writer) = server.split();
    let receiver = tokio::spawn(async move {
        let end = reader.next().await;
        (reader, end)
    });
    settle().await;
    writer.close(CloseCode::NORMAL, "over").await.unwrap();
    assert!(client.next().await.is_none());
    let (reader, end) = receiver.await.unwrap();
    assert!(end.is_none());
    let (status, reason, was_clean) = reader.close_outcome().unwrap();
    assert_eq!((status, reason.as_str()), (CloseStatus::Code(CloseCode::NORMAL), ""));
    assert!(was_clean);
    assert!(matches!(writer.send("late").await, Err(Error::Send(_))));
    assert_eq!(client.close_outcome().unwrap().reason, "over");
}

/// The reader waits already when the writer closes, and the peer never answers.
#[tokio::test(start_paused = true)]
async fn close_from_the_write_half_waiting_reader_is_under_the_closing_deadline() {
    let (server, _raw) = server_and_raw(4096, &Config::DEFAULT);
    let (mut reader, mut writer) = server.split();
    let receiver = tokio::spawn(async move { reader.next().await });
    settle().await;
    let begun = Instant::now();
    writer.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(matches!(receiver.await.unwrap(), Some(Err(Error::ConnectionLost))));
    assert!((4990..5100).contains(&begun.elapsed().as_millis()));
}

/// The stall is noticed by either task, and both are told.
#[tokio::test(start_paused = true)]
async fn stalled_peer_ends_the_wait_of_both_halves() {
    let (server, _raw) = server_and_raw(100, &QUIET);
    let (mut reader, mut writer) = server.split();
    let receiver = tokio::spawn(async move { reader.next().await });
    let sender = tokio::spawn(async move { writer.send(vec![0; 1000]).await });
    let told = receiver.await.unwrap();
    assert!(matches!(told, Some(Err(Error::Protocol(ProtocolError::WriteStalled)))), "{told:?}");
    assert!(sender.await.unwrap().is_err());
}

#[tokio::test]
async fn fault_seen_by_the_reader_writer_can_send_no_more() {
    let (server, mut raw) = server_and_raw(4096, &QUIET);
    let (mut reader, mut writer) = server.split();
    let receiver = tokio::spawn(async move { reader.next().await });
    write(&mut raw, b"\x83\x80\0\0\0\0").await;
    expect_close(&mut raw, 1002).await;
    assert!(matches!(writer.send("late").await, Err(Error::Send(_))));
    drop(raw);
    let told = receiver.await.unwrap();
    assert!(matches!(told, Some(Err(Error::Protocol(ProtocolError::ReservedOpcode)))), "{told:?}");
}

#[tokio::test]
async fn drop_of_one_half_leaves_the_connection_to_the_other() {
    let (server, mut client) = pair(4096, &QUIET);
    let (reader, mut writer) = server.split();
    drop(reader);
    writer.send("still here").await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("still here"));
    drop(writer);
    // Both are gone: Close 1001, then the end.
    assert!(client.next().await.is_none());
    let away = CloseStatus::Code(CloseCode::GOING_AWAY);
    assert_eq!(client.close_outcome().unwrap().status, away);

    let (server, mut client) = pair(4096, &QUIET);
    let (mut reader, writer) = server.split();
    drop(writer);
    client.send("heard").await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), Message::text("heard"));
}

#[tokio::test]
async fn next_event_of_the_read_half_shows_pongs() {
    let (server, mut client) = pair(4096, &QUIET);
    let (mut reader, mut writer) = server.split();
    writer.ping(b"p").await.unwrap();
    let client = tokio::spawn(async move { client.next().await.map(drop) });
    let event = reader.next_event().await;
    assert!(matches!(event, Some(Ok(Event::Pong(payload))) if *payload == *b"p"));
    client.abort();
}

/// Each way to send, as it stands on the wire.
#[tokio::test]
async fn write_half_every_way_to_send_stands_on_the_wire() {
    let (server, mut raw) = server_and_raw(4096, &QUIET);
    let (_reader, mut writer) = server.split();
    let prepared = Prepared::new(&Message::text("prepared"));
    writer.feed_text("text").await.unwrap();
    writer.feed_binary(b"binary").await.unwrap();
    writer.feed_prepared(&prepared).await.unwrap();
    assert!(poll_once(&mut Box::pin(read_frame(&mut raw))).is_pending());
    writer.pong(b"unasked").await.unwrap();
    writer.ping(b"asked").await.unwrap();
    writer.send_prepared(&prepared).await.unwrap();
    for expected in [
        frame(0x81, b"text"),
        frame(0x82, b"binary"),
        frame(0x81, b"prepared"),
        frame(0x8a, b"unasked"),
        frame(0x89, b"asked"),
        frame(0x81, b"prepared"),
    ] {
        assert_eq!(read_frame(&mut raw).await, Some(expected));
    }
    let refused = writer.pong(&[0; 126]).await;
    assert!(matches!(refused, Err(Error::Send(SendError::ControlPayloadTooLong))), "{refused:?}");
}

#[tokio::test]
async fn write_half_fragments_with_a_ping_between_them_arrive_as_one_message() {
    let (server, mut raw) = server_and_raw(4096, &QUIET);
    let (_reader, mut writer) = server.split();
    // c3 9f: LATIN SMALL LETTER SHARP S, cut in the middle.
    writer.begin_message(MessageType::Text, b"gro\xc3").await.unwrap();
    // Each fragment is written at once.
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x01, b"gro\xc3")));
    writer.ping(b"p").await.unwrap();
    for refused in [
        writer.send("other").await,
        writer.feed_text("other").await,
        writer.begin_message(MessageType::Binary, b"other").await,
    ] {
        assert!(matches!(refused, Err(Error::Send(SendError::MessageInProgress))), "{refused:?}");
    }
    // A text that would end inside the character is refused, and still in progress.
    let refused = writer.continue_message(b"", true).await;
    assert!(matches!(refused, Err(Error::Send(SendError::InvalidUtf8))), "{refused:?}");
    writer.continue_message(b"\x9f", false).await.unwrap();
    writer.continue_message(b"e", true).await.unwrap();
    for expected in [frame(0x89, b"p"), frame(0x00, b"\x9f"), frame(0x80, b"e")] {
        assert_eq!(read_frame(&mut raw).await, Some(expected));
    }
    let refused = writer.continue_message(b"more", true).await;
    assert!(matches!(refused, Err(Error::Send(SendError::NoMessageInProgress))), "{refused:?}");
    writer.send("other").await.unwrap();
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"other")));
}

const MESSAGES: u32 = 500;

fn numbered(n: u32) -> Message {
    let length = [1, 90, 700, 1500][n as usize % 4];
    let mut bytes = n.to_be_bytes().to_vec();
    bytes.resize(length + 4, 7);
    Message::binary(bytes)
}

/// Both directions at once through a tiny pipe, each half of each end in a task of its own, by the
/// crate's own split or by the one of `futures_util`.
async fn load(server: WebSocket<DuplexStream>, client: WebSocket<DuplexStream>, own: bool) {
    let mut tasks = tokio::task::JoinSet::new();
    for websocket in [server, client] {
        let (mut sink, mut stream);
        if own {
            let (reader, writer) = websocket.split();
            sink = writer.left_sink();
            stream = reader.left_stream();
        } else {
            let (writer, reader) = StreamExt::split(websocket);
            sink = writer.right_sink();
            stream = reader.right_stream();
        }
        tasks.spawn(async move {
            for n in 0..MESSAGES {
                if n % 3 == 0 {
                    sink.send(numbered(n)).await.unwrap();
                } else {
                    sink.feed(numbered(n)).await.unwrap();
                }
            }
            sink.flush().await.unwrap();
            // The half is kept until all have come to their end.
            std::future::pending::<()>().await;
        });
        tasks.spawn(async move {
            for n in 0..MESSAGES {
                assert_eq!(stream.next().await.unwrap().unwrap(), numbered(n));
            }
            assert!(timeout(Duration::from_millis(1), stream.next()).await.is_err());
        });
    }
    for _ in 0..2 {
        let ended = timeout(Duration::from_secs(60), tasks.join_next()).await;
        ended.expect("no task hangs").unwrap().unwrap();
    }
}

#[tokio::test]
async fn load_both_ways_in_one_thread_never_hangs() {
    for own in [false, true] {
        for size in [1, 7, 300] {
            let (server, client) = pair(size, &Config { write_high_water: 2000, ..QUIET });
            load(server, client, own).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_both_ways_in_several_threads_never_hangs() {
    for own in [false, true] {
        for size in [1, 7, 300] {
            let (server, client) = pair(size, &Config { write_high_water: 2000, ..QUIET });
            load(server, client, own).await;
        }
    }
}
