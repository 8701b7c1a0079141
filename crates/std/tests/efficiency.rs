//! What a message costs: no allocation when it is borrowed, and one write for each read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use duologue_std::{Config, Message, OsKeys, Role, Transport, WebSocket};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// The size of the largest one, in bytes.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it is; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System`, with `layout`, for `alloc` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One direction in memory, with a count of the writes.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    writes: usize,
}

/// An end of two pipes, with a count of the timeouts that are set.
struct Counted {
    from: Rc<RefCell<Pipe>>,
    to: Rc<RefCell<Pipe>>,
    timeouts: usize,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.from.borrow_mut().bytes.read(buffer) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            result => result,
        }
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.to.borrow_mut();
        pipe.writes += 1;
        pipe.bytes.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut pipe = self.to.borrow_mut();
        pipe.writes += 1;
        pipe.bytes.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Counted {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        self.timeouts += 1;
        Ok(())
    }

    fn set_write_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        self.timeouts += 1;
        Ok(())
    }
}

fn pair() -> (WebSocket<Counted>, WebSocket<Counted>) {
    let pipes = [Rc::<RefCell<Pipe>>::default(), Rc::default()];
    for pipe in &pipes {
        pipe.borrow_mut().bytes.reserve(1 << 20);
    }
    let end = |from: usize| Counted {
        from: Rc::clone(&pipes[from]),
        to: Rc::clone(&pipes[1 - from]),
        timeouts: 0,
    };
    let open = |from, role| WebSocket::from_raw(end(from), role, &Config::DEFAULT, BytesMut::new());
    (open(0, Role::Client(OsKeys)), open(1, Role::Server))
}

/// Sends `count` messages, echoes them with borrowed reads, and reads the echoes.
fn exchange(
    client: &mut WebSocket<Counted>,
    server: &mut WebSocket<Counted>,
    scratch: &mut Vec<u8>,
    count: usize,
    length: usize,
) {
    for _ in 0..count {
        scratch.clear();
        scratch.resize(length, 7);
        client.feed_binary(scratch).unwrap();
    }
    client.flush().unwrap();
    for (end, echoes) in [(server, true), (client, false)] {
        let mut seen = 0;
        loop {
            match end.read_ref() {
                Ok(message) => {
                    let message = message.unwrap();
                    assert_eq!(message.payload().len(), length);
                    scratch.clear();
                    scratch.extend_from_slice(message.payload());
                }
                Err(error) => {
                    assert!(error.is_would_block(), "{error}");
                    break;
                }
            }
            seen += 1;
            if echoes {
                end.feed_binary(scratch).unwrap();
            }
        }
        assert_eq!(seen, count);
    }
}

#[test]
fn borrowed_messages_cost_no_allocation_in_the_steady_state() {
    for length in [0, 20, 500, 1024, 5000] {
        let (mut client, mut server) = pair();
        let mut scratch = Vec::with_capacity(64 * 1024);
        for _ in 0..10 {
            exchange(&mut client, &mut server, &mut scratch, 10, length);
        }
        let before = ALLOCATIONS.get();
        for _ in 0..100 {
            exchange(&mut client, &mut server, &mut scratch, 10, length);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "messages of {length} bytes");
    }
}

/// Up to 1 KiB, an owned message costs its own bytes: it is copied, so that keeping it does not
/// keep a whole read buffer.
#[test]
fn owned_messages_of_up_to_1_kib_cost_one_allocation_of_their_length() {
    for length in [1, 12, 125, 1024] {
        let (mut client, mut server) = pair();
        let text = "m".repeat(length);
        let mut echo = |count: usize, kept: &mut Vec<Message>| {
            for _ in 0..count {
                client.feed_text(&text).unwrap();
                client.flush().unwrap();
                let message = server.read().unwrap().unwrap();
                server.feed_text(&text).unwrap();
                assert!(server.read().unwrap_err().is_would_block());
                kept.push(message);
                kept.push(client.read().unwrap().unwrap());
            }
        };
        let mut kept = Vec::with_capacity(1000);
        echo(10, &mut kept);
        let before = ALLOCATIONS.get();
        LARGEST.set(0);
        echo(100, &mut kept);
        assert_eq!(ALLOCATIONS.get() - before, 200, "messages of {length} bytes");
        assert_eq!(LARGEST.get(), length);
        assert!(kept.iter().all(|message| *message == Message::text(text.as_str())));
    }
}

/// A longer one is split off the read buffer without a copy: what is allocated is the count of who
/// shares that.
#[test]
fn owned_messages_of_more_than_1_kib_are_not_copied() {
    for length in [1025, 5000] {
        let (mut client, mut server) = pair();
        let bytes = vec![7; length];
        let mut receive = |count: usize| {
            for _ in 0..count {
                client.feed_binary(&bytes).unwrap();
                client.flush().unwrap();
                assert_eq!(server.read().unwrap().unwrap().payload(), bytes);
                assert!(server.read().unwrap_err().is_would_block());
            }
        };
        receive(10);
        let before = ALLOCATIONS.get();
        LARGEST.set(0);
        receive(100);
        let (count, largest) = (ALLOCATIONS.get() - before, LARGEST.get());
        assert!(count <= 100 && largest < 100, "{count}, the largest of {largest} bytes");
    }
}

/// All replies to one read go out in one write, by the plain loop.
#[test]
fn reading_and_feeding_makes_one_write_for_each_read() {
    let (mut client, mut server) = pair();
    for round in 1..=20 {
        for number in 0..100 {
            client.feed_text(&format!("message {number}")).unwrap();
        }
        client.flush().unwrap();
        assert_eq!(client.get_ref().to.borrow().writes, round, "fed messages go out together");
        while let Ok(Some(message)) = server.read() {
            server.feed(message).unwrap();
        }
        assert_eq!(server.get_ref().to.borrow().writes, round, "replies go out together");
        for number in 0..100 {
            assert_eq!(client.read().unwrap(), Some(Message::text(format!("message {number}"))));
        }
    }
}

/// A server's large payload is not copied: header and payload go out in one vectored write.
#[test]
fn a_large_message_goes_out_in_one_vectored_write() {
    let (mut client, mut server) = pair();
    server.send(vec![1; 100_000]).unwrap();
    assert_eq!(server.get_ref().to.borrow().writes, 1);
    assert_eq!(client.read().unwrap(), Some(Message::binary(vec![1; 100_000])));
}

/// With keepalive every read has a deadline of its own, but the socket is not told of each.
#[test]
fn timeouts_are_not_set_for_each_read_and_write() {
    let (mut client, mut server) = pair();
    let mut scratch = Vec::new();
    for _ in 0..1000 {
        exchange(&mut client, &mut server, &mut scratch, 1, 10);
    }
    for end in [client, server] {
        assert!(end.get_ref().timeouts <= 2, "{}", end.get_ref().timeouts);
    }
}
