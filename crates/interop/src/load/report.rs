//! What was measured, and whether the bounds were kept.

use std::fmt::Display;
use std::time::Duration;

/// The lines told so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    kept: usize,
    missed: usize,
}

impl Report {
    /// Tells a figure that has no bound.
    pub(super) fn note(&self, what: &str, figure: impl Display) {
        println!("      {what}: {figure}");
    }

    /// Tells a figure, and whether it is within its bound.
    pub(super) fn judge(&mut self, kept: bool, what: &str, figure: impl Display, bound: &str) {
        let mark = if kept { "ok  " } else { "MISS" };
        println!("{mark}  {what}: {figure} (bound: {bound})");
        if kept {
            self.kept += 1;
        } else {
            self.missed += 1;
        }
    }

    /// Tells a duration, and whether it is within its bound.
    pub(super) fn within(&mut self, what: &str, figure: Duration, bound: Duration) {
        self.judge(figure <= bound, what, seconds(figure), &seconds(bound));
    }

    /// Tells how many bounds were kept. Whether all were.
    pub(super) fn end(&self) -> bool {
        println!("{} bounds kept, {} missed", self.kept, self.missed);
        self.missed == 0
    }
}

pub(super) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Durations, to ask for the one at a rank.
#[derive(Debug, Default)]
pub(super) struct Durations(Vec<Duration>);

impl Durations {
    pub(super) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The shortest one that so many thousandths of them do not exceed; 0 if there is none.
    pub(super) fn rank(&self, thousandths: usize) -> Duration {
        let index = (self.0.len() * thousandths).div_ceil(1000).saturating_sub(1);
        self.0.get(index).copied().unwrap_or_default()
    }

    pub(super) fn longest(&self) -> Duration {
        self.rank(1000)
    }
}

impl Display for Durations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [median, p99] = [500, 990].map(|rank| seconds(self.rank(rank)));
        write!(f, "{median} median, {p99} p99, {} longest", seconds(self.longest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_sorted_durations() {
        let durations = Durations::new((1..=200).rev().map(Duration::from_millis).collect());
        let ranks = [0, 5, 6, 500, 990, 1000].map(|rank| durations.rank(rank).as_millis());
        assert_eq!(ranks, [1, 1, 2, 100, 198, 200]);
        assert_eq!(Durations::default().longest(), Duration::ZERO);
    }
}
