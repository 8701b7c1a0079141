//! The load generator: prepared frames over non-blocking sockets, and a look at each byte that
//! comes back.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::libc::linger;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;

use super::handshake::connect;
use super::traffic::Traffic;

/// One read takes so many bytes at most.
const READ_SIZE: usize = 64 * 1024;

/// Connections to one server, each of which sends a message as soon as there are fewer than
/// `in_flight` whose echo has not come.
#[derive(Debug)]
pub(crate) struct Load {
    poll: Poll,
    events: Events,
    lanes: Vec<Lane>,
    traffic: Traffic,
    buffer: Vec<u8>,
    tally: Tally,
    /// Whether an echo is followed by another message.
    sending: bool,
    /// A server that sends nothing for so long, though something is due, has failed.
    patience: Duration,
}

/// What has come back so far.
#[derive(Debug)]
struct Tally {
    messages: u64,
    /// From sending to the whole echo, in nanoseconds.
    latency: Histogram<u64>,
}

/// One connection.
#[derive(Debug)]
struct Lane {
    stream: TcpStream,
    /// Bytes that are to be sent and did not fit in the socket yet.
    owed: usize,
    send_offset: usize,
    receive_offset: usize,
    /// The bytes of the next echo that have come.
    partial: usize,
    /// Messages sent, with their number and their time, whose echo has not come.
    outstanding: VecDeque<(Instant, usize)>,
}

/// What one measurement found.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) elapsed: Duration,
    /// What the server's processor time grew by meanwhile.
    pub(crate) server_cpu: Duration,
    pub(crate) latency: Histogram<u64>,
}

impl Load {
    /// Opens `connections`; `raw` ones have no opening handshake.
    pub(crate) fn connect(
        server: SocketAddr,
        raw: bool,
        connections: usize,
        payload_length: usize,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut lanes = Vec::with_capacity(connections);
        for index in 0..connections {
            let mut stream = TcpStream::from_std(connect(server, raw)?);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(index), interest)?;
            lanes.push(Lane {
                stream,
                owed: 0,
                send_offset: 0,
                receive_offset: 0,
                partial: 0,
                outstanding: VecDeque::new(),
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            lanes,
            traffic: Traffic::new(payload_length, raw),
            buffer: vec![0; READ_SIZE],
            tally: Tally { messages: 0, latency: Histogram::new(3).map_err(io::Error::other)? },
            sending: false,
            patience: Duration::from_secs(10),
        })
    }

    /// Keeps `in_flight` messages on their way on each connection, and measures for `period` after
    /// the `warm_up`. At the end all echoes have come back, and nothing else.
    ///
    /// `cpu` is the server's processor time so far.
    pub(crate) fn run(
        &mut self,
        in_flight: usize,
        warm_up: Duration,
        period: Duration,
        cpu: impl Fn() -> io::Result<Duration>,
    ) -> io::Result<Measured> {
        self.sending = true;
        let now = Instant::now();
        for lane in &mut self.lanes {
            lane.send(in_flight, now, &self.traffic)?;
        }
        self.turn_until(Some(now + warm_up))?;
        self.tally.latency.reset();
        let (start, messages, cpu_before) = (Instant::now(), self.tally.messages, cpu()?);
        self.turn_until(Some(start + period))?;
        let measured = Measured {
            messages: self.tally.messages - messages,
            elapsed: start.elapsed(),
            server_cpu: cpu()?.saturating_sub(cpu_before),
            latency: self.tally.latency.clone(),
        };
        self.sending = false;
        self.turn_until(None)?;
        Ok(measured)
    }

    /// Sends one message on each connection and waits for the echoes.
    pub(crate) fn touch(&mut self) -> io::Result<()> {
        self.sending = false;
        let now = Instant::now();
        for lane in &mut self.lanes {
            lane.send(1, now, &self.traffic)?;
        }
        self.turn_until(None)
    }

    /// Has the server broadcast messages of the first connection to all of them, one after the
    /// other, for `period` and one at least.
    pub(crate) fn broadcast(
        &mut self,
        period: Duration,
        cpu: impl Fn() -> io::Result<Duration>,
    ) -> io::Result<Measured> {
        self.sending = false;
        self.tally.latency.reset();
        let (start, messages, cpu_before) = (Instant::now(), self.tally.messages, cpu()?);
        loop {
            let now = Instant::now();
            for (index, lane) in self.lanes.iter_mut().enumerate() {
                if index == 0 {
                    lane.send(1, now, &self.traffic)?;
                } else {
                    lane.outstanding.push_back((now, 1));
                }
            }
            self.turn_until(None)?;
            if start.elapsed() >= period {
                break;
            }
        }
        Ok(Measured {
            messages: self.tally.messages - messages,
            elapsed: start.elapsed(),
            server_cpu: cpu()?.saturating_sub(cpu_before),
            latency: self.tally.latency.clone(),
        })
    }

