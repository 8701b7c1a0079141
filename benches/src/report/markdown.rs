//! Tables as markdown, and the page they stand on.

use core::fmt::Write as _;

use crate::report::record::Record;
use crate::results::{Figure, Table};

const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- /measured -->";

/// The page before anything was measured or written by hand.
pub const EMPTY_PAGE: &str = "\
# Performance

What is measured, and how each peer is used, stands in [benches](../benches/README.md). All of it is
measured anew, and this page written, by `cargo run --release -p duologue-benches -- report`.

## What made the difference

<!-- measured -->
<!-- /measured -->
";

/// Marks those who skip rules of RFC 6455.
const LENIENT: char = '°';

/// Who a contender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project, in one of its forms.
    Ours,
    /// Somebody else's WebSocket.
    Peer,
    /// What nobody can beat, such as a plain copy.
    Floor,
}

/// Who the contender called `name` is.
#[must_use]
pub fn kind(name: &str) -> Kind {
    if name.starts_with("ours") || name.starts_with("duologue") {
        Kind::Ours
    } else if name.contains("floor") || name.starts_with("raw ") {
        Kind::Floor
    } else {
        Kind::Peer
    }
}

/// Puts `measured` between the markers of `page`, or at its end if it has none; nothing else of
/// the page changes.
#[must_use]
pub fn replace_measured(page: &str, measured: &str) -> String {
    let block = format!("{BEGIN}\n{}\n{END}", measured.trim_end());
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        rest.split_once(END).map(|(_, after)| format!("{before}{block}{after}"))
    });
    parts.unwrap_or_else(|| format!("{}\n\n{block}\n", page.trim_end()))
}

/// Everything that a run measured.
#[must_use]
pub fn measured(record: &Record) -> String {
    let mut out = String::new();
    writeln!(out, "\n## Measured on {}\n", record.date).unwrap();
    writeln!(out, "{}\n", record.description()).unwrap();
    for one in &record.tables {
        out.push_str(&section(one));
    }
    out
}

/// A table with its heading, its plot and its note.
fn section(one: &Table) -> String {
    let mut out = format!("### {}\n\n", one.title);
    if !one.figures.is_empty() {
        writeln!(out, "![{}](performance/{}.svg)\n", one.title, one.id).unwrap();
        writeln!(out, "{}", table(one)).unwrap();
    }
    if one.contenders().iter().any(|name| one.is_lenient(name)) {
        writeln!(out, "{LENIENT} skips rules of RFC 6455 in this work.\n").unwrap();
    }
    writeln!(out, "{}\n", one.note).unwrap();
    out
}

/// Puts the tables of `record`, which were measured without the others, in their places between the
/// markers of `page`, or behind the other tables there; each says when it was measured. Nothing
/// else of the page changes.
#[must_use]
pub fn replace_tables(page: &str, record: &Record) -> String {
    let measured = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let measured = measured.map_or("", |(measured, _)| measured);
    let mut sections: Vec<String> = Vec::new();
    for (index, part) in measured.split("\n### ").enumerate() {
        sections.push(if index == 0 { part.to_owned() } else { format!("### {part}") });
    }
    for one in &record.tables {
        let apart = format!("{}\n\n{}", one.note, record.apart());
        let new = section(&Table { note: apart, ..one.clone() });
        let heading = format!("### {}\n", one.title);
        match sections.iter_mut().find(|section| section.starts_with(&heading)) {
            Some(section) => *section = new,
            None => sections.push(new),
        }
    }
    let sections = sections.iter().map(|section| section.trim());
    let sections: Vec<&str> = sections.filter(|section| !section.is_empty()).collect();
    replace_measured(page, &format!("\n{}", sections.join("\n\n")))
}

