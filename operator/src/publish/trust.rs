//! Whom each connected sidecar believes, by its own word.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::StreamId;
use crate::model::{PodRef, Trust};

/// How far the connected sidecars have followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustProgress {
    /// Sidecars that are connected.
    pub connected: usize,
    /// Those that have taken it.
    pub acknowledged: usize,
    /// Pods of the others.
    pub waiting: BTreeSet<PodRef>,
}

/// Every connected sidecar's trust.
#[derive(Debug, Default)]
pub struct TrustLedger {
    streams: Mutex<HashMap<StreamId, Stream>>,
    revision: watch::Sender<u64>,
}

#[derive(Debug)]
struct Stream {
    pod: PodRef,
    sent: Option<(u64, Arc<Trust>)>,
    acknowledged: Option<Arc<Trust>>,
}

impl TrustLedger {
    /// A receiver that is notified when a sidecar came, went or answered.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// A sidecar connected. From now on it is waited for.
    pub fn open(&self, stream: StreamId, pod: PodRef) {
        self.locked().insert(stream, Stream { pod, sent: None, acknowledged: None });
        self.note();
    }

    /// A sidecar's stream ended.
    pub fn close(&self, stream: StreamId) {
        self.locked().remove(&stream);
        self.note();
    }

    /// A sidecar was sent `trust` as `version`.
    pub fn sent(&self, stream: StreamId, version: u64, trust: Arc<Trust>) {
        if let Some(stream) = self.locked().get_mut(&stream) {
            stream.sent = Some((version, trust));
        }
        self.note();
    }

    /// A sidecar took `version`, or refused it and keeps what it had. An answer to an older version says nothing.
    pub fn answered(&self, stream: StreamId, version: u64, taken: bool) {
        if let Some(stream) = self.locked().get_mut(&stream)
            && let Some((sent, trust)) = &stream.sent
            && *sent == version
            && taken
        {
            stream.acknowledged = Some(Arc::clone(trust));
        }
        self.note();
    }

    /// How far the connected sidecars have followed to exactly `trust`.
    pub fn progress(&self, trust: &Trust) -> TrustProgress {
        let mut progress = TrustProgress::default();
        for stream in self.locked().values() {
            progress.connected += 1;
            if stream.acknowledged.as_deref() == Some(trust) {
                progress.acknowledged += 1;
            } else {
                progress.waiting.insert(stream.pod.clone());
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fingerprint;

    fn trust(issuer: u8) -> Arc<Trust> {
        let issuer = Fingerprint::new([issuer; 32]);
        Arc::new(Trust { trust_domain: "cluster.local".to_owned(), roots: vec![vec![1]], issuer })
    }

    fn pod(name: &str) -> PodRef {
        PodRef { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn counts_those_that_took_the_newest() {
        let ledger = TrustLedger::default();
        let counts = |issuer: u8| {
            let progress = ledger.progress(&trust(issuer));
            let waiting: Vec<String> = progress.waiting.into_iter().map(|pod| pod.name).collect();
            (progress.acknowledged, progress.connected, waiting.join(" "))
        };
        assert_eq!(counts(1), (0, 0, String::new()), "nobody is connected");
        ledger.open(1, pod("a"));
        ledger.open(2, pod("b"));
        assert_eq!(counts(1), (0, 2, "a b".to_owned()), "connected");
        ledger.sent(1, 1, trust(1));
        ledger.sent(2, 1, trust(1));
        assert_eq!(counts(1), (0, 2, "a b".to_owned()), "sent");
        ledger.answered(1, 1, true);
        ledger.answered(2, 1, false);
        assert_eq!(counts(1), (1, 2, "b".to_owned()), "one took it, one refused it");
        ledger.sent(1, 2, trust(2));
        ledger.answered(1, 1, true);
        assert_eq!(counts(2), (0, 2, "a b".to_owned()), "an answer to an old version");
        assert_eq!(counts(1), (1, 2, "b".to_owned()), "what it took before still holds");
        ledger.answered(1, 2, true);
        ledger.close(2);
        assert_eq!(counts(2), (1, 1, String::new()), "the other one is gone");
    }
}
