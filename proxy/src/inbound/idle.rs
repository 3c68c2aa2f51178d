//! Connections of the mesh that nobody uses any more.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
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
    idle_since: Mutex<Instant>,
    /// The last request of several has ended.
    ended: Notify,
}

/// A request that is going on, until dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Default for Activity {
    fn default() -> Self {
        Self { requests: AtomicUsize::new(0), idle_since: Mutex::new(Instant::now()), ended: Notify::new() }
    }
}

impl Activity {
    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
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
                    let request = activity.begin();
                    time::sleep(Duration::from_secs(seconds)).await;
                    drop(request);
                }
            });
            assert_eq!(begun.elapsed().as_secs(), want, "{name}");
        }
    }
}
