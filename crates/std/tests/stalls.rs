//! A peer that takes a part of what it is sent, and then nothing.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that goes wrong fails"
)]

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use duologue_std::{Config, Error, ProtocolError, Role, Transport, TryClone, WebSocket};

/// What two handles to one stream share.
#[derive(Debug, Default)]
struct State {
    write_timeout: Duration,
    read_timeout: Option<Duration>,
    /// What is read before nothing more comes.
    input: Vec<u8>,
    /// Bytes that are still taken.
    takes: usize,
    flushes: bool,
    /// For how long the writes and flushes have waited in all.
    waited: Duration,
}

/// As a socket whose buffer is full: a write that takes a part of its bytes waits for the rest of
/// its time before it says so.
#[derive(Clone, Debug)]
struct Stalling(Rc<RefCell<State>>);

impl Stalling {
    fn wait(&self) {
        let timeout = self.0.borrow().write_timeout;
        self.0.borrow_mut().waited += timeout;
        thread::sleep(timeout);
    }
}

impl Read for Stalling {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        if !state.input.is_empty() {
            let input = std::mem::take(&mut state.input);
            buffer[..input.len()].copy_from_slice(&input);
            return Ok(input.len());
        }
        let timeout = state.read_timeout.expect("a read that would wait for ever");
        thread::sleep(timeout);
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Stalling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0.borrow().takes);
        self.0.borrow_mut().takes -= taken;
        if taken < bytes.len() {
            self.wait();
        }
        if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.borrow().flushes {
            return Ok(());
        }
        self.wait();
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Transport for Stalling {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.borrow_mut().read_timeout = timeout;
        Ok(())
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.borrow_mut().write_timeout = timeout.unwrap();
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TryClone for Stalling {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }
}

const TIMEOUT: Duration = Duration::from_millis(400);
const CONFIG: Config = Config { write_stall_timeout: TIMEOUT, keepalive: None, ..Config::DEFAULT };

/// A machine that is busy sleeps for longer than it was asked to, and so needs fewer waits.
const LEAST: Duration = Duration::from_millis(100);

/// Sends to a peer that takes the first `takes` bytes; how long the transport has waited until the
/// peer counted as stalled.
fn waited_for(takes: usize, flushes: bool, split: bool) -> Duration {
    let state = State { takes, flushes, ..State::default() };
    let stream = Stalling(Rc::new(RefCell::new(state)));
    let role = Role::Server;
    let mut websocket = WebSocket::from_raw(stream.clone(), role, &CONFIG, BytesMut::new());
    // Dropping the connection is not a part of it.
    let (sent, waited) = if split {
        let (_reader, mut writer) = websocket.split().unwrap();
        (writer.send("Hello"), stream.0.borrow().waited)
    } else {
        (websocket.send("Hello"), stream.0.borrow().waited)
    };
    assert!(matches!(sent, Err(Error::Protocol(ProtocolError::WriteStalled))), "{sent:?}");
    waited
}

#[test]
fn h26_peer_that_takes_nothing_is_given_up_at_the_stall_timeout() {
    for split in [false, true] {
        let waited = waited_for(0, true, split);
        assert!(waited <= TIMEOUT, "{waited:?}, split: {split}");
        assert!(waited >= LEAST, "{waited:?}, split: {split}");
    }
}

#[test]
fn h26_peer_that_took_a_part_is_given_up_soon_after_the_stall_timeout() {
    for split in [false, true] {
        let waited = waited_for(3, true, split);
        assert!(waited <= TIMEOUT * 5 / 4, "{waited:?}, split: {split}");
        assert!(waited >= LEAST, "{waited:?}, split: {split}");
    }
}

#[test]
fn h26_transport_that_holds_everything_back_is_given_up_at_the_stall_timeout() {
    for split in [false, true] {
        let waited = waited_for(usize::MAX, false, split);
        assert!(waited <= TIMEOUT, "{waited:?}, split: {split}");
        assert!(waited >= LEAST, "{waited:?}, split: {split}");
    }
}

#[test]
fn h26_peer_that_takes_no_pong_is_given_up_while_its_messages_are_waited_for() {
    for split in [false, true] {
        // A ping (RFC 6455 section 5.5.2), masked with zeros.
        let input = b"\x89\x80\0\0\0\0".to_vec();
        let state = State { input, flushes: true, ..State::default() };
        let stream = Stalling(Rc::new(RefCell::new(state)));
        let mut websocket = WebSocket::from_raw(stream, Role::Server, &CONFIG, BytesMut::new());
        let read = if split {
            let (mut reader, _writer) = websocket.split().unwrap();
            reader.read()
        } else {
            websocket.read()
        };
        assert!(matches!(read, Err(Error::Protocol(ProtocolError::WriteStalled))), "{read:?}");
    }
}
