//! What each connected sidecar was sent and what it said to it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::model::{AppliedSplit, Destination, PodRef, ServicePort, ServiceRef, Target};

/// Names one stream for as long as the operator runs.
pub type StreamId = u64;

/// How far the sidecars that use a root have followed a split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sidecars that use the root.
    pub proxies: usize,
    /// Those that acknowledged the split, at this generation and with its route groups at theirs, for every port of the root that they use.
    pub acknowledged: usize,
    /// Those that refused what they were last sent, with their reason.
    pub refused: BTreeSet<(PodRef, String)>,
}

/// Every connected sidecar's state.
#[derive(Debug, Default)]
pub struct Ledger {
    streams: Mutex<HashMap<StreamId, Stream>>,
    revision: watch::Sender<u64>,
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

    /// A sidecar connected.
    pub fn open(&self, stream: StreamId, pod: PodRef) {
        self.locked().insert(stream, Stream { pod, targets: HashMap::new() });
        self.note();
    }

    /// A sidecar's stream ended.
    pub fn close(&self, stream: StreamId) {
        self.locked().remove(&stream);
        self.note();
    }

    /// A sidecar was sent `destination` for `target` as `version`.
    pub fn sent(&self, stream: StreamId, target: &Target, version: u64, destination: Arc<Destination>) {
        if let Some(stream) = self.locked().get_mut(&stream) {
            let acknowledged = stream.targets.remove(target).and_then(|entry| entry.acknowledged);
            let entry = Entry { version, sent: destination, acknowledged, refusal: None };
            stream.targets.insert(target.clone(), entry);
        }
        self.note();
    }

    /// A sidecar took `version`, or refused it for a reason. An answer to an older version says nothing about the newest.
    pub fn answered(&self, stream: StreamId, target: &Target, version: u64, refusal: Option<String>) {
        if let Some(entry) = self.locked().get_mut(&stream).and_then(|stream| stream.targets.get_mut(target))
            && entry.version == version
        {
            if refusal.is_none() {
                entry.acknowledged = Some(Arc::clone(&entry.sent));
            }
            entry.refusal = refusal;
        }
        self.note();
    }

    /// A sidecar no longer uses a target.
    pub fn forgot(&self, stream: StreamId, target: &Target) {
        if let Some(stream) = self.locked().get_mut(&stream) {
            stream.targets.remove(target);
        }
        self.note();
    }

    /// How far the sidecars that use `root` have followed `split` with its route groups as they are in it.
    pub fn progress(&self, root: &ServiceRef, split: &AppliedSplit) -> Progress {
        let mut progress = Progress::default();
        for stream in self.locked().values() {
            let of_root = || stream.targets.values().filter(|entry| applied(&entry.sent, root).is_some());
            if of_root().next().is_none() {
                continue;
            }
            progress.proxies += 1;
            let follows = |entry: &Entry| {
                let known = entry.acknowledged.as_deref().and_then(|known| applied(known, root));
                known.is_some_and(|port| port.splits().any(|known| known == split))
            };
            if of_root().all(follows) {
                progress.acknowledged += 1;
            }
            let refusals = of_root().filter_map(|entry| entry.refusal.clone());
            progress.refused.extend(refusals.map(|refusal| (stream.pod.clone(), refusal)));
        }
        progress
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<StreamId, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }
}

/// The port of `root` that a destination is; `None` when it is another Service's or none.
fn applied<'a>(destination: &'a Destination, root: &ServiceRef) -> Option<&'a ServicePort> {
    match destination {
        Destination::Service(port) if port.service == *root => Some(port),
        Destination::Service(_) | Destination::Pod(_) | Destination::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppliedGroup, ConditionalSplit, GroupRef, SplitRef};

    fn root() -> ServiceRef {
        ServiceRef { namespace: "shop".to_owned(), name: "web".to_owned() }
    }

    fn split(generation: i64) -> AppliedSplit {
        let split = SplitRef { namespace: "shop".to_owned(), name: "web".to_owned() };
        AppliedSplit { split, uid: "1".to_owned(), generation, groups: Vec::new() }
    }

    /// The same split, limited by a route group.
    fn limited(uid: &str, generation: i64) -> AppliedSplit {
        let group = GroupRef { namespace: "shop".to_owned(), name: "insiders".to_owned() };
        AppliedSplit { groups: vec![AppliedGroup { group, uid: uid.to_owned(), generation }], ..split(1) }
    }

    fn target(port: u16) -> Target {
        Target::Address(([10, 0, 0, 1], port).into())
    }

    fn at(port: u16, generation: i64) -> Arc<Destination> {
        Arc::new(Destination::Service(ServicePort {
            service: root(),
            port: port.try_into().unwrap(),
            opaque: false,
            conditional: Vec::new(),
            split: Some(split(generation)),
            backends: Vec::new(),
        }))
    }

    fn conditional(split: AppliedSplit) -> Arc<Destination> {
        let conditional = ConditionalSplit { split, matches: Vec::new(), backends: Vec::new() };
        let mut port = match Arc::unwrap_or_clone(at(80, 1)) {
            Destination::Service(port) => port,
            other => panic!("{other:?}"),
        };
        (port.conditional, port.split) = (vec![conditional], None);
        Arc::new(Destination::Service(port))
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
    }

    #[test]
    fn an_edited_route_group_is_followed_when_it_was_acknowledged_itself() {
        let ledger = Ledger::default();
        ledger.open(1, pod("a"));
        ledger.sent(1, &target(80), 1, conditional(limited("g", 1)));
        ledger.answered(1, &target(80), 1, None);
        for (name, split, want) in [
            ("as acknowledged", limited("g", 1), 1),
            ("edited", limited("g", 2), 0),
            ("made anew", limited("h", 1), 0),
            ("gone", split(1), 0),
        ] {
            assert_eq!(ledger.progress(&root(), &split).acknowledged, want, "{name}");
        }
        ledger.sent(1, &target(80), 2, conditional(limited("g", 2)));
        assert_eq!(ledger.progress(&root(), &limited("g", 2)).acknowledged, 0, "on its way");
        ledger.answered(1, &target(80), 2, None);
        assert_eq!(ledger.progress(&root(), &limited("g", 2)).acknowledged, 1, "taken");
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
