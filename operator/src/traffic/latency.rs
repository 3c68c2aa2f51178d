//! Latency histograms: the bounds that proxies count with, merging, percentiles.

use std::{sync::LazyLock, time::Duration};

const FIRST_BOUND_MICROSECONDS: u64 = 100;
const LAST_BOUND_MICROSECONDS: u64 = 60_000_000;

static BOUNDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    // Whole numbers all the way: every replica has the same bounds on every machine.
    let grow = |bound: &u64| Some((bound * 11).div_ceil(10));
    let mut bounds: Vec<u64> = std::iter::successors(Some(FIRST_BOUND_MICROSECONDS), grow)
        .take_while(|bound| *bound < LAST_BOUND_MICROSECONDS)
        .collect();
    bounds.push(LAST_BOUND_MICROSECONDS);
    bounds
});

/// Upper bounds of the latency buckets in microseconds, strictly ascending, from 100 us to 60 s.
///
/// A bound is 10 % above the one before (rounded up to a whole microsecond), so that a percentile read from the histogram is
/// off by at most 10 % of the true one between 100 us and 60 s. Below, the error is at most 100 us; above, 60 s is reported.
#[must_use]
pub fn latency_bounds() -> &'static [u64] {
    &BOUNDS
}

/// Latencies of requests, counted by [`latency_bounds`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// One count for each bound and one more; or none at all, which is the same as zeros.
    buckets: Box<[u64]>,
}

impl Histogram {
    /// Takes counts as they are on the wire: one for each bound and one more, or none. `None` for any other number of them.
    #[must_use]
    pub fn from_buckets(buckets: Vec<u64>) -> Option<Self> {
        (buckets.is_empty() || buckets.len() == BOUNDS.len() + 1).then(|| Self { buckets: buckets.into() })
    }

    /// Number of latencies.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
                *mine = mine.saturating_add(*theirs);
            }
        }
    }

    /// What came since `earlier`; a bucket that shrank counts as nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (now, then) in since.buckets.iter_mut().zip(&earlier.buckets) {
            *now = now.saturating_sub(*then);
        }
        since
    }

    /// Whether some bucket has less than in `earlier`.
    #[must_use]
    pub(super) fn shrank(&self, earlier: &Self) -> bool {
        if self.buckets.is_empty() {
            return earlier.count() > 0;
        }
        self.buckets.iter().zip(&earlier.buckets).any(|(now, then)| now < then)
    }

    /// The latency that the share `quantile` (0 to 1) of requests did not exceed, linear between the bounds of its bucket.
    ///
    /// `None` for an empty histogram. What is slower than the last bound is reported as the last bound.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn percentile(&self, quantile: f64) -> Option<Duration> {
        let rank = quantile.clamp(0.0, 1.0) * self.count() as f64;
        let mut before = 0_u64;
        let mut lower = 0_u64;
        let mut found = None;
        for (index, count) in self.buckets.iter().enumerate() {
            let upper = BOUNDS.get(index).copied().unwrap_or(LAST_BOUND_MICROSECONDS);
            if *count > 0 {
                let share = ((rank - before as f64) / *count as f64).clamp(0.0, 1.0);
                let microseconds = lower as f64 + share * (upper - lower) as f64;
                found = Some(Duration::from_micros(microseconds.round() as u64));
                before = before.saturating_add(*count);
                if before as f64 >= rank {
                    break;
                }
            }
            lower = upper;
        }
        found
    }
}
