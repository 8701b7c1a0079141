//! A driver of the buffered endpoint over a transport that never waits, complete with errors,
//! backpressure and deadlines: an echo server, which a client speaks to over pipes in memory.
//!
//! Over TCP it is the same: a non-blocking socket in place of [`Pipe`], the time that has passed in
//! place of `NOW`, and in place of the loop in `run` a wait until the socket is ready, or the
//! endpoint's deadline has come.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;

use bytes::{BufMut, BytesMut};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Client, CloseCode, Config, Endpoint, MAX_SLICES, Message, ProtocolError, Role, Server, Step,
    Timestamp, TransportStep,
};

const NOW: Timestamp = Timestamp::ZERO;

/// A transport that never waits: [`ErrorKind::WouldBlock`] tells that it would.
trait Transport: Read + Write {
    /// Ends the sending direction (TCP FIN).
    fn shutdown_write(&mut self);

    /// Closes it.
    fn close(&mut self);
}

/// An endpoint and its transport.
struct Driver<R, T> {
    endpoint: Endpoint<R>,
    transport: T,
    /// The peer has ended its side, or the transport broke: there is nothing to read any more.
    read_ended: bool,
    /// What the peer did wrong. The loop goes on after it, so that the peer can read why.
    fault: Option<ProtocolError>,
}

impl<R: Role, T: Transport> Driver<R, T> {
    fn new(role: R, transport: T) -> Self {
        let mut endpoint = Endpoint::new(role, &Config::DEFAULT, NOW);
        // After the opening handshake, and with what came behind it.
        endpoint.open(NegotiatedExtensions::default(), BytesMut::new(), NOW);
        Self { endpoint, transport, read_ended: false, fault: None }
    }

    /// Moves everything that can be moved without waiting, and gives each message to `handle`.
    /// Returns whether the connection goes on: then call it again when the transport is ready, or
    /// the endpoint's deadline has come.
    fn turn(&mut self, now: Timestamp, handle: &mut impl FnMut(&mut Endpoint<R>, Message)) -> bool {
        if self.endpoint.next_deadline().is_some_and(|deadline| deadline <= now)
            && let Err(error) = self.endpoint.handle_timeout(now)
        {
            self.fault.get_or_insert(error);
        }
        loop {
            // 1. What the bytes at hand amount to, while the peer takes what it is sent.
            while self.endpoint.has_room() {
                match self.endpoint.next_message(now) {
                    Ok(Some(Step::Message)) => {
                        if let Some(message) = self.endpoint.take_message() {
                            handle(&mut self.endpoint, message);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        self.fault.get_or_insert(error);
                    }
                }
            }
            // 2. The replies go out together.
            if !self.write(now) {
                return false;
            }
            // 3. More. A peer that takes nothing is not read from either.
            if self.read_ended || !self.endpoint.has_room() || !self.read(now) {
                return true;
            }
        }
    }

    /// Writes until the transport takes no more. Returns whether the connection goes on.
    fn write(&mut self, now: Timestamp) -> bool {
        loop {
            match self.endpoint.transport_step() {
                TransportStep::Idle => return true,
                TransportStep::Close => {
                    self.transport.close();
                    return false;
                }
                TransportStep::ShutdownWrite => self.transport.shutdown_write(),
                TransportStep::Write => {
                    let mut slices = [&[][..]; MAX_SLICES];
                    let count = self.endpoint.write_slices(&mut slices);
                    let slices = slices.map(IoSlice::new);
                    let slices = slices.get(..count).unwrap_or_default();
                    match self.transport.write_vectored(slices) {
                        Ok(count) => self.endpoint.wrote(count),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {
                            // From now on the stall deadline runs.
                            self.endpoint.write_blocked(now);
                            return true;
                        }
                        Err(_) => self.endpoint.transport_failed(now),
                    }
                }
            }
        }
    }

    /// Reads once. Returns whether there may be more.
    fn read(&mut self, now: Timestamp) -> bool {
        let room = self.endpoint.read_room();
        let filled = room.len();
        room.resize(room.capacity(), 0);
        let read = self.transport.read(room.get_mut(filled..).unwrap_or_default());
        room.truncate(filled.saturating_add(*read.as_ref().unwrap_or(&0)));
        match read {
            Ok(0) => {
                self.read_ended = true;
                self.endpoint.receive_eof(now);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => {
                self.read_ended = true;
                self.endpoint.transport_failed(now);
            }
        }
        true
    }
}

/// One end of a connection in memory, each of whose directions holds at most 1,000 bytes.
struct Pipe {
    incoming: Rc<RefCell<Direction>>,
    outgoing: Rc<RefCell<Direction>>,
}

#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Pipe {
    fn pair() -> (Self, Self) {
        let (a, b) = (Rc::<RefCell<Direction>>::default(), Rc::<RefCell<Direction>>::default());
        (Self { incoming: a.clone(), outgoing: b.clone() }, Self { incoming: b, outgoing: a })
    }
}

impl Read for Pipe {
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let mut incoming = self.incoming.borrow_mut();
        if incoming.bytes.is_empty() && !incoming.ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(incoming.bytes.len());
        for byte in incoming.bytes.drain(..count) {
            buffer.put_u8(byte);
        }
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut outgoing = self.outgoing.borrow_mut();
        let count = bytes.len().min(1000_usize.saturating_sub(outgoing.bytes.len()));
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        outgoing.bytes.extend(bytes.iter().take(count));
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Pipe {
    fn shutdown_write(&mut self) {
        self.outgoing.borrow_mut().ended = true;
    }

    fn close(&mut self) {
        self.shutdown_write();
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (near, far) = Pipe::pair();
    let mut server = Driver::new(Server, near);
    // The masking keys are random in earnest, a fresh one for each frame.
    let mut client = Driver::new(Client(|| [0x37, 0xfa, 0x21, 0x3d]), far);

    let text = "Hello".repeat(10_000);
    client.endpoint.send_text(&text)?;
    let mut echoed = None;
    let (mut server_goes_on, mut client_goes_on) = (true, true);
    while server_goes_on || client_goes_on {
        server_goes_on = server_goes_on
            && server.turn(NOW, &mut |endpoint, message| {
                // It cannot be refused but while closing, when nobody waits for an echo.
                let _ = endpoint.send(message);
            });
        client_goes_on = client_goes_on
            && client.turn(NOW, &mut |endpoint, message| {
                echoed = Some(message);
                let _ = endpoint.close(CloseCode::NORMAL, "done", NOW);
            });
    }
    assert_eq!(echoed, Some(Message::text(text)));
    assert_eq!((server.fault, client.fault), (None, None));
    let outcome = server.endpoint.close_outcome().ok_or("the server has not closed")?;
    assert!(outcome.was_clean);
    println!("closed by the client: {:?} {:?}", outcome.status, outcome.reason);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[cfg(test)]
#[test]
fn echo_comes_back_and_both_ends_close() {
    run().unwrap();
}
