//! What an idle connection takes of the server's memory.

use std::io;

use super::load::Load;
use super::process::ServerProcess;
use super::servers::{Contender, FLOOR, OURS};
use super::{Bench, usage};
use crate::Scale;
use crate::results::{Table, figure};

/// The name of the table.
pub(super) const ID: &str = "idle-memory";

/// A message that each connection has echoed before it is idle.
const PAYLOAD_LENGTH: usize = 20;

/// Those of a quick run: ours, the floor, and the peers that take least.
const QUICK: &[&str] = &[OURS, FLOOR, "fastwebsockets", "tokio-websockets", "wtx"];

/// Measures each server with many idle connections.
pub(super) fn table(bench: &Bench, scale: Scale, progress: &mut dyn FnMut(&str)) -> Table {
    let wanted = match scale {
        Scale::Quick => 2_000,
        Scale::Full => 10_000,
    };
    let connections = wanted.min(bench.connections_possible);
    let which = |contender: &Contender| scale == Scale::Full || QUICK.contains(&contender.name);
    let servers = bench.start_all(which, false, progress);
    let mut figures = Vec::new();
    for (contender, server) in &servers {
        progress(&format!("memory of {connections} idle connections: {}", contender.name));
        match measure(contender, server, connections) {
            Ok(bytes) => {
                let row = format!("{connections} connections");
                figures.push(figure(&row, contender.name, vec![bytes]));
            }
            Err(error) => progress(&format!("{}: {error}", contender.name)),
        }
    }
    Table {
        id: ID.into(),
        title: "Memory of an idle connection".into(),
        unit: "bytes a connection".into(),
        note: format!(
            "Growth of the whole process's memory (proportional set size), by the number of \
             connections, each of which has echoed one message of {PAYLOAD_LENGTH} B. The \
             kernel's own memory for sockets is not in it. {}",
            usage(servers.iter().map(|(contender, _)| *contender)),
        ),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

fn measure(contender: &Contender, server: &ServerProcess, connections: usize) -> io::Result<f64> {
    // What the first connection brings into memory belongs to no connection.
    let mut first = Load::connect(server.address, contender.raw, 1, PAYLOAD_LENGTH)?;
    first.touch()?;
    let before = server.memory()?;
    let mut load = Load::connect(server.address, contender.raw, connections, PAYLOAD_LENGTH)?;
    load.touch()?;
    let after = server.memory()?;
    Ok((after as f64 - before as f64) / connections as f64)
}
