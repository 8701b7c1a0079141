//! The end of a connection: the closing handshake, faults, the loss of TCP, and drops.
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
    CloseCode, CloseStatus, Config, Error, Initiator, Message, MessageType, ProtocolError,
    ReadyState, SendError,
};
use futures_util::stream::FusedStream;
use support::wire::Wire;
use support::{
    QUIET, client_and_raw, expect_close, expect_end, frame, frames, masked, pair, poll_once,
    read_frame, server_and_raw, tcp, unmasked, write,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).unwrap()
}

/// The next result is `expected`, and then there is nothing any more.
async fn assert_fails_with<S: AsyncRead + AsyncWrite + Unpin>(
    websocket: &mut duologue_tokio::WebSocket<S>,
    expected: ProtocolError,
) {
    let told = websocket.next().await;
    assert!(matches!(told, Some(Err(Error::Protocol(error))) if error == expected), "{told:?}");
    assert!(websocket.next().await.is_none());
    assert!(websocket.is_terminated());
    let outcome = websocket.close_outcome().unwrap();
    assert_eq!(outcome.failure, Some(expected));
    assert_eq!(outcome.sent, Some(CloseStatus::Code(expected.close_code())));
    assert_eq!(outcome.initiator, Some(Initiator::Local));
}

#[tokio::test]
async fn close_by_the_server_is_clean_on_both_sides() {
    let (mut server, mut client) = pair(4096, &QUIET);
    let (closed, received) = tokio::join!(server.close(code(4321), "done"), client.next());
    closed.unwrap();
    assert!(received.is_none());
    let outcome = server.close_outcome().unwrap();
    assert!(outcome.was_clean && outcome.failure.is_none());
    assert_eq!(outcome.initiator, Some(Initiator::Local));
    assert_eq!(outcome.status, CloseStatus::Code(code(4321)));
    let outcome = client.close_outcome().unwrap();
    assert!(outcome.was_clean);
    assert_eq!(outcome.initiator, Some(Initiator::Peer));
    assert_eq!((outcome.status, outcome.reason), (CloseStatus::Code(code(4321)), "done"));
    // Section 5.5.1: the reply echoes the code.
    assert_eq!(outcome.sent, Some(CloseStatus::Code(code(4321))));
}

#[tokio::test]
async fn close_by_the_client_is_clean_on_both_sides() {
    let (mut server, mut client) = pair(4096, &QUIET);
    let (closed, received) = tokio::join!(client.close(code(1001), "away"), server.next());
    closed.unwrap();
    assert!(received.is_none());
    assert!(client.close_outcome().unwrap().was_clean);
    let outcome = server.close_outcome().unwrap();
    assert_eq!((outcome.status, outcome.reason), (CloseStatus::Code(code(1001)), "away"));
    assert_eq!(server.ready_state(), ReadyState::Closed);
    // Again, it changes nothing.
    client.close(code(3000), "").await.unwrap();
    server.close(code(3000), "").await.unwrap();
    let refused = server.send("late").await;
    assert!(matches!(refused, Err(Error::Send(SendError::Closing))));
}

/// Section 7.1: when both close at once, each counts as the other's reply.
#[tokio::test]
async fn close_by_both_at_once_is_clean_and_keeps_each_code() {
    let (mut server, mut client) = pair(4096, &QUIET);
    let both = tokio::join!(client.close(code(3001), "c"), server.close(code(3002), "s"));
    both.0.unwrap();
    both.1.unwrap();
    let outcome = client.close_outcome().unwrap();
    assert!(outcome.was_clean);
    assert_eq!(outcome.sent, Some(CloseStatus::Code(code(3001))));
    assert_eq!(outcome.status, CloseStatus::Code(code(3002)));
    let outcome = server.close_outcome().unwrap();
    assert!(outcome.was_clean);
    assert_eq!((outcome.status, outcome.reason), (CloseStatus::Code(code(3001)), "c"));
}

#[tokio::test]
async fn close_over_loopback_ends_on_both_sides() {
    let (near, far) = tcp().await;
    let mut server = support::server(near, &QUIET);
    let mut client = support::client(far, &QUIET);
    let (closed, received) = tokio::join!(client.close(CloseCode::NORMAL, ""), server.next());
    closed.unwrap();
    assert!(received.is_none());
    assert!(client.close_outcome().unwrap().was_clean && server.close_outcome().unwrap().was_clean);
}

