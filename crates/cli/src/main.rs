//! `duologue`: WebSocket from the command line.
#![forbid(unsafe_code)]

mod bench;
mod compression;
mod connect;
mod hex;
mod serve;
mod signals;
mod terminal;
mod tls;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// WebSocket (RFC 6455) from the command line.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_STATUS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an echo server with a tester page on the same port.
    Serve(serve::Options),
    /// Talk to a server: lines go out, messages come in.
    Connect(connect::Options),
    /// Put a load on an echo server, and tell how fast it answers.
    Bench(bench::Options),
}

const EXIT_STATUS: &str = "\
Exit status:
  0  a clean end
  1  there was no connection to be had, or nothing to listen on
  2  wrong arguments, input that cannot be sent or output that cannot be written
  3  a connection ended otherwise than by a closing handshake, or the peer closed it with a code
     that tells of an error, or what came back to `bench` was not what was sent";

/// No connection was to be had, or nothing to listen on.
const NOT_CONNECTED: u8 = 1;

/// What the person gave or asked for cannot be done.
const WRONG_USE: u8 = 2;

/// A connection did not end cleanly.
const NOT_CLEAN: u8 = 3;

/// Tells of a failure. That nobody can be told is none.
fn tell_failure(failure: &str) {
    let _ = writeln!(io::stderr(), "duologue: {failure}");
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell_failure(&format!("cannot start: {error}"));
            return ExitCode::from(NOT_CONNECTED);
        }
    };
    let code = match cli.command {
        Command::Serve(options) => runtime.block_on(serve::run(options)),
        Command::Connect(options) => runtime.block_on(connect::run(options)),
        Command::Bench(options) => runtime.block_on(bench::run(options)),
    };
    // A thread may still wait for the terminal.
    runtime.shutdown_background();
    code
}
