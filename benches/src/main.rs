//! Measures duologue beside its peers, and writes the report.
#![allow(missing_docs, reason = "a program")]

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use duologue_benches::echo::{self, ServeOptions};
use duologue_benches::report::record::Record;
use duologue_benches::{Scale, counting, instructions, push, report};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Measures duologue beside its peers.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures everything and writes docs/performance.md, its plots, and a record.
    Report {
        /// Take three minutes instead of half an hour.
        #[arg(long)]
        quick: bool,
        /// Measure only the tables with these ids, print them, and write no file.
        #[arg(long, num_args = 1.., value_name = "ID")]
        only: Vec<String>,
        /// Write the tables of `--only` into docs/performance.md, which keeps the others, with
        /// their plots and a record of their own.
        #[arg(long, requires = "only")]
        write: bool,
    },
    /// Serves as one of the echo servers that the report measures, which starts it by itself.
    #[command(hide = true)]
    Serve(ServeOptions),
    /// Delivers updates to clients by push and by polling, and prints what each way takes.
    Push(push::DeliverOptions),
    /// Serves updates, as the report and `push` ask for it.
    #[command(name = push::SERVE, hide = true)]
    ServePush(push::ServeOptions),
    /// Does one contender's work, for callgrind to count.
    #[command(name = instructions::CHILD, hide = true)]
    InstructionsChild { row: String, contender: String, iterations: u64 },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Report { quick, only, write } => run(quick, &only, write),
        Command::Serve(options) => finish(echo::serve(&options).map_err(|error| error.to_string())),
        Command::Push(options) => finish(push::deliver(options).map_err(|error| error.to_string())),
        Command::ServePush(options) => {
            finish(push::serve(options).map_err(|error| error.to_string()))
        }
        Command::InstructionsChild { row, contender, iterations } => {
            finish(instructions::child(&row, &contender, iterations))
        }
    }
}

fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(quick: bool, only: &[String], write: bool) -> ExitCode {
    let scale = if quick { Scale::Quick } else { Scale::Full };
    let begun = Instant::now();
    let mut progress = |text: &str| {
        let _ = writeln!(std::io::stderr(), "[{:4} s] {text}", begun.elapsed().as_secs());
    };
    let tables = report::measure(scale, only, &mut progress);
    if tables.is_empty() {
        return finish(Err(format!("no table is called {}", only.join(" or "))));
    }
    if !only.is_empty() {
        for table in &tables {
            let text = report::markdown::table(table);
            let _ = writeln!(std::io::stdout(), "### {}\n\n{text}", table.title);
        }
        if !write {
            return ExitCode::SUCCESS;
        }
    }
    let record = Record::new(scale, tables);
    let result = match only {
        [] => report::write(&record),
        _ => report::write_only(&record, &only.join("-")),
    };
    for file in result.iter().flatten() {
        progress(&format!("written: {}", file.display()));
    }
    finish(result.map(|_| ()).map_err(|error| error.to_string()))
}