#[tokio::test]
async fn start_close_messages_on_their_way_are_still_read() {
    let (mut server, mut client) = pair(4096, &QUIET);
    for text in ["one", "two"] {
        client.send(text).await.unwrap();
    }
    server.start_close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(server.ready_state(), ReadyState::Closing);
    assert!(matches!(server.feed("late").await, Err(Error::Send(SendError::Closing))));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("one"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("two"));
    let (end, received) = tokio::join!(server.next(), client.next());
    assert!(end.is_none() && received.is_none());
    assert!(server.close_outcome().unwrap().was_clean);
}

#[tokio::test]
async fn start_close_reason_over_123_bytes_is_refused() {
    let (mut server, _client) = pair(4096, &QUIET);
    let refused = server.start_close(CloseCode::NORMAL, &"r".repeat(124));
    assert!(matches!(refused, Err(Error::Send(SendError::CloseReasonTooLong))));
    assert_eq!(server.ready_state(), ReadyState::Open);
    server.start_close(CloseCode::NORMAL, &"r".repeat(123)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn close_from_the_peer_without_a_code_is_answered_without_one() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    // 88 80, key: an empty Close.
    write(&mut raw, b"\x88\x80\0\0\0\0").await;
    assert!(server.next().await.is_none());
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x88, b"")));
    // Section 7.1.1: the server ends TCP first; the raw peer has not ended its side.
    expect_end(&mut raw).await;
    assert_eq!(server.close_outcome().unwrap().status, CloseStatus::NoStatus);
}

/// Messages, then Close, all in one read, and replies to the messages: these go out first.
#[tokio::test(start_paused = true)]
async fn close_behind_messages_in_one_read_replies_go_out_before_the_reply_to_it() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let mut bytes = masked(0x81, b"a");
    bytes.extend_from_slice(&masked(0x89, b"ping"));
    bytes.extend_from_slice(&masked(0x88, b"\x03\xe8"));
    write(&mut raw, &bytes).await;
    let message = server.next().await.unwrap().unwrap();
    server.feed(message).await.unwrap();
    assert!(server.next().await.is_none());
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"a")));
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x8a, b"ping")));
    assert_eq!(expect_close(&mut raw, 1000).await, "");
    expect_end(&mut raw).await;
}

#[tokio::test(start_paused = true)]
async fn close_peer_that_never_answers_ends_at_the_closing_deadline() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let begun = Instant::now();
    server.close(CloseCode::NORMAL, "").await.unwrap();
    let took = begun.elapsed();
    assert!((4990..5100).contains(&took.as_millis()), "{took:?}");
    let outcome = server.close_outcome().unwrap();
    assert!(!outcome.was_clean);
    assert_eq!(outcome.status, CloseStatus::Abnormal);
    expect_close(&mut raw, 1000).await;
    expect_end(&mut raw).await;
}

/// Whoever waits in `next` when the other task starts to close is under the new deadline.
#[tokio::test(start_paused = true)]
async fn start_close_in_the_middle_of_keepalive_sets_the_timer_anew() {
    let (mut server, _raw) = server_and_raw(4096, &Config::DEFAULT);
    assert!(poll_once(&mut Box::pin(server.next())).is_pending());
    tokio::time::advance(Duration::from_secs(1)).await;
    let begun = Instant::now();
    server.start_close(CloseCode::NORMAL, "").unwrap();
    assert!(matches!(server.next().await, Some(Err(Error::ConnectionLost))));
    let took = begun.elapsed();
    assert!((4990..5100).contains(&took.as_millis()), "{took:?}");
}

