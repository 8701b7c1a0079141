//! Time, measured in rounds that take turns.
//!
//! All contenders of a row have a round each, then all of them another, each time beginning with
//! the next one: what disturbs the machine for a while disturbs all of them alike, and a ratio
//! between two of them holds although neither figure does.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use crate::results::{Figure, figure};
use crate::scale::Scale;

/// One contender of a row: a name, and what is measured.
pub struct Contender<'a> {
    name: String,
    /// How many units, such as messages, one iteration is.
    units: f64,
    run: Box<dyn FnMut(u64) + 'a>,
    by_processor_time: bool,
}

impl<'a> Contender<'a> {
    /// A contender whose `run` does as many iterations as it is told, each of so many `units`.
    pub fn new(name: &str, units: f64, run: impl FnMut(u64) + 'a) -> Self {
        Self { name: name.to_owned(), units, run: Box::new(run), by_processor_time: false }
    }

    /// A contender of which one iteration is one unit, `step`.
    pub fn of_steps(name: &str, mut step: impl FnMut() + 'a) -> Self {
        Self::new(name, 1.0, move |iterations| {
            for _ in 0..iterations {
                step();
            }
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same by another name.
    #[must_use]
    pub fn renamed(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The same, measured by [`processor_time`]: for iterations that are long beside the time for
    /// which other programs interrupt.
    #[must_use]
    pub fn by_processor_time(self) -> Self {
        Self { by_processor_time: true, ..self }
    }

    /// How many units one iteration is.
    #[must_use]
    pub const fn units(&self) -> f64 {
        self.units
    }

    /// Runs it, unmeasured.
    pub fn run(&mut self, iterations: u64) {
        (self.run)(iterations);
    }

    fn time(&mut self, iterations: u64) -> Duration {
        if self.by_processor_time {
            let begun = processor_time();
            (self.run)(iterations);
            return processor_time() - begun;
        }
        let begun = Instant::now();
        (self.run)(iterations);
        begun.elapsed()
    }

    /// How many iterations take about as long as `round`.
    fn calibrate(&mut self, round: Duration) -> u64 {
        let mut iterations = 1_u64;
        loop {
            let taken = self.time(iterations);
            if taken * 4 >= round || iterations >= 1 << 40 {
                // Once more, for the first time may have been spent on page faults and caches.
                let taken = taken.min(self.time(iterations)).max(Duration::from_nanos(1));
                let each = taken.as_secs_f64() / whole(iterations);
                return rounded(round.as_secs_f64() / each);
            }
            iterations = iterations.saturating_mul(2);
        }
    }
}

impl fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Measures the contenders of one row, in turn: nanoseconds a unit.
#[must_use]
pub fn measure(row: &str, scale: Scale, mut contenders: Vec<Contender<'_>>) -> Vec<Figure> {
    let iterations: Vec<u64> =
        contenders.iter_mut().map(|contender| contender.calibrate(scale.round())).collect();
    let mut samples = vec![Vec::new(); contenders.len()];
    for round in 0..scale.rounds() {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let contender = &mut contenders[index];
            let taken = contender.time(iterations[index]);
            let units = whole(iterations[index]) * contender.units;
            samples[index].push(taken.as_secs_f64() * 1e9 / units);
        }
    }
    let figures = contenders.iter().zip(samples);
    figures.map(|(contender, samples)| figure(row, &contender.name, samples)).collect()
}

/// How long this thread has had a processor for.
#[must_use]
pub fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// A count as a float; exact for every count that a measurement comes to.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub const fn whole(count: u64) -> f64 {
    count as f64
}

/// The nearest count of iterations, one at least.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn rounded(count: f64) -> u64 {
    count.round().clamp(1.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn every_contender_has_its_rounds_and_each_round_begins_with_another() {
        let order = RefCell::new(Vec::new());
        let slow = |name: &'static str| {
            let order = &order;
            Contender::new(name, 2.0, move |_| {
                std::thread::sleep(Scale::Quick.round());
                order.borrow_mut().push(name);
            })
        };
        let figures = measure("16 B", Scale::Quick, vec![slow("a"), slow("b"), slow("c")]);
        let names: Vec<_> = figures.iter().map(|figure| figure.contender.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let order = order.into_inner();
        let rounds: Vec<_> = order[order.len() - 3 * Scale::Quick.rounds()..].chunks(3).collect();
        assert_eq!(
            rounds[..4],
            [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]
        );
        // Two units an iteration: each takes half of it, a millisecond at least.
        assert!(figures.iter().all(|figure| figure.low >= 1e6 && figure.low <= figure.high));
    }

    #[test]
    fn a_round_holds_as_many_iterations_as_fit_its_time() {
        let done = Cell::new(0);
        let mut contender = Contender::of_steps("x", || {
            std::thread::sleep(Duration::from_micros(100));
            done.set(done.get() + 1);
        });
        let iterations = contender.calibrate(Duration::from_millis(4));
        assert!((5..=40).contains(&iterations), "{iterations}");
        assert!(done.get() > 0);
    }
}