/// The figures of one table: the medians, ours in bold, each of ours against the best peer of the
/// row, and the widest spread of the row, which is the distance of the quartiles from each other.
///
/// The best peer is the best one that is not lenient. Where a lenient one is the best in any row,
/// each of ours is also set against the best of all.
#[must_use]
pub fn table(table: &Table) -> String {
    let contenders = table.contenders();
    let rows = table.rows();
    let ours = || contenders.iter().copied().filter(|name| kind(name) == Kind::Ours);
    let lenient_is_best = rows.iter().any(|row| {
        best_peer(table, row, true).is_some_and(|best| table.is_lenient(&best.contender))
    });
    let scopes: &[bool] = if lenient_is_best { &[false, true] } else { &[false] };
    let comparisons: Vec<(&str, bool)> = ours()
        .flat_map(|name| scopes.iter().map(move |&with_lenient| (name, with_lenient)))
        .filter(|(name, with_lenient)| {
            rows.iter().any(|row| ratio(table, row, name, *with_lenient).is_some())
        })
        .collect();

    let mut out = format!("| {} |", table.unit);
    for name in &contenders {
        write!(out, " {} |", emphasised(name, &marked(table, name))).unwrap();
    }
    for (name, with_lenient) in &comparisons {
        let best = if *with_lenient { "best of all" } else { "best peer" };
        write!(out, " {name} / {best} |").unwrap();
    }
    out.push_str(" spread |\n|---|");
    for _ in 0..=contenders.len() + comparisons.len() {
        out.push_str("---:|");
    }
    out.push('\n');
    for row in rows {
        write!(out, "| {row} |").unwrap();
        for name in &contenders {
            let cell = table
                .figure(row, name)
                .map_or(String::new(), |figure| emphasised(name, &number(figure.median)));
            write!(out, " {cell} |").unwrap();
        }
        for (name, with_lenient) in &comparisons {
            let cell = ratio(table, row, name, *with_lenient).unwrap_or_default();
            write!(out, " {cell} |").unwrap();
        }
        let spread = table
            .figures
            .iter()
            .filter(|figure| figure.row == row && figure.median > 0.0)
            .map(|figure| (figure.high - figure.low) / figure.median)
            .fold(0.0, f64::max);
        writeln!(out, " {:.0}% |", spread * 100.0).unwrap();
    }
    out
}

fn emphasised(name: &str, text: &str) -> String {
    if kind(name) == Kind::Ours { format!("**{text}**") } else { text.to_owned() }
}

fn marked(table: &Table, name: &str) -> String {
    if table.is_lenient(name) { format!("{name}{LENIENT}") } else { name.to_owned() }
}

/// The best peer of a row: of all, or of those that are not lenient.
fn best_peer<'a>(table: &'a Table, row: &str, with_lenient: bool) -> Option<&'a Figure> {
    let peers = table.figures.iter().filter(|figure| {
        figure.row == row
            && kind(&figure.contender) == Kind::Peer
            && (with_lenient || !table.is_lenient(&figure.contender))
    });
    if table.smaller_is_better {
        peers.min_by(|a, b| a.median.total_cmp(&b.median))
    } else {
        peers.max_by(|a, b| a.median.total_cmp(&b.median))
    }
}

fn ratio(table: &Table, row: &str, name: &str, with_lenient: bool) -> Option<String> {
    let ours = table.figure(row, name)?;
    let best = best_peer(table, row, with_lenient)?;
    if best.median == 0.0 {
        return None;
    }
    Some(format!("{:.2} ({})", ours.median / best.median, marked(table, &best.contender)))
}

