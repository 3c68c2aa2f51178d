//! How many tokens are reviewed at once: each is a request to the API server, and whoever reaches the operator can ask for it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// How many may pass, and how long they wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// At once, of all sources.
    pub(super) of_all: usize,
    /// At once, of one source; few enough that a flood from one leaves most of the room to the others.
    pub(super) of_one: usize,
    /// Of one source, beside those: more than the sidecars of a node that share its address have to ask at one moment.
    pub(super) waiting: usize,
    /// For as long as this.
    pub(super) wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { of_all: 32, of_one: 4, waiting: 128, wait: Duration::from_secs(3) }
    }
}

/// Why a caller may not pass now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Busy {
    /// Its source asks for too much.
    #[error("too many tokens from this address are to be reviewed")]
    Source,
    /// All together ask for too much, or the API server is slow.
    #[error("too many tokens are to be reviewed")]
    All,
}

/// Where a request comes from; `None` where that is not known.
pub(super) type Source = Option<IpAddr>;

/// Lets callers pass.
#[derive(Debug)]
pub(super) struct Turnstile {
    limits: Limits,
    all: Arc<Semaphore>,
    sources: Mutex<HashMap<Source, Queue>>,
}

/// Those who come from one source.
#[derive(Debug)]
struct Queue {
    turns: Arc<Semaphore>,
    present: usize,
}

/// The right to pass; the next may when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // In this order: whoever is let in next must find both free.
    _of_all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
    _place: Place<'a>,
}

/// A place in the queue of a source.
#[derive(Debug)]
struct Place<'a> {
    turnstile: &'a Turnstile,
    source: Source,
}

impl Turnstile {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, all: Arc::new(Semaphore::new(limits.of_all)), sources: Mutex::default() }
    }

    /// Waits for a turn: first within its source, so that those who wait there stand in nobody else's way.
    pub(super) async fn enter(&self, source: Source) -> Result<Turn<'_>, Busy> {
        let (place, turns) = self.queue(source)?;
        let end = Instant::now() + self.limits.wait;
        // Neither is ever closed.
        let Ok(Ok(of_one)) = timeout_at(end, turns.acquire_owned()).await else { return Err(Busy::Source) };
        let Ok(Ok(of_all)) = timeout_at(end, Arc::clone(&self.all).acquire_owned()).await else {
            return Err(Busy::All);
        };
        Ok(Turn { _of_all: of_all, _of_one: of_one, _place: place })
    }

    fn queue(&self, source: Source) -> Result<(Place<'_>, Arc<Semaphore>), Busy> {
        let mut sources = self.locked();
        let new = || Queue { turns: Arc::new(Semaphore::new(self.limits.of_one)), present: 0 };
        let queue = sources.entry(source).or_insert_with(new);
        if queue.present >= self.limits.of_one + self.limits.waiting {
            return Err(Busy::Source);
        }
        queue.present += 1;
        Ok((Place { turnstile: self, source }, Arc::clone(&queue.turns)))
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Source, Queue>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut sources = self.turnstile.locked();
        if let Some(queue) = sources.get_mut(&self.source) {
            queue.present -= 1;
            if queue.present == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_source_leaves_room_for_the_others() {
        let limits = Limits { of_all: 4, of_one: 2, waiting: 3, wait: Duration::from_secs(3) };
        let turnstile = Turnstile::new(limits);
        let source = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
        let flood = join_all((0..6).map(|_| turnstile.enter(source(1)))).await;
        let passed = flood.iter().filter(|turn| turn.is_ok()).count();
        assert_eq!(passed, 2, "and three waited in vain, and one was not let into the queue");
        let second = [turnstile.enter(source(2)).await, turnstile.enter(None).await];
        assert!(second.iter().all(Result::is_ok), "another, and who is not known");
        assert_eq!(turnstile.enter(source(3)).await.unwrap_err(), Busy::All);
        assert_eq!(turnstile.enter(source(1)).await.unwrap_err(), Busy::Source);
        drop(flood);
        let third = turnstile.enter(source(3)).await;
        assert!(third.is_ok(), "there is room again");
        drop((second, third));
        assert!(turnstile.locked().is_empty(), "nothing is remembered of those who have left");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_let_in_by_who_leaves() {
        let turnstile = Turnstile::new(Limits { of_all: 1, of_one: 1, waiting: 1, wait: Duration::from_secs(3) });
        let first = turnstile.enter(None).await.unwrap();
        let leave = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(turnstile.enter(None), leave);
        assert!(second.is_ok());
    }
}
