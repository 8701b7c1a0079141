//! A session: what a peer sends, what the application answers to each event, and so what comes out
//! of the end under test, byte for byte. It is made from a seed, and needs no implementation of the
//! protocol to tell what is right.

use std::fmt;

use duologue_adapter::{CloseCode, Event, Message, MessageType, OsKeys, Role};

use super::random::Random;

/// Everything that the adapter does over one transport.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Which end is under test.
    pub(crate) role: Role,
    pub(crate) ending: Ending,
    /// What the peer sends behind the handshake, up to what decides how the connection ends: the
    /// whole of a Close frame, or the first byte of a header that is wrong.
    pub(crate) input: Vec<u8>,
    /// What it sends behind that, which nobody may look at.
    pub(crate) ignored: Vec<u8>,
    /// What the application is told, in this order.
    pub(crate) events: Vec<Told>,
    /// What the application does about each of them.
    pub(crate) replies: Vec<Reply>,
    /// What the end under test writes behind the handshake, its frames unmasked.
    pub(crate) output: Vec<u8>,
    /// How many bytes may be queued before sending waits.
    pub(crate) write_high_water: usize,
}

/// How the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The peer sends a Close frame.
    Peer,
    /// The application closes when it has seen every event.
    Application,
    /// The peer sends a frame with a reserved opcode.
    Fault,
}

/// The application's part.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Nothing,
    /// Writes out what is queued, all of it.
    Flush,
    Feed(Message),
    Send(Message),
    /// A message in these fragments and an empty one, written out.
    Fragments(MessageType, Vec<Vec<u8>>),
    Ping(Vec<u8>),
}

/// An event, with payloads that can be compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Message(Message),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        match event {
            Event::Message(message) => Self::Message(message),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
        }
    }
}

/// Short, for payloads are long.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, payload) = match self {
            Self::Message(message) => ("Message", message.payload()),
            Self::Ping(payload) => ("Ping", &payload[..]),
            Self::Pong(payload) => ("Pong", &payload[..]),
        };
        let start = String::from_utf8_lossy(&payload[..payload.len().min(8)]);
        write!(f, "{name}({} bytes: {start:?})", payload.len())
    }
}

/// The code and the reason of this end's Close frame, where the application closes.
pub(crate) const CLOSING: (CloseCode, &str) = (CloseCode::GOING_AWAY, "that was all");

/// The code of the peer's Close frame.
pub(crate) const CLOSED: CloseCode = CloseCode::NORMAL;

/// This end's Close frame after a reserved opcode: 1002, and what was wrong.
const FAULT_CLOSE: &[u8] = b"\x03\xeareserved opcode";

impl Session {
    /// A session of up to `most_events` events, with payloads of up to `largest` bytes.
    pub(crate) fn generate(random: &mut Random, most_events: usize, largest: usize) -> Self {
        let role = if random.one_in(2) { Role::Server } else { Role::Client(OsKeys) };
        let mut session = Self {
            role,
            ending: random.pick(&[Ending::Peer, Ending::Application, Ending::Fault]),
            input: Vec::new(),
            ignored: Vec::new(),
            events: Vec::new(),
            replies: Vec::new(),
            output: Vec::new(),
            write_high_water: random.pick(&[1, 100, 64 * 1024]),
        };
        for _ in 0..random.below(most_events + 1) {
            match random.below(8) {
                0 => session.add_ping(random),
                1 => session.add_pong(random),
                _ => session.add_message(random, largest),
            }
        }
        session.end(random);
        session
    }

    /// A message of the peer's, and the answer to it.
    fn add_message(&mut self, random: &mut Random, largest: usize) {
        let message = message(random, largest);
        let opcode = opcode(message.message_type());
        let mut rest = message.payload();
        let mut first = opcode;
        for _ in 0..random.pick(&[0, 0, 0, 1, 3]) {
            let (fragment, behind) = rest.split_at(random.below(rest.len() + 1));
            self.add_frame(random, first, fragment);
            if random.one_in(3) {
                self.add_ping(random);
            }
            (rest, first) = (behind, 0);
        }
        self.add_frame(random, 0x80 | first, rest);
        let reply = self.answer(random, &message, largest);
        self.add_event(Told::Message(message), reply);
    }

    /// What the application does about a message, and what is written for it.
    fn answer(&mut self, random: &mut Random, echo: &Message, largest: usize) -> Reply {
        match random.below(8) {
            0 => Reply::Nothing,
            1 => Reply::Flush,
            2 => {
                let payload = vec![b'?'; random.below(126)];
                put_frame(&mut self.output, 0x89, &payload, None);
                Reply::Ping(payload)
            }
            3 => {
                let pieces: Vec<Vec<u8>> = (1..random.below(4) + 2)
                    .map(|n| vec![b'a'; n * random.pick(LENGTHS)])
                    .collect();
                let pieces: Vec<_> = pieces
                    .into_iter()
                    .map(|mut piece| {
                        piece.truncate(largest.max(1));
                        if piece.is_empty() { vec![b'b'] } else { piece }
                    })
                    .collect();
                for (index, piece) in pieces.iter().enumerate() {
                    put_frame(&mut self.output, if index == 0 { 0x01 } else { 0x00 }, piece, None);
                }
                put_frame(&mut self.output, 0x80, b"", None);
                Reply::Fragments(MessageType::Text, pieces)
            }
            choice => {
                let reply = if random.one_in(2) { echo.clone() } else { message(random, largest) };
                let first = 0x80 | opcode(reply.message_type());
                put_frame(&mut self.output, first, reply.payload(), None);
                if choice == 4 { Reply::Send(reply) } else { Reply::Feed(reply) }
            }
        }
    }

