//! How an application leaves without failing a request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What every application on Kubernetes has to do when its pod ends.
///
/// SIGTERM and the removal of the pod from its Services happen at the same time, and nobody waits for the news to arrive. So
/// the application first says that it is not ready and goes on serving until everybody knows (*leaving*), and only then stops
/// accepting and finishes what is in flight (*closing*).
#[derive(Debug, Clone)]
pub struct Lifecycle {
    linger: Duration,
    ready: Arc<AtomicBool>,
    leaving: CancellationToken,
    closing: CancellationToken,
}

impl Lifecycle {
    /// An application that goes on serving for `linger` after it was told to end.
    #[must_use]
    pub fn new(linger: Duration) -> Self {
        Self {
            linger,
            ready: Arc::new(AtomicBool::new(true)),
            leaving: CancellationToken::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Follows SIGTERM and SIGINT, and returns once the application is closing.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub async fn run(&self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(linger_seconds = self.linger.as_secs_f64(), "Leaving");
        self.leaving.cancel();
        tokio::time::sleep(self.linger).await;
        tracing::info!("Closing");
        self.closing.cancel();
        Ok(())
    }

    /// Whether the pod should get traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.is_leaving()
    }

    /// Says from now on that the application is ready, or is not.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Whether the application was told to end.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// Returns when nothing new is accepted any more.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_unless_told_otherwise_or_leaving() {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        assert!(lifecycle.is_ready());
        lifecycle.set_ready(false);
        assert!(!lifecycle.is_ready(), "told otherwise");
        lifecycle.set_ready(true);
        lifecycle.leaving.cancel();
        assert!(!lifecycle.is_ready(), "leaving");
    }
}