/// A peer that answers nothing but never stops sending is not waited for any longer than one that
/// is silent.
#[tokio::test(start_paused = true)]
async fn close_peer_that_floods_ends_at_the_closing_deadline() {
    let (mut server, mut raw) = server_and_raw(1024, &QUIET);
    let flood = tokio::spawn(async move {
        let message = masked(0x82, &[0; 500]);
        while raw.write_all(&message).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let begun = Instant::now();
    // The clock stands still while there is something to do, so it is moved by the flood's sleeps.
    server.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(6));
    drop(server);
    flood.await.unwrap();
}

/// The same with a transport that always has something to read, and never makes the task yield.
#[tokio::test]
async fn close_peer_that_floods_without_a_pause_ends_at_the_closing_deadline() {
    let config = Config { closing_timeout: Duration::from_millis(20), ..QUIET };
    let mut server = support::server(support::wire::Endless::new(masked(0x82, &[0; 500])), &config);
    server.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(!server.close_outcome().unwrap().was_clean);
}

#[tokio::test(start_paused = true)]
async fn close_transport_that_never_shuts_down_ends_at_the_closing_deadline() {
    let wire = Wire::new();
    wire.with(|state| state.never_shuts_down = true);
    let mut server = support::server(wire.end(), &QUIET);
    wire.put(&masked(0x88, b"\x03\xe8"));
    let begun = Instant::now();
    assert!(server.next().await.is_none());
    assert!((4990..5100).contains(&begun.elapsed().as_millis()));
    assert!(server.close_outcome().unwrap().was_clean);
}

#[tokio::test]
async fn eof_without_close_is_told_once_as_connection_lost() {
    let (mut server, raw) = server_and_raw(4096, &QUIET);
    drop(raw);
    assert!(matches!(server.next().await, Some(Err(Error::ConnectionLost))));
    assert!(server.next().await.is_none());
    assert!(server.next().await.is_none());
    assert!(server.is_terminated());
    let outcome = server.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Abnormal);
    assert_eq!((outcome.initiator, outcome.was_clean), (None, false));
}

#[tokio::test]
async fn eof_inside_a_message_is_connection_lost_after_the_whole_ones() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let mut bytes = masked(0x81, b"whole");
    bytes.extend_from_slice(&masked(0x01, b"half"));
    write(&mut raw, &bytes).await;
    drop(raw);
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("whole"));
    assert!(matches!(server.next().await, Some(Err(Error::ConnectionLost))));
    assert!(server.next().await.is_none());
}

/// The peer ends its side and reads on: what was queued still reaches it.
#[tokio::test]
async fn eof_from_a_half_closed_peer_what_is_queued_still_goes_out() {
    let (mut server, mut raw) = server_and_raw(64, &QUIET);
    write(&mut raw, &masked(0x81, b"ask")).await;
    raw.shutdown().await.unwrap();
    assert!(server.next().await.is_some());
    let reply = vec![7; 10_000];
    server.feed_binary(&reply).await.unwrap();
    let (end, received) = tokio::join!(server.next(), read_frame(&mut raw));
    assert!(matches!(end, Some(Err(Error::ConnectionLost))));
    assert_eq!(received, Some(frame(0x82, &reply)));
    expect_end(&mut raw).await;
}

/// A peer that has ended its side and takes nothing either is not read over and over, and is
/// given up by the stall deadline.
#[tokio::test(start_paused = true)]
async fn eof_from_a_peer_that_does_not_read_rests_until_the_stall_deadline() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    wire.with(|state| state.full = true);
    server.feed("stuck").await.unwrap();
    wire.end_input();
    let begun = Instant::now();
    let told = server.next().await;
    assert!(matches!(told, Some(Err(Error::Protocol(ProtocolError::WriteStalled)))), "{told:?}");
    assert!((29_990..30_100).contains(&begun.elapsed().as_millis()));
    assert!(wire.with(|state| state.reads) < 10);
    assert!(server.next().await.is_none());
    let flushed = server.flush().await;
    assert!(matches!(flushed, Err(Error::Send(SendError::Closing))), "{flushed:?}");
}

#[tokio::test]
async fn eof_and_a_broken_write_side_ends_at_once() {
    for eof_first in [false, true] {
        let wire = Wire::new();
        let mut server = support::server(wire.end(), &QUIET);
        wire.with(|state| state.full = true);
        server.feed("stuck").await.unwrap();
        if eof_first {
            wire.end_input();
            assert!(poll_once(&mut Box::pin(server.next())).is_pending());
        }
        wire.with(|state| state.broken = true);
        if !eof_first {
            let flushed = server.flush().await;
            assert!(matches!(flushed, Err(Error::Io(_))), "{flushed:?}");
            wire.end_input();
        }
        let told = server.next().await;
        assert!(matches!(told, Some(Err(Error::Io(_)))), "{told:?}");
        assert!(server.next().await.is_none());
    }
}

