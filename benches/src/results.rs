//! What a run measured: tables of figures, each with its median and its spread.

use serde::{Deserialize, Serialize};

/// One figure: what one contender took for one row of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// The row, such as `16 B`.
    pub row: String,
    /// The contender, such as `tungstenite`.
    pub contender: String,
    /// The median of the rounds.
    pub median: f64,
    /// The first quartile of the rounds.
    pub low: f64,
    /// The third quartile of the rounds.
    pub high: f64,
}

/// One comparison: rows by contenders, all in one unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// A short name, for files and anchors, such as `receive-binary`.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The unit, such as `ns a message`.
    pub unit: String,
    /// How it was measured, and how each peer was used.
    pub note: String,
    /// Whether a smaller figure is the better one.
    pub smaller_is_better: bool,
    /// The contenders that skip rules of RFC 6455 in this work.
    #[serde(default)]
    pub lenient: Vec<String>,
    /// The figures.
    pub figures: Vec<Figure>,
}

impl Table {
    /// The rows, in the order of their first figure.
    #[must_use]
    pub fn rows(&self) -> Vec<&str> {
        distinct(self.figures.iter().map(|figure| figure.row.as_str()))
    }

    /// The contenders, in the order of their first figure.
    #[must_use]
    pub fn contenders(&self) -> Vec<&str> {
        distinct(self.figures.iter().map(|figure| figure.contender.as_str()))
    }

    /// The figure of `contender` for `row`, if it has one.
    #[must_use]
    pub fn figure(&self, row: &str, contender: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.row == row && figure.contender == contender)
    }

    /// Whether `contender` skips rules of RFC 6455 in this work.
    #[must_use]
    pub fn is_lenient(&self, contender: &str) -> bool {
        self.lenient.iter().any(|lenient| lenient == contender)
    }
}

/// Names as a list of a [`Table`] has them.
#[must_use]
pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// The median and the quartiles of `samples`, as a figure.
#[must_use]
pub fn figure(row: &str, contender: &str, mut samples: Vec<f64>) -> Figure {
    samples.sort_by(f64::total_cmp);
    let at = |quarter: usize| {
        let last = samples.len().saturating_sub(1);
        samples.get(last * quarter / 4).copied().unwrap_or(f64::NAN)
    };
    Figure {
        row: row.to_owned(),
        contender: contender.to_owned(),
        median: at(2),
        low: at(1),
        high: at(3),
    }
}
