//! `duologue-echo`: the servers that the benchmarks measure, one at a time, and loads on them.

use std::io;

use clap::{Parser, Subcommand};
use duologue_benches::Scale;
use duologue_benches::echo::{self, LoadOptions, ServeOptions};
use duologue_benches::results::Table;

/// The servers that the benchmarks measure, one at a time, and loads on them.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve on a port of the loopback interface, which is printed, until the input ends.
    Serve(ServeOptions),
    /// Measure one load on one server, or on each of them.
    Load(LoadOptions),
    /// Measure everything that has to do with sockets.
    Tables {
        /// Fewer rows and shorter rounds.
        #[arg(long)]
        quick: bool,
        /// Measure only the tables with these ids.
        #[arg(long, num_args = 1.., value_name = "ID")]
        only: Vec<String>,
    },
}

fn main() -> io::Result<()> {
    match Cli::parse().command {
        Command::Serve(options) => echo::serve(&options),
        Command::Load(options) => echo::load(&options),
        Command::Tables { quick, only } => {
            let scale = if quick { Scale::Quick } else { Scale::Full };
            let wanted = |id: &str| only.is_empty() || only.iter().any(|wanted| wanted == id);
            for table in echo::selected(scale, &wanted, &mut |step| eprintln!("{step}")) {
                print(&table);
            }
            Ok(())
        }
    }
}

/// Prints the medians, and half the distance of the quartiles as a part of them.
fn print(table: &Table) {
    let contenders = table.contenders();
    println!("\n### {}: {} (`{}`)\n", table.title, table.unit, table.id);
    println!("| | {} |\n|---|{}", contenders.join(" | "), "---|".repeat(contenders.len()));
    for row in table.rows() {
        let cells = contenders.iter().map(|contender| match table.figure(row, contender) {
            None => "-".into(),
            Some(figure) => {
                let spread = (figure.high - figure.low) / 2.0 / figure.median;
                format!("{:.0} ({:.0}%)", figure.median, spread * 100.0)
            }
        });
        println!("| {row} | {} |", cells.collect::<Vec<String>>().join(" | "));
    }
    println!("\n{}", table.note);
}
