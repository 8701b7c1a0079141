//! The grid: connections by payload lengths by messages in flight.

use std::io;
use std::time::Duration;

use super::load::{Load, Measured};
use super::process::ServerProcess;
use super::servers::Contender;
use super::{Bench, settle, usage};
use crate::Scale;
use crate::results::{Figure, Table, figure};

/// One load.
#[derive(Clone, Copy, Debug)]
struct Cell {
    connections: usize,
    payload_length: usize,
    in_flight: usize,
}

/// More bytes than these are not on their way at once, over all connections of a cell.
const IN_FLIGHT_BYTES: usize = 128 * 1024 * 1024;

/// The sizes as they are named in a row.
const SIZES: &[(usize, &str)] =
    &[(20, "20 B"), (1024, "1 KiB"), (16 * 1024, "16 KiB"), (64 * 1024, "64 KiB")];

/// How the figures of all cells are taken.
struct Plan {
    connections: &'static [usize],
    sizes: &'static [(usize, &'static str)],
    rounds: fn(Cell) -> usize,
    warm_up: Duration,
    period: Duration,
}

fn plan(scale: Scale) -> Plan {
    match scale {
        Scale::Quick => Plan {
            connections: &[100],
            sizes: &SIZES[..3],
            rounds: |_| 3,
            warm_up: Duration::from_millis(50),
            period: Duration::from_millis(150),
        },
        Scale::Full => Plan {
            connections: &[100, 1, 10, 500],
            sizes: SIZES,
            // Those that goals are set for.
            rounds: |cell| if cell.connections == 100 { 7 } else { 3 },
            warm_up: Duration::from_millis(60),
            period: Duration::from_millis(300),
        },
    }
}

/// What is told of a cell: the unit, the table's words, and how it is taken.
struct Quantity {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    smaller_is_better: bool,
    of: fn(&Measured) -> f64,
}

const QUANTITIES: &[Quantity] = &[
    Quantity {
        id: "cpu",
        title: "server CPU",
        unit: "ns a message",
        smaller_is_better: true,
        of: Measured::cpu_per_message,
    },
    Quantity {
        id: "throughput",
        title: "throughput",
        unit: "messages/s",
        smaller_is_better: false,
        of: Measured::throughput,
    },
    Quantity {
        id: "latency-p50",
        title: "median latency",
        unit: "us",
        smaller_is_better: true,
        of: |measured| measured.percentile(50.0),
    },
    Quantity {
        id: "latency-p99",
        title: "99th percentile of latency",
        unit: "us",
        smaller_is_better: true,
        of: |measured| measured.percentile(99.0),
    },
];

impl Measured {
    /// The server's processor time, in nanoseconds.
    pub(super) fn cpu_per_message(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e9 / self.messages as f64
    }

