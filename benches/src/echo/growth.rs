//! How the cost of a message grows with the number of connections.

use std::time::Duration;

use super::load::Load;
use super::servers::{FLOOR, OURS};
use super::{Bench, settle};
use crate::Scale;
use crate::results::{Table, figure};

/// The name of the table.
pub(super) const ID: &str = "connections-growth";

const PAYLOAD_LENGTH: usize = 20;

/// In one of the series, so many messages are in flight over all connections.
const IN_FLIGHT: usize = 10_000;

/// Measures ours and the floor from one connection to ten thousand.
pub(super) fn table(bench: &Bench, scale: Scale, progress: &mut dyn FnMut(&str)) -> Table {
    let (counts, rounds, period): (&[usize], usize, Duration) = match scale {
        Scale::Quick => (&[1, 10, 100, 1000], 1, Duration::from_millis(150)),
        Scale::Full => {
            (&[1, 3, 10, 30, 100, 300, 1000, 3000, 10_000], 3, Duration::from_millis(400))
        }
    };
    let servers =
        bench.start_all(|contender| [OURS, FLOOR].contains(&contender.name), false, progress);
    let mut figures = Vec::new();
    for &count in counts {
        let count = count.min(bench.connections_possible);
        progress(&format!("echo: {count} connections"));
        for (series, in_flight) in
            [("1 in flight each", 1), ("10,000 in flight in all", IN_FLIGHT.div_ceil(count))]
        {
            for (contender, server) in &servers {
                let mut samples = Vec::new();
                for _ in 0..rounds {
                    let measured =
                        Load::connect(server.address, contender.raw, count, PAYLOAD_LENGTH)
                            .and_then(|mut load| {
                                load.run(in_flight, period / 3, period, || server.cpu())
                            })
                            .and_then(|measured| settle(server).map(|()| measured));
                    match measured {
                        Ok(measured) => samples.push(measured.cpu_per_message()),
                        Err(error) => progress(&format!("{}: {error}", contender.name)),
                    }
                }
                if !samples.is_empty() {
                    let name = format!("{}, {series}", contender.name);
                    figures.push(figure(&count.to_string(), &name, samples));
                }
            }
        }
    }
    Table {
        id: ID.into(),
        title: "Echo of 20 B by the number of connections: server CPU".into(),
        unit: "ns a message".into(),
        note: format!(
            "With 1 in flight each, every message is a read and a write of its own; with one \
             connection, the server also goes to sleep and is woken for each. With 10,000 in \
             flight in all, each connection has the fewer messages in a read, the more connections \
             there are. {}",
            bench.cores_note(),
        ),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}
