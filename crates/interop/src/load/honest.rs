//! Clients that do what clients do, on a thread of their own, so that they share a processor with
//! the attackers but not a queue.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duologue_tokio::{CloseCode, Error};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::report::Durations;
use super::sources::Sources;

/// How often each of them sends a message.
const PACE: Duration = Duration::from_millis(100);

/// What comes back has to be the same, so it is not the same each time.
const LENGTH: usize = 20;

/// The clients, until [`stop`](Self::stop).
#[derive(Debug)]
pub(super) struct Honest {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Vec<Duration>>, Error>>,
}

impl Honest {
    /// Connects them and lets them talk.
    pub(super) fn start(count: usize, sources: Arc<Sources>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(all(count, &sources, &ended))
        });
        Self { over, thread }
    }

    /// Ends them: how long each echo took, and how many the client had that had the fewest; or what
    /// went wrong for one of them.
    pub(super) fn stop(self) -> Result<(Durations, usize), Error> {
        self.over.store(true, Ordering::SeqCst);
        let panicked = |_| Error::Io(io::Error::other("an honest client has panicked"));
        let clients = self.thread.join().map_err(panicked)??;
        let fewest = clients.iter().map(Vec::len).min().unwrap_or_default();
        Ok((Durations::new(clients.concat()), fewest))
    }
}

async fn all(
    count: usize,
    sources: &Arc<Sources>,
    over: &Arc<AtomicBool>,
) -> Result<Vec<Vec<Duration>>, Error> {
    let mut clients = JoinSet::new();
    for number in 0..count {
        let (sources, over) = (Arc::clone(sources), Arc::clone(over));
        clients.spawn(async move { one(number, &sources, &over).await });
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.push(client.map_err(io::Error::other)??);
    }
    Ok(latencies)
}

async fn one(number: usize, sources: &Sources, over: &AtomicBool) -> Result<Vec<Duration>, Error> {
    let mut websocket = sources.open().await?;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut latencies = Vec::new();
    while !over.load(Ordering::SeqCst) {
        ticks.tick().await;
        let message = format!("{number:8}{:1$}", latencies.len(), LENGTH - 8);
        let begun = Instant::now();
        websocket.send(message.as_str()).await?;
        let echo = websocket.next().await.transpose()?.ok_or(Error::ConnectionLost)?;
        latencies.push(begun.elapsed());
        if echo.as_text() != Some(&message) {
            return Err(io::Error::other("an echo is not what was sent").into());
        }
    }
    websocket.close(CloseCode::NORMAL, "").await?;
    Ok(latencies)
}
