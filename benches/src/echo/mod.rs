//! Echo servers over loopback TCP: what a message costs with each of them.
//!
//! Each server is a process of its own with one thread on one core (but for those whose design has
//! more); the generator has another core. A cell of the grid is measured in rounds, in each of
//! which all contenders have their turn. What is quoted first is the server's processor time per
//! message, which the kernel accounts for, since it depends least on the generator.

mod broadcast;
mod grid;
mod growth;
mod handshake;
mod idle;
mod load;
pub(crate) mod machine;
pub(crate) mod process;
mod servers;
mod traffic;

use std::io;
use std::time::Duration;

use clap::Args;

use crate::Scale;
use crate::results::Table;
use load::Load;
use machine::Cores;
use process::{Launcher, ServerProcess};
use servers::{CONTENDERS, Contender};

/// What a server process is asked for.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// The name of the server, as it stands in the tables.
    contender: String,
    /// Send a message that comes to all connections, instead of back.
    #[arg(long)]
    broadcast: bool,
    /// The core to stay on.
    #[arg(long)]
    core: Option<usize>,
}

/// Serves on a port of the loopback interface, which is the first line printed, until the input
/// ends. The program that calls [`selected`] has to call this for its subcommand `serve`.
///
/// # Errors
///
/// There is no such server, or it cannot start.
pub fn serve(options: &ServeOptions) -> io::Result<()> {
    let contender = servers::find(&options.contender).ok_or_else(|| no_such(&options.contender))?;
    if let Some(core) = options.core {
        machine::pin(core)?;
    }
    machine::connections_possible();
    contender.serve(options.broadcast)
}

fn no_such(contender: &str) -> io::Error {
    let names: Vec<&str> = CONTENDERS.iter().map(|contender| contender.name).collect();
    io::Error::other(format!("there is no server {contender:?}; there are {}", names.join(", ")))
}

/// One load on one server.
#[derive(Args, Clone, Debug)]
pub struct LoadOptions {
    /// The name of the server, as it stands in the tables; all of them in turn if there is none.
    contender: Option<String>,
    /// How many connections there are.
    #[arg(long, default_value_t = 100)]
    connections: usize,
    /// The length of a payload, in bytes.
    #[arg(long, default_value_t = 20)]
    size: usize,
    /// How many messages are on their way on each connection.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// How long it is measured for, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// Starts the server and prints what one load found.
///
/// # Errors
///
/// There is no such server, or it does not echo as it should.
pub fn load(options: &LoadOptions) -> io::Result<()> {
    let bench = Bench::new()?;
    let wanted = |contender: &&Contender| {
        options.contender.as_ref().is_none_or(|name| name == contender.name)
    };
    if !CONTENDERS.iter().any(|contender| wanted(&contender)) {
        return Err(no_such(options.contender.as_deref().unwrap_or_default()));
    }
    for contender in CONTENDERS.iter().filter(wanted) {
        let server = match bench.launcher.start(contender.name, false) {
            Ok(server) => server,
            Err(error) if options.contender.is_none() => {
                println!("{:26} is left out: {error}", contender.name);
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut load =
            Load::connect(server.address, contender.raw, options.connections, options.size)?;
        let period = Duration::from_secs_f64(options.seconds);
        let measured = load.run(options.in_flight, period / 4, period, || server.cpu())?;
        println!(
            "{:26} {:9.0} messages/s, server CPU {:6.0} ns a message, p50 {:.0} us, p99 {:.0} us",
            contender.name,
            measured.throughput(),
            measured.cpu_per_message(),
            measured.percentile(50.0),
            measured.percentile(99.0),
        );
    }
    Ok(())
}

/// Measures what has to do with sockets: the tables whose id is `wanted`, and nothing that serves
/// none of them. The program that calls this has to have a subcommand `serve` with
/// [`ServeOptions`], for it starts itself anew for each server.
pub fn selected(
    scale: Scale,
    wanted: &dyn Fn(&str) -> bool,
    progress: &mut dyn FnMut(&str),
) -> Vec<Table> {
    let bench = Bench::new().expect("the cores can be divided");
    let mut tables = grid::tables(&bench, scale, wanted, progress);
    let singles = [
        (growth::ID, growth::table as fn(&Bench, Scale, &mut dyn FnMut(&str)) -> Table),
        (idle::ID, idle::table),
        (broadcast::ID, broadcast::table),
    ];
    for (id, table) in singles {
        if wanted(id) {
            tables.push(table(&bench, scale, progress));
        }
    }
    tables
}

/// What all measurements need.
struct Bench {
    launcher: Launcher,
    /// The generator's core is its own as long as this lives.
    cores: Cores,
    connections_possible: usize,
}

impl Bench {
    fn new() -> io::Result<Self> {
        let cores = Cores::divide()?;
        let launcher = Launcher { program: std::env::current_exe()?, core: cores.servers };
        Ok(Self { launcher, cores, connections_possible: machine::connections_possible() })
    }

    /// A word on the cores, for the notes.
    fn cores_note(&self) -> &'static str {
        match self.cores.servers {
            Some(_) => "Servers on one core, the generator on another.",
            None => "Servers and generator share the only core.",
        }
    }

    /// Starts all contenders that can be started. The others are told of.
    fn start_all(
        &self,
        which: impl Fn(&Contender) -> bool,
        broadcast: bool,
        progress: &mut dyn FnMut(&str),
    ) -> Vec<(&'static Contender, ServerProcess)> {
        let mut servers = Vec::new();
        for contender in CONTENDERS.iter().filter(|contender| which(contender)) {
            match self.launcher.start(contender.name, broadcast) {
                Ok(server) => servers.push((contender, server)),
                Err(error) => progress(&format!("{} is left out: {error}", contender.name)),
            }
        }
        servers
    }
}

/// How each contender is used, for a table's note.
fn usage<'a>(contenders: impl Iterator<Item = &'a Contender>) -> String {
    let uses: Vec<String> =
        contenders.map(|contender| format!("{}: {}", contender.name, contender.note)).collect();
    format!("How each is used: {}.", uses.join("; "))
}

/// Waits until a server is done with the end of connections, lest it takes time from the next one.
fn settle(server: &ServerProcess) -> io::Result<()> {
    let mut before = server.cpu()?;
    for _ in 0..1000 {
        std::thread::sleep(Duration::from_millis(2));
        let now = server.cpu()?;
        if now - before < Duration::from_micros(20) {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}
