//! TrafficSplits.

use kube::ResourceExt;
use smi_crds::split::v1alpha4::TrafficSplit;

use super::{
    Concern, DecodeError,
    smi::{SmiObject, identity},
};
use crate::model::{ObjectRef, SmiKind, Snapshot, Split, SplitBackend, SplitRef};

impl SmiObject for TrafficSplit {
    type Part = Split;
    const KIND: SmiKind = SmiKind::TrafficSplit;
    const CONCERNS: &'static [Concern] =
        &[Concern::Here(SmiKind::TrafficSplit), Concern::Here(SmiKind::HttpRouteGroup)];

    fn part(&self) -> Result<Split, DecodeError> {
        Ok(read(self))
    }

    fn put(snapshot: &mut Snapshot, name: &ObjectRef, split: Split) -> bool {
        let name = split_ref(name);
        if snapshot.splits.get(&name) == Some(&split) {
            return false;
        }
        snapshot.splits.insert(name, split);
        true
    }

    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        snapshot.splits.remove(&split_ref(name)).is_some()
    }

    fn names(snapshot: &Snapshot) -> Vec<ObjectRef> {
        snapshot.splits.keys().map(|name| ObjectRef::new(Self::KIND, &name.namespace, &name.name)).collect()
    }
}

fn split_ref(name: &ObjectRef) -> SplitRef {
    SplitRef { namespace: name.namespace.clone(), name: name.name.clone() }
}

fn read(object: &TrafficSplit) -> Split {
    let (uid, generation) = identity(object);
    Split {
        uid,
        generation,
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
    use crate::index::{Kind, Smi, Stored};

    fn object(spec: serde_json::Value) -> Stored<TrafficSplit> {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
            "metadata": {"name": "web", "namespace": "shop", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn a_split_that_becomes_unreadable_leaves_and_comes_back() {
        type Splits = Smi<TrafficSplit>;
        let mut snapshot = Snapshot::default();
        let good = object(serde_json::json!({
            "service": "web",
            "backends": [{"service": "web-v1", "weight": 1}],
            "matches": [{"kind": "HTTPRouteGroup", "name": "insiders"}],
        }));
        let key = Splits::key(&good).unwrap();
        assert!(Splits::apply(&mut snapshot, &key, &good));
        assert!(!Splits::apply(&mut snapshot, &key, &good), "nothing new");
        let split = &snapshot.splits[&split_ref(&key)];
        assert_eq!((split.generation, &*split.matches[0], &*split.backends[0].service), (3, "insiders", "web-v1"));

        let bad = object(serde_json::json!({"service": "web", "backends": [{"service": "web-v1", "weight": "many"}]}));
        assert!(Splits::apply(&mut snapshot, &key, &bad));
        assert!(!Splits::apply(&mut snapshot, &key, &bad), "nothing new");
        assert!(snapshot.splits.is_empty());
        assert_eq!(snapshot.unreadable[&key].field, "spec.backends[0].weight");
        assert_eq!(Splits::keys(&snapshot), std::slice::from_ref(&key), "known, so that its end is noticed");

        assert!(Splits::apply(&mut snapshot, &key, &good));
        assert!(snapshot.unreadable.is_empty() && snapshot.splits.len() == 1);
        assert!(Splits::remove(&mut snapshot, &key));
        assert!(Splits::keys(&snapshot).is_empty());
    }
}
