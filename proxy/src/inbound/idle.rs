//! Connections of the mesh that nobody uses any more.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{self, Instant},
};

/// How much is going on on a connection.
#[derive(Debug)]
pub(crate) struct Activity {
    requests: AtomicUsize,
    /// No request may begin any more.
    closed: AtomicBool,
    idle_since: Mutex<Instant>,
    /// A request has begun, and nobody was told.
    begun: Notify,
    /// The last request of several has ended.
    ended: Notify,
}

/// A request that is going on, until dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Default for Activity {
    fn default() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
            begun: Notify::new(),
            ended: Notify::new(),
        }
    }
}

impl Activity {
    /// A request begins; `None` when none may any more.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Busy> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.begun.notify_one();
        Some(Busy(self.clone()))
    }

    /// Waits until a request has begun; one that did before counts.
    pub(crate) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// From now on no request begins.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Waits until there was no request for `limit`.
    pub(crate) async fn over(&self, limit: Duration) {
        loop {
            let ended = self.ended.notified();
            if self.requests.load(Ordering::Acquire) > 0 {
                ended.await;
                continue;
            }
            let idle = self.idle_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if idle >= limit {
                return;
            }
            time::sleep(limit - idle).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if self.0.requests.fetch_sub(1, Ordering::Release) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn is_over_when_nobody_has_asked_for_long() {
        for (name, busy, want) in
            [("never used", None, 600), ("used once", Some(100), 700), ("busy for longer", Some(3000), 3600)]
        {
            let activity = Arc::new(Activity::default());
            let begun = Instant::now();
            tokio::join!(activity.over(LIMIT), async {
                if let Some(seconds) = busy {
                    let request = activity.begin().unwrap();
                    time::sleep(Duration::from_secs(seconds)).await;
                    drop(request);
                }
            });
            assert_eq!(begun.elapsed().as_secs(), want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_begin_is_no_activity() {
        let activity = Arc::new(Activity::default());
        let request = activity.begin().unwrap();
        activity.close();
        drop(request);
        let begun = Instant::now();
        let asking = async {
            for _ in 0..10 {
                time::sleep(LIMIT / 2).await;
                assert!(activity.begin().is_none());
            }
        };
        let over = async {
            activity.over(LIMIT).await;
            begun.elapsed()
        };
        assert_eq!(tokio::join!(over, asking).0, LIMIT);
    }
}