    /// A ping of the peer's. Its pong goes out before the next event is asked for: of two pings at
    /// once only the second would have to be answered (RFC 6455 section 5.5.3).
    fn add_ping(&mut self, random: &mut Random) {
        let payload = vec![b'!'; random.pick(&[0, 1, 4, 125])];
        self.add_frame(random, 0x89, &payload);
        put_frame(&mut self.output, 0x8a, &payload, None);
        self.add_event(Told::Ping(payload), Reply::Flush);
    }

    /// A pong that nobody asked for.
    fn add_pong(&mut self, random: &mut Random) {
        let payload = vec![b'.'; random.pick(&[0, 1, 4, 125])];
        self.add_frame(random, 0x8a, &payload);
        self.add_event(Told::Pong(payload), Reply::Nothing);
    }

    /// The frame that decides the end, what comes behind it, and what this end writes.
    fn end(&mut self, random: &mut Random) {
        let mut close = CLOSED.get().to_be_bytes().to_vec();
        match self.ending {
            Ending::Peer => {
                put_frame(&mut self.output, 0x88, &close, None);
                close.extend_from_slice(b"done");
                self.add_frame(random, 0x88, &close);
            }
            Ending::Application => {
                self.add_frame(random, 0x88, &close);
                let (code, reason) = CLOSING;
                let body = [&code.get().to_be_bytes(), reason.as_bytes()].concat();
                put_frame(&mut self.output, 0x88, &body, None);
            }
            Ending::Fault => {
                let first = self.input.len() + 1;
                self.add_frame(random, 0x83, b"?");
                self.ignored = self.input.split_off(first);
                put_frame(&mut self.output, 0x88, FAULT_CLOSE, None);
            }
        }
        if random.one_in(2) {
            self.ignored.resize(random.below(300), 0xff);
        }
    }

    fn add_frame(&mut self, random: &mut Random, first: u8, payload: &[u8]) {
        let key = matches!(self.role, Role::Server).then(|| {
            let [key @ .., _, _, _, _] = random.next().to_be_bytes();
            key
        });
        put_frame(&mut self.input, first, payload, key);
    }

    fn add_event(&mut self, told: Told, reply: Reply) {
        self.events.push(told);
        self.replies.push(reply);
    }
}

/// Lengths at the borders of the three forms of a payload length, and between them.
const LENGTHS: &[usize] = &[0, 1, 2, 7, 60, 125, 126, 127, 300, 1500, 5000, 20_000, 65_535, 65_536];

fn message(random: &mut Random, largest: usize) -> Message {
    let length = random.pick(LENGTHS).min(largest);
    if random.one_in(2) {
        let first = random.below(200);
        return Message::binary(
            (0..length).map(|n| (first + n * 7).to_le_bytes()[0]).collect::<Vec<_>>(),
        );
    }
    let mut text = String::with_capacity(length + 4);
    while text.len() < length {
        text.push(random.pick(&['a', 'z', 'ß', '€', '𝄞']));
    }
    Message::text(text)
}

const fn opcode(message_type: MessageType) -> u8 {
    match message_type {
        MessageType::Text => 1,
        MessageType::Binary => 2,
    }
}

/// Appends a frame that begins with `first` (FIN and opcode), masked if there is a key.
fn put_frame(to: &mut Vec<u8>, first: u8, payload: &[u8], key: Option<[u8; 4]>) {
    to.push(first);
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    if let Some(short) = u8::try_from(payload.len()).ok().filter(|length| *length < 126) {
        to.push(mask_bit | short);
    } else if let Ok(length) = u16::try_from(payload.len()) {
        to.push(mask_bit | 126);
        to.extend_from_slice(&length.to_be_bytes());
    } else {
        to.push(mask_bit | 127);
        to.extend_from_slice(&u64::try_from(payload.len()).unwrap().to_be_bytes());
    }
    to.extend_from_slice(&key.unwrap_or_default()[..if key.is_some() { 4 } else { 0 }]);
    let key = key.unwrap_or_default().into_iter().cycle();
    to.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
}

/// Frames of a client as a server would have sent them; of a header that is cut off, nothing.
pub(crate) fn unmask(mut bytes: &[u8]) -> Vec<u8> {
    let mut unmasked = Vec::with_capacity(bytes.len());
    while let &[first, second, ..] = bytes {
        assert!(second & 0x80 != 0, "a client masks every frame (RFC 6455 section 5.1)");
        let long = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((header, rest)) = bytes.split_at_checked(2 + long + 4) else { break };
        let length = match header[2..2 + long] {
            [] => usize::from(second & 0x7f),
            ref wide => wide.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        };
        unmasked.extend_from_slice(&[first, second & 0x7f]);
        unmasked.extend_from_slice(&header[2..2 + long]);
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        let key = header[2 + long..].iter().cycle();
        unmasked.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
        bytes = rest;
    }
    unmasked
}
