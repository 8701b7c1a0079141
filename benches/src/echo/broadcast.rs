//! One message to many connections.

use std::io;
use std::time::Duration;

use super::load::{Load, Measured};
use super::process::ServerProcess;
use super::servers::Contender;
use super::{Bench, settle};
use crate::Scale;
use crate::results::{Table, figure};

/// The name of the table.
pub(super) const ID: &str = "broadcast";

const PAYLOAD_LENGTH: usize = 1024;

/// Measures each server that can broadcast.
pub(super) fn table(bench: &Bench, scale: Scale, progress: &mut dyn FnMut(&str)) -> Table {
    let (wanted, rounds, period) = match scale {
        Scale::Quick => (1_000, 3, Duration::from_millis(150)),
        Scale::Full => (10_000, 5, Duration::from_millis(600)),
    };
    let connections = wanted.min(bench.connections_possible);
    let row = format!("{connections} connections");
    let servers = bench.start_all(Contender::broadcasts, true, progress);
    let mut figures = Vec::new();
    for (contender, server) in &servers {
        progress(&format!("broadcast to {row}: {}", contender.name));
        match measure(server, connections, rounds, period) {
            Ok(measured) => {
                let samples = measured.iter().map(Measured::cpu_per_message).collect();
                figures.push(figure(&row, contender.name, samples));
            }
            Err(error) => progress(&format!("{}: {error}", contender.name)),
        }
    }
    Table {
        id: ID.into(),
        title: "Broadcast of 1 KiB: server CPU".into(),
        unit: "ns a delivery".into(),
        note: format!(
            "A message that comes on one connection is sent to all of them, one after the other, \
             by one task that holds the sending halves: ours framed once (`send_prepared`), the \
             others by `send` of a shared payload, which is how they do it. Each delivery is \
             compared byte by byte. {}",
            bench.cores_note(),
        ),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

fn measure(
    server: &ServerProcess,
    connections: usize,
    rounds: usize,
    period: Duration,
) -> io::Result<Vec<Measured>> {
    let mut load = Load::connect(server.address, false, connections, PAYLOAD_LENGTH)?;
    // What is allocated once is no cost of a delivery.
    load.broadcast(Duration::ZERO, || server.cpu())?;
    let measured =
        (0..rounds).map(|_| load.broadcast(period, || server.cpu())).collect::<io::Result<_>>()?;
    drop(load);
    settle(server)?;
    Ok(measured)
}
