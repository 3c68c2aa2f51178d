//! What each connected sidecar was sent and what it said to it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::model::{AppliedSplit, Destination, PodRef, ServiceRef, Target};

/// Names one stream for as long as the operator runs.
pub type StreamId = u64;

/// How far the sidecars that use a root have followed a split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sidecars that use the root.
    pub proxies: usize,
    /// Those that acknowledged the split at this generation for every port of the root that they use.
    pub acknowledged: usize,
    /// Those that refused what they were last sent, with their reason.
    pub refused: BTreeSet<(PodRef, String)>,
}

/// Every connected sidecar's state.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    streams: HashMap<StreamId, Stream>,
    /// Which streams use a root: thousands of splits are counted again and again, each by those alone.
    users: HashMap<ServiceRef, BTreeSet<StreamId>>,
    /// Roots whose progress may have changed.
    touched: BTreeSet<ServiceRef>,
}

#[derive(Debug)]
struct Stream {
    pod: PodRef,
    targets: HashMap<Target, Entry>,
}

#[derive(Debug)]
struct Entry {
    version: u64,
    sent: Arc<Destination>,
    acknowledged: Option<Arc<Destination>>,
    refusal: Option<String>,
}

impl Ledger {
    /// A receiver that is notified when a sidecar came, went or answered.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Roots whose progress may have changed since the last call.
    pub fn take_touched(&self) -> BTreeSet<ServiceRef> {
        std::mem::take(&mut self.locked().touched)
    }

    /// What was counted since the process started, in Prometheus' text format.
    pub fn render(&self) -> String {
        let sent = self.sent.load(Ordering::Relaxed);
        let streams = self.locked().streams.len();
        format!(
            "# HELP weft_updates_sent_total Destinations that were sent to sidecars, at first and on every change.\n\
             # TYPE weft_updates_sent_total counter\nweft_updates_sent_total {sent}\n\
             # HELP weft_sidecars_connected Sidecars that are connected.\n\
             # TYPE weft_sidecars_connected gauge\nweft_sidecars_connected {streams}\n"
        )
    }

    /// A sidecar connected.
    pub fn open(&self, stream: StreamId, pod: PodRef) {
        self.locked().streams.insert(stream, Stream { pod, targets: HashMap::new() });
    }

    /// A sidecar's stream ended.
    pub fn close(&self, stream: StreamId) {
        let mut state = self.locked();
        if let Some(ended) = state.streams.remove(&stream) {
            for entry in ended.targets.values() {
                if let Some(root) = root(&entry.sent) {
                    state.left(stream, root);
                }
            }
        }
        drop(state);
        self.note();
    }

    /// A sidecar was sent `destination` for `target` as `version`.
    pub fn sent(&self, stream: StreamId, target: &Target, version: u64, destination: Arc<Destination>) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut state = self.locked();
        let before = state.take(stream, target);
        let next = root(&destination).cloned();
        if let Some(of_stream) = state.streams.get_mut(&stream) {
            let acknowledged = before.and_then(|entry| entry.acknowledged);
            let entry = Entry { version, sent: destination, acknowledged, refusal: None };
            of_stream.targets.insert(target.clone(), entry);
            if let Some(root) = next {
                state.users.entry(root.clone()).or_default().insert(stream);
                state.touched.insert(root);
            }
        }
        drop(state);
        self.note();
    }

    /// A sidecar took `version`, or refused it for a reason. An answer to an older version says nothing about the newest.
    pub fn answered(&self, stream: StreamId, target: &Target, version: u64, refusal: Option<String>) {
        let mut state = self.locked();
        if let Some(entry) = state.streams.get_mut(&stream).and_then(|stream| stream.targets.get_mut(target))
            && entry.version == version
        {
            if refusal.is_none() {
                entry.acknowledged = Some(Arc::clone(&entry.sent));
            }
            entry.refusal = refusal;
            let root = root(&entry.sent).cloned();
            state.touched.extend(root);
        }
        drop(state);
        self.note();
    }

    /// A sidecar no longer uses a target.
    pub fn forgot(&self, stream: StreamId, target: &Target) {
        self.locked().take(stream, target);
        self.note();
    }

    /// How far the sidecars that use `root` have followed `split`.
    pub fn progress(&self, root: &ServiceRef, split: &AppliedSplit) -> Progress {
        let mut progress = Progress::default();
        let state = self.locked();
        let users = state.users.get(root).into_iter().flatten();
        for stream in users.filter_map(|stream| state.streams.get(stream)) {
            let of_root = || stream.targets.values().filter(|entry| applied(&entry.sent, root).is_some());
            progress.proxies += 1;
            let follows = |entry: &Entry| {
                entry.acknowledged.as_deref().and_then(|known| applied(known, root)) == Some(Some(split))
            };
            if of_root().all(follows) {
                progress.acknowledged += 1;
            }
            let refusals = of_root().filter_map(|entry| entry.refusal.clone());
            progress.refused.extend(refusals.map(|refusal| (stream.pod.clone(), refusal)));
        }
        progress
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }
}

