//! All targets in use. Requests read without a lock; the thread of the discovery stream alone writes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{self, Instant},
};
use weft_policy::split::InvalidWeights;

use super::{Destination, Policy, Target};

/// Longest wait for the first answer about a target while the operator is connected.
///
/// The operator answers in milliseconds; an application gives up on connecting after about this long.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for the first answer after the connection was lost: twice the longest pause between two attempts to connect. Who
/// comes later in the outage does not wait at all.
const ANSWER_LIMIT_DISCONNECTED: Duration = Duration::from_secs(10);

/// Whether the operator can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Disconnected {
        /// When that was found out, or the process started.
        since: Instant,
    },
    Connected,
}

/// All targets in use and what is known about them.
#[derive(Debug)]
pub(crate) struct Store {
    entries: RwLock<HashMap<Target, Arc<Entry>>>,
    wanted: mpsc::UnboundedSender<Target>,
    stream: watch::Receiver<Stream>,
    started: Instant,
}

/// One target in use.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    known: ArcSwapOption<Known>,
    news: Notify,
    /// Seconds since the store's start at which the target was last used.
    used: AtomicU64,
    /// Still in the store. Who keeps an entry that no longer is asks the store for a new one.
    live: AtomicBool,
    refusal: Mutex<Option<Refusal>>,
}

/// The update in force.
#[derive(Debug)]
struct Known {
    stream: u64,
    version: u64,
    policy: Policy,
}

/// An update that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) version: u64,
    pub(crate) reason: String,
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is in force.
    Taken,
    /// A later one is in force already.
    Outdated,
    /// Nobody uses the target any more.
    Unwanted,
}

impl Entry {
    fn new(target: Target) -> Self {
        Self {
            target,
            known: ArcSwapOption::empty(),
            news: Notify::new(),
            used: AtomicU64::new(0),
            live: AtomicBool::new(true),
            refusal: Mutex::new(None),
        }
    }

    /// What is known about the target, if anything is yet.
    pub(crate) fn policy(&self) -> Option<Policy> {
        if let Some(known) = &*self.known.load() {
            return Some(known.policy.clone());
        }
        self.refusal().map(|_refusal| Policy::Refused)
    }

    /// Version of the update in force.
    pub(crate) fn version(&self) -> Option<u64> {
        self.known.load().as_ref().map(|known| known.version)
    }

    /// The last update that was refused since one was taken.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_refusal(&self, refusal: Option<Refusal>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

impl Store {
    /// An empty store that asks for targets through `wanted`, and looks at `stream` to know how long an answer may take.
    pub(crate) fn new(wanted: mpsc::UnboundedSender<Target>, stream: watch::Receiver<Stream>) -> Self {
        Self { entries: RwLock::default(), wanted, stream, started: Instant::now() }
    }

    /// The entry of `target`, which is asked of the operator if it is new. Counts as a use.
    pub(crate) fn entry(&self, target: &Target) -> Arc<Entry> {
        // In use before the lock is given back: between the two the entry could expire.
        if let Some(entry) = self.read().get(target) {
            self.touch(entry);
            return entry.clone();
        }
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(target.clone()).or_insert_with(|| {
            // Fails only once the discovery stream has ended for good; the proxy is about to exit.
            let _ = self.wanted.send(target.clone());
            Arc::new(Entry::new(target.clone()))
        });
        self.touch(entry);
        entry.clone()
    }

    /// `entry` or, if it has left the store, its successor. Counts as a use.
    pub(crate) fn renew(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        if entry.live.load(Ordering::Relaxed) {
            self.touch(entry);
            return None;
        }
        Some(self.entry(&entry.target))
    }

    fn touch(&self, entry: &Entry) {
        let now = self.started.elapsed().as_secs();
        if entry.used.load(Ordering::Relaxed) != now {
            entry.used.store(now, Ordering::Relaxed);
        }
    }

    /// What is known about the target of `entry`, waiting for the first answer: at most [`ANSWER_LIMIT`], and not longer than until
    /// [`ANSWER_LIMIT_DISCONNECTED`] after the operator was lost. `None` when none came; nothing remembers that.
    pub(crate) async fn first_answer(&self, entry: &Entry) -> Option<Policy> {
        let begun = Instant::now();
        let mut stream = self.stream.clone();
        loop {
            let news = entry.news.notified();
            if let Some(policy) = entry.policy() {
                return Some(policy);
            }
            let limit = match *stream.borrow_and_update() {
                Stream::Connected => begun + ANSWER_LIMIT,
                Stream::Disconnected { since } => (since + ANSWER_LIMIT_DISCONNECTED).min(begun + ANSWER_LIMIT),
            };
            tokio::select! {
                () = news => {}
                Ok(()) = stream.changed() => {}
                () = time::sleep_until(limit) => return entry.policy(),
            }
        }
    }

    /// Brings an update of the stream with number `stream` into force, unless a later one is. One atomic swap: requests see
    /// all of it or nothing.
    pub(crate) fn apply(
        &self,
        stream: u64,
        version: u64,
        target: &Target,
        destination: Destination,
    ) -> Result<Applied, InvalidWeights> {
        let Some(entry) = self.read().get(target).cloned() else {
            return Ok(Applied::Unwanted);
        };
        let previous = entry.known.load_full();
        if previous.as_ref().is_some_and(|known| (known.stream, known.version) >= (stream, version)) {
            return Ok(Applied::Outdated);
        }
        let policy = Policy::new(destination, previous.as_ref().map(|known| &known.policy))?;
        entry.known.store(Some(Arc::new(Known { stream, version, policy })));
        entry.set_refusal(None);
        entry.news.notify_waiters();
        Ok(Applied::Taken)
    }

    /// Remembers why the last update of `target` was refused.
    pub(crate) fn refuse(&self, target: &Target, refusal: Refusal) {
        if let Some(entry) = self.read().get(target) {
            entry.set_refusal(Some(refusal));
            entry.news.notify_waiters();
        }
    }

    /// Takes out the targets that nobody used for `idle` and names them.
    pub(crate) fn expire(&self, idle: Duration) -> Vec<Target> {
        let now = self.started.elapsed().as_secs();
        let mut expired = Vec::new();
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|target, entry| {
            let keep = now.saturating_sub(entry.used.load(Ordering::Relaxed)) <= idle.as_secs();
            if !keep {
                entry.live.store(false, Ordering::Relaxed);
                expired.push(target.clone());
            }
            keep
        });
        expired
    }

    /// All entries, ordered by target.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.read().values().cloned().collect();
        entries.sort_by(|a, b| a.target.cmp(&b.target));
        entries
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Target, Arc<Entry>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }
}
