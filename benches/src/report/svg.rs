//! Plots: lines over a size with both axes logarithmic, or bars, row by row; and what timeliness
//! costs.

mod trade_off;

use core::fmt::Write as _;

use crate::report::markdown::{Kind, kind, number};
use crate::results::Table;
use crate::timing::whole;

const WIDTH: f64 = 960.0;

/// Colours that stand out from white and from near black.
const COLOURS: [&str; 12] = [
    "#4c78a8", "#f58518", "#54a24b", "#b279a2", "#39a7a1", "#9d755d", "#c9a227", "#7a68c5",
    "#5b9bd5", "#8c8c8c", "#2f8f5b", "#c26a8d",
];
const OURS: [&str; 3] = ["#e0245e", "#ff7f9f", "#a8123f"];

const STYLE: &str = "\
<style>\
svg{font:13px system-ui,sans-serif}\
.back{fill:#fff}text{fill:#222}.axis{stroke:#888}.grid{stroke:#888;stroke-opacity:.25}\
.title{font-size:16px;font-weight:600}.row{font-weight:600}\
@media(prefers-color-scheme:dark){.back{fill:#0d1117}text{fill:#e6e6e6}}\
</style>";

/// The plot of a table.
#[must_use]
pub fn plot(table: &Table) -> String {
    if let Some(plot) = trade_off::trade_off(table) {
        return plot;
    }
    let rows = table.rows();
    let places: Vec<f64> = rows.iter().filter_map(|row| magnitude(row)).collect();
    let positive = table.figures.iter().all(|figure| figure.median > 0.0);
    if places.len() == rows.len() && places.len() > 3 && positive {
        lines(table, &places)
    } else {
        bars(table)
    }
}

/// The number that a row is, such as 16,384 for `16 KiB`.
fn magnitude(row: &str) -> Option<f64> {
    let (digits, unit) = row.split_once(' ').unwrap_or((row, ""));
    let factor = match unit {
        "" | "B" | "fragments" | "fragment" | "connections" | "connection" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        _ => return None,
    };
    digits.replace(',', "").parse::<f64>().ok().map(|number| number * factor)
}

fn colours(table: &Table) -> Vec<&'static str> {
    let (mut ours, mut others) = (OURS.iter().cycle(), COLOURS.iter().cycle());
    let names = table.contenders();
    names
        .into_iter()
        .map(|name| if kind(name) == Kind::Ours { ours.next() } else { others.next() })
        .map(|colour| colour.copied().unwrap_or("#888"))
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn opened(table: &Table, height: f64) -> String {
    let title = escaped(&table.title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         role=\"img\" aria-label=\"{title}\">{STYLE}\n\
         <rect class=\"back\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"20\" y=\"28\">{title}, {}</text>\n",
        escaped(&table.unit)
    )
}

/// A logarithmic axis: its bounds are powers of ten or two.
struct Axis {
    base: f64,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, base: f64, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log(base);
        let high = values.fold(0.0, f64::max).log(base);
        let (low, high) = if base == 10.0 { (low.floor(), high.ceil()) } else { (low, high) };
        Self { base, low, high: high.max(low + 0.5), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log(self.base) - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    /// The powers that are within the bounds.
    fn powers(&self) -> impl Iterator<Item = f64> {
        let (first, last) = (self.low.ceil(), self.high.floor());
        let base = self.base;
        (0..64)
            .map(move |step| first + whole(step))
            .take_while(move |power| *power <= last)
            .map(move |power| base.powf(power))
    }
}

fn lines(table: &Table, places: &[f64]) -> String {
    let (left, right, top, bottom) = (100.0, 720.0, 50.0, 500.0);
    let mut out = opened(table, bottom + 50.0);
    let x = Axis::over(places.iter().copied(), 2.0, left, right);
    let medians = table.figures.iter().map(|figure| figure.median);
    let y = Axis::over(medians, 10.0, bottom, top);
    for power in y.powers() {
        let at = y.place(power);
        writeln!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            at + 4.0,
            escaped(&tick(power))
        )
        .unwrap();
    }
    for (row, place) in table.rows().iter().zip(places) {
        let at = x.place(*place);
        writeln!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\" font-size=\"11\">{}</text>",
            bottom + 20.0,
            escaped(row)
        )
        .unwrap();
    }
    for (index, (name, colour)) in table.contenders().iter().zip(colours(table)).enumerate() {
        let width = if kind(name) == Kind::Ours { "3" } else { "1.4" };
        let dashes = if kind(name) == Kind::Floor { " stroke-dasharray=\"4 4\"" } else { "" };
        let mut points = String::new();
        for (row, place) in table.rows().iter().zip(places) {
            if let Some(figure) = table.figure(row, name) {
                write!(points, "{:.1},{:.1} ", x.place(*place), y.place(figure.median)).unwrap();
            }
        }
        let legend = top + 12.0 + 22.0 * whole(index as u64);
        writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes} \
             points=\"{}\"/>\
             <line stroke=\"{colour}\" stroke-width=\"{width}\"{dashes} x1=\"740\" x2=\"764\" \
             y1=\"{legend}\" y2=\"{legend}\"/><text x=\"772\" y=\"{}\">{}</text>",
            points.trim_end(),
            legend + 4.0,
            escaped(name)
        )
        .unwrap();
    }
    writeln!(
        out,
        "<path class=\"axis\" fill=\"none\" d=\"M{left} {top}V{bottom}H{right}\"/>\n</svg>"
    )
    .unwrap();
    out
}

