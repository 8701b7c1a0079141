//! `duologue`: WebSocket from the command line.
#![forbid(unsafe_code)]

mod connect;
mod hex;
mod serve;
mod terminal;

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
}

const EXIT_STATUS: &str = "\
Exit status: 0 after a clean end, 1 if there was no connection to be had or nothing to listen on,
2 for wrong arguments, 3 if a connection ended otherwise than by a closing handshake.";

/// No connection was to be had.
const NOT_CONNECTED: u8 = 1;

/// The connection did not end cleanly.
const NOT_CLEAN: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("duologue: cannot start: {error}");
            return ExitCode::from(NOT_CONNECTED);
        }
    };
    let code = match cli.command {
        Command::Serve(options) => runtime.block_on(serve::run(options)),
        Command::Connect(options) => runtime.block_on(connect::run(options)),
    };
    // A thread may still wait for the terminal.
    runtime.shutdown_background();
    code
}
