//! The smallest complete driver of the bare core: two ends in memory, the opening handshake, a
//! message each way, and the closing handshake.
//!
//! A driver over TCP is the same, with a socket's reads and writes in place of [`carry`], the time
//! that has passed in place of `NOW`, and random numbers in place of the nonce and the keys.

use std::error::Error;

use duologue_core::handshake::{
    Acceptance, ClientHandshake, ClientRequest, HeadLimits, ServerHandshake,
};
use duologue_core::{
    Client, CloseCode, Config, Connection, Event, MessageType, ReadyState, Role, Server, Timestamp,
    Transmit,
};

const NOW: Timestamp = Timestamp::ZERO;

/// One end: its connection, and what a transport carries from it.
struct End<R> {
    connection: Connection<R>,
    /// Bytes on their way to the peer.
    outgoing: Vec<u8>,
    /// Whether nothing follows them (TCP FIN).
    ended: bool,
    /// As much of a message as has come.
    message: Vec<u8>,
}

impl<R: Role> End<R> {
    fn new(role: R) -> Self {
        let connection = Connection::new(role, &Config::DEFAULT, NOW);
        Self { connection, outgoing: Vec::new(), ended: false, message: Vec::new() }
    }

    /// Sends a text in one frame: the header, then the payload, which a client masks.
    fn send(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        let length = text.len() as u64;
        let frame = self.connection.begin_message(MessageType::Text, true, length)?;
        let mut payload = text.as_bytes().to_vec();
        if let Some(mut masker) = frame.masker {
            masker.apply(&mut payload);
        }
        self.outgoing.extend_from_slice(frame.header.as_slice());
        self.outgoing.extend_from_slice(&payload);
        Ok(())
    }

    /// Takes in bytes of the peer, one event at a time; the text that they complete, if any.
    fn receive(&mut self, mut input: &mut [u8]) -> Option<String> {
        let mut text = None;
        while !input.is_empty() {
            // After a fault of the peer the connection has failed itself: all input is consumed,
            // and Close and the end of TCP are waiting to be carried out as ever.
            let consumed = match self.connection.receive(input, NOW) {
                Ok(received) => {
                    if let Some(Event::Data(chunk)) = received.event {
                        self.message.extend_from_slice(chunk.payload());
                        if chunk.is_last() {
                            // A text has been validated on its way in.
                            text = String::from_utf8(core::mem::take(&mut self.message)).ok();
                        }
                    }
                    received.consumed
                }
                Err(_) => input.len(),
            };
            input = input.get_mut(consumed..).unwrap_or_default();
            self.transmit();
        }
        text
    }

    /// Carries out what the connection asks of its transport: pongs, Close, and the end.
    fn transmit(&mut self) {
        while let Some(transmit) = self.connection.poll_transmit() {
            match transmit {
                Transmit::Frame(frame) => self.outgoing.extend_from_slice(frame.as_slice()),
                Transmit::ShutdownWrite | Transmit::CloseTransport | Transmit::AbortTransport => {
                    self.ended = true;
                }
            }
        }
    }
}

/// The transport: carries what one end has written to the other; the text that it completes.
fn carry<A: Role, B: Role>(from: &mut End<A>, to: &mut End<B>) -> Option<String> {
    let text = to.receive(&mut core::mem::take(&mut from.outgoing));
    if from.ended {
        to.connection.receive_eof(NOW);
        to.transmit();
    }
    text
}

/// The opening handshake (RFC 6455 section 4).
fn open<K>(client: &mut End<Client<K>>, server: &mut End<Server>) -> Result<(), Box<dyn Error>>
where
    Client<K>: Role,
{
    // The nonce is random in earnest.
    let mut asking = ClientHandshake::new(*b"the sample nonce", HeadLimits::DEFAULT);
    let request =
        ClientRequest { subprotocols: &["chat"], ..ClientRequest::new("example.com", "/room") };
    let mut buffer = [0; 1024];
    let length = asking.write_request(&request, &mut buffer)?;
    let received = buffer.get(..length).unwrap_or_default();

    // A server calls `receive` with all that it has read so far, until the request is whole.
    let mut answering = ServerHandshake::new(HeadLimits::DEFAULT);
    let asked = answering.receive(received)?.ok_or("the request is not whole")?;
    let acceptance =
        Acceptance { subprotocol: asked.choose_subprotocol(&["chat"]), ..Acceptance::default() };
    let extensions = asked.negotiate(request.extensions)?;
    let mut answer = [0; 1024];
    let length = ServerHandshake::accept(&asked, &acceptance, extensions, &mut answer)?;
    server.connection.open(extensions, NOW);

    // What lies behind `head_length` in either buffer are frames, for `Connection::receive`.
    let received = answer.get(..length).unwrap_or_default();
    let response = asking.receive(received)?.ok_or("the response is not whole")?;
    let upgraded = response.verify(&asking, &request)?;
    client.connection.open(upgraded.extensions, NOW);
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    // The masking keys are random in earnest, a fresh one for each frame.
    let mut client = End::new(Client(|| [0x37, 0xfa, 0x21, 0x3d]));
    let mut server = End::new(Server);
    open(&mut client, &mut server)?;

    client.send("Hello")?;
    let heard = carry(&mut client, &mut server).ok_or("the server heard nothing")?;
    server.send(&heard)?;
    assert_eq!(carry(&mut server, &mut client).as_deref(), Some("Hello"));

    client.connection.close(CloseCode::NORMAL, "done", NOW)?;
    client.transmit();
    carry(&mut client, &mut server);
    // The server has answered Close and ends TCP first (RFC 6455 section 7.1.1).
    carry(&mut server, &mut client);
    carry(&mut client, &mut server);
    for state in [client.connection.ready_state(), server.connection.ready_state()] {
        assert_eq!(state, ReadyState::Closed);
    }
    let outcome = server.connection.close_outcome().ok_or("the server has not closed")?;
    assert!(outcome.was_clean);
    println!("closed by the client: {:?} {:?}", outcome.status, outcome.reason);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

#[cfg(test)]
#[test]
fn both_ends_open_talk_and_close() {
    run().unwrap();
}
