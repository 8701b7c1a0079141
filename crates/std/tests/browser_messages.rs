//! What the browser's object sends and receives, and how much of it waits, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

#[path = "support/clients.rs"]
mod clients;
#[path = "support/object.rs"]
mod object;
mod support;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clients::{LONG, Watch, Watched, accept_from, eventually, listen, promptly, serve};
use duologue_std::browser::{BrowserHandle, BrowserSocket};
use duologue_std::{
    CloseCode, Config, Error, Message, ReadyState, SendError, ServerOptions, WebSocket,
};
use object::{
    expect_abnormal_close, expect_close, expect_error, expect_message, expect_open, new, options,
    raw_server, with_config,
};
use support::accept_raw;

const MIB: usize = 1 << 20;

/// A peer of bare bytes whose handshake is done.
fn accept_one(listener: &TcpListener) -> TcpStream {
    let (mut raw, _) = listener.accept().unwrap();
    raw.set_read_timeout(Some(LONG)).unwrap();
    accept_raw(&mut raw, b"");
    raw
}

#[test]
fn buffered_amount_falls_as_the_peer_reads_and_stays_when_it_is_gone() {
    let (url, server) = raw_server(Vec::new());
    let config = Config { deflate: None, ..Config::DEFAULT };
    let mut socket = with_config(&url, config);
    expect_open(&mut socket);
    let mut raw = server.join().unwrap();
    // More than any two sockets' buffers hold.
    let total = 64 * MIB as u64;
    for _ in 0..4 {
        socket.send(vec![1; 16 * MIB]).unwrap();
    }
    let mut left = socket.buffered_amount();
    assert!(left > total / 2, "{left}");
    // It falls within a message, not only at its end.
    let mut buffer = vec![0; MIB];
    let (mut steps, mut read) = (0, 0);
    while read < 40 * MIB as u64 {
        read += raw.read(&mut buffer).unwrap() as u64;
        let now = socket.buffered_amount();
        assert!(now <= left, "it grows by itself: {left} to {now}");
        steps += u32::from(now < left);
        left = now;
    }
    eventually("what was read is out", || socket.buffered_amount() < total - 39 * MIB as u64);
    assert!(steps > 4, "{steps}");
    assert!(socket.buffered_amount() > 0);
    drop(raw);
    expect_abnormal_close(&mut socket);
    let at_the_end = socket.buffered_amount();
    assert!(at_the_end > 0);
    socket.send("more").unwrap();
    assert_eq!(socket.buffered_amount(), at_the_end + 4);
}

#[test]
fn buffered_amount_is_zero_when_all_has_been_read() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        // Pings in between, which the reading half answers.
        let mut count = 0;
        while let Ok(Some(_)) = server.read() {
            count += 1;
            server.ping(b"in between").unwrap();
            if count % 100 == 0 {
                server.send(count.to_string()).unwrap();
            }
        }
        count
    });
    let mut socket = new(&url);
    expect_open(&mut socket);
    for round in 1..=20_u32 {
        for size in 0..100_usize {
            socket.send(vec![1; size * 100]).unwrap();
        }
        assert_eq!(expect_message(&mut socket), Message::text((round * 100).to_string()));
        eventually("all is out", || socket.buffered_amount() == 0);
    }
    socket.close();
    expect_close(&mut socket);
    assert_eq!(server.join().unwrap(), 2000);
}

