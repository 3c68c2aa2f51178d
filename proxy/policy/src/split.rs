//! Which backend of a split the n-th request goes to.

use thiserror::Error;

/// Why weights cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWeights {
    /// No backend has a weight above zero.
    #[error("no backend of the split has a weight above 0")]
    AllZero,
    /// The weights add up to more than 2^64 - 1.
    #[error("the weights of the split add up to more than {}", u64::MAX)]
    Overflow,
}

/// The order in which backends are served so that their weights hold exactly.
///
/// Every run of `period()` consecutive turns gives each backend exactly its weight (divided by what all weights have in
/// common), and within a period each backend's turns are spread evenly. The order is a golden-ratio sequence: turn `n` falls
/// on point `n * step mod total` of the weights laid end to end, and a `step` that shares no factor with `total` meets every
/// point once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Where each backend's stretch of points ends.
    ends: Vec<u64>,
    total: u64,
    step: u64,
}

impl Schedule {
    /// The schedule of backends with these relative `weights`.
    ///
    /// # Errors
    /// When no weight is above zero, or their sum does not fit 64 bits.
    pub fn new(weights: impl IntoIterator<Item = u64>) -> Result<Self, InvalidWeights> {
        let weights: Vec<u64> = weights.into_iter().collect();
        let common = weights.iter().copied().fold(0, gcd);
        if common == 0 {
            return Err(InvalidWeights::AllZero);
        }
        let mut total: u64 = 0;
        let mut ends = Vec::with_capacity(weights.len());
        for weight in weights {
            total = total.checked_add(weight / common).ok_or(InvalidWeights::Overflow)?;
            ends.push(total);
        }
        Ok(Self { ends, total, step: step(total) })
    }

    /// Number of turns after which every backend has had exactly its share; at least 1.
    #[must_use]
    pub fn period(&self) -> u64 {
        self.total
    }

    /// Index of the backend whose turn the `turn`-th is, counted from 0. Never one of weight 0.
    #[must_use]
    pub fn pick(&self, turn: u64) -> usize {
        let point = u128::from(turn) * u128::from(self.step) % u128::from(self.total);
        self.ends.partition_point(|&end| u128::from(end) <= point)
    }
}

/// A number that shares no factor with `total` and whose multiples spread evenly over it.
///
/// Multiples of the golden ratio spread best of all, because its continued fraction has no quotient above 1 (Knuth, The Art of
/// Computer Programming 3, 6.4). Of the numbers next to it the one with the smallest quotients is taken.
fn step(total: u64) -> u64 {
    // 2^64 divided by the golden ratio.
    const GOLDEN: u128 = 0x9E37_79B9_7F4A_7C15;
    /// How far from the ideal to look: enough to find one with quotients below 6 for any total.
    const REACH: u64 = 64;
    let ideal = u64::try_from((u128::from(total) * GOLDEN) >> 64).unwrap_or(u64::MAX);
    let last = ideal.saturating_add(REACH).min(total.saturating_sub(1));
    (ideal.saturating_sub(REACH).max(1)..=last)
        .filter(|&step| gcd(step, total) == 1)
        .min_by_key(|&step| (largest_quotient(step, total), step.abs_diff(ideal)))
        .unwrap_or(1)
}

/// The largest quotient of the continued fraction of `step / total`.
fn largest_quotient(step: u64, total: u64) -> u64 {
    let (mut a, mut b, mut largest) = (total, step, 0);
    while b > 0 {
        largest = largest.max(a / b);
        (a, b) = (b, a % b);
    }
    largest
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(schedule: &Schedule, backends: usize, from: u64, turns: u64) -> Vec<u64> {
        let mut counts = vec![0; backends];
        for turn in from..from + turns {
            counts[schedule.pick(turn)] += 1;
        }
        counts
    }

    #[test]
    fn gives_each_backend_its_share() {
        for (name, weights, turns, want) in [
            ("nine to one", &[900, 100][..], 1000, &[900, 100][..]),
            ("not reducible", &[899, 101], 1000, &[899, 101]),
            ("thirds", &[1, 1, 1], 999, &[333, 333, 333]),
            ("zero and one", &[0, 1], 10, &[0, 10]),
            ("one and zero", &[1, 0], 10, &[10, 0]),
            ("alone", &[7], 10, &[10]),
            ("zero between", &[1, 0, 1], 10, &[5, 0, 5]),
            ("one in a million", &[999_999, 1], 1_000_000, &[999_999, 1]),
        ] {
            let schedule = Schedule::new(weights.iter().copied()).unwrap();
            assert_eq!(counts(&schedule, weights.len(), 0, turns), want, "{name}");
        }
    }

    #[test]
    fn spreads_a_small_share_evenly() {
        let schedule = Schedule::new([90, 10]).unwrap();
        for start in 0..100 {
            assert_eq!(counts(&schedule, 2, start, 10), [9, 1], "from turn {start}");
        }
    }

    #[test]
    fn survives_the_largest_numbers() {
        let schedule = Schedule::new([u64::MAX - 1, 1]).unwrap();
        assert_eq!(schedule.period(), u64::MAX);
        assert!(schedule.pick(u64::MAX) < 2);
    }

    #[test]
    fn refuses_weights_that_cannot_be_followed() {
        for (name, weights, want) in [
            ("none", &[][..], InvalidWeights::AllZero),
            ("all zero", &[0, 0], InvalidWeights::AllZero),
            ("too much", &[u64::MAX, 2], InvalidWeights::Overflow),
        ] {
            assert_eq!(Schedule::new(weights.iter().copied()), Err(want), "{name}");
        }
    }

    #[test]
    fn spreads_evenly_for_a_total_whose_nearest_step_does_not() {
        // Next to the golden ratio stands 1231 / 1993, whose multiples leave gaps.
        assert!(largest_quotient(1231, 1993) > largest_quotient(step(1993), 1993));
        assert!(largest_quotient(step(1993), 1993) < 6);
    }

    proptest! {
        #[test]
        fn any_period_holds_the_weights_exactly(
            weights in prop::collection::vec(0_u64..50, 1..6),
            start in 0_u64..1_000_000,
        ) {
            prop_assume!(weights.iter().any(|&weight| weight > 0));
            let schedule = Schedule::new(weights.iter().copied()).unwrap();
            let sum: u64 = weights.iter().sum();
            let got = counts(&schedule, weights.len(), start, schedule.period());
            let want: Vec<u64> = weights.iter().map(|weight| weight * schedule.period() / sum).collect();
            prop_assert_eq!(got, want);
        }

        #[test]
        fn no_prefix_strays_far(weights in prop::collection::vec(1_u64..1000, 2..5)) {
            let schedule = Schedule::new(weights.iter().copied()).unwrap();
            let sum: u64 = weights.iter().sum();
            let mut counts = vec![0_u64; weights.len()];
            for turn in 0..200 {
                counts[schedule.pick(turn)] += 1;
                for (count, weight) in counts.iter().zip(&weights) {
                    // |count - turns * weight / sum| <= 5, without fractions.
                    let ideal = (turn + 1) * weight;
                    prop_assert!((count * sum).abs_diff(ideal) <= 5 * sum, "{weights:?} at turn {turn}: {counts:?}");
                }
            }
        }
    }
}
