//! Connections of the mesh that nobody uses any more.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::time::{self, Instant};

/// A connection that is busy though its client's certificate has expired is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How much is going on on a connection.
#[derive(Debug)]
pub(crate) struct Activity {
    requests: AtomicUsize,
    idle_since: Mutex<Instant>,
}

/// A request that is going on, until dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Default for Activity {
    fn default() -> Self {
        Self { requests: AtomicUsize::new(0), idle_since: Mutex::new(Instant::now()) }
    }
}

impl Activity {
    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Waits until there was no request for `limit`, or there is none and `expiry` has passed.
    pub(crate) async fn over(&self, limit: Duration, expiry: SystemTime) {
        loop {
            let (now, busy) = (SystemTime::now(), self.requests.load(Ordering::Acquire) > 0);
            let idle = self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if !busy && (idle >= limit || now > expiry) {
                return;
            }
            let to_limit = if busy { limit } else { limit - idle };
            // A little more, because what passes at a time has passed only after it.
            let to_expiry = expiry.duration_since(now).map_or(LOOK_AGAIN, |left| left + Duration::from_millis(1));
            time::sleep(to_limit.min(to_expiry)).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.requests.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn is_over_when_nobody_has_asked_for_long() {
        let far = SystemTime::now() + Duration::from_secs(24 * 3600);
        for (name, busy, want) in
            [("never used", None, 600), ("used once", Some(100), 700), ("busy for longer", Some(3000), 3600)]
        {
            let activity = Arc::new(Activity::default());
            let begun = Instant::now();
            tokio::join!(activity.over(LIMIT, far), async {
                if let Some(seconds) = busy {
                    let request = activity.begin();
                    time::sleep(Duration::from_secs(seconds)).await;
                    drop(request);
                }
            });
            assert_eq!(begun.elapsed().as_secs(), want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_over_when_the_client_is_nobody_any_more() {
        // The wall clock does not follow the paused one.
        let past = SystemTime::now() - Duration::from_secs(1);
        let activity = Arc::new(Activity::default());
        let begun = Instant::now();
        activity.over(LIMIT, past).await;
        assert_eq!(begun.elapsed().as_secs(), 0, "idle");
        let request = activity.begin();
        tokio::join!(activity.over(LIMIT, past), async {
            time::sleep(Duration::from_secs(45)).await;
            drop(request);
        });
        assert_eq!(begun.elapsed().as_secs(), 60, "busy");
    }
}
