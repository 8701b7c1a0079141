//! Push against polling: what it takes to bring updates to a client by WebSocket, by server-sent
//! events, by long polling, and by polling at fixed intervals.
//!
//! Each contender has a server process of its own with one thread on one core, and its clients have
//! another core. The contenders take turns, round by round, over connections that stay open: the
//! updates of a turn follow those of the turn before. Every client checks that each update comes
//! exactly once, in order, and byte by byte as it was sent.

mod client;
mod feed;
mod http;
mod note;
mod schedule;
mod server;
mod turn;
mod update;
mod websocket;

use std::io;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;

use crate::Scale;
use crate::echo::machine::{self, Cores};
use crate::echo::process::Launcher;
use crate::report::markdown::number;
use crate::results::{Figure, Table, figure};
use client::Way;
use server::{Delivery, Order};
use turn::{Stand, Turn};

/// What stands for all tables of this comparison.
pub const ID: &str = "push";

/// The subcommand that calls [`serve`].
pub const SERVE: &str = "serve-push";

/// The row of the median latency.
pub const MEDIAN: &str = "latency, median, us";
/// The row of the 99th percentile of latency.
pub const TAIL: &str = "latency, 99th percentile, us";
/// The row of all bytes.
pub const BYTES: &str = "bytes an update, both ways";
const SENT: &str = "bytes an update, to the server";
const RECEIVED: &str = "bytes an update, to the client";
const OPENING: &str = "bytes to open, once";
const REQUESTS: &str = "requests of a client, in all";
const CPU: &str = "server CPU an update, us";
const CPU_IN_ALL: &str = "server CPU in all, ms";

/// One way of delivery.
#[derive(Debug)]
struct Contender {
    name: &'static str,
    way: Way,
}

impl Contender {
    fn delivery_name(&self) -> &'static str {
        match self.way {
            Way::WebSocket => "websocket",
            Way::Polling(_) | Way::LongPolling | Way::Events => "http",
        }
    }
}

const OURS: &str = "duologue-tokio (WebSocket)";
const EVENTS: &str = "server-sent events";
const LONG: &str = "long polling";
const FAST: &str = "polling every 10 ms";
const SLOW: &str = "polling every 1 s";

const CONTENDERS: &[Contender] = &[
    Contender { name: OURS, way: Way::WebSocket },
    Contender { name: EVENTS, way: Way::Events },
    Contender { name: LONG, way: Way::LongPolling },
    Contender { name: FAST, way: Way::Polling(Duration::from_millis(10)) },
    Contender { name: "polling every 100 ms", way: Way::Polling(Duration::from_millis(100)) },
    Contender { name: SLOW, way: Way::Polling(Duration::from_secs(1)) },
];

/// What a server process is asked for.
#[derive(Args, Clone, Copy, Debug)]
pub struct ServeOptions {
    /// How updates are delivered.
    delivery: Delivery,
    /// The core to stay on.
    #[arg(long)]
    core: Option<usize>,
}

/// Serves on a port of the loopback interface, which is the first line printed, until the input
/// ends. The program that calls [`tables`] has to call this for its subcommand [`SERVE`].
///
/// # Errors
///
/// It cannot start.
pub fn serve(options: ServeOptions) -> io::Result<()> {
    if let Some(core) = options.core {
        machine::pin(core)?;
    }
    machine::connections_possible();
    server::serve(options.delivery)
}

/// One turn of every contender.
#[derive(Args, Clone, Copy, Debug)]
pub struct DeliverOptions {
    /// How many clients there are.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// How many updates are published.
    #[arg(long, default_value_t = 1000)]
    updates: u64,
    /// The mean gap between two of them, in microseconds.
    #[arg(long, default_value_t = 10_000)]
    mean: u64,
}

/// Delivers updates in each way and prints what was found.
///
/// # Errors
///
/// A server does not start, or an update does not come as it should.
pub fn deliver(options: DeliverOptions) -> io::Result<()> {
    let bench = Bench::new()?;
    let mean = Duration::from_micros(options.mean);
    let order = Order { updates: options.updates, mean, seed: 1 };
    for contender in CONTENDERS {
        let mut stand = Stand::open(contender, &bench.launcher, &bench.runtime, options.clients)?;
        let turn = stand.turn(&bench.runtime, order)?;
        let (sent, received) = turn.bytes();
        println!(
            "{:26} {} deliveries, p50 {} us, p99 {} us, {} B an update to the server, {} B to the \
             client, server CPU {} us an update",
            contender.name,
            turn.deliveries,
            number(turn.percentile(50.0)),
            number(turn.percentile(99.0)),
            number(sent),
            number(received),
            number(turn.cpu_per_delivery()),
        );
    }
    Ok(())
}

/// The updates of a table.
#[derive(Clone, Copy, Debug)]
struct Plan {
    id: &'static str,
    clients: usize,
    rounds: u64,
    /// How many updates there are in each round.
    updates: u64,
}

/// The mean gap between two updates.
const MEAN: Duration = Duration::from_millis(10);