/// What the peer sent before the write side broke is still read.
#[tokio::test]
async fn broken_write_side_messages_are_still_received() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    wire.with(|state| state.broken = true);
    assert!(matches!(server.send("x").await, Err(Error::Io(_))));
    assert!(matches!(server.feed("y").await, Err(Error::Io(_))));
    wire.put(&masked(0x81, b"last words"));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("last words"));
    wire.put(&masked(0x88, b"\x03\xe8"));
    wire.end_input();
    // The peer closed: that our reply never went out is seen in the outcome only.
    assert!(server.next().await.is_none());
    let outcome = server.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::NORMAL));
    assert!(!outcome.was_clean);
}

#[tokio::test]
async fn reset_is_told_once_as_io() {
    let (near, far) = tcp().await;
    let mut server = support::server(near, &QUIET);
    far.set_zero_linger().unwrap();
    drop(far);
    let told = server.next().await;
    assert!(
        matches!(&told, Some(Err(Error::Io(error)))
            if error.kind() == std::io::ErrorKind::ConnectionReset),
        "{told:?}"
    );
    assert!(server.next().await.is_none());
    assert!(matches!(server.send("late").await, Err(Error::Send(SendError::Closing))));
}

/// After a fault the peer reads our Close frame, then the end of our side, before anything else;
/// only when it has ended its own is the error told.
#[tokio::test]
async fn fault_peer_reads_the_close_frame_then_the_end() {
    let small = Config { max_message_length: 100, max_empty_fragments: 3, ..QUIET };
    let mut empties = masked(0x01, b"");
    for _ in 0..4 {
        empties.extend_from_slice(&masked(0x00, b""));
    }
    let faults = [
        // A reserved bit.
        (masked(0xc1, b"a"), ProtocolError::ReservedBits, 1002),
        // A frame that is not masked.
        (unmasked(0x81, b"a"), ProtocolError::UnmaskedFrameFromClient, 1002),
        // A continuation with nothing to continue.
        (masked(0x80, b"a"), ProtocolError::UnexpectedContinuation, 1002),
        // Close codes that may not be sent.
        (masked(0x88, b"\x03\xed"), ProtocolError::InvalidCloseCode(1005), 1002),
        (masked(0x81, b"\xff"), ProtocolError::InvalidUtf8, 1007),
        (masked(0x88, b"\x03\xe8\xff"), ProtocolError::CloseReasonNotUtf8, 1007),
        (masked(0x82, &[0; 101]), ProtocolError::MessageTooBig, 1009),
        (empties, ProtocolError::TooManyEmptyFragments, 1008),
    ];
    for (bytes, expected, close_code) in faults {
        let (near, mut raw) = tcp().await;
        let mut server = support::server(near, &small);
        write(&mut raw, &bytes).await;
        // What is sent behind the fault is not answered.
        write(&mut raw, &masked(0x89, b"ping")).await;
        let mut told = Box::pin(assert_fails_with(&mut server, expected));
        tokio::select! {
            biased;
            () = &mut told => panic!("told before the peer had ended"),
            () = async {
                expect_close(&mut raw, close_code).await;
                expect_end(&mut raw).await;
            } => {}
        }
        drop(raw);
        told.await;
    }
}

#[tokio::test]
async fn fault_of_the_server_client_sends_close_and_ends_its_side() {
    let (mut client, mut raw) = client_and_raw(4096, &QUIET);
    // 81 81, key: masked, which a server may not (section 5.1).
    write(&mut raw, &masked(0x81, b"a")).await;
    let mut told = Box::pin(assert_fails_with(&mut client, ProtocolError::MaskedFrameFromServer));
    tokio::select! {
        biased;
        () = &mut told => panic!("told before the peer had ended"),
        () = async {
            expect_close(&mut raw, 1002).await;
            expect_end(&mut raw).await;
        } => {}
    }
    drop(raw);
    told.await;
}

#[tokio::test(start_paused = true)]
async fn fault_peer_that_does_not_end_is_told_at_the_closing_deadline() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    write(&mut raw, b"\x83\x80\0\0\0\0").await;
    let begun = Instant::now();
    assert_fails_with(&mut server, ProtocolError::ReservedOpcode).await;
    assert!((4990..5100).contains(&begun.elapsed().as_millis()));
}

#[tokio::test]
async fn fault_message_before_it_is_delivered_first() {
    let (mut server, mut raw) = server_and_raw(4096, &QUIET);
    let mut bytes = masked(0x81, b"good");
    bytes.extend_from_slice(b"\x83\x80\0\0\0\0");
    write(&mut raw, &bytes).await;
    raw.shutdown().await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("good"));
    assert_fails_with(&mut server, ProtocolError::ReservedOpcode).await;
}

