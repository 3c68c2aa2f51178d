//! The way out: what is in flight may finish, what is idle may not hold it up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, watch};

/// Whether the process is on its way out, and what it still has to finish.
#[derive(Debug, Clone)]
pub(crate) struct Drain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    in_flight: AtomicUsize,
    idle: Notify,
    /// The pod is about to end, and all goes on until then.
    leaving: watch::Sender<bool>,
    /// Kept for as long as the process lives: the HTTP engine takes its end for the start of the drain.
    begun: watch::Sender<bool>,
}

/// Tells the client of one connection to use another one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Farewell(watch::Sender<bool>);

impl Farewell {
    /// From now on.
    pub(crate) fn say(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was said.
    pub(crate) fn is_said(&self) -> bool {
        *self.0.borrow()
    }

    /// Turns true when it is said.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// A request or connection that must be finished first, until dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Inner>);

impl Default for Drain {
    fn default() -> Self {
        Self(Arc::new(Inner {
            in_flight: AtomicUsize::new(0),
            idle: Notify::new(),
            leaving: watch::Sender::new(false),
            begun: watch::Sender::new(false),
        }))
    }
}

impl Drain {
    /// Something that must be finished before the process ends.
    pub(crate) fn enter(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.0.clone())
    }

    /// From now on clients are asked to go elsewhere that learn from nobody else that the pod is about to end.
    pub(crate) fn leave(&self) {
        self.0.leaving.send_replace(true);
    }

    /// Whether they are.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.0.leaving.borrow()
    }

    /// Waits for that.
    pub(crate) async fn leaving(&self) {
        turned(self.0.leaving.subscribe()).await;
    }

    /// From now on clients are asked to go elsewhere.
    pub(crate) fn begin(&self) {
        self.leave();
        self.0.begun.send_replace(true);
    }

    /// Whether clients are being asked to go elsewhere.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.begun.borrow()
    }

    /// Turns true when the drain begins.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.0.begun.subscribe()
    }

    /// Waits until clients are being asked to go elsewhere.
    pub(crate) async fn begun(&self) {
        turned(self.watch()).await;
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.0.idle.notified();
            if self.0.in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Requests and connections that are not finished.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }
}

async fn turned(mut state: watch::Receiver<bool>) {
    // The sender is as old as the process.
    let _ = state.wait_for(|turned| *turned).await;
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::Release) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn is_idle_once_the_last_has_finished() {
        let drain = Drain::default();
        assert!(drain.idle().now_or_never().is_some());
        let (first, second) = (drain.enter(), drain.enter());
        let mut idle = std::pin::pin!(drain.idle());
        assert!(idle.as_mut().now_or_never().is_none());
        drop(first);
        assert!(idle.as_mut().now_or_never().is_none());
        drop(second);
        assert!(idle.now_or_never().is_some());
    }
}
