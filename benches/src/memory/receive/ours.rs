//! Ours: events that borrow, and whole messages, by themselves and on tokio.

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{Config, Connection, Endpoint, Event, READ_SIZE, Server, Step, Timestamp};
use duologue_tokio::{Role, WebSocket};

use super::Tally;
use crate::memory::batch::Batch;
use crate::memory::transport::{Endless, runtime};
use crate::timing::Contender;

const NOW: Timestamp = Timestamp::ZERO;

/// The defaults, but for a limit that every size measured fits.
pub(crate) const CONFIG: Config = Config { max_message_length: 1 << 30, ..Config::DEFAULT };

pub(super) fn borrowed(batch: &Batch) -> Contender<'_> {
    let mut connection = Connection::new(Server, &CONFIG, NOW);
    connection.open(NegotiatedExtensions::default(), NOW);
    let mut buffer = vec![0; READ_SIZE];
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("ours, borrowed", units, move |batches| {
        let mut tally = Tally::new(batch);
        for read in (0..batches).flat_map(|_| batch.bytes.chunks(READ_SIZE)) {
            let mut rest = &mut buffer[..read.len()];
            rest.copy_from_slice(read);
            while !rest.is_empty() {
                let received = connection.receive(rest, NOW).unwrap();
                if let Some(Event::Data(chunk)) = received.event {
                    tally.piece(chunk.payload());
                }
                let consumed = received.consumed;
                rest = &mut rest[consumed..];
            }
        }
        tally.check(batches);
    })
}

pub(super) fn messages(batch: &Batch) -> Contender<'_> {
    let mut endpoint = Endpoint::new(Server, &CONFIG, NOW);
    endpoint.open(NegotiatedExtensions::default(), Default::default(), NOW);
    let mut source = Endless::new(&batch.bytes);
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("ours, messages", units, move |batches| {
        let mut tally = Tally::new(batch);
        let mut missing = batches * batch.messages as u64;
        while missing > 0 {
            match endpoint.next_message(NOW).unwrap() {
                Some(Step::Message) => {
                    tally.message(endpoint.take_message().unwrap().payload());
                    missing -= 1;
                }
                Some(_) => {}
                None => {
                    let room = endpoint.read_room();
                    let free = room.capacity() - room.len();
                    room.extend_from_slice(source.next(free));
                }
            }
        }
        tally.check(batches);
    })
}

pub(super) fn on_tokio(batch: &Batch) -> Contender<'_> {
    let runtime = runtime();
    let source = Endless::new(&batch.bytes);
    // It sets the timer of its keepalive, and needs a runtime for that.
    let mut websocket = runtime
        .block_on(async { WebSocket::from_raw(source, Role::Server, &CONFIG, Default::default()) });
    let units = crate::timing::whole(batch.messages as u64);
    Contender::new("ours, on tokio", units, move |batches| {
        let mut tally = Tally::new(batch);
        runtime.block_on(async {
            for _ in 0..batches * batch.messages as u64 {
                tally.message(websocket.next().await.unwrap().unwrap().payload());
            }
        });
        tally.check(batches);
    })
}
