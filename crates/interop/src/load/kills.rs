//! A server that is killed again and again, and clients that send once more what was not
//! confirmed.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duologue_tokio::reconnect::{
    ReconnectEvent, ReconnectOptions, ReconnectPolicy, ReconnectingSocket,
};
use duologue_tokio::{ClientOptions, CloseCode, Error};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::process::Server;
use super::report::{Durations, Report};
use super::scale::Scale;
use super::sources::Sources;

/// So many clients send all the time.
const CLIENTS: usize = 20;

/// So many messages of a client wait for their echo.
const WINDOW: usize = 32;

/// A pause of each client between two messages.
const PACE: Duration = Duration::from_millis(1);

/// After the last kill everything is confirmed within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server accepts again within this time.
const BACK: Duration = Duration::from_secs(1);

/// A file that is gone with its guard.
struct Journal(PathBuf);

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Kills the server while messages are under way, and starts it anew; at the end the journal holds
/// every message.
pub(super) async fn run(scale: &Scale, report: &mut Report) -> Result<(), Error> {
    println!("\na server that is killed {} times, {CLIENTS} clients", scale.kills);
    let path = std::env::temp_dir().join(format!("duologue-journal-{}", std::process::id()));
    // What a run that was killed may have left.
    let _ = fs::remove_file(&path);
    let journal = Journal(path);
    let start = |address: &str| {
        let own = ["--addr", address, "--journal", &journal.0.to_string_lossy()].map(String::from);
        let arguments: Vec<String> = scale.server_arguments().into_iter().chain(own).collect();
        Server::start(&arguments)
    };
    let mut server = start("127.0.0.1:0")?;
    let address = server.address;
    let (over, is_over) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(number, address, is_over.clone()));
    }
    let mut back = Vec::new();
    for round in 0..scale.kills {
        // Not always at the same point of what goes on.
        sleep(Duration::from_millis(150 + (round as u64 * 37) % 200)).await;
        let begun = Instant::now();
        server.kill()?;
        server = start(&address.to_string())?;
        Sources::new(address).open().await?.close(CloseCode::NORMAL, "").await?;
        back.push(begun.elapsed());
    }
    let _ = over.send(true);
    let mut sent = vec![0; CLIENTS];
    let mut resent = 0;
    let mut lost_connections = 0;
    let all_told = async {
        while let Some(told) = clients.join_next().await {
            let told = told.map_err(io::Error::other)??;
            if let Some(count) = sent.get_mut(told.number) {
                *count = told.confirmed;
            }
            resent += told.resent;
            lost_connections += told.lost;
        }
        Ok::<_, Error>(())
    };
    let waiting = |_| Error::Io(io::Error::other("clients wait for echoes that do not come"));
    timeout(PATIENCE, all_told).await.map_err(waiting)??;
    let all: u64 = sent.iter().sum();
    report.judge(all > 0, "messages confirmed", all, "over 0");
    report.judge(resent > 0, "messages sent once more", resent, "over 0");
    // A kill loses no more than all of them.
    let least = scale.kills * CLIENTS / 2;
    let struck = lost_connections >= least;
    report.judge(struck, "connections lost", lost_connections, &format!("{least} at least"));
    let missing = missing(&journal.0, &sent)?;
    report.judge(missing == 0, "confirmed and not in the journal", missing, "0");
    let back = Durations::new(back);
    report.note("accepts again after", &back);
    report.within("the slowest", back.longest(), BACK);
    Ok(())
}

/// What a client did.
struct Told {
    number: usize,
    confirmed: u64,
    resent: u64,
    lost: usize,
}

/// Sends numbered messages until it is over and all are confirmed. On a new connection it sends
/// what was not confirmed once more, in order.
async fn client(
    number: usize,
    address: SocketAddr,
    mut over: watch::Receiver<bool>,
) -> Result<Told, Error> {
    let policy = ReconnectPolicy {
        first_delay: Duration::from_millis(10),
        max_delay: Duration::from_millis(100),
        max_attempts: None,
        ..ReconnectPolicy::DEFAULT
    };
    let options = ClientOptions::new(&format!("ws://{address}/"))?;
    let mut socket = ReconnectingSocket::new(&ReconnectOptions::new(options).with_policy(policy));
    let mut told = Told { number, confirmed: 0, resent: 0, lost: 0 };
    let mut waiting = VecDeque::new();
    let mut next = 0u64;
    let mut up = false;
    let text = |message: u64| format!("{number} {message}");
    loop {
        let finished = *over.borrow();
        if finished && waiting.is_empty() {
            socket.close(CloseCode::NORMAL, "")?;
            return Ok(told);
        }
        tokio::select! {
            // Events first: what waits is sent again before anything new.
            biased;
            event = socket.next() => match event {
                Some(ReconnectEvent::Up { .. }) => {
                    up = true;
                    for message in &waiting {
                        // What is refused now is sent by the next connection.
                        let _ = socket.send(text(*message));
                        told.resent += 1;
                    }
                }
                Some(ReconnectEvent::Message(echo)) => {
                    // Echoes come in the order of the messages.
                    let first = waiting.pop_front();
                    if echo.as_text() != first.map(text).as_deref() {
                        return Err(io::Error::other("an echo is not the one expected").into());
                    }
                    told.confirmed += 1;
                }
                Some(ReconnectEvent::Down { retry_in: Some(_), .. }) => {
                    told.lost += usize::from(up);
                    up = false;
                }
                Some(ReconnectEvent::Down { .. }) | None => return Err(Error::ConnectionLost),
            },
            () = sleep(PACE), if up && !finished && waiting.len() < WINDOW => {
                let _ = socket.send(text(next));
                waiting.push_back(next);
                next += 1;
            }
            _ = over.changed(), if !finished => {}
        }
    }
}

/// How many messages that were confirmed are not in the journal, or not in order. Some stand in it
/// more than once: what had arrived when the server was killed, but was not confirmed.
fn missing(journal: &Path, confirmed: &[u64]) -> io::Result<u64> {
    let mut found = vec![0u64; confirmed.len()];
    for line in fs::read_to_string(journal)?.lines() {
        let Some((client, message)) = line.split_once(' ') else { continue };
        let (Ok(client), Ok(message)) = (client.parse::<usize>(), message.parse::<u64>()) else {
            continue;
        };
        if let Some(found) = found.get_mut(client) {
            *found += u64::from(message == *found);
        }
    }
    Ok(confirmed
        .iter()
        .zip(&found)
        .map(|(confirmed, found)| confirmed.saturating_sub(*found))
        .sum())
}
