//! A peer that does not read, and an application that does not: memory stays flat.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::pin::Pin;
use std::task::{Context, Waker};

use duologue_tokio::{Config, Error, Message, ProtocolError, SendError};
use futures_util::Sink;
use support::wire::Wire;
use support::{QUIET, masked, pair, poll_once, server_and_raw};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

const HIGH_WATER: usize = 10_000;
const CONFIG: Config = Config { write_high_water: HIGH_WATER, ..QUIET };

#[tokio::test]
async fn feed_past_the_high_water_mark_waits_until_the_peer_reads() {
    for length in [10, 999, 4000, 20_000] {
        let wire = Wire::new();
        wire.with(|state| state.full = true);
        let mut server = support::server(wire.end(), &CONFIG);
        let mut fed = 0;
        loop {
            let before = server.buffered_amount();
            if poll_once(&mut Box::pin(server.feed(vec![1; length]))).is_pending() {
                break;
            }
            // Only past the mark is anything refused, and then one frame past it at most.
            assert!(before < HIGH_WATER);
            fed += 1;
        }
        let waiting = server.buffered_amount();
        assert!((HIGH_WATER..HIGH_WATER + length + 4).contains(&waiting), "{waiting}");
        wire.unblock();
        server.feed(vec![1; length]).await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(server.buffered_amount(), 0);
        assert_eq!(support::frames(&wire.take_output()).len(), fed + 1);
    }
}

#[tokio::test]
async fn feed_over_loopback_buffered_amount_stays_bounded() {
    let (near, far) = support::tcp().await;
    let mut server = support::server(near, &CONFIG);
    let mut client = support::client(far, &CONFIG);
    let sender = tokio::spawn(async move {
        let mut most = 0;
        for _ in 0..2000 {
            server.feed(vec![1; 3000]).await.unwrap();
            most = most.max(server.buffered_amount());
        }
        server.flush().await.unwrap();
        assert_eq!(server.buffered_amount(), 0);
        (most, server)
    });
    for _ in 0..2000 {
        assert_eq!(client.next_ref().await.unwrap().unwrap().payload().len(), 3000);
    }
    let (most, _server) = sender.await.unwrap();
    assert!(most < HIGH_WATER + 3004, "{most}");
}

#[tokio::test]
async fn sink_poll_ready_is_pending_exactly_past_the_mark() {
    let wire = Wire::new();
    wire.with(|state| state.full = true);
    let mut server = support::server(wire.end(), &CONFIG);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..20 {
        let ready = Pin::new(&mut server).poll_ready(&mut context).is_ready();
        assert_eq!(ready, server.buffered_amount() < HIGH_WATER);
        if ready {
            Pin::new(&mut server).start_send(Message::binary(vec![0; 1500])).unwrap();
        }
    }
    assert!(Pin::new(&mut server).poll_flush(&mut context).is_pending());
    wire.unblock();
    assert!(Pin::new(&mut server).poll_ready(&mut context).is_ready());
    assert!(Pin::new(&mut server).poll_flush(&mut context).is_ready());
}

/// HOSTILE H27: a million pings of 125 bytes from a peer that does not read. Pongs are queued up to
/// the mark; past it only the newest ping is owed an answer (section 5.5.3).
#[tokio::test]
async fn h27_ping_flood_of_a_peer_that_does_not_read_memory_stays_flat() {
    const PINGS: usize = 1_000_000;
    let wire = Wire::new();
    wire.with(|state| state.full = true);
    let mut server = support::server(wire.end(), &CONFIG);
    let batch: Vec<u8> = masked(0x89, &[b'x'; 125]).repeat(100);
    let mut most = 0;
    for _ in 0..PINGS / 100 {
        wire.put(&batch);
        assert!(poll_once(&mut Box::pin(server.next())).is_pending());
        most = most.max(server.buffer_capacity() + server.buffered_amount());
    }
    assert!(server.buffered_amount() < HIGH_WATER + 127);
    assert!(most < 128 * 1024, "{most}");
    let newest = masked(0x89, b"newest");
    wire.put(&newest);
    assert!(poll_once(&mut Box::pin(server.next())).is_pending());
    wire.unblock();
    server.flush().await.unwrap();
    let pongs = support::frames(&wire.take_output());
    assert!(pongs.len() < 100);
    // Once there is room, the newest is answered.
    assert_eq!(pongs.last(), Some(&support::frame(0x8a, b"newest")));
}

