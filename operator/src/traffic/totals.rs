//! Counters of one edge: cumulative as reported, or the difference of two reports.

use std::time::Duration;

use super::latency::Histogram;

/// Number of status classes: 0 for requests without an answer, 1 to 5 by the first digit of the status.
pub(super) const STATUS_CLASSES: usize = 6;

/// Counters of one edge, or of several added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Requests that were answered as asked.
    pub success: u64,
    /// All other requests, those without an answer included.
    pub failure: u64,
    /// Answers by the first digit of their status; index 0 counts requests without an answer.
    pub status_classes: [u64; STATUS_CLASSES],
    /// Latency of all requests.
    pub latency: Histogram,
    /// Sum of all latencies.
    pub latency_sum: Duration,
    /// TCP connections opened that were not looked into.
    pub tcp_opened: u64,
    /// TCP connections closed that were not looked into.
    pub tcp_closed: u64,
    /// Bytes received on such connections.
    pub tcp_received_bytes: u64,
    /// Bytes sent on such connections.
    pub tcp_sent_bytes: u64,
}

impl Totals {
    /// Number of requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.success.saturating_add(self.failure)
    }

    /// Adds the counters of another; the order of additions does not matter.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counters().into_iter().zip(other.counts()) {
            *mine = mine.saturating_add(theirs);
        }
        self.latency.merge(&other.latency);
        self.latency_sum = self.latency_sum.saturating_add(other.latency_sum);
    }

    /// What came since `earlier`; a counter that shrank counts as nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (now, then) in since.counters().into_iter().zip(earlier.counts()) {
            *now = now.saturating_sub(then);
        }
        since.latency = self.latency.since(&earlier.latency);
        since.latency_sum = self.latency_sum.saturating_sub(earlier.latency_sum);
        since
    }

    /// Nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.counts().into_iter().all(|count| count == 0) && self.latency.count() == 0
    }

    /// Whether some counter is less than in `earlier`, which cumulative totals never are.
    #[must_use]
    pub(super) fn shrank(&self, earlier: &Self) -> bool {
        self.counts().into_iter().zip(earlier.counts()).any(|(now, then)| now < then)
            || self.latency_sum < earlier.latency_sum
            || self.latency.shrank(&earlier.latency)
    }

    fn counts(&self) -> [u64; STATUS_CLASSES + 6] {
        let [none, one, two, three, four, five] = self.status_classes;
        [
            self.success,
            self.failure,
            none,
            one,
            two,
            three,
            four,
            five,
            self.tcp_opened,
            self.tcp_closed,
            self.tcp_received_bytes,
            self.tcp_sent_bytes,
        ]
    }

    fn counters(&mut self) -> [&mut u64; STATUS_CLASSES + 6] {
        let [none, one, two, three, four, five] = &mut self.status_classes;
        [
            &mut self.success,
            &mut self.failure,
            none,
            one,
            two,
            three,
            four,
            five,
            &mut self.tcp_opened,
            &mut self.tcp_closed,
            &mut self.tcp_received_bytes,
            &mut self.tcp_sent_bytes,
        ]
    }
}
