//! The report: everything measured, and written down.

pub mod markdown;
pub mod record;
pub mod svg;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::echo;
use crate::memory::COMPARISONS;
use crate::results::Table;
use crate::scale::Scale;
use record::Record;

/// Measures every comparison, or those whose ids are in `only`, and tells `progress` of each.
#[must_use]
pub fn measure(scale: Scale, only: &[String], progress: &mut dyn FnMut(&str)) -> Vec<Table> {
    let wanted = |id: &str| only.is_empty() || only.iter().any(|wanted| wanted == id);
    let chosen: Vec<_> = COMPARISONS.iter().filter(|comparison| wanted(comparison.id)).collect();
    let mut tables = Vec::new();
    for (index, comparison) in chosen.iter().enumerate() {
        progress(&format!("in memory, {} of {}: {}", index + 1, chosen.len(), comparison.id));
        tables.push((comparison.measure)(scale));
    }
    let in_memory = |id: &String| COMPARISONS.iter().any(|comparison| comparison.id == id);
    if only.is_empty() || !only.iter().all(in_memory) {
        // `echo` is all of these.
        let over_sockets = |id: &str| wanted(id) || wanted("echo");
        tables.extend(echo::selected(scale, &over_sockets, progress));
    }
    tables
}

/// The repository, which this program is built in and for.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Writes `docs/performance.md`, its plots and the record; tells which files.
///
/// # Errors
///
/// What keeps a file from being written.
pub fn write(record: &Record) -> io::Result<Vec<PathBuf>> {
    let plots = root().join("docs/performance");
    fs::create_dir_all(&plots)?;
    for table in record.tables.iter().filter(|table| !table.figures.is_empty()) {
        fs::write(plots.join(format!("{}.svg", table.id)), svg::plot(table))?;
    }
    let page = root().join("docs/performance.md");
    let before = fs::read_to_string(&page).unwrap_or_else(|_| markdown::EMPTY_PAGE.to_owned());
    fs::write(&page, markdown::replace_measured(&before, &markdown::measured(record)))?;

    let records = root().join("benches/record");
    fs::create_dir_all(&records)?;
    let file = records.join(format!("{}.json", record.file_stem()));
    fs::write(&file, serde_json::to_string_pretty(record)? + "\n")?;
    Ok(vec![page, plots, file])
}
