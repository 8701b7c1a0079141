//! When updates occur: moments that look random, and are the same for every contender.

use core::time::Duration;

/// Gaps between updates: exponentially distributed, as of events that know nothing of each other,
/// and the same for equal seeds.
#[derive(Debug)]
pub(super) struct Gaps {
    numbers: SplitMix64,
    mean: Duration,
}

impl Gaps {
    pub(super) fn new(seed: u64, mean: Duration) -> Self {
        Self { numbers: SplitMix64::new(seed), mean }
    }

    pub(super) fn next(&mut self) -> Duration {
        // Below 1, so that its complement has a logarithm.
        let share = self.numbers.share();
        self.mean.mul_f64(-(1.0 - share).ln())
    }
}

/// Steele, Lea and Flood's generator: one addition and a finalizer.
#[derive(Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of at least 0 and below 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_its_published_numbers() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut numbers = SplitMix64::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| numbers.next()).collect();
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn gaps_are_exponential_with_their_mean_and_the_same_for_equal_seeds() {
        let gaps = |seed| {
            let mut gaps = Gaps::new(seed, Duration::from_millis(10));
            (0..10_000).map(|_| gaps.next().as_secs_f64()).collect::<Vec<_>>()
        };
        let sample = gaps(1);
        assert_eq!(sample, gaps(1));
        assert_ne!(sample, gaps(2));
        let mean = sample.iter().sum::<f64>() / 10_000.0;
        assert!((0.0097..0.0103).contains(&mean), "{mean}");
        // A share of 1/e is longer than the mean.
        let longer = sample.iter().filter(|gap| **gap > 0.01).count();
        assert!((3_500..3_860).contains(&longer), "{longer}");
    }
}