impl State {
    /// Takes a target from a stream.
    fn take(&mut self, stream: StreamId, target: &Target) -> Option<Entry> {
        let entry = self.streams.get_mut(&stream)?.targets.remove(target)?;
        if let Some(root) = root(&entry.sent) {
            self.left(stream, root);
        }
        Some(entry)
    }

    /// A target of a stream was `root`; another may still be.
    fn left(&mut self, stream: StreamId, of: &ServiceRef) {
        self.touched.insert(of.clone());
        let still = self
            .streams
            .get(&stream)
            .is_some_and(|stream| stream.targets.values().any(|entry| root(&entry.sent) == Some(of)));
        if !still && let Some(users) = self.users.get_mut(of) {
            users.remove(&stream);
            if users.is_empty() {
                self.users.remove(of);
            }
        }
    }
}

/// The Service that a destination is.
fn root(destination: &Destination) -> Option<&ServiceRef> {
    match destination {
        Destination::Service(port) => Some(&port.service),
        Destination::Pod(_) | Destination::Unknown => None,
    }
}

/// The split of a destination that is `root`; `None` when it is another Service or none.
fn applied<'a>(destination: &'a Destination, root: &ServiceRef) -> Option<Option<&'a AppliedSplit>> {
    match destination {
        Destination::Service(port) if port.service == *root => Some(port.split.as_ref()),
        Destination::Service(_) | Destination::Pod(_) | Destination::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ServicePort, SplitRef};

    fn root() -> ServiceRef {
        ServiceRef { namespace: "shop".to_owned(), name: "web".to_owned() }
    }

    fn split(generation: i64) -> AppliedSplit {
        AppliedSplit { split: SplitRef { namespace: "shop".to_owned(), name: "web".to_owned() }, generation }
    }

    fn target(port: u16) -> Target {
        Target::Address(([10, 0, 0, 1], port).into())
    }

    fn at(port: u16, generation: i64) -> Arc<Destination> {
        Arc::new(Destination::Service(ServicePort {
            service: root(),
            port: port.try_into().unwrap(),
            opaque: false,
            split: Some(split(generation)),
            backends: Vec::new(),
        }))
    }

    fn pod(name: &str) -> PodRef {
        PodRef { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    fn counts(ledger: &Ledger, generation: i64) -> (usize, usize, usize) {
        let progress = ledger.progress(&root(), &split(generation));
        (progress.acknowledged, progress.proxies, progress.refused.len())
    }

    #[test]
    fn counts_a_proxy_once_it_acknowledged_every_port_that_it_uses() {
        let ledger = Ledger::default();
        assert_eq!(counts(&ledger, 1), (0, 0, 0), "nobody is connected");
        ledger.open(1, pod("a"));
        assert_eq!(counts(&ledger, 1), (0, 0, 0), "nobody uses the root");
        ledger.sent(1, &target(80), 1, at(80, 1));
        ledger.sent(1, &target(90), 2, at(90, 1));
        assert_eq!(counts(&ledger, 1), (0, 1, 0), "sent");
        ledger.answered(1, &target(80), 1, None);
        assert_eq!(counts(&ledger, 1), (0, 1, 0), "one port of two");
        ledger.answered(1, &target(90), 2, None);
        assert_eq!(counts(&ledger, 1), (1, 1, 0), "both");
        ledger.sent(1, &target(80), 3, at(80, 2));
        assert_eq!(counts(&ledger, 2), (0, 1, 0), "a new generation is on its way");
        ledger.forgot(1, &target(90));
        ledger.answered(1, &target(80), 3, None);
        assert_eq!(counts(&ledger, 2), (1, 1, 0), "the other port is no longer used");
        ledger.close(1);
        assert_eq!(counts(&ledger, 2), (0, 0, 0), "gone");
        assert!(ledger.render().contains("\nweft_updates_sent_total 3\n"), "{}", ledger.render());
        assert!(ledger.locked().users.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn tells_whose_progress_may_have_changed() {
        let ledger = Ledger::default();
        let other = || {
            let Destination::Service(port) = &*at(80, 1) else { panic!("a Service") };
            let service = ServiceRef { name: "other".to_owned(), ..root() };
            Arc::new(Destination::Service(ServicePort { service, ..port.clone() }))
        };
        let touched = |ledger: &Ledger| ledger.take_touched().into_iter().map(|root| root.name).collect::<Vec<_>>();
        ledger.open(1, pod("a"));
        assert!(touched(&ledger).is_empty());
        ledger.sent(1, &target(80), 1, at(80, 1));
        assert_eq!(touched(&ledger), ["web"], "sent");
        ledger.answered(1, &target(80), 1, None);
        assert_eq!(touched(&ledger), ["web"], "answered");
        ledger.sent(1, &target(80), 2, other());
        assert_eq!(touched(&ledger), ["other", "web"], "the address moved to another Service");
        assert_eq!(counts(&ledger, 1), (0, 0, 0), "and nobody uses the first any more");
        ledger.sent(1, &target(90), 3, other());
        ledger.forgot(1, &target(80));
        assert_eq!(touched(&ledger), ["other"]);
        ledger.close(1);
        assert_eq!(touched(&ledger), ["other"], "gone");
    }

    #[test]
    fn a_late_answer_to_an_old_version_counts_for_nothing() {
        let ledger = Ledger::default();
        ledger.open(1, pod("a"));
        ledger.sent(1, &target(80), 1, at(80, 1));
        ledger.sent(1, &target(80), 2, at(80, 2));
        ledger.answered(1, &target(80), 1, None);
        assert_eq!(counts(&ledger, 2), (0, 1, 0));
    }

    #[test]
    fn a_refusal_stays_until_the_next_version_and_keeps_what_was_acknowledged() {
        let ledger = Ledger::default();
        ledger.open(1, pod("a"));
        ledger.open(2, pod("b"));
        for stream in [1, 2] {
            ledger.sent(stream, &target(80), 1, at(80, 1));
            ledger.answered(stream, &target(80), 1, None);
            ledger.sent(stream, &target(80), 2, at(80, 2));
        }
        ledger.answered(1, &target(80), 2, Some("no backend".to_owned()));
        ledger.answered(2, &target(80), 2, None);
        let progress = ledger.progress(&root(), &split(2));
        assert_eq!((progress.acknowledged, progress.proxies), (1, 2));
        assert_eq!(progress.refused, BTreeSet::from([(pod("a"), "no backend".to_owned())]));
        assert_eq!(counts(&ledger, 1), (1, 2, 1), "the one that refused still follows the first");
    }
}