    /// Moves bytes until `end`, or until nothing is outstanding.
    fn turn_until(&mut self, end: Option<Instant>) -> io::Result<()> {
        let mut silent_since = Instant::now();
        loop {
            let now = Instant::now();
            let idle = || self.lanes.iter().all(|lane| lane.outstanding.is_empty());
            if end.map_or_else(idle, |end| now >= end) {
                return Ok(());
            }
            let wait = end.map_or(self.patience, |end| end.duration_since(now).min(self.patience));
            match self.poll.poll(&mut self.events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            if !self.events.is_empty() {
                silent_since = Instant::now();
            } else if silent_since.elapsed() >= self.patience {
                return Err(io::Error::other("an echo does not come"));
            }
            for event in &self.events {
                let lane = &mut self.lanes[event.token().0];
                if event.is_readable() {
                    let messages =
                        lane.receive(&self.traffic, &mut self.buffer, &mut self.tally)?;
                    if self.sending && messages > 0 {
                        lane.send(messages, Instant::now(), &self.traffic)?;
                    }
                }
                if event.is_writable() && lane.owed > 0 {
                    lane.write(&self.traffic)?;
                }
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // The connections are reset, so that none is left waiting and takes a port.
        let at_once = linger { l_onoff: 1, l_linger: 0 };
        for lane in &self.lanes {
            let _ = setsockopt(&lane.stream, Linger, &at_once);
        }
    }
}

impl Lane {
    /// Sends further messages, as far as the socket takes them; the rest when it takes more.
    fn send(&mut self, messages: usize, now: Instant, traffic: &Traffic) -> io::Result<()> {
        self.outstanding.push_back((now, messages));
        self.owed += messages * traffic.sent.frame_length();
        self.write(traffic)
    }

    fn write(&mut self, traffic: &Traffic) -> io::Result<()> {
        while self.owed > 0 {
            let part = traffic.sent.part(self.send_offset, self.owed);
            match self.stream.write(part) {
                Ok(count) => {
                    self.owed -= count;
                    self.send_offset = traffic.sent.advance(self.send_offset, count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all there is and compares it with what is due; the number of echoes completed.
    fn receive(
        &mut self,
        traffic: &Traffic,
        buffer: &mut [u8],
        tally: &mut Tally,
    ) -> io::Result<usize> {
        let mut completed = 0;
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::other("the server ended a connection")),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(completed),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let expected = traffic.echoed.part(self.receive_offset, rest.len());
                let (received, behind) = rest.split_at(expected.len());
                if received != expected {
                    return Err(io::Error::other("what came back is not what was sent"));
                }
                self.receive_offset = traffic.echoed.advance(self.receive_offset, expected.len());
                rest = behind;
            }
            self.partial += count;
            let messages = self.partial / traffic.echoed.frame_length();
            self.partial %= traffic.echoed.frame_length();
            self.note(messages, tally)?;
            completed += messages;
            // The socket was empty if it could not fill the buffer, and tells when it is not.
            if count < buffer.len() {
                return Ok(completed);
            }
        }
    }

    fn note(&mut self, messages: usize, tally: &mut Tally) -> io::Result<()> {
        let now = Instant::now();
        let mut left = messages;
        while left > 0 {
            let Some((sent_at, count)) = self.outstanding.front_mut() else {
                return Err(io::Error::other("more came back than was sent"));
            };
            let noted = left.min(*count);
            let nanoseconds = now.duration_since(*sent_at).as_nanos();
            let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX).max(1);
            let noted_u64 = u64::try_from(noted).unwrap_or(u64::MAX);
            tally.latency.record_n(nanoseconds, noted_u64).map_err(io::Error::other)?;
            tally.messages += noted_u64;
            left -= noted;
            *count -= noted;
            if *count == 0 {
                self.outstanding.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use duologue_std::{Message, WebSocket, accept};

    use super::{Duration, Load, Measured, SocketAddr};

    /// A server of one connection whose `answer` to a message is told its number.
    fn server(
        mut answer: impl FnMut(&mut WebSocket<TcpStream>, usize, Message) + Send + 'static,
    ) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut websocket = accept(listener.accept().unwrap().0).unwrap();
            for number in 0.. {
                // At the end the generator resets the connection.
                let Ok(Some(message)) = websocket.read() else { return };
                answer(&mut websocket, number, message);
            }
        });
        address
    }

    fn run(server: SocketAddr, payload_length: usize) -> Result<Measured, String> {
        let mut load = Load::connect(server, false, 1, payload_length).unwrap();
        load.patience = Duration::from_millis(300);
        let (warm_up, period) = (Duration::from_millis(5), Duration::from_millis(50));
        load.run(3, warm_up, period, || Ok(Duration::ZERO)).map_err(|error| error.to_string())
    }

    #[test]
    fn echoes_are_counted_and_timed() {
        for payload_length in [0, 20, 126, 70_000] {
            let server = server(|websocket, _, message| websocket.feed(message).unwrap());
            let measured = run(server, payload_length).unwrap();
            assert!(measured.messages > 0);
            assert!(measured.latency.len() >= measured.messages);
        }
    }

    #[test]
    fn changed_byte_is_detected() {
        let server = server(|websocket, number, message| {
            let mut payload = message.payload().to_vec();
            payload[19] ^= u8::from(number == 100);
            let _ = websocket.feed(Message::binary(payload));
        });
        assert_eq!(run(server, 20).unwrap_err(), "what came back is not what was sent");
    }

    #[test]
    fn text_in_place_of_binary_is_detected() {
        let server = server(|websocket, _, _| {
            let _ = websocket.feed(Message::text(""));
        });
        assert_eq!(run(server, 0).unwrap_err(), "what came back is not what was sent");
    }

    #[test]
    fn missing_echo_is_detected() {
        let server = server(|websocket, number, message| {
            if number < 100 {
                let _ = websocket.feed(message);
            }
        });
        assert_eq!(run(server, 20).unwrap_err(), "an echo does not come");
    }

    #[test]
    fn echo_too_many_is_detected() {
        // Empty messages are all alike.
        let server = server(|websocket, number, message| {
            if number == 100 {
                let _ = websocket.feed(message.clone());
            }
            let _ = websocket.feed(message);
        });
        assert_eq!(run(server, 0).unwrap_err(), "more came back than was sent");
    }

    #[test]
    fn end_of_a_connection_is_detected() {
        let server = server(|websocket, number, message| {
            if number == 100 {
                let _ = websocket.start_close(duologue_std::CloseCode::NORMAL, "");
            } else {
                let _ = websocket.feed(message);
            }
        });
        assert!(run(server, 20).is_err());
    }
}
