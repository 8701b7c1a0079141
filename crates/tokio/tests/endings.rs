//! What the end of a connection is told as, and when a transport that does not do its part ends it.
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
    CloseCode, CloseStatus, Error, Initiator, Message, ProtocolError, ReadyState, SendError,
    WebSocket,
};
use futures_util::SinkExt;
use futures_util::stream::FusedStream;
use support::wire::{Wire, WireEnd};
use support::{
    QUIET, client_and_raw, expect_close, expect_end, frame, frames, masked, poll_once,
    server_and_raw, unmasked, write,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

const CLOSE_NORMAL: &[u8] = b"\x03\xe8";

fn assert_about(took: Duration, expected: u64) {
    let millis = took.as_millis();
    let expected = u128::from(expected);
    assert!((expected - 20..expected + 100).contains(&millis), "{took:?}");
}

/// Both roles, each with the raw stream of its peer, and what makes a frame of that peer's.
type Ends = [(WebSocket<DuplexStream>, DuplexStream, fn(u8, &[u8]) -> Vec<u8>); 2];

fn both_roles() -> Ends {
    let (server, server_raw) = server_and_raw(4096, &QUIET);
    let (client, client_raw) = client_and_raw(4096, &QUIET);
    [(server, server_raw, masked), (client, client_raw, unmasked)]
}

fn assert_lost<S: AsyncRead + AsyncWrite + Unpin>(websocket: &WebSocket<S>) {
    let outcome = websocket.close_outcome().unwrap();
    assert_eq!((outcome.status, outcome.was_clean), (CloseStatus::Abnormal, false));
}

/// RFC 6455 section 7.1.5: without a Close frame of the peer's the code is 1006, whoever began.
#[tokio::test]
async fn eof_after_start_close_without_the_peers_close_is_told_once_as_connection_lost() {
    for (mut websocket, mut raw, frame_of_peer) in both_roles() {
        websocket.start_close(CloseCode::NORMAL, "").unwrap();
        write(&mut raw, &frame_of_peer(0x81, b"last")).await;
        let ending = async {
            expect_close(&mut raw, 1000).await;
            drop(raw);
        };
        let (message, ()) = tokio::join!(websocket.next(), ending);
        assert_eq!(message.unwrap().unwrap(), Message::text("last"));
        assert!(matches!(websocket.next().await, Some(Err(Error::ConnectionLost))));
        assert!(websocket.is_terminated());
        assert!(websocket.next().await.is_none() && websocket.next().await.is_none());
        assert_lost(&websocket);
        assert_eq!(websocket.close_outcome().unwrap().initiator, Some(Initiator::Local));
    }
}

#[tokio::test]
async fn eof_after_start_close_all_ways_to_receive_tell_it_once() {
    for way in 0..3 {
        let (mut server, raw) = server_and_raw(4096, &QUIET);
        server.start_close(CloseCode::NORMAL, "").unwrap();
        server.flush().await.unwrap();
        drop(raw);
        let told = match way {
            0 => server.next_event().await.map(|result| result.map(drop)),
            1 => server.next_ref().await.map(|result| result.map(drop)),
            _ => server.next_chunk().await.map(|result| result.map(drop)),
        };
        assert!(matches!(told, Some(Err(Error::ConnectionLost))), "{told:?}");
        assert!(server.next_event().await.is_none());
        assert!(server.next_ref().await.is_none());
        assert!(server.next_chunk().await.is_none());
    }
}

/// Who waits in `close` has asked for the end, and gets it.
#[tokio::test]
async fn eof_without_the_peers_close_is_no_error_of_close() {
    for sink in [false, true] {
        for (mut websocket, mut raw, _) in both_roles() {
            let closing = async {
                if sink {
                    SinkExt::close(&mut websocket).await
                } else {
                    websocket.close(CloseCode::NORMAL, "").await
                }
            };
            let ending = async {
                expect_close(&mut raw, 1000).await;
                drop(raw);
            };
            let (closed, ()) = tokio::join!(closing, ending);
            closed.unwrap();
            // It has been told, by that.
            assert!(websocket.next().await.is_none());
            assert_lost(&websocket);
        }
    }
}

/// Closing goes on in `next`, after the future of `close` was dropped.
#[tokio::test]
async fn eof_after_a_dropped_close_is_told_by_next() {
    let (mut server, raw) = server_and_raw(4096, &QUIET);
    assert!(poll_once(&mut Box::pin(server.close(CloseCode::NORMAL, ""))).is_pending());
    drop(raw);
    assert!(matches!(server.next().await, Some(Err(Error::ConnectionLost))));
    server.close(CloseCode::NORMAL, "").await.unwrap();
}

#[tokio::test]
async fn eof_after_close_of_the_write_half_is_told_by_the_read_half() {
    let (server, raw) = server_and_raw(4096, &QUIET);
    let (mut reader, mut writer) = server.split();
    assert!(reader.close_outcome().is_none());
    writer.close(CloseCode::NORMAL, "").await.unwrap();
    drop(raw);
    assert!(matches!(reader.next().await, Some(Err(Error::ConnectionLost))));
    assert!(reader.next().await.is_none());
    assert_eq!(reader.close_outcome(), Some((CloseStatus::Abnormal, String::new(), false)));
    // There is nothing more to close.
    writer.close(CloseCode::NORMAL, "").await.unwrap();
}

/// The closing handshake and the end of TCP have one timeout together, of 5 s, which the peer's
/// answer does not renew.
#[tokio::test(start_paused = true)]
async fn close_peer_that_answers_late_and_holds_tcp_open_is_gone_at_the_closing_timeout() {
    for by_close in [true, false] {
        for (mut websocket, mut raw, frame_of_peer) in both_roles() {
            let begun = Instant::now();
            let peer = tokio::spawn(async move {
                expect_close(&mut raw, 1000).await;
                sleep(Duration::from_millis(4900)).await;
                write(&mut raw, &frame_of_peer(0x88, CLOSE_NORMAL)).await;
                // It does not end its side before the other is gone.
                expect_end(&mut raw).await;
                sleep(Duration::from_secs(60)).await;
            });
            if by_close {
                websocket.close(CloseCode::NORMAL, "").await.unwrap();
            } else {
                websocket.start_close(CloseCode::NORMAL, "").unwrap();
                assert!(websocket.next().await.is_none());
            }
            assert_about(begun.elapsed(), 5000);
            let outcome = websocket.close_outcome().unwrap();
            assert_eq!(outcome.status, CloseStatus::Code(CloseCode::NORMAL));
            drop(websocket);
            peer.await.unwrap();
        }
    }
}

fn server_on_wire() -> (WebSocket<WireEnd>, Wire) {
    let wire = Wire::new();
    (support::server(wire.end(), &QUIET), wire)
}

/// Longer than any deadline, so that a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(600);

/// A transport that takes bytes and does not flush them is a peer that takes nothing.
#[tokio::test(start_paused = true)]
async fn flush_that_stays_pending_while_open_ends_with_write_stalled() {
    for only_reads in [false, true] {
        let (mut server, wire) = server_on_wire();
        wire.with(|state| state.never_flushes = true);
        let begun = Instant::now();
        server.feed("held back").await.unwrap();
        if !only_reads {
            let flushed = timeout(PATIENCE, server.flush()).await.unwrap();
            assert_about(begun.elapsed(), 30_000);
            // What the transport took and held back is lost.
            assert!(matches!(flushed, Err(Error::Send(SendError::Closing))), "{flushed:?}");
        }
        let told = timeout(PATIENCE, server.next()).await.unwrap();
        assert_about(begun.elapsed(), 30_000);
        let stalled = matches!(told, Some(Err(Error::Protocol(ProtocolError::WriteStalled))));
        assert!(stalled, "{told:?}");
        assert!(server.next().await.is_none());
        assert_eq!(server.close_outcome().unwrap().failure, Some(ProtocolError::WriteStalled));
    }
}

/// A flush that takes its time is no stall, nor does it shorten the next one's.
#[tokio::test(start_paused = true)]
async fn flush_that_comes_to_its_end_stops_the_stall_deadline() {
    let (mut server, wire) = server_on_wire();
    for _ in 0..3 {
        wire.with(|state| state.never_flushes = true);
        server.feed("held back").await.unwrap();
        assert!(poll_once(&mut Box::pin(server.flush())).is_pending());
        sleep(Duration::from_secs(20)).await;
        wire.with(|state| state.never_flushes = false);
        server.flush().await.unwrap();
        tokio::select! {
            biased;
            told = server.next() => panic!("{told:?}"),
            () = sleep(Duration::from_secs(100)) => {}
        }
    }
    assert_eq!(server.ready_state(), ReadyState::Open);
}

/// TCP has ended, all is told, and only the transport's own shutdown is still to be done: it is
/// tried once more before the transport is gone.
#[tokio::test]
async fn drop_after_the_end_tries_a_shutdown_again_that_was_pending() {
    let wire = Wire::new();
    let mut client = support::client(wire.end(), &QUIET);
    wire.with(|state| state.never_shuts_down = true);
    wire.put(&unmasked(0x88, CLOSE_NORMAL));
    wire.end_input();
    assert!(client.next().await.is_none());
    assert!(!wire.with(|state| state.shut_down));
    wire.with(|state| state.never_shuts_down = false);
    drop(client);
    assert!(wire.with(|state| state.shut_down && state.dropped));
    let sent: Vec<_> = frames(&wire.take_output());
    assert_eq!(sent, [frame(0x88, CLOSE_NORMAL)]);
}

/// What is queued and cannot go out any more is told to who flushes it, and not as success.
#[tokio::test(start_paused = true)]
async fn close_peer_that_takes_nothing_flush_does_not_claim_success() {
    let (mut server, wire) = server_on_wire();
    wire.with(|state| state.full = true);
    server.feed("stuck").await.unwrap();
    server.start_close(CloseCode::NORMAL, "").unwrap();
    assert!(matches!(server.next().await, Some(Err(Error::ConnectionLost))));
    let flushed = server.flush().await;
    assert!(matches!(flushed, Err(Error::Send(SendError::Closing))), "{flushed:?}");
    let outcome = server.close_outcome().unwrap();
    assert_eq!(outcome.sent, None);
}
