//! Instructions a message, counted by callgrind.
//!
//! A child of this program does one contender's work, once for some iterations and once for three
//! times as many: the difference is what the iterations alone take. So a count is exact where time
//! would be noise. Only what one function does is counted, for setting up may depend on the time.

use std::process::Command;
use std::sync::Mutex;

use bytes::Bytes;
use duologue_core::MessageType;

use crate::memory::batch::Batch;
use crate::memory::{binary, receive, send};
use crate::results::{Figure, Table, figure, names};
use crate::scale::Scale;
use crate::timing::{Contender, whole};

/// How the child is called: with a row, a contender, and a number of iterations.
pub const CHILD: &str = "instructions-child";

const ROWS: [&str; 8] = [
    "receive binary, 16 B",
    "receive binary, 125 B",
    "receive text, 16 B",
    "receive text, 125 B",
    "send as a server, 16 B",
    "send as a server, 125 B",
    "send as a client, 16 B",
    "send as a client, 125 B",
];

/// Those that a quick run has time for.
const QUICK: [&str; 4] = ["ours", "ours, borrowed", "ours, messages", "tungstenite"];

/// What a contender of `row` does with the contenders that `work` is given.
fn with_contenders<T>(row: &str, work: impl FnOnce(Vec<Contender<'_>>) -> T) -> T {
    let (what, size) = row.split_once(", ").expect("a row names a size");
    let size = if size == "16 B" { 16 } else { 125 };
    let payload = Bytes::from(binary(size));
    match what {
        "receive binary" => work(receive::contenders(&Batch::new(MessageType::Binary, size, 1))),
        "receive text" => work(receive::contenders(&Batch::new(MessageType::Text, size, 1))),
        "send as a server" => work(send::server_contenders(&payload)),
        _ => work(send::client_contenders(&payload)),
    }
}

/// Few: callgrind is slow, and one iteration of receiving is a batch of hundreds of messages.
fn iterations(row: &str) -> u64 {
    if row.starts_with("receive") { 4 } else { 2000 }
}

/// The work of the child.
///
/// # Errors
///
/// If there is no such contender.
pub fn child(row: &str, name: &str, iterations: u64) -> Result<(), String> {
    with_contenders(row, |contenders| {
        let mut found = contenders.into_iter().filter(|contender| contender.name() == name);
        let mut contender = found.next().ok_or_else(|| format!("no contender is called {name}"))?;
        // Once uncounted, for what is made ready the first time.
        contender.run(iterations);
        counted_by_callgrind(&mut contender, iterations);
        Ok(())
    })
}

/// What is counted: callgrind is told this name.
#[inline(never)]
fn counted_by_callgrind(contender: &mut Contender<'_>, iterations: u64) {
    contender.run(core::hint::black_box(iterations));
}

/// Runs a child under callgrind; the instructions it took in all.
fn collected(row: &str, name: &str, iterations: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*counted_by_callgrind*")
        .arg(program)
        .args([CHILD, row, name, &iterations.to_string()])
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    parse(&report).ok_or_else(|| format!("{row}, {name}: callgrind told no count: {report}"))
}

/// The count in what callgrind reports.
fn parse(report: &str) -> Option<u64> {
    let (_, after) = report.split_once("Collected : ")?;
    after.split_whitespace().next()?.parse().ok()
}

fn per_message(row: &str, name: &str, units: f64) -> Result<Figure, String> {
    let iterations = iterations(row);
    let few = collected(row, name, iterations)?;
    let many = collected(row, name, 3 * iterations)?;
    let each = whole(many.saturating_sub(few)) / (whole(2 * iterations) * units);
    Ok(figure(row, name, vec![each]))
}

/// The comparison; without figures, and with a note that says why, where there is no valgrind.
#[must_use]
pub fn table(scale: Scale) -> Table {
    let mut work = Vec::new();
    for row in ROWS {
        with_contenders(row, |contenders| {
            for contender in contenders {
                let name = contender.name().to_owned();
                let wanted = scale == Scale::Full || QUICK.contains(&name.as_str());
                if wanted && !name.contains("floor") {
                    work.push((row, name, contender.units()));
                }
            }
        });
    }
    // Counts do not suffer from a neighbour, so two children run at once.
    let results = Mutex::new(vec![None; work.len()]);
    let next = core::sync::atomic::AtomicUsize::new(0);
    let available = Command::new("valgrind").arg("--version").output().is_ok();
    std::thread::scope(|scope| {
        for _ in 0..if available { 2 } else { 0 } {
            scope.spawn(|| {
                while let Some((row, name, units)) =
                    work.get(next.fetch_add(1, core::sync::atomic::Ordering::Relaxed))
                {
                    let index = work.iter().position(|(a, b, _)| a == row && b == name).unwrap();
                    let result = per_message(row, name, *units);
                    results.lock().unwrap()[index] = Some(result);
                }
            });
        }
    });
    let mut note = "Counted by callgrind over what two thirds of the iterations of a longer run \
        take; the contenders are those of receiving and sending, and receiving includes the copy \
        that brings the bytes. Marked are those that skip rules of receiving. callgrind knows no AVX-512, and counts what runs without it."
        .to_owned();
    if !available {
        note.push_str(" Not measured: valgrind is not installed.");
    }
    let mut figures = Vec::new();
    for result in results.into_inner().unwrap().into_iter().flatten() {
        match result {
            Ok(figure) => figures.push(figure),
            Err(error) => {
                note.push_str(" Missing: ");
                note.push_str(error.lines().next().unwrap_or_default());
                note.push('.');
            }
        }
    }
    Table {
        id: "instructions".to_owned(),
        title: "Instructions a message".to_owned(),
        unit: "instructions a message".to_owned(),
        note,
        smaller_is_better: true,
        lenient: names(&receive::LENIENT),
        figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_the_report() {
        let report = "==12== Events    : Ir\n==12== Collected : 1234567\n==12==\n";
        assert_eq!(parse(report), Some(1_234_567));
        assert_eq!(parse("==12== Fatal error"), None);
    }

    #[test]
    fn every_row_has_contenders_and_an_unknown_one_is_refused() {
        for row in ROWS {
            child(row, "tungstenite", 1).unwrap();
            assert!(child(row, "nobody", 1).is_err());
        }
    }
}
