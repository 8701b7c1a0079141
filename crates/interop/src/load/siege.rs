//! Attackers of all kinds at once, and honest clients among them.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use duologue_tokio::{CloseCode, Config, Error};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::attackers::{Attack, MESSAGE_LENGTH, Repelled, attack};
use super::honest::Honest;
use super::process::{LastWords, Server};
use super::report::{Durations, Report, megabytes, seconds};
use super::scale::Scale;
use super::server::STACK;
use super::sources::Sources;
use crate::Adapter;

/// An attacker is gone by so long after its deadline.
const GRACE: Duration = Duration::from_secs(1);

/// Nothing of them is left in the server by so long after the last one has gone.
const LEFT: Duration = Duration::from_secs(1);

/// The state of a connection and the task of the application around it, in bytes.
const STATE: usize = 4 * 1024;

/// The head of an opening handshake takes no more, in bytes.
const HEAD: usize = 16 * 1024;

/// A read buffer takes no more, in bytes.
const READ_BUFFER: usize = 129 * 1024;

/// The buffers that a thread keeps for use again take no more, in bytes: 32 of each kind
/// (`duologue_adapter::pool`).
const POOL: usize = 64 * READ_BUFFER;

/// The bound on the server's memory, by the formula of `docs/security.md`; besides, each of its
/// threads keeps a pool.
fn memory_bound(scale: &Scale) -> usize {
    // A thread that serves one connection keeps nothing but what that one has used.
    let (pools, stack) = match scale.adapter {
        Adapter::Tokio => (thread::available_parallelism().map_or(1, usize::from) * POOL, 0),
        Adapter::Std => (0, STACK),
    };
    let open = |message: usize| {
        STATE + stack + READ_BUFFER + 2 * message + Config::DEFAULT.write_high_water + message
    };
    pools
        + scale.slow * (STATE + stack + HEAD)
        + scale.silent * open(MESSAGE_LENGTH)
        + (scale.flooders + scale.honest) * open(0)
}

/// Watches honest clients in peace, and then with the attackers around them.
pub(super) async fn run(scale: &Scale, report: &mut Report) -> Result<(), Error> {
    println!(
        "\na siege: {} slow handshakes, {} that never read, {} ping floods, {} honest clients",
        scale.slow, scale.silent, scale.flooders, scale.honest
    );
    let mut server = Server::start(&scale.server_arguments())?;
    let sources = Arc::new(Sources::new(server.address));
    let descriptors = server.descriptors()?;
    sources.open().await?.close(CloseCode::NORMAL, "").await?;
    let memory = server.memory()?;

    let honest = Honest::start(scale.honest, Arc::clone(&sources));
    sleep(scale.calm).await;
    let (calm, _) = honest.stop()?;
    report.note("an echo in peace", &calm);

    let (sender, mut repelled) = mpsc::unbounded_channel();
    let over = Instant::now() + scale.attack;
    // Floods take all the time that they get; the others have to see on time that they are gone.
    let floods: Vec<_> = (0..scale.flooders)
        .map(|number| if number % 2 == 0 { Attack::FloodUnread } else { Attack::FloodRead })
        .map(|kind| attack(kind, scale.clone(), Arc::clone(&sources), over, sender.clone()))
        .collect();
    let flooding = thread::spawn(|| run_all(floods));
    for number in 0..scale.slow + scale.silent {
        let kind = match number.checked_sub(scale.slow) {
            Some(_) => Attack::Silent,
            None if number % 2 == 0 => Attack::Slow,
            None => Attack::SlowAndLarge,
        };
        tokio::spawn(attack(kind, scale.clone(), Arc::clone(&sources), over, sender.clone()));
    }
    drop(sender);
    let honest = Honest::start(scale.honest, Arc::clone(&sources));
    let mut all = Vec::new();
    let mut most = 0;
    let mut samples = interval(Duration::from_millis(250));
    let mut honest = Some(honest);
    let (mut besieged, mut fewest) = (Durations::default(), 0);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            one = repelled.recv() => match one {
                Some(one) => {
                    last = Instant::now();
                    all.push(one);
                }
                None => break,
            },
            _ = samples.tick() => most = most.max(server.memory()?.saturating_sub(memory)),
            () = until(honest.is_some().then_some(over)) => {
                if let Some(honest) = honest.take() {
                    (besieged, fewest) = honest.stop()?;
                }
            }
        }
    }
    flooding.join().map_err(|_| io::Error::other("a flood has panicked"))??;
    report.note("an echo under attack", &besieged);
    report.note("echoes under attack", besieged.len());
    // Nobody is starved: one a second is less than a tenth of what each would send.
    let least = usize::try_from(scale.attack.as_secs()).unwrap_or(usize::MAX);
    let bound = format!("{least} at least");
    report.judge(fewest >= least, "echoes of the client that had the fewest", fewest, &bound);
    tell_told(report, &all);
    let bound = u64::try_from(memory_bound(scale)).unwrap_or(u64::MAX);
    report.judge(most <= bound, "the server's memory grew by", megabytes(most), &megabytes(bound));
    let cleared = server.until_descriptors(descriptors, LEFT * 10).await?;
    let cleared = cleared.map_or(LEFT * 10, |_| last.elapsed());
    report.within("no descriptor left after", cleared, LEFT);
    report.note("memory kept", megabytes(server.memory()?.saturating_sub(memory)));
    server.terminate()?;
    tell_dropped(report, &all, &server.last_words().await?);
    Ok(())
}

