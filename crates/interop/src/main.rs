//! Echo servers and echo clients of both adapters, for the suites that test them from outside.
//!
//! They are what an application would write, with the adapters' defaults but for the size of
//! messages (the suites send 16 MiB and a little) and for compression, which is on and spares no
//! message. With `--commands` they do not echo, but do as they are told, for what an echo cannot
//! show: see [`command`].
#![forbid(unsafe_code)]

mod command;
mod load;
mod options;
mod std_obeying;
mod std_peer;
mod tls;
mod tokio_obeying;
mod tokio_peer;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use duologue_interop::fault_proxy;
use duologue_tokio::Error;

use crate::options::Options;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Echo every message, until killed. The first line printed tells the address.
    EchoServer {
        /// Which adapter serves.
        #[arg(long)]
        adapter: Adapter,
        /// The address and port to listen on; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        addr: String,
        #[command(flatten)]
        options: Options,
    },
    /// Echo every message of a server, until it closes the connection.
    EchoClient {
        /// Which adapter connects.
        #[arg(long)]
        adapter: Adapter,
        /// The server.
        #[arg(long)]
        url: String,
        #[command(flatten)]
        options: Options,
    },
    /// Make an authority, and a certificate for a server on this machine.
    Certificates {
        /// Where ca.pem, server.pem and server.key go.
        directory: PathBuf,
    },
    /// Pass TCP connections on, and break each of them in a way that the seed decides, until killed.
    /// The first line printed tells the address.
    FaultProxy {
        /// The address and port to listen on; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// The address and port that connections are passed on to.
        #[arg(long)]
        to: String,
        /// Equal seeds break the same connections in the same way.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Put a server under load and under attack, kill it, and tell whether its bounds were kept.
    Load(#[command(flatten)] load::Options),
    /// The server that `load` puts under load.
    #[command(hide = true)]
    LoadServer(#[command(flatten)] load::ServerOptions),
    /// Run every case of an Autobahn fuzzing server, echoing what it sends.
    AutobahnClient {
        /// Which adapter connects.
        #[arg(long)]
        adapter: Adapter,
        /// The fuzzing server.
        #[arg(long)]
        url: String,
        /// The name to go by in the report.
        #[arg(long)]
        agent: String,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Adapter {
    Tokio,
    Std,
}

fn main() -> ExitCode {
    use Adapter::{Std, Tokio};
    let result = match Cli::parse().command {
        Command::Certificates { directory } => tls::make_certificates(&directory),
        Command::FaultProxy { listen, to, seed } => {
            tokio_peer::block_on(async { Ok(fault_proxy::serve(&listen, &to, seed).await?) })
        }
        Command::Load(options) => load::run(&options),
        Command::LoadServer(options) => load::serve(&options),
        Command::EchoServer { adapter: Tokio, addr, options } => tokio_peer::serve(&addr, &options),
        Command::EchoServer { adapter: Std, addr, options } => std_peer::serve(&addr, &options),
        Command::EchoClient { adapter: Tokio, url, options } => tokio_peer::connect(&url, &options),
        Command::EchoClient { adapter: Std, url, options } => std_peer::connect(&url, &options),
        Command::AutobahnClient { adapter: Tokio, url, agent, options } => {
            tokio_peer::run_cases(&url, &agent, &options)
        }
        Command::AutobahnClient { adapter: Std, url, agent, options } => {
            std_peer::run_cases(&url, &agent, &options)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("duologue-interop: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The URLs of a fuzzing server.
struct Suite<'a> {
    url: &'a str,
    agent: &'a str,
}

impl Suite<'_> {
    fn case_count(&self) -> String {
        format!("{}/getCaseCount", self.url)
    }

    fn case(&self, number: u32) -> String {
        format!("{}/runCase?case={number}&agent={}", self.url, self.agent)
    }

    fn report(&self) -> String {
        format!("{}/updateReports?agent={}", self.url, self.agent)
    }
}

/// The number of cases, from the message that tells it.
fn parse_count(text: Option<&str>) -> Result<u32, Error> {
    let no_number = || std::io::Error::other("the fuzzing server told no number of cases");
    Ok(text.and_then(|text| text.trim().parse().ok()).ok_or_else(no_number)?)
}

/// A case ended. Many end with an error by intent; what counts is the suite's own report. But a
/// case that could not be begun is a failure of the run.
fn judge_case(number: u32, result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(Error::Io(std::io::Error::new(error.kind(), format!("case {number}: {error}"))))
        }
        _ => Ok(()),
    }
}
