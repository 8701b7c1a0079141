//! A whole conversation over fixed arrays: the opening handshake, an echo of messages whole, in
//! fragments and larger than any of the arrays, a ping, and the closing handshake, with all bytes
//! cut at arbitrary places.
//!
//! `no_alloc_echo.sh` builds it without `std`, without `alloc` and without an allocator, by
//! `--cfg freestanding`, and runs it. Otherwise it is a program like any other. It exits with 0, or
//! with the number of the [`Failure`].

#![cfg_attr(freestanding, no_std, no_main)]
#![allow(unexpected_cfgs, reason = "freestanding is set by no_alloc_echo.sh alone")]

use duologue_core::handshake::{
    Acceptance, ClientHandshake, ClientRequest, ExtensionConfig, HeadLimits, NegotiatedExtensions,
    ServerHandshake,
};
use duologue_core::{
    Chunk, Client, CloseCode, CloseStatus, Config, Connection, Event, MaskingKeySource,
    MessageType, OutgoingFrame, Role, Server, Timestamp, Transmit,
};

const NOW: Timestamp = Timestamp::from_millis(1);

/// The bytes that each direction of the transport holds.
const PIPE: usize = 512;

/// The most bytes that are handed over at once.
const MOST_AT_ONCE: usize = 61;

/// What went wrong, as the exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Failure {
    RequestNotWritten = 1,
    RequestRefused = 2,
    RequestNotWhole = 3,
    ResponseNotWritten = 4,
    ResponseRefused = 5,
    ResponseNotWhole = 6,
    SubprotocolLost = 7,
    PipeFull = 8,
    ProtocolError = 9,
    SendRefused = 10,
    WrongType = 11,
    WrongPayload = 12,
    WrongLength = 13,
    PongMissing = 14,
    CloseNotBegun = 15,
    NotClosed = 16,
    NotClean = 17,
    WrongClose = 18,
}

type Outcome<T = ()> = Result<T, Failure>;

/// A linear congruential generator: numbers that look arbitrary, and are the same in every run.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0
    }

    /// A length of 1 to [`MOST_AT_ONCE`].
    fn length(&mut self) -> usize {
        (self.next() >> 16) as usize % MOST_AT_ONCE + 1
    }
}

/// A hardware generator's place. Keys must be unpredictable in earnest (RFC 6455 section 5.3).
impl MaskingKeySource for Numbers {
    fn next_masking_key(&mut self) -> [u8; 4] {
        self.next().to_be_bytes()
    }
}

/// One direction of the transport.
struct Pipe {
    bytes: [u8; PIPE],
    start: usize,
    end: usize,
    /// Nothing follows (TCP FIN).
    ended: bool,
}

impl Pipe {
    const fn new() -> Self {
        Self { bytes: [0; PIPE], start: 0, end: 0, ended: false }
    }

    fn push(&mut self, bytes: &[u8]) -> Outcome {
        let end = self.end + bytes.len();
        self.bytes.get_mut(self.end..end).ok_or(Failure::PipeFull)?.copy_from_slice(bytes);
        self.end = end;
        Ok(())
    }

