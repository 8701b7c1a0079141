//! Clients that mean harm. Each comes again when the server has got rid of it, until the attack is
//! over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use duologue_tokio::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout};

use super::scale::Scale;
use super::server::LIMITED;
use super::sources::{Sources, request_head};

/// An attacker that does not see the end of its connection leaves after this time; the server
/// should have been rid of it for long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The payload of a message whose echo is never read, in bytes.
pub(super) const MESSAGE_LENGTH: usize = 16 * 1024;

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// The head of its opening handshake comes a byte a second.
    Slow,
    /// The same, with 8 KiB at once at the beginning.
    SlowAndLarge,
    /// It sends messages and never reads the echoes.
    Silent,
    /// It sends pings as fast as they go and never reads the pongs.
    FloodUnread,
    /// It sends pings as fast as they go and reads the pongs, where the application limits pings.
    FloodRead,
}

impl Attack {
    pub(super) const ALL: [(Self, &str); 5] = [
        (Self::Slow, "slow handshakes"),
        (Self::SlowAndLarge, "slow handshakes of 8 KiB"),
        (Self::Silent, "messages, echoes never read"),
        (Self::FloodUnread, "ping floods, pongs never read"),
        (Self::FloodRead, "ping floods, pongs read"),
    ];
}

/// One attack is over.
#[derive(Debug)]
pub(super) struct Repelled {
    pub(super) attack: Attack,
    /// How late it was told why, if that has a deadline; or what went wrong.
    pub(super) told: io::Result<Option<Duration>>,
}

/// Attacks until it is over, then until the server is rid of the last one.
pub(super) async fn attack(
    attack: Attack,
    scale: Scale,
    sources: Arc<Sources>,
    over: Instant,
    repelled: UnboundedSender<Repelled>,
) {
    while Instant::now() < over {
        let end = async {
            match attack {
                Attack::Slow => slow(&scale, &sources, 0).await,
                Attack::SlowAndLarge => slow(&scale, &sources, 8 * 1024).await,
                Attack::Silent => silent(&sources).await,
                Attack::FloodUnread => flood_unread(&sources).await,
                Attack::FloodRead => flood_read(&sources).await,
            }
        };
        let told = timeout(PATIENCE, end).await;
        let told = told.unwrap_or_else(|_| Err(io::Error::other("it is never dropped")));
        let _ = repelled.send(Repelled { attack, told });
    }
}

/// Sends `at_once` bytes of an opening handshake and then one a second. It is answered with 408,
/// goes on nevertheless, and is dropped.
async fn slow(scale: &Scale, sources: &Sources, at_once: usize) -> io::Result<Option<Duration>> {
    let mut stream = sources.connect(true).await?;
    let deadline = Instant::now() + scale.opening_timeout;
    let mut head = request_head("/").into_bytes();
    for _ in 0..at_once / 1024 {
        head.extend(format!("X-Filler: {}\r\n", "x".repeat(1012)).bytes());
    }
    let (mut reader, mut writer) = stream.split();
    let (begin, rest) = head.split_at(at_once.min(head.len()));
    writer.write_all(begin).await?;
    let mut answer = Vec::new();
    let read = async {
        // A reset ends it too: what counts is what was said before.
        let _ = reader.read_to_end(&mut answer).await;
        Instant::now().saturating_duration_since(deadline)
    };
    let write = async {
        for byte in rest.iter().chain(std::iter::repeat(&b'x')) {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (late, ()) = tokio::join!(read, write);
    if answer.starts_with(b"HTTP/1.1 408 ") {
        Ok(Some(late))
    } else {
        Err(io::Error::other("it is not told that it is too slow"))
    }
}

/// Sends messages until it is dropped, and reads nothing.
async fn silent(sources: &Sources) -> io::Result<Option<Duration>> {
    let mut stream = sources.open_raw("/", false).await?;
    let message = frame(0x82, &[0x5a; MESSAGE_LENGTH]);
    while stream.write_all(&message).await.is_ok() {}
    Ok(None)
}

/// Sends pings until it is dropped, and reads nothing. The server goes on reading, for of its pongs
/// only the newest has to be kept (RFC 6455 section 5.5.3), until it has not been able to write for
/// too long.
async fn flood_unread(sources: &Sources) -> io::Result<Option<Duration>> {
    let stream = sources.open_raw("/", false).await?;
    let mut flood = Flood::new();
    while flood.write(&stream).await.is_ok() {}
    Ok(None)
}

/// Sends pings and reads the pongs, where the application bears with only so many in a second. It
/// is told 1008 then, goes on nevertheless, and is dropped.
async fn flood_read(sources: &Sources) -> io::Result<Option<Duration>> {
    let stream = sources.open_raw(LIMITED, true).await?;
    let mut flood = Flood::new();
    let mut told = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut ended = false;
    loop {
        tokio::select! {
            readable = stream.readable(), if !ended => {
                readable?;
                match stream.try_read(&mut buffer) {
                    Ok(0) => ended = true,
                    Ok(count) => {
                        told.extend(buffer.iter().take(count));
                        // The Close frame is the last one, and short.
                        told.drain(..told.len().saturating_sub(256));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            written = flood.write(&stream) => if written.is_err() { break },
        }
    }
    let close = CloseCode::POLICY_VIOLATION.get().to_be_bytes();
    let told_why =
        told.windows(4).any(|bytes| bytes.starts_with(&[0x88]) && bytes.ends_with(&close));
    if !told_why {
        return Err(io::Error::other("it is not told that it sends too many pings"));
    }
    Ok(None)
}

/// Pings, over and over.
struct Flood {
    bytes: Vec<u8>,
    written: usize,
}

impl Flood {
    fn new() -> Self {
        Self { bytes: frame(0x89, &[0x5a; 125]).repeat(64), written: 0 }
    }

    /// Writes what is taken.
    async fn write(&mut self, stream: &TcpStream) -> io::Result<()> {
        stream.writable().await?;
        match stream.try_write(self.bytes.get(self.written..).unwrap_or_default()) {
            Ok(count) => {
                self.written = (self.written + count) % self.bytes.len();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A whole frame with a masking key of zeros (RFC 6455 section 5.2), of up to 65,535 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length) if length <= 125 => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
