//! Sending binary messages into memory.

mod asynchronous;
mod ours;
mod sans_io;

use core::hint::black_box;

use bytes::Bytes;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

use crate::memory::transport::Endless;
use crate::memory::{binary, size_name};
use crate::results::{Table, names};
use crate::scale::Scale;
use crate::timing::{Contender, measure};

pub(crate) use ours::{drain, endpoint};

const SIZES: [usize; 5] = [16, 125, 1024, 16 * 1024, 64 * 1024];

const NOTE: &str = "\
    One binary message after another is sent to a transport that takes everything by copying it \
    into memory, as the system's write would, and what is still queued is flushed at the end of a \
    round. Those with a write queue \
    use it as they advise for throughput: ours by `send_binary`, written out when `has_room` says \
    so; tungstenite by `write` with its 128 KiB buffer; tokio-websockets, yawc, sockudo-ws by \
    `feed`. The others write each message as it comes: fastwebsockets (vectored), soketto, wtx. \
    The sans-IO ones frame it into a buffer, which is written. Payloads are lent where the API \
    allows it, else `Bytes` that are cloned, not copied. Whoever queues nothing copies once \
    (soketto, wtx, fastwebsockets from 1 KiB on), and so does who queues `Bytes` \
    (tokio-websockets, ours with them from 4 KiB on); all others copy twice. Marked are \
    embedded-websocket, which sends control frames of any length, and ws-framer and \
    websocket-sans-io, which know no state and frame also what must not follow.";

/// Those who send also what RFC 6455 forbids to be sent: control frames of more than 125 bytes
/// (section 5.5), other messages' frames between fragments (section 5.4), data behind Close
/// (section 5.5.1).
const LENIENT: [&str; 3] = ["embedded-websocket", "ws-framer", "websocket-sans-io"];

/// Ours as a server.
#[must_use]
pub fn ours_of_server(payload: &Bytes) -> Vec<Contender<'_>> {
    vec![ours::server(payload), ours::server_shared(payload), ours::server_prepared(payload)]
}

/// Ours as a client.
#[must_use]
pub fn ours_of_client(payload: &Bytes) -> Vec<Contender<'_>> {
    vec![ours::client(payload)]
}

/// All servers, ours first.
#[must_use]
pub fn server_contenders(payload: &Bytes) -> Vec<Contender<'_>> {
    let mut transport = Endless::sink();
    let mut contenders = ours_of_server(payload);
    contenders.extend([
        tungstenite(payload, Role::Server),
        asynchronous::tokio_websockets_server(payload),
        asynchronous::fastwebsockets_server(payload),
        asynchronous::soketto_server(payload),
        asynchronous::yawc(payload, yawc::Role::Server),
        asynchronous::sockudo_server(payload),
        asynchronous::wtx_server(payload),
        sans_io::embedded_websocket(payload),
        sans_io::ws_framer(payload, false),
        sans_io::websocket_sans_io(payload, false),
        Contender::of_steps("memcpy (floor)", move || {
            transport.swallow(black_box(payload));
        }),
    ]);
    contenders
}

/// All clients, which mask, ours first.
#[must_use]
pub fn client_contenders(payload: &Bytes) -> Vec<Contender<'_>> {
    let mut contenders = ours_of_client(payload);
    contenders.extend([
        ours::client_in_place(payload),
        tungstenite(payload, Role::Client),
        asynchronous::tokio_websockets_client(payload),
        asynchronous::fastwebsockets_client(payload),
        asynchronous::soketto_client(payload),
        asynchronous::yawc(payload, yawc::Role::Client),
        asynchronous::sockudo_client(payload),
        asynchronous::wtx_client(payload),
        sans_io::ws_framer(payload, true),
        sans_io::websocket_sans_io(payload, true),
        Contender::of_steps("payload made anew (floor)", move || {
            black_box(ours::made_anew(payload));
        }),
    ]);
    contenders
}

fn tungstenite(payload: &Bytes, role: Role) -> Contender<'_> {
    let mut websocket = WebSocket::from_raw_socket(Endless::sink(), role, None);
    Contender::new("tungstenite", 1.0, move |messages| {
        for _ in 0..messages {
            websocket.write(Message::Binary(black_box(payload).clone())).unwrap();
        }
        websocket.flush().unwrap();
    })
}

fn measured(
    scale: Scale,
    contenders: fn(&Bytes) -> Vec<Contender<'_>>,
) -> Vec<crate::results::Figure> {
    let mut figures = Vec::new();
    for size in SIZES {
        let payload = Bytes::from(binary(size));
        figures.extend(measure(&size_name(size), scale, contenders(&payload)));
    }
    figures
}

/// The comparison of servers.
#[must_use]
pub fn server(scale: Scale) -> Table {
    Table {
        id: "send-server".to_owned(),
        title: "Sending as a server".to_owned(),
        unit: "ns a message".to_owned(),
        note: format!(
            "{NOTE} Ours shared: `send` of `Bytes`, which from 4 KiB on is not copied. Ours \
             prepared: `send_prepared`."
        ),
        smaller_is_better: true,
        lenient: names(&LENIENT),
        figures: measured(scale, server_contenders),
    }
}

/// The comparison of clients.
#[must_use]
pub fn client(scale: Scale) -> Table {
    Table {
        id: "send-client".to_owned(),
        title: "Sending as a client, masked".to_owned(),
        unit: "ns a message".to_owned(),
        note: "As above, but that the payload is masked. Keys: ours and websocket-sans-io's \
               from `OsKeys`, a CSPRNG, as tungstenite, yawc, soketto and fastwebsockets have \
               them from `rand`; ws-framer asks the operating system for each; \
               tokio-websockets, sockudo-ws and wtx use fast generators that can be predicted, \
               against section 5.3, which costs less. \
               fastwebsockets, soketto and wtx mask in the caller's own buffer, which is lost \
               to the caller by that: they have the same buffer again and again, and neither \
               its making nor a copy is counted for them. Ours in place: `send` of owned \
               `Bytes`, which from 4 KiB on are masked where they lie, and copied below; these \
               are gone after each message, so a payload made anew, copy and allocation, is \
               in the figure. What that alone takes stands beside it as a floor. \
               embedded-websocket is left out: it needs a generator of an old `rand_core`."
            .to_owned(),
        smaller_is_better: true,
        lenient: names(&LENIENT),
        figures: measured(scale, client_contenders),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_runs() {
        for size in [0, 16, 125, 1024, 70_000] {
            let payload = Bytes::from(binary(size));
            for mut contender in
                server_contenders(&payload).into_iter().chain(client_contenders(&payload))
            {
                contender.run(1);
                contender.run(20);
            }
        }
    }
}
