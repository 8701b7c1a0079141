//! One client: how it comes by its updates.

mod arrivals;
mod counted;
mod http;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use duologue_tokio::{ClientOptions, WebSocket};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::http::{EVENTS, LONG_POLL, POLL};
pub(super) use arrivals::Arrivals;
use counted::Counted;
pub(super) use counted::Traffic;
use http::HttpConnection;
pub(super) use http::request;

/// How updates come to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A request at fixed intervals.
    Polling(Duration),
    /// A request that is answered as soon as there is an update, and another after it.
    LongPolling,
    /// One response that does not end.
    Events,
    WebSocket,
}

/// A client and its connection.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    pub(super) arrivals: Arrivals,
}

#[derive(Debug)]
enum Connection {
    Polling(HttpConnection, Duration),
    LongPolling(HttpConnection),
    Events(HttpConnection),
    WebSocket(Box<WebSocket<Counted>>),
}

impl Client {
    /// Connects, and does what has to be done once: the opening handshake of a WebSocket, the
    /// request for an event stream.
    pub(super) async fn open(way: Way, server: SocketAddr) -> io::Result<Self> {
        let connection = match way {
            Way::Polling(interval) => {
                Connection::Polling(HttpConnection::connect(server).await?, interval)
            }
            Way::LongPolling => Connection::LongPolling(HttpConnection::connect(server).await?),
            Way::Events => {
                let mut http = HttpConnection::connect(server).await?;
                http.open_events(EVENTS).await?;
                Connection::Events(http)
            }
            Way::WebSocket => Connection::WebSocket(Box::new(open_websocket(server).await?)),
        };
        Ok(Self { connection, arrivals: Arrivals::new()? })
    }

    /// Receives until the first `end` updates have come. One that polls begins after `phase`, which
    /// is a share of its interval.
    pub(super) async fn receive_until(&mut self, end: u64, phase: f64) -> io::Result<()> {
        let arrivals = &mut self.arrivals;
        match &mut self.connection {
            Connection::Polling(http, interval) => {
                let mut ticks = interval_at(Instant::now() + interval.mul_f64(phase), *interval);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while arrivals.due < end {
                    ticks.tick().await;
                    let body = http.get(&format!("{POLL}?after={}", arrivals.due)).await?;
                    arrivals.note_lines(&body)?;
                }
            }
            Connection::LongPolling(http) => {
                while arrivals.due < end {
                    let body = http.get(&format!("{LONG_POLL}?after={}", arrivals.due)).await?;
                    arrivals.note_lines(&body)?;
                }
            }
            Connection::Events(http) => {
                while arrivals.due < end {
                    let chunk = http.chunk().await?;
                    arrivals.note_lines(&data_of_events(&chunk)?)?;
                }
            }
            Connection::WebSocket(websocket) => {
                while arrivals.due < end {
                    let message = websocket.next().await;
                    let message = message.ok_or_else(|| io::Error::other("the server closed"))?;
                    let message = message.map_err(io::Error::other)?;
                    let text = message.as_text();
                    let text = text.ok_or_else(|| io::Error::other("a message is no text"))?;
                    arrivals.note(text.as_bytes())?;
                }
            }
        }
        if arrivals.due > end {
            return Err(io::Error::other("there are more updates than were published"));
        }
        Ok(())
    }

    /// The bytes of its connection so far.
    pub(super) fn traffic(&self) -> Traffic {
        match &self.connection {
            Connection::Polling(http, _)
            | Connection::LongPolling(http)
            | Connection::Events(http) => http.stream.traffic,
            Connection::WebSocket(websocket) => websocket.get_ref().traffic,
        }
    }

    /// How many requests of HTTP it has sent, an opening handshake among them.
    pub(super) fn requests(&self) -> u64 {
        match &self.connection {
            Connection::Polling(http, _)
            | Connection::LongPolling(http)
            | Connection::Events(http) => http.requests,
            Connection::WebSocket(_) => 1,
        }
    }
}

/// The opening handshake with the fields that a browser sends in it.
async fn open_websocket(server: SocketAddr) -> io::Result<WebSocket<Counted>> {
    let options = ClientOptions::new(&format!("ws://{server}/updates"))
        .map_err(io::Error::other)?
        .origin(format!("http://{server}"))
        .field("Pragma", "no-cache")
        .field("Cache-Control", "no-cache")
        .field(
            "User-Agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/130.0.0.0 Safari/537.36",
        )
        .field("Accept-Encoding", "gzip, deflate, br, zstd")
        .field("Accept-Language", "en-US,en;q=0.9");
    let stream = Counted::connect(server).await?;
    duologue_tokio::client(stream, &options).await.map_err(io::Error::other)
}

/// The data of whole events, one a line.
fn data_of_events(events: &[u8]) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(events.len());
    for line in events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value = line.strip_prefix(b"data: ");
        data.extend_from_slice(value.ok_or_else(|| io::Error::other("an event has no data"))?);
        data.push(b'\n');
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_their_data() {
        assert_eq!(data_of_events(b"data: a\n\ndata: b\n\n").unwrap(), b"a\nb\n");
        assert!(data_of_events(b"event: a\n\n").is_err());
    }
}