fn tick(power: f64) -> String {
    if power >= 1.0 {
        number(power).replace(".00", "").replace(".0", "")
    } else {
        power.to_string()
    }
}

fn bars(table: &Table) -> String {
    let (left, right) = (230.0, 860.0);
    let mut body = String::new();
    let mut at = 50.0;
    let colours = colours(table);
    for row in table.rows() {
        writeln!(
            body,
            "<text class=\"row\" x=\"20\" y=\"{:.0}\">{}</text>",
            at + 14.0,
            escaped(row)
        )
        .unwrap();
        at += 22.0;
        let of_row = || table.figures.iter().filter(|figure| figure.row == row);
        let most = of_row().map(|figure| figure.median).fold(0.0, f64::max);
        for (name, colour) in table.contenders().iter().zip(&colours) {
            let Some(figure) = table.figure(row, name) else { continue };
            let share = if most > 0.0 { figure.median / most } else { 0.0 };
            let width = share * (right - left);
            writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" font-size=\"12\">{}</text>\
                 <rect x=\"{left}\" y=\"{at:.0}\" width=\"{width:.1}\" height=\"12\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.0}\" font-size=\"12\">{}</text>",
                left - 8.0,
                at + 11.0,
                escaped(name),
                left + width + 6.0,
                at + 11.0,
                number(figure.median)
            )
            .unwrap();
            at += 16.0;
        }
        at += 10.0;
    }
    format!("{}{body}</svg>\n", opened(table, at + 10.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::figure;

    fn sample(rows: &[&str]) -> Table {
        let mut figures = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let value = 10_f64.powi(i32::try_from(index).unwrap());
            figures.push(figure(row, "ours", vec![value]));
            figures.push(figure(row, "a <peer>", vec![2.0 * value]));
        }
        Table {
            id: "x".to_owned(),
            title: "X & Y".to_owned(),
            unit: "ns".to_owned(),
            note: String::new(),
            smaller_is_better: true,
            lenient: Vec::new(),
            figures,
        }
    }

    #[test]
    fn sizes_become_lines_and_other_rows_become_bars() {
        let plot = plot(&sample(&["16 B", "1 KiB", "16 KiB", "1 MiB"]));
        assert_eq!(plot.matches("<polyline").count(), 2);
        let bars = super::plot(&sample(&["16 B, aligned", "16 B, unaligned", "1 KiB, aligned"]));
        assert_eq!((bars.matches("<polyline").count(), bars.matches("<rect x").count()), (0, 6));
        for svg in [plot, bars] {
            assert!(svg.contains("X &amp; Y") && svg.contains("a &lt;peer&gt;"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
            assert!(svg.trim_end().ends_with("</svg>"));
        }
    }

    #[test]
    fn equal_ratios_are_equal_distances() {
        let axis = Axis::over([1.0, 100.0].into_iter(), 10.0, 0.0, 200.0);
        let places = [1.0, 10.0, 100.0].map(|value| axis.place(value).round());
        assert!(places.iter().zip([0.0, 100.0, 200.0]).all(|(a, b)| (a - b).abs() < 0.5));
        assert_eq!(axis.powers().count(), 3);
    }

    #[test]
    fn a_bar_of_nothing_is_drawn_as_nothing() {
        let mut table = sample(&["send"]);
        for figure in &mut table.figures {
            figure.median = 0.0;
        }
        assert!(plot(&table).contains("width=\"0.0\""));
    }
}