#[test]
fn handles_in_other_threads_send_and_close() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        let mut counts = [0_u32; 4];
        while let Some(message) = server.read().unwrap() {
            let (thread, number) = message.as_text().unwrap().split_once(' ').unwrap();
            let count = &mut counts[thread.parse::<usize>().unwrap()];
            assert_eq!(*count, number.parse::<u32>().unwrap(), "each thread's are in order");
            *count += 1;
        }
        counts
    });
    let mut socket = new(&url);
    expect_open(&mut socket);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let handle: BrowserHandle = socket.handle().clone();
            thread::spawn(move || {
                for number in 0..500 {
                    handle.send(format!("{thread} {number}")).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let handle = socket.handle().clone();
    thread::spawn(move || handle.close_with(1000, "all sent").unwrap()).join().unwrap();
    let (code, _, was_clean, cause) = expect_close(&mut socket);
    assert_eq!((code, was_clean), (1000, true), "{cause:?}");
    assert_eq!(server.join().unwrap(), [500; 4]);
}

#[test]
fn a_peer_that_sends_much_is_held_back_until_events_are_taken() {
    const MESSAGES: usize = 4096;
    const SIZE: usize = 32 * 1024;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let (url, server) = serve(move |mut server: WebSocket<TcpStream>| {
        let message = Message::binary(vec![1; SIZE]);
        for _ in 0..MESSAGES {
            server.send(message.clone()).unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
        server.close(CloseCode::NORMAL, "").unwrap();
    });
    let mut socket = new(&url);
    expect_open(&mut socket);
    // The peer comes to a stop: 1 MiB waits to be taken, and the rest in the sockets' buffers.
    let mut last = u64::MAX;
    eventually("the peer is held back", || {
        let now = sent.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(200));
        let stands = now == last;
        last = now;
        stands && now > 0
    });
    assert!(last < MESSAGES as u64 / 2, "{last}");
    for _ in 0..MESSAGES {
        assert_eq!(expect_message(&mut socket).len(), SIZE);
    }
    let (code, _, was_clean, cause) = expect_close(&mut socket);
    assert_eq!((code, was_clean), (1000, true), "{cause:?}");
    server.join().unwrap();
}

#[test]
fn a_held_back_peer_does_not_keep_a_drop_from_closing() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        let message = Message::binary(vec![1; MIB]);
        for _ in 0..16 {
            server.send(message.clone()).unwrap();
        }
        while server.read().unwrap().is_some() {}
        server.close_outcome().unwrap().status.to_u16()
    });
    let mut socket = new(&url);
    expect_open(&mut socket);
    expect_message(&mut socket);
    drop(socket);
    assert_eq!(server.join().unwrap(), 1001);
}

#[test]
fn too_much_to_send_ends_the_connection_though_the_peer_does_not_read() {
    let (listener, url) = listen();
    let (watch, token) = Watch::new();
    let address = listener.local_addr().unwrap();
    let options = options(&url)
        .with_max_buffered(32 * MIB as u64)
        .with_client(|client| client.with_config(Config { deflate: None, ..Config::DEFAULT }));
    let mut socket = BrowserSocket::with_connector(&options, move |_| {
        Ok(Watched::new(TcpStream::connect(address)?, &token))
    });
    let mut raw = accept_one(&listener);
    expect_open(&mut socket);
    socket.send(vec![1; 24 * MIB]).unwrap();
    // The writer is stuck by now, for the 30 s that a peer may take nothing.
    let mut last = u64::MAX;
    eventually("the writer is stuck", || {
        let now = socket.buffered_amount();
        thread::sleep(Duration::from_millis(50));
        let stands = now == last;
        last = now;
        stands
    });
    assert!(last > 0);
    promptly(|| {
        socket.send("one that fits").unwrap();
        socket.send(vec![1; 32 * MIB]).unwrap();
        assert_eq!(socket.ready_state(), ReadyState::Closing);
        let cause = expect_error(&mut socket);
        assert!(matches!(cause, Some(Error::Send(SendError::BufferFull))), "{cause:?}");
        expect_abnormal_close(&mut socket);
        watch.assert_all_gone();
    });
    assert!(socket.buffered_amount() > 32 * MIB as u64);
    // The peer reads what was on its way, and the end.
    let mut buffer = vec![0; MIB];
    while let Ok(1..) = raw.read(&mut buffer) {}
}

#[test]
fn many_messages_both_ways_at_once_all_arrive() {
    const COUNT: usize = 300;
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let server = accept_from(&listener, &ServerOptions::new());
        let (mut read_half, mut write_half) = server.split().unwrap();
        let sender = thread::spawn(move || {
            let message = Message::binary(vec![2; 100_000]);
            for _ in 0..COUNT {
                write_half.send(message.clone()).unwrap();
            }
            write_half
        });
        let mut count = 0;
        while let Some(message) = read_half.read().unwrap() {
            assert_eq!(message.len(), 100_000);
            count += 1;
        }
        sender.join().unwrap();
        count
    });
    let mut socket = new(&url);
    expect_open(&mut socket);
    for _ in 0..COUNT {
        socket.send(vec![1; 100_000]).unwrap();
    }
    for _ in 0..COUNT {
        assert_eq!(expect_message(&mut socket).len(), 100_000);
    }
    socket.close();
    expect_close(&mut socket);
    assert_eq!(server.join().unwrap(), COUNT);
}
