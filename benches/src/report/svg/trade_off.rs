//! What timeliness costs: bytes over latency, both axes logarithmic.

use core::fmt::Write as _;

use super::{Axis, colours, escaped, opened, tick};
use crate::push::{BYTES, MEDIAN, TAIL};
use crate::report::markdown::{Kind, kind, number};
use crate::results::Table;

/// A plot of a table that has latency and bytes for each contender; of another there is none.
///
/// Each contender is a point at its median latency, with a line to its 99th percentile.
pub(super) fn trade_off(table: &Table) -> Option<String> {
    let median = |row| move |name: &str| table.figure(row, name).map(|figure| figure.median);
    let points: Vec<(&str, f64, f64, f64, &str)> = table
        .contenders()
        .into_iter()
        .zip(colours(table))
        .map(|(name, colour)| {
            let (middle, tail) = (median(MEDIAN)(name)?, median(TAIL)(name)?);
            Some((name, middle, tail, median(BYTES)(name)?, colour))
        })
        .collect::<Option<_>>()?;
    let positive = points.iter().all(|point| point.1.min(point.2).min(point.3) > 0.0);
    if points.is_empty() || !positive {
        return None;
    }

    let (left, right, top, bottom) = (100.0, 760.0, 70.0, 470.0);
    let mut out = opened(table, bottom + 70.0);
    let latencies = points.iter().flat_map(|point| [point.1, point.2]);
    let x = Axis::over(latencies.collect::<Vec<_>>().into_iter(), 10.0, left, right);
    let y = axis_of_bytes(points.iter().map(|point| point.3), bottom, top);
    // The range of bytes is small, so there are lines between the powers of ten too.
    let values = (0..8).flat_map(|power| [1.0, 2.0, 5.0].map(|part| part * 10_f64.powi(power)));
    for value in values {
        let at = y.place(value);
        if (top..=bottom).contains(&at) {
            write_grid(&mut out, (left, at), (right, at));
            write_text(&mut out, (left - 8.0, at + 4.0), "end", 13, &escaped(&tick(value)));
        }
    }
    for value in x.powers() {
        let at = x.place(value);
        write_grid(&mut out, (at, top), (at, bottom));
        write_text(&mut out, (at, bottom + 20.0), "middle", 13, &escaped(&duration(value)));
    }
    let under = "latency: the point is the median, the line ends at the 99th percentile";
    write_text(&mut out, (f64::midpoint(left, right), bottom + 46.0), "middle", 13, under);
    write_text(&mut out, (left - 80.0, top - 16.0), "start", 13, &escaped(BYTES));
    for (name, middle, tail, bytes, colour) in points {
        let (from, to, at) = (x.place(middle), x.place(tail), y.place(bytes));
        let (radius, width) = if kind(name) == Kind::Ours { (7, 3) } else { (5, 2) };
        writeln!(
            out,
            "<path stroke=\"{colour}\" stroke-width=\"{width}\" fill=\"none\" \
             d=\"M{from:.1} {at:.1}H{to:.1}m0 -5v10\"/>\
             <circle cx=\"{from:.1}\" cy=\"{at:.1}\" r=\"{radius}\" fill=\"{colour}\"/>"
        )
        .unwrap();
        let label = format!("{}, {} B", escaped(name), number(bytes));
        write_text(&mut out, (to + 10.0, at + 4.0), "start", 12, &label);
    }
    writeln!(
        out,
        "<path class=\"axis\" fill=\"none\" d=\"M{left} {top}V{bottom}H{right}\"/>\n</svg>"
    )
    .unwrap();
    Some(out)
}

/// An axis with some room beyond the values, so that no point lies on its end.
fn axis_of_bytes(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Axis {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    Axis { base: 10.0, low: (least * 0.8).log10(), high: (most * 1.25).log10(), from, to }
}

/// A duration of so many microseconds, in the unit that keeps it short.
fn duration(microseconds: f64) -> String {
    match microseconds {
        long if long >= 1e6 => format!("{} s", tick(long / 1e6)),
        middle if middle >= 1e3 => format!("{} ms", tick(middle / 1e3)),
        short => format!("{} us", tick(short)),
    }
}

fn write_grid(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    writeln!(
        out,
        "<line class=\"grid\" x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{y1:.1}\" y2=\"{y2:.1}\"/>"
    )
    .unwrap();
}

fn write_text(out: &mut String, (x, y): (f64, f64), anchor: &str, size: u8, text: &str) {
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">\
         {text}</text>"
    )
    .unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::figure;

    fn sample() -> Table {
        let mut figures = Vec::new();
        for (row, ours, other) in
            [(MEDIAN, 70.0, 500_000.0), (TAIL, 200.0, 990_000.0), (BYTES, 102.0, 870.0)]
        {
            figures.push(figure(row, "duologue", vec![ours]));
            figures.push(figure(row, "polling <1 s>", vec![other]));
        }
        Table {
            id: "push-1".to_owned(),
            title: "Push".to_owned(),
            unit: "each".to_owned(),
            note: String::new(),
            smaller_is_better: true,
            lenient: Vec::new(),
            figures,
        }
    }

    #[test]
    fn every_contender_is_a_point_further_right_the_later_it_is() {
        let svg = trade_off(&sample()).unwrap();
        let circles: Vec<f64> = svg
            .split("<circle cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(matches!(circles[..], [ours, other] if ours < other), "{circles:?}");
        assert!(svg.contains("polling &lt;1 s&gt;, 870 B") && svg.contains(">100 ms<"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert_eq!(super::super::plot(&sample()), svg);
    }

    #[test]
    fn a_table_without_bytes_or_with_nothing_has_no_such_plot() {
        let mut table = sample();
        table.figures.retain(|figure| figure.row != BYTES);
        assert!(trade_off(&table).is_none());
        table.figures.clear();
        assert!(trade_off(&table).is_none());
    }
}
