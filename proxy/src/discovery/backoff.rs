//! Time between two attempts to reach the operator.

use std::time::Duration;

use crate::upstream::chance;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Exponential, from 100 ms to 5 s, each wait somewhere between half of it and the whole, so that the proxies of a cluster do
/// not all come back at once.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// How long to wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = self.0;
        self.0 = (longest * 2).min(LONGEST);
        let half = longest / 2;
        half + half * chance::below(1001) / 1000
    }

    /// The last attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_five_seconds_and_starts_again() {
        let mut backoff = Backoff::default();
        for longest in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let wait = backoff.next().as_millis();
            assert!((longest / 2..=longest).contains(&wait), "{wait} ms of {longest} ms");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
