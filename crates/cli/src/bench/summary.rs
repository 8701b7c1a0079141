//! What a load came to: the counts, and the latencies.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// So many tasks can note a latency at the same time.
const SHARDS: usize = 16;

/// Three significant digits are kept of a latency.
const DIGITS: u8 = 3;

/// The latencies noted so far, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Tally {
    shards: [Mutex<Option<Histogram<u64>>>; SHARDS],
}

impl Tally {
    /// Notes one echo.
    pub(super) fn note(&self, shard: usize, latency: Duration) {
        let Some(shard) = self.shards.get(shard % SHARDS) else { return };
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let mut histogram = shard.lock().unwrap_or_else(PoisonError::into_inner);
        histogram.get_or_insert_with(empty).saturating_record(nanoseconds);
    }

    /// How many echoes have come.
    pub(super) fn messages(&self) -> u64 {
        let of = |shard: &Mutex<Option<Histogram<u64>>>| {
            let histogram = shard.lock().unwrap_or_else(PoisonError::into_inner);
            histogram.as_ref().map_or(0, Histogram::len)
        };
        self.shards.iter().map(of).sum()
    }

    /// All latencies together.
    pub(super) fn latency(&self) -> Histogram<u64> {
        let mut all = empty();
        for shard in &self.shards {
            let histogram = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(histogram) = &*histogram {
                // Both have the same bounds.
                let _ = all.add(histogram);
            }
        }
        all
    }
}

/// Up to a day; what takes longer counts as that.
#[expect(clippy::expect_used, reason = "the bounds are constants, and right")]
fn empty() -> Histogram<u64> {
    Histogram::new_with_max(86_400_000_000_000, DIGITS).expect("bounds that a histogram can have")
}

/// What was measured.
#[derive(Debug)]
pub(super) struct Summary {
    /// The load, in words.
    pub(super) load: String,
    pub(super) elapsed: Duration,
    /// The length of a message, in bytes.
    pub(super) size: usize,
    /// In nanoseconds.
    pub(super) latency: Histogram<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.latency.len() as f64 / seconds.max(f64::MIN_POSITIVE);
        writeln!(f, "{}, for {seconds:.1} s", self.load)?;
        write!(
            f,
            "{} messages came back: {} messages/s, {:.1} MB/s each way",
            number(self.latency.len() as f64),
            number(rate),
            rate * self.size as f64 / 1e6,
        )?;
        if self.latency.is_empty() {
            return Ok(());
        }
        write!(f, "\nlatency: ")?;
        for (name, percentile) in [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)] {
            write!(f, "{name} {}, ", time(self.latency.value_at_percentile(percentile)))?;
        }
        write!(f, "max {}", time(self.latency.max()))?;
        self.bars(f)
    }
}

/// The longest bar of the histogram, in characters.
const BAR: u64 = 40;

impl Summary {
    /// A line for each doubling of latency, from the shortest to the longest.
    fn bars(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<(u64, u64)> = self
            .latency
            .iter_log(1000, 2.0)
            .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
            .skip_while(|(_, count)| *count == 0)
            .collect();
        while rows.last().is_some_and(|(_, count)| *count == 0) {
            rows.pop();
        }
        let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
        for (bound, count) in rows {
            let length = count.saturating_mul(BAR).div_ceil(most);
            let bar = "#".repeat(usize::try_from(length).unwrap_or_default());
            let share = count as f64 / self.latency.len() as f64 * 100.0;
            write!(f, "\n{:>12} {share:6.2}% {bar}", format!("< {}", time(bound)))?;
        }
        Ok(())
    }
}

/// A time with its unit.
fn time(nanoseconds: u64) -> String {
    match nanoseconds as f64 {
        nanoseconds if nanoseconds < 1e6 => format!("{:.1} us", nanoseconds / 1e3),
        nanoseconds if nanoseconds < 1e9 => format!("{:.1} ms", nanoseconds / 1e6),
        nanoseconds => format!("{:.1} s", nanoseconds / 1e9),
    }
}

/// A whole number with its digits in groups.
pub(super) fn number(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,568"].map(String::from),
            [number(0.0), number(999.0), number(1000.0), number(1_234_567.8)]
        );
        assert_eq!(
            ["0.1 us", "12.3 us", "1.5 ms", "2.0 s"].map(String::from),
            [time(100), time(12_345), time(1_500_000), time(2_000_000_000)]
        );
    }

    #[test]
    fn summary_has_each_latency_once() {
        let tally = Tally::default();
        for (shard, microseconds) in [3, 5, 5, 900].into_iter().enumerate() {
            tally.note(shard, Duration::from_micros(microseconds));
        }
        assert_eq!(tally.messages(), 4);
        let (load, elapsed) = ("a load".into(), Duration::from_secs(2));
        let summary = Summary { load, elapsed, size: 1_000_000, latency: tally.latency() };
        let text = summary.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..2],
            ["a load, for 2.0 s", "4 messages came back: 2 messages/s, 2.0 MB/s each way"]
        );
        assert!(lines[2].starts_with("latency: p50 5.0 us, "), "{text}");
        assert_eq!(lines[3], format!("    < 4.0 us  25.00% {}", "#".repeat(20)));
        assert_eq!(lines[4], format!("    < 8.0 us  50.00% {}", "#".repeat(40)));
        assert_eq!(lines.last(), Some(&&*format!("    < 1.0 ms  25.00% {}", "#".repeat(20))));
    }
}
