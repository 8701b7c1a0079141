//! Bytes to a connection of either role, whole and cut: the same transcript, no lack of progress.
#![no_main]

use arbitrary::Arbitrary;
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Client, Config, Connection, Event, MessageType, ProtocolError, ReadyState, Role, Server,
    Timestamp, Transmit,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    client: bool,
    cuts: Vec<u8>,
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Message(MessageType, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Error(ProtocolError),
}

fn transcript<R: Role>(role: R, bytes: &[u8], cuts: &[u8]) -> (Vec<Seen>, ReadyState) {
    let now = Timestamp::ZERO;
    let config = Config { max_message_length: 4096, max_frame_length: 2048, ..Config::DEFAULT };
    let mut connection = Connection::new(role, &config, now);
    connection.open(NegotiatedExtensions::default(), now);
    let mut seen = Vec::new();
    let mut message = Vec::new();
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    let mut cuts = cuts.iter();
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| usize::from(*cut).clamp(1, rest.len()));
        let (mut chunk, after) = rest.split_at_mut(length);
        rest = after;
        while !chunk.is_empty() {
            let before = chunk.len();
            let received = match connection.receive(chunk, now) {
                Ok(received) => received,
                Err(error) => {
                    seen.push(Seen::Error(error));
                    break;
                }
            };
            assert!(received.consumed > 0, "no progress");
            assert!(received.event.is_some() || received.consumed == before, "bytes left over");
            match received.event {
                None => {}
                Some(Event::Data(data)) => {
                    message.extend_from_slice(data.payload());
                    if data.is_last() {
                        let payload = core::mem::take(&mut message);
                        if data.message_type() == MessageType::Text {
                            assert!(core::str::from_utf8(&payload).is_ok());
                        }
                        seen.push(Seen::Message(data.message_type(), payload));
                    }
                }
                Some(Event::Ping(payload)) => seen.push(Seen::Ping(payload.to_vec())),
                Some(Event::Pong(payload)) => seen.push(Seen::Pong(payload.to_vec())),
                Some(Event::Close(frame)) => {
                    seen.push(Seen::Close(frame.status().to_u16(), frame.reason().into()));
                }
            }
            let consumed = received.consumed;
            chunk = &mut chunk[consumed..];
        }
    }
    connection.receive_eof(now);
    let mut ends = 0;
    while let Some(transmit) = connection.poll_transmit() {
        ends += u32::from(matches!(transmit, Transmit::CloseTransport | Transmit::AbortTransport));
    }
    assert_eq!(ends, 1);
    (seen, connection.ready_state())
}

fuzz_target!(|input: Input| {
    let run = |cuts: &[u8]| {
        if input.client {
            transcript(Client(|| [1, 2, 3, 4]), &input.bytes, cuts)
        } else {
            transcript(Server, &input.bytes, cuts)
        }
    };
    let whole = run(&[]);
    assert_eq!(whole, run(&input.cuts));
    assert_eq!(whole, run(&vec![1; input.bytes.len()]));
});