/// The peer neither reads nor stops sending: the stall deadline holds all the same.
#[tokio::test(start_paused = true)]
async fn stalled_peer_that_floods_ends_with_write_stalled() {
    let wire = Wire::new();
    let mut server = support::server(wire.end(), &QUIET);
    wire.with(|state| state.full = true);
    server.feed("stuck").await.unwrap();
    let flood = masked(0x82, &[0; 100]);
    let begun = Instant::now();
    let told = loop {
        wire.put(&flood);
        match server.next().await.unwrap() {
            Ok(_) => tokio::time::advance(std::time::Duration::from_millis(100)).await,
            Err(error) => break error,
        }
        assert!(begun.elapsed().as_secs() < 32);
    };
    assert!(matches!(told, Error::Protocol(ProtocolError::WriteStalled)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn stalled_peer_ends_with_write_stalled_and_send_does_not_claim_success() {
    let (mut server, _raw) = server_and_raw(1000, &QUIET);
    let begun = Instant::now();
    let sent = server.send(vec![0; 5000]).await;
    assert!((29_990..30_100).contains(&begun.elapsed().as_millis()));
    assert!(matches!(sent, Err(Error::Send(SendError::Closing))), "{sent:?}");
    let told = server.next().await;
    assert!(matches!(told, Some(Err(Error::Protocol(ProtocolError::WriteStalled)))), "{told:?}");
    assert!(server.next().await.is_none());
    assert_eq!(server.buffered_amount(), 0);
}

/// A peer that reads now and then is slow, and not stalled.
#[tokio::test(start_paused = true)]
async fn slow_peer_that_reads_now_and_then_is_no_stall() {
    use tokio::io::AsyncReadExt;
    let (mut server, mut raw) = server_and_raw(1000, &QUIET);
    let reader = tokio::spawn(async move {
        let mut buffer = [0; 1000];
        for _ in 0..11 {
            tokio::time::sleep(std::time::Duration::from_secs(25)).await;
            assert!(raw.read(&mut buffer).await.unwrap() > 0);
        }
        raw
    });
    server.send(vec![0; 10_000]).await.unwrap();
    drop(reader.await.unwrap());
}

/// HOSTILE H28: an application that never reads takes nothing from the transport.
#[tokio::test]
async fn h28_app_that_never_reads_the_sender_waits_and_nothing_grows() {
    let (mut server, mut raw) = server_and_raw(4096, &CONFIG);
    let message = masked(0x82, &[0; 1000]);
    let mut written = 0;
    while poll_once(&mut Box::pin(raw.write_all(&message))).is_ready() {
        written += 1;
        server.feed("x").await.unwrap();
        server.flush().await.unwrap();
    }
    assert!(written <= 4);
    assert!(server.buffer_capacity() <= 16 * 1024);
}

/// Both ends send more than fits before either reads: with halves that is no deadlock, also in one
/// task each.
#[tokio::test]
async fn both_ends_send_more_than_fits_in_halves_of_one_task_ends_well() {
    let (server, client) = pair(256, &CONFIG);
    let run = |websocket: duologue_tokio::WebSocket<tokio::io::DuplexStream>| async move {
        let (mut reader, mut writer) = websocket.split();
        let send = async {
            for _ in 0..200 {
                writer.feed(vec![3; 1000]).await.unwrap();
            }
            writer.flush().await.unwrap();
        };
        let receive = async {
            for _ in 0..200 {
                assert_eq!(reader.next().await.unwrap().unwrap().len(), 1000);
            }
        };
        tokio::join!(send, receive);
        (reader, writer)
    };
    let (server, client) = tokio::join!(tokio::spawn(run(server)), tokio::spawn(run(client)));
    drop((server.unwrap(), client.unwrap()));
}
