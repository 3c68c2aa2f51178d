//! The objects that an answer follows from, and the operator's own view of them.

use std::collections::BTreeMap;

use smi_crds::specs::v1alpha4::HttpRouteGroup;
use smi_crds::split::v1alpha4::TrafficSplit;
use weft_operator::index::{EndpointSlices, Kind, Pods, Services, Smi};
use weft_operator::model::Snapshot;

/// TrafficSplits, as the operator reads them.
pub(super) type TrafficSplits = Smi<TrafficSplit>;

/// HTTPRouteGroups, as the operator reads them.
pub(super) type HttpRouteGroups = Smi<HttpRouteGroup>;

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
}

/// What cannot be read, and is left out by the operator too.
pub(super) fn unreadable(snapshot: &Snapshot) -> Vec<String> {
    let ignored = snapshot.unreadable.iter();
    ignored
        .map(|(name, why)| format!("{name} cannot be read, and is not acted on: {}: {}", why.field, why.error))
        .collect()
}

fn put<K: Kind>(snapshot: &mut Snapshot, objects: &Objects<K>) {
    for (key, object) in objects {
        K::apply(snapshot, key, object);
    }
}
