//! How long answers took: a histogram that is exact to two per cent, whatever their number.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Each bucket is wider than the one before by this factor.
const GROWTH: f64 = 1.02;

/// Counts of answers by how long they took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latency(BTreeMap<u32, u64>);

impl Latency {
    /// Notes one answer.
    pub fn note(&mut self, took: Duration) {
        let microseconds = took.as_secs_f64() * 1e6;
        // Below a microsecond all is one.
        let bucket = microseconds.max(1.0).log(GROWTH) as u32;
        *self.0.entry(bucket).or_default() += 1;
    }

    /// The time that `share` of the answers, 0 to 1, did not exceed; `None` without answers.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let total: u64 = self.0.values().sum();
        let rank = (total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        })?;
        let upper = GROWTH.powf(f64::from(*bucket.0) + 1.0);
        Some(Duration::from_secs_f64(upper / 1e6))
    }

    /// Counts since `mark` was taken.
    #[must_use]
    pub fn since(&self, mark: &Self) -> Self {
        Self(super::tally::difference(&self.0, &mark.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_two_per_cent() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(0.5), None);
        for milliseconds in 1..=100 {
            latency.note(Duration::from_millis(milliseconds));
        }
        for (name, share, want) in
            [("median", 0.5, 50.0), ("p99", 0.99, 99.0), ("first", 0.0, 1.0), ("last", 1.0, 100.0)]
        {
            let got = latency.percentile(share).unwrap().as_secs_f64() * 1e3;
            assert!((got / want - 1.0).abs() <= 0.021, "{name}: {got} ms, not {want}");
        }
    }

    #[test]
    fn counts_since_a_mark() {
        let mut latency = Latency::default();
        latency.note(Duration::from_millis(1));
        let mark = latency.clone();
        latency.note(Duration::from_secs(2));
        let median = latency.since(&mark).percentile(0.5).unwrap().as_secs_f64();
        assert!((median / 2.0 - 1.0).abs() <= 0.021, "{median}");
    }
}