const fn plans(scale: Scale) -> [Plan; 2] {
    let (rounds, updates, many_rounds, many_updates) = match scale {
        Scale::Quick => (2, 50, 2, 25),
        Scale::Full => (5, 200, 3, 100),
    };
    [
        Plan { id: "push-1", clients: 1, rounds, updates },
        Plan { id: "push-100", clients: 100, rounds: many_rounds, updates: many_updates },
    ]
}

/// Measures the tables whose id is `wanted`. The program that calls this has to have a subcommand
/// [`SERVE`] with [`ServeOptions`], for it starts itself anew for each server.
pub fn tables(
    scale: Scale,
    wanted: &dyn Fn(&str) -> bool,
    progress: &mut dyn FnMut(&str),
) -> Vec<Table> {
    let plans = plans(scale).into_iter().filter(|plan| wanted(plan.id) || wanted(ID));
    let plans: Vec<Plan> = plans.collect();
    if plans.is_empty() {
        return Vec::new();
    }
    let bench = Bench::new().expect("the cores can be divided");
    plans.into_iter().map(|plan| bench.table(plan, progress)).collect()
}

struct Bench {
    launcher: Launcher,
    runtime: Runtime,
    /// The clients' core is their own as long as this lives.
    _cores: Cores,
}

impl Bench {
    fn new() -> io::Result<Self> {
        let cores = Cores::divide()?;
        machine::connections_possible();
        let launcher = Launcher { program: std::env::current_exe()?, core: cores.servers };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { launcher, runtime, _cores: cores })
    }

    /// All contenders in turn, for as many rounds as are planned; who fails is told of and left
    /// out.
    fn table(&self, plan: Plan, progress: &mut dyn FnMut(&str)) -> Table {
        let mut stands = Vec::new();
        let mut failures = Vec::new();
        for contender in CONTENDERS {
            match Stand::open(contender, &self.launcher, &self.runtime, plan.clients) {
                Ok(stand) => stands.push((stand, Vec::new())),
                Err(error) => failures.push(format!("{}: {error}", contender.name)),
            }
        }
        for round in 0..plan.rounds {
            progress(&format!("{}: round {} of {}", plan.id, round + 1, plan.rounds));
            // The same moments for all.
            let order = Order { updates: plan.updates, mean: MEAN, seed: round };
            // Each round begins with another contender.
            if round > 0 && !stands.is_empty() {
                stands.rotate_left(1);
            }
            stands.retain_mut(|(stand, turns)| match stand.turn(&self.runtime, order) {
                Ok(turn) => {
                    turns.push(turn);
                    true
                }
                Err(error) => {
                    failures.push(format!("{}: {error}", stand.contender.name));
                    false
                }
            });
        }
        for failure in &failures {
            progress(failure);
        }
        let position = |stand: &Stand| {
            CONTENDERS.iter().position(|contender| contender.name == stand.contender.name)
        };
        stands.sort_by_key(|(stand, _)| position(stand));
        let figures = figures(&stands);
        let table = Table {
            id: plan.id.into(),
            title: match plan.clients {
                1 => "Push against polling: one client".into(),
                clients => format!("Push against polling: {clients} clients"),
            },
            unit: format!("{} updates to each client", plan.rounds * plan.updates),
            note: String::new(),
            smaller_is_better: true,
            lenient: Vec::new(),
            figures,
        };
        Table { note: note::note(plan, &table, &failures), ..table }
    }
}

fn figures(stands: &[(Stand, Vec<Turn>)]) -> Vec<Figure> {
    type Quantity = (&'static str, fn(&Turn) -> f64);
    const BY_TURN: [Quantity; 6] = [
        (MEDIAN, |turn| turn.percentile(50.0)),
        (TAIL, |turn| turn.percentile(99.0)),
        (SENT, |turn| turn.bytes().0),
        (RECEIVED, |turn| turn.bytes().1),
        (BYTES, |turn| turn.bytes().0 + turn.bytes().1),
        (CPU, Turn::cpu_per_delivery),
    ];
    type Total = (&'static str, fn(&Stand) -> f64);
    const IN_ALL: [Total; 3] = [
        (CPU_IN_ALL, |stand| stand.server_cpu().as_secs_f64() * 1e3),
        (OPENING, Stand::opening),
        (REQUESTS, Stand::requests),
    ];
    let mut figures = Vec::new();
    for (row, of) in BY_TURN {
        for (stand, turns) in stands {
            figures.push(figure(row, stand.contender.name, turns.iter().map(of).collect()));
        }
    }
    for (row, of) in IN_ALL {
        for (stand, _) in stands {
            figures.push(figure(row, stand.contender.name, vec![of(stand)]));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::report::markdown::{Kind, kind};

    #[test]
    fn every_contender_names_a_delivery_and_there_is_one_of_ours() {
        let delivery = |one: &Contender| Delivery::from_str(one.delivery_name(), false);
        assert!(CONTENDERS.iter().all(|one| delivery(one).is_ok()));
        let ours = CONTENDERS.iter().filter(|one| kind(one.name) == Kind::Ours);
        assert!(ours.map(|one| one.way).eq([Way::WebSocket]));
    }

    #[test]
    fn a_full_run_publishes_a_thousand_updates_to_one_client() {
        let [one, many] = plans(Scale::Full);
        assert_eq!((one.clients, one.rounds * one.updates, many.clients), (1, 1000, 100));
    }
}
