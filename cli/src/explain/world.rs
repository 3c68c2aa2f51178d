//! The objects that an answer follows from, and the operator's own view of them.

use std::collections::BTreeMap;

use kube::core::DeserializeGuard;
use weft_operator::index::{EndpointSlices, HttpRouteGroups, Kind, Pods, Services, TrafficSplits};
use weft_operator::model::Snapshot;

/// Objects of one kind, under the names that the operator has for them.
pub(super) type Objects<K> = BTreeMap<<K as Kind>::Key, <K as Kind>::Object>;

/// What is there: what was read of the cluster, what manifests say, or the one laid over the other.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) services: Objects<Services>,
    pub(super) slices: Objects<EndpointSlices>,
    pub(super) pods: Objects<Pods>,
    pub(super) splits: Objects<TrafficSplits>,
    pub(super) route_groups: Objects<HttpRouteGroups>,
    /// Labels of namespaces, as far as they matter.
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

impl World {
    /// The world as the operator sees it: every object goes the way that it goes there when a watch brings it.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        put::<Services>(&mut snapshot, &self.services);
        put::<EndpointSlices>(&mut snapshot, &self.slices);
        put::<Pods>(&mut snapshot, &self.pods);
        put::<TrafficSplits>(&mut snapshot, &self.splits);
        put::<HttpRouteGroups>(&mut snapshot, &self.route_groups);
        snapshot
    }

    /// What cannot be read, and is left out by the operator too.
    pub(super) fn unreadable(&self) -> Vec<String> {
        let splits = self.splits.iter().filter_map(|(name, split)| unreadable("TrafficSplit", name, split));
        let groups = self.route_groups.iter().filter_map(|(name, group)| unreadable("HTTPRouteGroup", name, group));
        let ambiguous = self.route_groups.iter().filter_map(|(name, group)| {
            let error = group.0.as_ref().ok()?.matches().err()?;
            Some(ignored("HTTPRouteGroup", name, &error))
        });
        splits.chain(groups).chain(ambiguous).collect()
    }
}

fn put<K: Kind>(snapshot: &mut Snapshot, objects: &Objects<K>) {
    for (key, object) in objects {
        K::apply(snapshot, key, object);
    }
}

fn unreadable<T>(kind: &str, name: &impl ToString, object: &DeserializeGuard<T>) -> Option<String> {
    let error = object.0.as_ref().err()?;
    Some(ignored(kind, name, &error.error))
}

fn ignored(kind: &str, name: &impl ToString, why: &impl ToString) -> String {
    format!("{kind} {} cannot be read, and is not acted on: {}", name.to_string(), why.to_string())
}