/// A figure with three digits that count, and groups of three.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let plain = match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.000_5 => format!("{value:.2}"),
        _ => return "0".to_owned(),
    };
    let (digits, fraction) = plain.split_once('.').map_or((plain.as_str(), ""), |parts| parts);
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digit.is_ascii_digit() && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::figure;

    fn sample(smaller_is_better: bool) -> Table {
        Table {
            id: "x".to_owned(),
            title: "X".to_owned(),
            unit: "ns".to_owned(),
            note: String::new(),
            smaller_is_better,
            lenient: Vec::new(),
            figures: vec![
                figure("16 B", "ours", vec![2.0, 2.0, 2.5]),
                figure("16 B", "slow", vec![8.0]),
                figure("16 B", "fast", vec![4.0]),
                figure("16 B", "memcpy (floor)", vec![1.0]),
                figure("1 KiB", "slow", vec![1234.0]),
            ],
        }
    }

    #[test]
    fn a_table_has_medians_the_ratio_to_the_best_peer_and_the_spread() {
        let expected = "\
| ns | **ours** | slow | fast | memcpy (floor) | ours / best peer | spread |
|---|---:|---:|---:|---:|---:|---:|
| 16 B | **2.00** | 8.00 | 4.00 | 1.00 | 0.50 (fast) | 0% |
| 1 KiB |  | 1,234 |  |  |  | 0% |
";
        assert_eq!(table(&sample(true)), expected);
        assert!(table(&sample(false)).contains("0.25 (slow)"));
    }

    #[test]
    fn a_lenient_peer_is_marked_and_compared_apart_where_it_is_the_best() {
        let lenient = |name: &str| Table { lenient: vec![name.to_owned()], ..sample(true) };
        let expected = "\
| ns | **ours** | slow | fast° | memcpy (floor) | ours / best peer | ours / best of all | spread |
|---|---:|---:|---:|---:|---:|---:|---:|
| 16 B | **2.00** | 8.00 | 4.00 | 1.00 | 0.25 (slow) | 0.50 (fast°) | 0% |
| 1 KiB |  | 1,234 |  |  |  |  | 0% |
";
        assert_eq!(table(&lenient("fast")), expected);
        // Marked, but nowhere the better one.
        let mut slow_once = lenient("slow");
        slow_once.figures.retain(|figure| figure.row == "16 B");
        let written = table(&slow_once);
        assert!(written.contains("slow°") && written.contains("0.50 (fast)"), "{written}");
        assert!(!written.contains("best of all"), "{written}");
        // Nobody is left to be compared with, but for the lenient ones.
        let mut only_lenient = lenient("fast");
        only_lenient.figures.retain(|figure| figure.contender != "slow");
        let written = table(&only_lenient);
        assert!(!written.contains("best peer") && written.contains("0.50 (fast°)"), "{written}");
    }

    #[test]
    fn a_table_with_a_lenient_contender_explains_the_mark() {
        let explained = |lenient: &[&str]| {
            let table = Table { lenient: crate::results::names(lenient), ..sample(true) };
            measured(&Record::new(crate::Scale::Quick, vec![table])).contains("° skips rules")
        };
        assert!(explained(&["fast"]));
        assert!(!explained(&[]) && !explained(&["somebody else"]));
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = "# A\n\nby hand\n<!-- measured -->\nold\n<!-- /measured -->\n\nmore by hand\n";
        let replaced = replace_measured(page, "new\n");
        assert_eq!(
            replaced,
            "# A\n\nby hand\n<!-- measured -->\nnew\n<!-- /measured -->\n\nmore by hand\n"
        );
        assert_eq!(replace_measured(&replaced, "new"), replaced);
        assert!(replace_measured("# A\n", "new").starts_with("# A\n\n<!-- measured -->\nnew\n"));
    }

    #[test]
    fn tables_measured_alone_replace_their_sections_only() {
        let titled = |title: &str, note: &str| Table {
            title: title.to_owned(),
            note: note.to_owned(),
            ..sample(true)
        };
        let record = |tables| Record::new(crate::Scale::Quick, tables);
        let all = record(vec![titled("A", "note of A"), titled("B", "old"), titled("C", "last")]);
        let page = replace_measured("# Page\n", &measured(&all));

        let alone = record(vec![titled("B", "new"), titled("D", "first")]);
        let replaced = replace_tables(&page, &alone);
        for kept in ["# Page\n", "note of A", "last", all.description().as_str()] {
            assert!(replaced.contains(kept), "{kept}: {replaced}");
        }
        assert!(!replaced.contains("old") && replaced.matches("### B\n").count() == 1);
        let places = ["### A", "### B", "\nnew\n", "### C", "### D", "\nfirst\n", END];
        let places = places.map(|text| replaced.find(text).unwrap());
        assert!(places.is_sorted(), "{places:?}: {replaced}");
        assert_eq!(replaced.matches(&alone.apart()).count(), 2);
        assert_eq!(replace_tables(&replaced, &alone), replaced);
        // A page of which nothing was measured yet.
        assert!(replace_tables("# Page\n", &alone).contains("### D\n"));
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (0.004, "0.00"),
            (1.234, "1.23"),
            (9.999, "10.0"),
            (56.78, "56.8"),
            (123.4, "123"),
            (65_536.4, "65,536"),
            (1_234_567.0, "1,234,567"),
            (f64::NAN, "-"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