    /// The next bytes, at most `length`.
    fn take(&mut self, length: usize) -> &mut [u8] {
        let from = self.start;
        let to = self.end.min(from + length);
        self.start = to;
        if to == self.end {
            (self.start, self.end) = (0, 0);
        }
        self.bytes.get_mut(from..to).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Writes the next piece of a frame's payload, masked if the frame is a client's.
fn push_payload(pipe: &mut Pipe, frame: &mut OutgoingFrame, payload: &[u8]) -> Outcome {
    let mut masked = [0; MOST_AT_ONCE];
    let piece = masked.get_mut(..payload.len()).ok_or(Failure::PipeFull)?;
    match &mut frame.masker {
        Some(masker) => {
            masker.apply_to(payload, piece);
        }
        None => piece.copy_from_slice(payload),
    }
    pipe.push(piece)
}

/// Carries out what `connection` asks of its transport.
fn transmit<R: Role>(connection: &mut Connection<R>, pipe: &mut Pipe) -> Outcome {
    while let Some(transmit) = connection.poll_transmit() {
        match transmit {
            Transmit::Frame(frame) => pipe.push(frame.as_slice())?,
            Transmit::ShutdownWrite | Transmit::CloseTransport | Transmit::AbortTransport => {
                pipe.ended = true;
            }
        }
    }
    Ok(())
}

/// The server sends back each chunk of a message as a fragment of its own: it needs no room for
/// the whole.
fn echo(server: &mut Connection<Server>, pipe: &mut Pipe, chunk: &Chunk<'_>) -> Outcome {
    let length = chunk.payload().len() as u64;
    let mut frame = if chunk.is_first() {
        server.begin_message(chunk.message_type(), chunk.is_last(), length)
    } else {
        server.continue_message(chunk.is_last(), length)
    }
    .map_err(|_| Failure::SendRefused)?;
    pipe.push(frame.header.as_slice())?;
    push_payload(pipe, &mut frame, chunk.payload())
}

/// The payload of every message of a type, as far as its length.
#[expect(clippy::cast_possible_truncation, reason = "below 256")]
const fn payload_byte(message_type: MessageType, index: usize) -> u8 {
    match message_type {
        MessageType::Text => b'a' + (index % 26) as u8,
        MessageType::Binary => (index % 251) as u8,
    }
}

/// What the client has heard since it last sent.
#[derive(Default)]
struct Heard {
    length: usize,
    message: Option<MessageType>,
    pong: bool,
}

impl Heard {
    fn hear(&mut self, event: &Event<'_>) -> Outcome {
        match event {
            Event::Data(chunk) => {
                for byte in chunk.payload() {
                    if *byte != payload_byte(chunk.message_type(), self.length) {
                        return Err(Failure::WrongPayload);
                    }
                    self.length += 1;
                }
                if chunk.is_last() {
                    self.message = Some(chunk.message_type());
                }
            }
            Event::Pong(payload) => self.pong = payload.as_slice() == b"are you there?",
            Event::Ping(_) | Event::Close(_) => {}
        }
        Ok(())
    }
}

/// Both ends, and the two directions between them.
struct World {
    client: Connection<Client<Numbers>>,
    server: Connection<Server>,
    to_client: Pipe,
    to_server: Pipe,
    heard: Heard,
    cuts: Numbers,
}

impl World {
    fn opened(extensions: NegotiatedExtensions) -> Self {
        let mut client = Connection::new(Client(Numbers(1)), &Config::DEFAULT, NOW);
        let mut server = Connection::new(Server, &Config::DEFAULT, NOW);
        client.open(extensions, NOW);
        server.open(extensions, NOW);
        Self {
            client,
            server,
            to_client: Pipe::new(),
            to_server: Pipe::new(),
            heard: Heard::default(),
            cuts: Numbers(2),
        }
    }

    /// Carries everything that is on its way, in pieces.
    fn carry(&mut self) -> Outcome {
        while !(self.to_server.is_empty() && self.to_client.is_empty()) {
            let mut input = self.to_server.take(self.cuts.length());
            while !input.is_empty() {
                let received =
                    self.server.receive(input, NOW).map_err(|_| Failure::ProtocolError)?;
                let consumed = received.consumed;
                if let Some(Event::Data(chunk)) = &received.event {
                    echo(&mut self.server, &mut self.to_client, chunk)?;
                }
                input = input.get_mut(consumed..).unwrap_or_default();
                transmit(&mut self.server, &mut self.to_client)?;
            }
            let mut input = self.to_client.take(self.cuts.length());
            while !input.is_empty() {
                let received =
                    self.client.receive(input, NOW).map_err(|_| Failure::ProtocolError)?;
                let consumed = received.consumed;
                if let Some(event) = &received.event {
                    self.heard.hear(event)?;
                }
                input = input.get_mut(consumed..).unwrap_or_default();
                transmit(&mut self.client, &mut self.to_server)?;
            }
        }
        Ok(())
    }

    /// Sends a message in fragments of these lengths, with a ping behind the first, and awaits
    /// the echo.
    fn exchange(&mut self, message_type: MessageType, fragments: &[usize]) -> Outcome {
        self.heard = Heard::default();
        let mut sent = 0;
        for (index, length) in fragments.iter().enumerate() {
            let fin = index + 1 == fragments.len();
            let mut frame = if index == 0 {
                self.client.begin_message(message_type, fin, *length as u64)
            } else {
                self.client.continue_message(fin, *length as u64)
            }
            .map_err(|_| Failure::SendRefused)?;
            self.to_server.push(frame.header.as_slice())?;
            let end = sent + length;
            while sent < end {
                let mut piece = [0; MOST_AT_ONCE];
                let length = self.cuts.length().min(end - sent);
                for (at, byte) in piece.iter_mut().enumerate() {
                    *byte = payload_byte(message_type, sent + at);
                }
                let piece = piece.get(..length).unwrap_or_default();
                push_payload(&mut self.to_server, &mut frame, piece)?;
                sent += length;
                self.carry()?;
            }
            if index == 0 {
                let ping = self.client.ping(b"are you there?").map_err(|_| Failure::SendRefused)?;
                self.to_server.push(ping.as_slice())?;
            }
            self.carry()?;
        }
        if self.heard.message != Some(message_type) {
            return Err(Failure::WrongType);
        }
        if self.heard.length != sent {
            return Err(Failure::WrongLength);
        }
        if self.heard.pong { Ok(()) } else { Err(Failure::PongMissing) }
    }

    /// The closing handshake, and the end of TCP (RFC 6455 section 7).
    fn close(&mut self) -> Outcome {
        self.client.close(CloseCode::NORMAL, "bye", NOW).map_err(|_| Failure::CloseNotBegun)?;
        transmit(&mut self.client, &mut self.to_server)?;
        self.carry()?;
        // The server ends TCP first (section 7.1.1), and the client follows.
        if !self.to_client.ended {
            return Err(Failure::NotClosed);
        }
        self.client.receive_eof(NOW);
        transmit(&mut self.client, &mut self.to_server)?;
        if !self.to_server.ended {
            return Err(Failure::NotClosed);
        }
        self.server.receive_eof(NOW);
        let client = self.client.close_outcome().ok_or(Failure::NotClosed)?;
        let server = self.server.close_outcome().ok_or(Failure::NotClosed)?;
        if !(client.was_clean && server.was_clean) {
            return Err(Failure::NotClean);
        }
        let normal = CloseStatus::Code(CloseCode::NORMAL);
        if (client.status, server.status, server.reason) == (normal, normal, "bye") {
            Ok(())
        } else {
            Err(Failure::WrongClose)
        }
    }
}

/// The opening handshake (RFC 6455 section 4), its bytes cut in pieces.
fn open() -> Outcome<NegotiatedExtensions> {
    let mut cuts = Numbers(3);
    let mut asking = ClientHandshake::new(*b"the sample nonce", HeadLimits::DEFAULT);
    let offer = ClientRequest {
        subprotocols: &["echo"],
        ..ClientRequest::new("device.example.com", "/echo")
    };
    let mut sent = [0; PIPE];
    let length = asking.write_request(&offer, &mut sent).map_err(|_| Failure::RequestNotWritten)?;

    let mut answering = ServerHandshake::new(HeadLimits::DEFAULT);
    let mut received = 0;
    let request = loop {
        received = length.min(received + cuts.length());
        let bytes = sent.get(..received).unwrap_or_default();
        match answering.receive(bytes).map_err(|_| Failure::RequestRefused)? {
            Some(request) => break request,
            None if received == length => return Err(Failure::RequestNotWhole),
            None => {}
        }
    };
    let subprotocol = request.choose_subprotocol(&["echo"]);
    let extensions =
        request.negotiate(ExtensionConfig::default()).map_err(|_| Failure::RequestRefused)?;
    let acceptance = Acceptance { subprotocol, fields: &[] };
    let mut answer = [0; PIPE];
    let length = ServerHandshake::accept(&request, &acceptance, extensions, &mut answer)
        .map_err(|_| Failure::ResponseNotWritten)?;

    let mut received = 0;
    let response = loop {
        received = length.min(received + cuts.length());
        let bytes = answer.get(..received).unwrap_or_default();
        match asking.receive(bytes).map_err(|_| Failure::ResponseRefused)? {
            Some(response) => break response,
            None if received == length => return Err(Failure::ResponseNotWhole),
            None => {}
        }
    };
    let upgraded = response.verify(&asking, &offer).map_err(|_| Failure::ResponseRefused)?;
    if upgraded.subprotocol == Some("echo") {
        Ok(upgraded.extensions)
    } else {
        Err(Failure::SubprotocolLost)
    }
}

fn converse() -> Outcome {
    let mut world = World::opened(open()?);
    for message_type in [MessageType::Text, MessageType::Binary] {
        world.exchange(message_type, &[0])?;
        world.exchange(message_type, &[5])?;
        world.exchange(message_type, &[3, 0, 200, 1])?;
        // Many times what any of the arrays holds, in one frame and in two.
        world.exchange(message_type, &[100_000])?;
        world.exchange(message_type, &[70_000, 30_000])?;
    }
    world.close()
}

/// The exit code: 0, or the number of the failure.
fn run() -> u8 {
    match converse() {
        Ok(()) => 0,
        Err(failure) => failure as u8,
    }
}

#[cfg(not(freestanding))]
fn main() -> std::process::ExitCode {
    run().into()
}

/// What a program without `std` brings along itself: its entry, and what a panic does.
#[cfg(freestanding)]
mod freestanding {
    #[link(name = "c")]
    unsafe extern "C" {
        safe fn abort() -> !;
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        abort()
    }

    // SAFETY: no other function is called main, and C's startup calls it once.
    #[unsafe(no_mangle)]
    extern "C" fn main() -> i32 {
        i32::from(super::run())
    }
}

#[cfg(test)]
#[test]
fn conversation_over_fixed_arrays_ends_clean() {
    assert_eq!(converse(), Ok(()));
}