    /// Messages a second.
    pub(super) fn throughput(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile of latency, in microseconds.
    pub(super) fn percentile(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }
}

/// Measures the grid, or the half of it that is needed for the tables that are `wanted`.
pub(super) fn tables(
    bench: &Bench,
    scale: Scale,
    wanted: &dyn Fn(&str) -> bool,
    progress: &mut dyn FnMut(&str),
) -> Vec<Table> {
    let plan = plan(scale);
    let id = |in_flight, quantity: &Quantity| format!("echo-{in_flight}-in-flight-{}", quantity.id);
    let mut depths = vec![64, 1];
    depths.retain(|in_flight| QUANTITIES.iter().any(|quantity| wanted(&id(*in_flight, quantity))));
    if depths.is_empty() {
        return Vec::new();
    }
    let servers = bench.start_all(|_| true, false, progress);
    let mut tables = Vec::new();
    for in_flight in depths {
        let mut figures: Vec<Vec<Figure>> = QUANTITIES.iter().map(|_| Vec::new()).collect();
        let mut failures = Vec::new();
        for &connections in plan.connections {
            for &(payload_length, size) in plan.sizes {
                let cell = Cell { connections, payload_length, in_flight };
                let row = match connections {
                    1 => format!("1 connection, {size}"),
                    _ => format!("{connections} connections, {size}"),
                };
                progress(&format!("echo: {row}, {in_flight} in flight"));
                measure(&plan, cell, &row, &servers, &mut figures, &mut failures);
            }
        }
        for failure in &failures {
            progress(failure);
        }
        let note = note(bench, &plan, in_flight, &servers, &failures);
        let lenient: Vec<String> = servers
            .iter()
            .filter(|(contender, _)| contender.lenient)
            .map(|(contender, _)| contender.name.to_owned())
            .collect();
        for (quantity, figures) in QUANTITIES.iter().zip(figures) {
            tables.push(Table {
                id: id(in_flight, quantity),
                title: format!("Echo over TCP, {in_flight} in flight: {}", quantity.title),
                unit: quantity.unit.into(),
                note: if quantity.id == "cpu" {
                    note.clone()
                } else {
                    format!("In the same run as the server CPU with {in_flight} in flight.")
                },
                smaller_is_better: quantity.smaller_is_better,
                lenient: lenient.clone(),
                figures,
            });
        }
    }
    tables.retain(|table: &Table| wanted(&table.id));
    tables
}

fn note(
    bench: &Bench,
    plan: &Plan,
    in_flight: usize,
    servers: &[(&'static Contender, ServerProcess)],
    failures: &[String],
) -> String {
    let failed = if failures.is_empty() {
        String::new()
    } else {
        format!(" Failed: {}.", failures.join("; "))
    };
    let cap = if in_flight == 1 {
        String::new()
    } else {
        format!(
            " At most {} MiB are in flight over all connections, so fewer than {in_flight} each \
             where that is less.",
            IN_FLIGHT_BYTES / 1024 / 1024
        )
    };
    format!(
        "Binary messages over loopback TCP; each echo is compared byte by byte. {} Each round \
         opens the connections anew and measures {} ms after {} ms; CPU is the process's clock, \
         program and kernel.{cap} {}{failed}",
        bench.cores_note(),
        plan.period.as_millis(),
        plan.warm_up.as_millis(),
        usage(servers.iter().map(|(contender, _)| *contender)),
    )
}

/// All contenders in turn, for as many rounds as are planned.
fn measure(
    plan: &Plan,
    cell: Cell,
    row: &str,
    servers: &[(&'static Contender, ServerProcess)],
    figures: &mut [Vec<Figure>],
    failures: &mut Vec<String>,
) {
    let mut measured: Vec<Vec<Measured>> = servers.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; servers.len()];
    for round in 0..(plan.rounds)(cell) {
        for turn in 0..servers.len() {
            // Nobody always comes after the same one.
            let index = (turn + round * 5) % servers.len();
            let (contender, server) = &servers[index];
            if failed[index] {
                continue;
            }
            match measure_once(plan, cell, contender, server) {
                Ok(result) => measured[index].push(result),
                Err(error) => {
                    failed[index] = true;
                    failures.push(format!("{}, {row}: {error}", contender.name));
                }
            }
        }
    }
    for (index, (contender, _)) in servers.iter().enumerate() {
        if !failed[index] {
            for (quantity, figures) in QUANTITIES.iter().zip(&mut *figures) {
                let samples = measured[index].iter().map(quantity.of).collect();
                figures.push(figure(row, contender.name, samples));
            }
        }
    }
}

fn measure_once(
    plan: &Plan,
    cell: Cell,
    contender: &Contender,
    server: &ServerProcess,
) -> io::Result<Measured> {
    let allowed = IN_FLIGHT_BYTES / (cell.connections * cell.payload_length);
    let in_flight = cell.in_flight.min(allowed).max(1);
    let mut load =
        Load::connect(server.address, contender.raw, cell.connections, cell.payload_length)?;
    let measured = load.run(in_flight, plan.warm_up, plan.period, || server.cpu())?;
    drop(load);
    settle(server)?;
    Ok(measured)
}
