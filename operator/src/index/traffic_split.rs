//! TrafficSplits.

use kube::{ResourceExt, core::DeserializeGuard};
use smi_crds::split::v1alpha4::TrafficSplit;

use super::Kind;
use crate::model::{Snapshot, Split, SplitBackend, SplitRef};

/// TrafficSplits of all namespaces. One that cannot be read does not stop the others.
#[derive(Debug)]
pub enum TrafficSplits {}

impl Kind for TrafficSplits {
    type Object = DeserializeGuard<TrafficSplit>;
    type Key = SplitRef;

    fn key(object: &Self::Object) -> Option<SplitRef> {
        Some(SplitRef { namespace: object.namespace()?, name: object.name_any() })
    }

    fn namespace(key: &SplitRef) -> &str {
        &key.namespace
    }

    fn apply(snapshot: &mut Snapshot, key: &SplitRef, object: &Self::Object) -> bool {
        let split = match &object.0 {
            Ok(object) => read(object),
            Err(error) => {
                tracing::warn!(split = %key, error = error as &dyn std::error::Error, "Ignored a TrafficSplit that cannot be read");
                return Self::remove(snapshot, key);
            }
        };
        if snapshot.splits.get(key) == Some(&split) {
            return false;
        }
        snapshot.splits.insert(key.clone(), split);
        true
    }

    fn remove(snapshot: &mut Snapshot, key: &SplitRef) -> bool {
        snapshot.splits.remove(key).is_some()
    }

    fn keys(snapshot: &Snapshot) -> Vec<SplitRef> {
        snapshot.splits.keys().cloned().collect()
    }
}

fn read(object: &TrafficSplit) -> Split {
    Split {
        uid: object.uid().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        created: object.creation_timestamp().map_or(0, |time| time.0.as_second()),
        service: object.spec.service.clone(),
        matches: object.spec.matches.iter().flatten().map(|group| group.name.clone()).collect(),
        backends: object
            .spec
            .backends
            .iter()
            .map(|backend| SplitBackend { service: backend.service.clone(), weight: u64::from(backend.weight) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(spec: serde_json::Value) -> DeserializeGuard<TrafficSplit> {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
            "metadata": {"name": "web", "namespace": "shop", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn a_split_that_becomes_unreadable_leaves() {
        let mut snapshot = Snapshot::default();
        let good = object(serde_json::json!({
            "service": "web",
            "backends": [{"service": "web-v1", "weight": 1}],
            "matches": [{"kind": "HTTPRouteGroup", "name": "insiders"}],
        }));
        let key = TrafficSplits::key(&good).unwrap();
        assert!(TrafficSplits::apply(&mut snapshot, &key, &good));
        assert!(!TrafficSplits::apply(&mut snapshot, &key, &good), "nothing new");
        let split = &snapshot.splits[&key];
        assert_eq!((split.generation, &*split.matches[0], &*split.backends[0].service), (3, "insiders", "web-v1"));

        let bad = object(serde_json::json!({"service": "web", "backends": [{"service": "web-v1", "weight": "many"}]}));
        assert!(TrafficSplits::apply(&mut snapshot, &key, &bad));
        assert!(snapshot.splits.is_empty());
    }
}
