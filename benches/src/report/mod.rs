//! The report: everything measured, and written down.

pub mod markdown;
pub mod record;
pub mod svg;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::echo;
use crate::memory::COMPARISONS;
use crate::push;
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
    let elsewhere = |id: &String| {
        id.starts_with(push::ID) || COMPARISONS.iter().any(|comparison| comparison.id == id)
    };
    if only.is_empty() || !only.iter().all(elsewhere) {
        // `echo` is all of these.
        let over_sockets = |id: &str| wanted(id) || wanted("echo");
        tables.extend(echo::selected(scale, &over_sockets, progress));
    }
    tables.extend(push::tables(scale, &wanted, progress));
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
    let replace = |page: &str| markdown::replace_measured(page, &markdown::measured(record));
    write_files(record, replace, &record.file_stem())
}

/// Writes the tables of `record`, which were measured without the others, in their places in
/// `docs/performance.md`, their plots, and a record of their own whose file's name ends in `name`.
///
/// # Errors
///
/// What keeps a file from being written.
pub fn write_only(record: &Record, name: &str) -> io::Result<Vec<PathBuf>> {
    let replace = |page: &str| markdown::replace_tables(page, record);
    write_files(record, replace, &format!("{}-{name}", record.file_stem()))
}

fn write_files(
    record: &Record,
    replace: impl Fn(&str) -> String,
    file_stem: &str,
) -> io::Result<Vec<PathBuf>> {
    let plots = root().join("docs/performance");
    fs::create_dir_all(&plots)?;
    for table in record.tables.iter().filter(|table| !table.figures.is_empty()) {
        fs::write(plots.join(format!("{}.svg", table.id)), svg::plot(table))?;
    }
    let page = root().join("docs/performance.md");
    let before = fs::read_to_string(&page).unwrap_or_else(|_| markdown::EMPTY_PAGE.to_owned());
    fs::write(&page, replace(&before))?;

    let records = root().join("benches/record");
    fs::create_dir_all(&records)?;
    let file = records.join(format!("{file_stem}.json"));
    fs::write(&file, serde_json::to_string_pretty(record)? + "\n")?;
    Ok(vec![page, plots, file])
}
