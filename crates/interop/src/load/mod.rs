//! `duologue-interop load`: a server under load and under attack, in a process of its own.
//!
//! It runs in three parts: a crowd of idle connections and a server that stops in an orderly way
//! ([`crowd`]), attackers of all kinds with honest clients among them ([`siege`]), and a server
//! that is killed again and again ([`kills`]). Each tells what it measured and whether the bounds
//! were kept; it takes two and a half minutes, or half a minute with `--quick`.

mod attackers;
mod crowd;
mod honest;
mod kills;
mod process;
mod report;
mod scale;
mod server;
mod siege;
mod sources;

use clap::{Args, ValueEnum};
use duologue_tokio::Error;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::report::Report;
use self::scale::Scale;
pub(crate) use self::server::{Options as ServerOptions, serve};
use crate::Adapter;
use crate::tokio_peer::block_on;

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// A tenth of the connections and attackers, ten kills, and deadlines of a few seconds.
    #[arg(long)]
    quick: bool,
    /// Which adapter the server is made with. The blocking one has a thread for each connection.
    #[arg(long, default_value = "tokio")]
    adapter: Adapter,
    /// Only this part; may be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Crowd,
    Siege,
    Kills,
}

/// Runs the parts one after the other.
///
/// # Errors
///
/// What kept a part from coming to its end; that a bound was missed.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let scale = if options.quick { Scale::QUICK } else { Scale::FULL };
    let scale = scale.of(options.adapter);
    allow_many_files()?;
    let mut report = Report::default();
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    block_on(async {
        if wanted(Part::Crowd) {
            crowd::run(&scale, &mut report).await?;
        }
        if wanted(Part::Siege) {
            siege::run(&scale, &mut report).await?;
        }
        if wanted(Part::Kills) {
            kills::run(&scale, &mut report).await?;
        }
        Ok::<_, Error>(())
    })?;
    if report.end() { Ok(()) } else { Err(std::io::Error::other("a bound was missed").into()) }
}

/// Each connection is a file, here and in the server, which inherits the limit.
fn allow_many_files() -> Result<(), Error> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(std::io::Error::from)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(std::io::Error::from)?;
    Ok(())
}