/// Runs tasks on this thread until all have ended.
fn run_all(tasks: Vec<impl Future<Output = ()> + Send + 'static>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tasks: JoinSet<()> = tasks.into_iter().collect();
        tasks.join_all().await;
    });
    Ok(())
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}

/// Tells how many attacks of each kind there were, and how late they were told why they are dropped.
fn tell_told(report: &mut Report, all: &[Repelled]) {
    for (kind, name) in Attack::ALL {
        let of_kind = || all.iter().filter(|one| one.attack == kind).map(|one| &one.told);
        let mut figure = format!("{}", of_kind().count());
        let mut kept = of_kind().count() > 0;
        let mut bound = "1 at least".to_owned();
        let told = Durations::new(of_kind().flatten().copied().flatten().collect());
        if told.len() > 0 {
            figure += &format!(", told up to {} late", seconds(told.longest()));
            bound = format!("{} late", seconds(GRACE));
            kept &= told.longest() <= GRACE;
        }
        let failed: Vec<_> = of_kind().filter_map(|told| told.as_ref().err()).collect();
        if let Some(first) = failed.first() {
            figure += &format!("; {} failed, such as: {first}", failed.len());
            kept = false;
        }
        report.judge(kept, name, figure, &bound);
    }
}

/// Tells what the server says of them: each was dropped, and how late. A reset that says so may be
/// lost where so much goes on, so the attackers' word would not do.
fn tell_dropped(report: &mut Report, all: &[Repelled], words: &LastWords) {
    let count = |kinds: &[Attack]| all.iter().filter(|one| kinds.contains(&one.attack)).count();
    for (dropped, kinds, name) in [
        (words.slow, [Attack::Slow, Attack::SlowAndLarge].as_slice(), "slow ones dropped"),
        (words.stalled, &[Attack::Silent, Attack::FloodUnread], "those that never read dropped"),
        (words.limited, &[Attack::FloodRead], "those with too many pings dropped"),
    ] {
        let attacks = count(kinds);
        let figure =
            format!("{} of {attacks}, up to {} late", dropped.count, seconds(dropped.late));
        let kept = dropped.count == attacks && dropped.late <= GRACE;
        report.judge(kept, name, figure, &format!("all, {} late", seconds(GRACE)));
    }
}
