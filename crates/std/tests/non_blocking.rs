//! Non-blocking transports: wherever one says `WouldBlock`, nothing is lost and the call can be
//! made again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

mod support;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use duologue_std::{
    Accept, Accepting, ClientOptions, CloseCode, Config, Connecting, Decision, Error,
    HandshakeError, HttpResponse, Message, MessageType, ReadyState, Request, ServerOptions,
    Transport, WebSocket,
};
use support::{
    REQUEST, client_and_raw_server, expect_bytes, masked, no_keepalive, read_to_end,
    server_and_raw_client, short, sockets,
};

/// One direction in memory.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    ended: bool,
}

/// An end of two pipes that is as awkward as a transport may be: of three calls, about one is
/// interrupted, one would block, and one moves a single byte.
struct Awkward {
    from: Rc<RefCell<Pipe>>,
    to: Rc<RefCell<Pipe>>,
    random: u64,
}

impl Awkward {
    fn pair() -> (Self, Self) {
        let pipes = [Rc::<RefCell<Pipe>>::default(), Rc::default()];
        let end = |from: usize, random| Self {
            from: Rc::clone(&pipes[from]),
            to: Rc::clone(&pipes[1 - from]),
            random,
        };
        (end(0, 1), end(1, 2))
    }

    fn turn(&mut self) -> io::Result<()> {
        // A linear congruential generator, with the constants of Knuth's MMIX.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match (self.random >> 33) % 3 {
            0 => Err(ErrorKind::Interrupted.into()),
            1 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

impl Read for Awkward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn()?;
        let mut pipe = self.from.borrow_mut();
        match pipe.bytes.pop_front() {
            Some(byte) => {
                buffer[0] = byte;
                Ok(1)
            }
            None if pipe.ended => Ok(0),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Awkward {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.turn()?;
        let mut pipe = self.to.borrow_mut();
        assert!(!pipe.ended, "nothing is written after the end");
        pipe.bytes.push_back(bytes[0]);
        Ok(1)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.turn()
    }
}

impl Transport for Awkward {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.turn()?;
        self.to.borrow_mut().ended = true;
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.to.borrow_mut().ended = true;
        Ok(())
    }
}

/// Makes `call` again until it no longer would block, letting the other side go on in between.
fn persist<T>(
    mut call: impl FnMut() -> Result<T, Error>,
    mut other: impl FnMut(),
) -> Result<T, Error> {
    for _ in 0..1_000_000 {
        match call() {
            Err(error) if error.is_would_block() => other(),
            result => return result,
        }
    }
    panic!("no progress");
}

fn welcome(_: &Request<'_>) -> Decision {
    Accept::new().subprotocol("chat").into()
}

fn awkward_pair(config: Config) -> (WebSocket<Awkward>, WebSocket<Awkward>) {
    let (ours, theirs) = Awkward::pair();
    let options =
        ClientOptions::new("ws://localhost/").unwrap().subprotocol("chat").with_config(config);
    let mut connecting = Connecting::new(ours, &options).unwrap();
    let server_options = ServerOptions::new().with_config(config);
    let mut accepting = Accepting::new(theirs, &server_options, welcome);
    let (mut client, mut server) = (None, None);
    let mut turns = 0;
    while client.is_none() || server.is_none() {
        if client.is_none() {
            client = connecting.advance().unwrap();
        }
        if server.is_none() {
            server = accepting.advance().unwrap();
        }
        turns += 1;
        assert!(turns < 100_000, "no progress");
    }
    assert!(turns > 100, "it was awkward");
    assert!(connecting.get_ref().is_none() && accepting.get_ref().is_none());
    assert!(matches!(connecting.advance(), Err(Error::ConnectionLost)));
    assert!(matches!(accepting.advance(), Err(Error::ConnectionLost)));
    (client.unwrap(), server.unwrap())
}

#[test]
fn handshake_messages_and_close_survive_an_awkward_transport() {
    let (mut client, mut server) = awkward_pair(no_keepalive());
    assert_eq!((client.subprotocol(), server.subprotocol()), (Some("chat"), Some("chat")));

    let messages =
        [Message::text("Grüße"), Message::binary(vec![7; 3000]), Message::text(""), "end".into()];
    for message in &messages {
        client.send(message.clone()).unwrap();
    }
    assert!(client.buffered_amount() > 3000);
    for expected in &messages {
        let received = persist(|| server.read(), || drop(client.flush())).unwrap();
        assert_eq!(received.as_ref(), Some(expected));
        server.feed(received.unwrap()).unwrap();
    }
    for expected in &messages {
        let received = persist(|| client.read(), || drop(server.flush())).unwrap();
        assert_eq!(received.as_ref(), Some(expected));
    }

    client.ping(b"?").unwrap();
    let mut others = Vec::new();
    persist(
        || client.close(CloseCode::NORMAL, "bye"),
        || {
            if let Ok(message) = server.read() {
                others.push(message);
            }
        },
    )
    .unwrap();
    assert_eq!(client.close_outcome().unwrap().status.to_u16(), 1000);
    persist(|| server.read(), || {}).unwrap();
    assert_eq!(server.close_outcome().unwrap().reason, "bye");
    assert!(others.iter().all(Option::is_none), "{others:?}");
}

#[test]
fn a_full_queue_refuses_and_what_it_has_taken_arrives() {
    let config = Config { write_high_water: 64, ..no_keepalive() };
    let (mut client, mut server) = awkward_pair(config);
    let mut sent = 0_u32;
    let refused = loop {
        match client.send(sent.to_string()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(client.buffered_amount() < 80);
    };
    assert!(refused.is_would_block());
    let mut received = 0;
    while received < sent {
        let message = persist(|| server.read(), || drop(client.flush())).unwrap();
        assert_eq!(message, Some(Message::text(received.to_string())));
        received += 1;
    }
}

#[test]
fn fragments_are_taken_or_refused_whole() {
    let config = Config { write_high_water: 64, ..no_keepalive() };
    let (mut client, mut server) = awkward_pair(config);
    let bytes: Vec<u8> = (0..2000_u16).map(|n| n.to_le_bytes()[0]).collect();
    let mut rest = bytes.chunks(50);
    let mut next = rest.next();
    let mut writer = client.begin_message(MessageType::Binary).unwrap();
    let mut received = None;
    while let Some(piece) = next {
        match writer.write(piece) {
            Ok(()) => next = rest.next(),
            Err(error) => {
                assert!(error.is_would_block());
                // The peer goes on, and gets no message before the last fragment.
                assert!(server.read().unwrap_err().is_would_block());
            }
        }
    }
    writer.finish().unwrap();
    while received.is_none() {
        received = persist(|| server.read(), || drop(client.flush())).unwrap();
    }
    assert_eq!(received, Some(Message::binary(bytes)));
}

#[test]
fn a_fault_is_answered_over_an_awkward_transport() {
    let (mut client, mut server) = awkward_pair(no_keepalive());
    // A reserved opcode, from a client whose messages are not looked at here.
    client.flush().unwrap_or(());
    let to = Rc::clone(&server.get_ref().from);
    to.borrow_mut().bytes.extend(masked(0x83, b""));
    let told = persist(|| client.read(), || drop(server.read())).unwrap();
    assert_eq!(told, None);
    assert_eq!(client.close_outcome().unwrap().status.to_u16(), 1002);
    let error = persist(|| server.read(), || {}).unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[test]
fn a_refusal_is_written_over_an_awkward_transport() {
    let (ours, theirs) = Awkward::pair();
    let options = ClientOptions::new("ws://localhost/").unwrap();
    let mut connecting = Connecting::new(ours, &options).unwrap();
    let decide = |_: &Request<'_>| HttpResponse::text(404, "no").into();
    let mut accepting = Accepting::new(theirs, &ServerOptions::new(), decide);
    let mut refused = None;
    let answered = loop {
        if refused.is_none() {
            refused = accepting.advance().err();
        }
        if let Err(error) = connecting.advance() {
            break error;
        }
    };
    assert!(matches!(answered, Error::Opening(_)), "{answered}");
    let _ = connecting;
}

#[test]
fn a_non_blocking_socket_says_so_and_goes_on() {
    let (mut server, mut raw) = server_and_raw_client(Config::DEFAULT);
    server.get_ref().set_nonblocking(true).unwrap();
    raw.set_nodelay(true).unwrap();
    for byte in masked(0x81, b"slow") {
        assert!(server.read().unwrap_err().is_would_block());
        assert!(server.read_ref().unwrap_err().is_would_block());
        raw.write_all(&[byte]).unwrap();
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(server.read().unwrap(), Some(Message::text("slow")));
}

#[test]
fn an_idle_connection_on_a_non_blocking_socket_holds_no_buffer() {
    let (mut server, mut raw) = server_and_raw_client(Config::DEFAULT);
    server.get_ref().set_nonblocking(true).unwrap();
    raw.write_all(&masked(0x81, b"message")).unwrap();
    thread::sleep(Duration::from_millis(20));
    server.read_ref().unwrap().unwrap();
    server.feed_text("reply").unwrap();
    assert!(server.buffer_capacity() > 0);
    assert!(server.read().unwrap_err().is_would_block());
    assert_eq!(server.buffer_capacity(), 0);
    expect_bytes(&mut raw, b"\x81\x05reply");
}

#[test]
fn a_large_message_goes_out_as_a_non_blocking_socket_takes_it() {
    let (mut client, raw) = client_and_raw_server(no_keepalive());
    client.get_ref().set_nonblocking(true).unwrap();
    client.send(vec![3; 8 << 20]).unwrap();
    assert!(client.buffered_amount() > 0);
    assert!(client.send("refused").unwrap_err().is_would_block());
    let reader = thread::spawn(move || {
        let mut raw = raw;
        let mut bytes = vec![0; 14 + (8 << 20)];
        raw.read_exact(&mut bytes).unwrap();
        bytes.len()
    });
    while client.buffered_amount() > 0 {
        match client.flush() {
            Err(error) if error.is_would_block() => thread::sleep(Duration::from_millis(1)),
            result => result.unwrap(),
        }
    }
    assert_eq!(reader.join().unwrap(), 14 + (8 << 20));
}

#[test]
fn deadlines_hold_on_a_non_blocking_socket() {
    let (mut server, mut raw) = server_and_raw_client(short());
    server.get_ref().set_nonblocking(true).unwrap();
    assert!(server.close(CloseCode::NORMAL, "").unwrap_err().is_would_block());
    assert_eq!(server.ready_state(), ReadyState::Closing);
    thread::sleep(Duration::from_millis(250));
    assert!(matches!(server.close(CloseCode::NORMAL, ""), Err(Error::ConnectionLost)));
    drop(server);
    assert_eq!(read_to_end(&mut raw), support::close_frame(1000));
}

#[test]
fn the_opening_deadline_holds_on_a_non_blocking_socket() {
    let (mut ours, theirs) = sockets();
    theirs.set_nonblocking(true).unwrap();
    let options = ServerOptions::new().with_config(short());
    let mut accepting = Accepting::new(theirs, &options, welcome);
    ours.write_all(&REQUEST[..50]).unwrap();
    assert!(accepting.advance().unwrap().is_none());
    thread::sleep(Duration::from_millis(210));
    // The 408 is written; then the client has some time to read it.
    assert!(accepting.advance().unwrap().is_none());
    thread::sleep(Duration::from_millis(210));
    let error = accepting.advance().unwrap_err();
    assert!(matches!(error, Error::Handshake(HandshakeError::TimedOut)), "{error}");
    assert!(read_to_end(&mut ours).starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn the_body_of_a_refusal_is_waited_for_on_a_non_blocking_socket() {
    let (ours, mut theirs) = sockets();
    ours.set_nonblocking(true).unwrap();
    let mut connecting =
        Connecting::new(ours, &ClientOptions::new("ws://localhost/").unwrap()).unwrap();
    assert!(connecting.advance().unwrap().is_none());
    support::read_head(&mut theirs);
    for piece in [&b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\n"[..], b"no "] {
        theirs.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(20));
        assert!(connecting.advance().unwrap().is_none());
    }
    theirs.write_all(b"room").unwrap();
    thread::sleep(Duration::from_millis(20));
    let Error::Opening(failure) = connecting.advance().unwrap_err() else { panic!() };
    assert_eq!(&failure.response.unwrap().body[..], b"no room");
    assert!(matches!(connecting.advance(), Err(Error::ConnectionLost)));
}
