//! A TCP proxy that breaks connections, for tests of what lies at their ends: each in one way,
//! which a seed and the number of the connection decide.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How much is read at once; so much a connection holds in each direction.
const PIECE: usize = 4096;

/// How long a connection may last, whatever its ends do.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Where bytes go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What is done to a connection. Bytes are counted in the direction that is named, from the first
/// of the opening handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Both ends are reset behind so many bytes.
    Reset(Direction, usize),
    /// The direction ends (FIN) behind so many bytes; the other one goes on. What comes later is
    /// thrown away.
    End(Direction, usize),
    /// Nothing more is taken or passed on behind so many bytes; the other direction goes on.
    Stall(Direction, usize),
    /// As a stall of both directions at once, as when the network between them is gone.
    HalfOpen(Direction, usize),
    /// Bytes are passed on in pieces of so many.
    Slice(usize),
    /// Each read waits so long before it is passed on.
    Delay(Duration),
}

impl Fault {
    /// What is done to the connection of this number, by this seed.
    #[must_use]
    pub fn choose(seed: u64, connection: u64) -> Self {
        // The mixing function of SplitMix64 (Steele, Lea and Flood, 2014).
        let mut mixed = seed ^ connection.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let [kind, direction, far, _, position @ ..] = mixed.to_be_bytes();
        let direction = if direction % 2 == 0 { Direction::ToServer } else { Direction::ToClient };
        // Half of the faults lie in the opening handshake and in the first frames.
        let reach = if far % 2 == 0 { 400 } else { 40_000 };
        let position = usize::try_from(u32::from_be_bytes(position)).unwrap_or_default() % reach;
        match kind % 8 {
            0 => Self::None,
            1 | 2 => Self::Reset(direction, position),
            3 => Self::End(direction, position),
            4 => Self::Stall(direction, position),
            5 => Self::HalfOpen(direction, position),
            6 => Self::Slice(position % 200 + 1),
            _ => Self::Delay(Duration::from_millis(u64::from(far % 4))),
        }
    }

    /// Where this direction breaks.
    fn breaks_at(self, direction: Direction) -> Option<usize> {
        match self {
            Self::Reset(breaks, at)
            | Self::End(breaks, at)
            | Self::Stall(breaks, at)
            | Self::HalfOpen(breaks, at) => (breaks == direction).then_some(at),
            Self::None | Self::Slice(_) | Self::Delay(_) => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no fault"),
            Self::Reset(direction, at) => write!(f, "reset after {at} bytes {direction}"),
            Self::End(direction, at) => write!(f, "end after {at} bytes {direction}"),
            Self::Stall(direction, at) => write!(f, "stall after {at} bytes {direction}"),
            Self::HalfOpen(direction, at) => write!(f, "half-open after {at} bytes {direction}"),
            Self::Slice(length) => write!(f, "pieces of {length} bytes"),
            Self::Delay(delay) => write!(f, "a delay of {delay:?}"),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToServer => "to the server",
            Self::ToClient => "to the client",
        })
    }
}

/// Passes bytes between two ends until both have ended, the fault has broken the connection, or
/// `longest` has passed. `struck` tells, also while it goes on, whether a fault has broken
/// anything; slices and delays break nothing.
pub async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    fault: Fault,
    longest: Duration,
    struck: &AtomicBool,
) {
    // What is sliced is to arrive in slices.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let out = pass(from_client, to_server, fault, Direction::ToServer, struck);
    let back = pass(from_server, to_client, fault, Direction::ToClient, struck);
    let both = async { tokio::try_join!(out, back) };
    let ended = timeout(longest, both).await;
    if !matches!(ended, Ok(Ok(_))) {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// Passes on one direction. An error resets both.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    fault: Fault,
    direction: Direction,
    struck: &AtomicBool,
) -> io::Result<()> {
    let slice = if let Fault::Slice(length) = fault { length.max(1) } else { PIECE };
    let mut left = fault.breaks_at(direction);
    let mut buffer = [0; PIECE];
    loop {
        if left == Some(0) {
            struck.store(true, Ordering::SeqCst);
            match fault {
                Fault::Reset(..) => return Err(io::ErrorKind::ConnectionReset.into()),
                Fault::End(..) => {
                    to.shutdown().await?;
                    while from.read(&mut buffer).await? > 0 {}
                    return Ok(());
                }
                _ => std::future::pending().await,
            }
        }
        let room = left.unwrap_or(PIECE).min(PIECE);
        let count = from.read(buffer.get_mut(..room).unwrap_or_default()).await?;
        if let Fault::Delay(delay) = fault {
            sleep(delay).await;
        }
        if matches!(fault, Fault::HalfOpen(..)) && struck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if count == 0 {
            return to.shutdown().await;
        }
        left = left.map(|left| left.saturating_sub(count));
        for piece in buffer.get(..count).unwrap_or_default().chunks(slice) {
            to.write_all(piece).await?;
        }
    }
}

/// Takes connections at `listen` and relays each to `to` with the fault that the seed gives it,
/// until killed. The first line printed tells the address; then each connection's fault.
///
/// # Errors
///
/// That there is nothing to listen at.
pub async fn serve(listen: &str, to: &str, seed: u64) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    for connection in 0.. {
        let (client, _) = listener.accept().await?;
        let fault = Fault::choose(seed, connection);
        println!("connection {connection}: {fault}");
        let to = to.to_owned();
        tokio::spawn(async move {
            // A server that is not there is one that resets its connection.
            if let Ok(server) = TcpStream::connect(to).await {
                relay(client, server, fault, LONGEST, &AtomicBool::new(false)).await;
            } else {
                let _ = client.set_zero_linger();
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_each_connection_the_same_fault_again_and_all_kinds_occur() {
        let faults: Vec<Fault> = (0..1000).map(|number| Fault::choose(7, number)).collect();
        assert!((0..1000).map(|number| Fault::choose(7, number)).eq(faults.iter().copied()));
        assert_ne!(Fault::choose(8, 1), Fault::choose(7, 1));
        let count = |kind: fn(&Fault) -> bool| faults.iter().filter(|fault| kind(fault)).count();
        for kind in [
            count(|fault| *fault == Fault::None),
            count(|fault| matches!(fault, Fault::Reset(..))),
            count(|fault| matches!(fault, Fault::End(Direction::ToServer, _))),
            count(|fault| matches!(fault, Fault::Stall(Direction::ToClient, _))),
            count(|fault| matches!(fault, Fault::HalfOpen(..))),
            count(|fault| matches!(fault, Fault::Slice(_))),
            count(|fault| matches!(fault, Fault::Delay(_))),
        ] {
            assert!(kind > 30, "{kind}");
        }
    }
}
