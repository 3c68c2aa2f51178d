//! Latency histograms whose bounds may change while they are counted.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

/// Upper bounds of a histogram's buckets, in microseconds, strictly ascending. What is slower than the last has a bucket more.
pub(crate) type Bounds = Arc<[u64]>;

/// Bounds until the operator has named its own: from 100 us to 60 s, each 10 % above the one before.
pub(crate) fn default_bounds() -> Bounds {
    const FIRST: u64 = 100;
    const LAST: u64 = 60_000_000;
    let grow = |bound: &u64| Some((bound * 11).div_ceil(10));
    std::iter::successors(Some(FIRST), grow).take_while(|bound| *bound < LAST).chain([LAST]).collect()
}

/// Latencies counted since the process started.
///
/// When the bounds change, what was counted keeps its old buckets and is added into the new ones on reading, so nothing is
/// lost: an old bucket counts in the first new one that reaches as high, which never makes a latency look better than it was.
#[derive(Debug)]
pub(crate) struct Latencies {
    current: ArcSwap<Buckets>,
    earlier: Mutex<Vec<Arc<Buckets>>>,
    sum_microseconds: AtomicU64,
}

#[derive(Debug)]
struct Buckets {
    bounds: Bounds,
    counts: Box<[AtomicU64]>,
}

impl Buckets {
    fn new(bounds: Bounds) -> Arc<Self> {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { bounds, counts })
    }

    fn add_to(&self, bounds: &[u64], counts: &mut [u64]) {
        for (index, count) in self.counts.iter().enumerate() {
            // Without an own bound it is the bucket of all that is slower, which is the last of the others as well.
            let at = self.bounds.get(index).map_or(bounds.len(), |own| bounds.partition_point(|bound| bound < own));
            counts[at] += count.load(Ordering::Relaxed);
        }
    }
}

impl Latencies {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            current: ArcSwap::new(Buckets::new(bounds)),
            earlier: Mutex::default(),
            sum_microseconds: AtomicU64::new(0),
        }
    }

    /// Counts a request that took `latency`.
    pub(crate) fn record(&self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let buckets = self.current.load();
        let at = buckets.bounds.partition_point(|bound| *bound < microseconds);
        buckets.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum_microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Counts by other bounds from now on.
    pub(crate) fn set_bounds(&self, bounds: &Bounds) {
        if self.current.load().bounds != *bounds {
            // The lock is held across the swap, so that a reader never sees the old buckets twice or not at all.
            let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
            earlier.push(self.current.swap(Buckets::new(bounds.clone())));
        }
    }

    /// One count for each of `bounds` and one more.
    pub(crate) fn counts(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        for buckets in earlier.iter() {
            buckets.add_to(bounds, &mut counts);
        }
        self.current.load().add_to(bounds, &mut counts);
        counts
    }

    /// Sum of all latencies.
    pub(crate) fn sum_microseconds(&self) -> u64 {
        self.sum_microseconds.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(bounds: &[u64], microseconds: &[u64]) -> Latencies {
        let latencies = Latencies::new(bounds.into());
        for latency in microseconds {
            latencies.record(Duration::from_micros(*latency));
        }
        latencies
    }

    #[test]
    fn counts_by_upper_bounds() {
        let latencies = recorded(&[10, 20], &[0, 10, 11, 20, 21, 1_000_000]);
        assert_eq!(latencies.counts(&[10, 20]), [2, 2, 2]);
        assert_eq!(latencies.sum_microseconds(), 1_000_062);
    }

    #[test]
    fn loses_nothing_when_bounds_change() {
        for (name, bounds, want) in [
            ("the same", &[10, 20][..], &[1, 2, 1][..]),
            ("finer", &[5, 10, 15, 20], &[0, 1, 1, 1, 1]),
            ("coarser", &[20], &[3, 1]),
            ("between", &[15], &[2, 2]),
            ("lower", &[1], &[0, 4]),
            ("higher", &[1000], &[3, 1]),
        ] {
            let latencies = recorded(&[10, 20], &[7, 20, 500]);
            latencies.set_bounds(&bounds.into());
            latencies.record(Duration::from_micros(12));
            assert_eq!(latencies.counts(bounds), want, "{name}");
        }
    }

    #[test]
    fn the_default_bounds_ascend_to_a_minute() {
        let bounds = default_bounds();
        assert!(bounds.is_sorted_by(|a, b| a < b));
        assert_eq!((bounds.first(), bounds.last()), (Some(&100), Some(&60_000_000)));
    }
}
