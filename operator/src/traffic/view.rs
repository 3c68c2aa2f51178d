//! Windows of all proxies added up by workload, pod and split.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    report::{Direction, EdgeKey, SplitRef},
    store::Window,
    totals::Totals,
};
use crate::model::{PodRef, ServiceRef, WorkloadKind, WorkloadRef};

/// Traffic between two resources, or of all there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flow {
    /// What was counted in the window.
    pub totals: Totals,
    /// Services that the requests were addressed to.
    pub roots: BTreeSet<ServiceRef>,
    /// When the newest report came that contributed.
    pub newest: Option<Instant>,
}

/// Traffic of one workload or pod. Pods stand in the maps as workloads of kind Pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Traffic {
    /// When the newest report of a sidecar of the resource came; `None` for a resource that only others have seen.
    pub newest: Option<Instant>,
    /// Everything received, as the resource's own sidecars saw it.
    pub received: Flow,
    /// Everything sent, as the resource's own sidecars saw it.
    pub sent: Flow,
    /// What was sent to each peer that has a name, as the resource's own sidecars saw it.
    pub to: BTreeMap<WorkloadRef, Flow>,
    /// What was received from each source, as the source's sidecars saw it.
    pub from: BTreeMap<WorkloadRef, Flow>,
}

impl Traffic {
    /// Whether something was sent to a peer without a name, so that the rows of `to` are not everything sent.
    #[must_use]
    pub fn sent_to_unnamed(&self) -> bool {
        let mut named = Totals::default();
        for flow in self.to.values() {
            named.merge(&flow.totals);
        }
        !self.sent.totals.since(&named).is_zero()
    }
}

/// The windows of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    workloads: BTreeMap<WorkloadRef, Traffic>,
    pods: BTreeMap<WorkloadRef, Traffic>,
    splits: BTreeMap<SplitRef, BTreeMap<(ServiceRef, ServiceRef), Flow>>,
}

impl View {
    pub(super) fn new(windows: Vec<Window>) -> Self {
        let mut view = Self::default();
        for window in windows {
            let pod = as_workload(&window.pod);
            let newest = window.received;
            for traffic in
                [view.workloads.entry(window.workload.clone()).or_default(), view.pods.entry(pod.clone()).or_default()]
            {
                later(&mut traffic.newest, newest);
                traffic.received.newest = traffic.newest;
                traffic.sent.newest = traffic.newest;
            }
            for (key, totals) in &window.edges {
                add(&mut view.workloads, &window.workload, key.peer.as_ref(), key, totals, newest);
                let peer_pod = key.peer.as_ref().map(|peer| match &key.peer_pod {
                    Some(name) => as_workload(&PodRef { namespace: peer.namespace.clone(), name: name.clone() }),
                    None => peer.clone(),
                });
                add(&mut view.pods, &pod, peer_pod.as_ref(), key, totals, newest);
                if let (Some(split), Some(root), Some(backend)) = (&key.split, &key.root, &key.backend) {
                    let backends = view.splits.entry(split.clone()).or_default();
                    grow(backends.entry((root.clone(), backend.clone())).or_default(), key, totals, newest);
                }
            }
        }
        view
    }

    /// Traffic of a workload; `None` when no sidecar has seen any and none of it reports.
    #[must_use]
    pub fn workload(&self, workload: &WorkloadRef) -> Option<&Traffic> {
        self.workloads.get(workload)
    }

    /// Traffic of a pod, its peers being pods where they are known; `None` as for a workload.
    #[must_use]
    pub fn pod(&self, pod: &PodRef) -> Option<&Traffic> {
        self.pods.get(&as_workload(pod))
    }

    /// Workloads whose sidecars report, of one namespace or of all, by namespace, kind and name.
    pub fn workloads<'a>(
        &'a self,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a WorkloadRef, &'a Traffic)> + 'a {
        self.workloads.iter().filter(move |(workload, traffic)| {
            traffic.newest.is_some() && namespace.is_none_or(|namespace| namespace == workload.namespace)
        })
    }

    /// Requests that a split sent to each backend: (root, backend) and the traffic, as the clients saw it.
    pub fn split(&self, split: &SplitRef) -> impl Iterator<Item = (&ServiceRef, &ServiceRef, &Flow)> {
        self.splits.get(split).into_iter().flatten().map(|((root, backend), flow)| (root, backend, flow))
    }
}

fn add(
    level: &mut BTreeMap<WorkloadRef, Traffic>,
    own: &WorkloadRef,
    peer: Option<&WorkloadRef>,
    key: &EdgeKey,
    totals: &Totals,
    newest: Instant,
) {
    let traffic = level.entry(own.clone()).or_default();
    if key.direction == Direction::Inbound {
        grow(&mut traffic.received, key, totals, newest);
        return;
    }
    grow(&mut traffic.sent, key, totals, newest);
    let Some(peer) = peer else { return };
    grow(traffic.to.entry(peer.clone()).or_default(), key, totals, newest);
    let source = level.entry(peer.clone()).or_default().from.entry(own.clone()).or_default();
    grow(source, key, totals, newest);
}

fn grow(flow: &mut Flow, key: &EdgeKey, totals: &Totals, newest: Instant) {
    flow.totals.merge(totals);
    flow.roots.extend(key.root.clone());
    later(&mut flow.newest, newest);
}

fn later(newest: &mut Option<Instant>, candidate: Instant) {
    *newest = Some(newest.map_or(candidate, |known| known.max(candidate)));
}

fn as_workload(pod: &PodRef) -> WorkloadRef {
    WorkloadRef { namespace: pod.namespace.clone(), kind: WorkloadKind::Pod, name: pod.name.clone() }
}