#[tokio::test]
async fn drop_while_open_sends_going_away() {
    let (server, mut raw) = server_and_raw(4096, &QUIET);
    drop(server);
    assert_eq!(expect_close(&mut raw, 1001).await, "");
    expect_end(&mut raw).await;

    let (mut client, mut raw) = client_and_raw(4096, &QUIET);
    client.feed("queued").await.unwrap();
    client.begin_message(MessageType::Text).write(b"half").await.unwrap();
    drop(client);
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x81, b"queued")));
    assert_eq!(read_frame(&mut raw).await, Some(frame(0x01, b"half")));
    assert_eq!(expect_close(&mut raw, 1001).await, "");
    expect_end(&mut raw).await;
}

#[tokio::test]
async fn drop_after_the_end_sends_nothing_more() {
    let (mut server, mut client) = pair(4096, &QUIET);
    let (closed, _) = tokio::join!(server.close(CloseCode::NORMAL, ""), client.next());
    closed.unwrap();
    drop(server);
    assert!(client.next().await.is_none());
}

#[test]
fn drop_with_a_full_transport_does_not_wait_and_tears_no_frame() {
    let wire = Wire::new();
    wire.with(|state| state.full = true);
    let mut server = support::server(wire.end(), &QUIET);
    assert!(poll_once(&mut Box::pin(server.feed("stuck"))).is_ready());
    drop(server);
    assert!(wire.take_output().is_empty() && wire.with(|state| state.dropped));
}

#[tokio::test]
async fn drop_with_a_full_socket_does_not_wait() {
    let (near, _far) = tcp().await;
    let mut server = support::server(near, &QUIET);
    let message = vec![0; 1 << 20];
    while poll_once(&mut Box::pin(server.send(message.clone()))).is_ready() {}
    drop(server);
}

/// What a transport holds back is flushed before it is closed.
#[tokio::test]
async fn eof_transport_that_buffers_is_flushed_before_the_end() {
    let (near, mut raw) = tokio::io::duplex(16);
    let mut server = support::server(tokio::io::BufStream::new(near), &QUIET);
    write(&mut raw, &masked(0x81, b"ask")).await;
    raw.shutdown().await.unwrap();
    assert!(server.next().await.is_some());
    server.feed_binary(&[9; 500]).await.unwrap();
    let (end, received) = tokio::join!(server.next(), read_frame(&mut raw));
    assert!(matches!(end, Some(Err(Error::ConnectionLost))));
    assert_eq!(received, Some(frame(0x82, &[9; 500])));
}

#[tokio::test(start_paused = true)]
async fn close_stuttering_transport_is_driven_to_its_end() {
    let wire = Wire::stuttering();
    let mut server = support::server(wire.end(), &QUIET);
    server.feed("bye").await.unwrap();
    wire.put(&masked(0x88, b"\x03\xe8"));
    server.close(code(3000), "").await.unwrap();
    assert!(wire.with(|state| state.shut_down));
    let expected = [frame(0x81, b"bye"), frame(0x88, &3000_u16.to_be_bytes())];
    assert_eq!(frames(&wire.take_output()), expected);
    // A finished connection stays finished, however it is polled.
    assert!(futures_util::StreamExt::next(&mut server).await.is_none());
}

/// The closing timeout runs from when the Close frame is looked at, not from when it was read.
#[tokio::test(start_paused = true)]
async fn close_behind_a_message_that_took_long_still_lingers() {
    let (mut server, mut raw) = server_and_raw(1000, &QUIET);
    // A text and Close(1000) in one read.
    let mut frames = masked(0x81, b"work");
    frames.extend(masked(0x88, b"\x03\xe8"));
    raw.write_all(&frames).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap().as_text(), Some("work"));
    // Longer than the closing timeout of 5 s.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let ends = tokio::spawn(async move {
        let end = server.next().await;
        (end.is_none(), Instant::now())
    });
    let mut reply = [0; 4];
    raw.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"\x88\x02\x03\xe8");
    // The client takes its time, within the timeout, and is waited for.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ended_at = Instant::now();
    drop(raw);
    assert_eq!(ends.await.unwrap(), (true, ended_at));
}
