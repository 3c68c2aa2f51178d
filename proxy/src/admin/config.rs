//! What the proxy believes, as JSON.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::Serialize;

use super::Admin;
use crate::{
    discovery::Health,
    policy::{Entry, Policy, Seat, ServicePolicy, Workload},
};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Config {
    operator: Health,
    /// The workload of the pod, as the operator sees it.
    workload: Option<WorkloadView>,
    draining: bool,
    in_flight: usize,
    /// By target.
    targets: BTreeMap<String, TargetView>,
}

#[derive(Debug, Serialize)]
struct TargetView {
    /// Absent while the operator has not answered.
    version: Option<u64>,
    destination: Option<DestinationView>,
    /// The last update that was refused since one was taken.
    refusal: Option<RefusalView>,
}

#[derive(Debug, Serialize)]
struct RefusalView {
    version: u64,
    reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum DestinationView {
    Service(ServiceView),
    Pod { endpoint: EndpointView, opaque: bool, by_authority: bool },
    Unknown,
}

#[derive(Debug, Serialize)]
struct ServiceView {
    name: String,
    port: u16,
    opaque: bool,
    split: Option<SplitView>,
    /// Turns taken since names or weights last changed.
    turns: u64,
    backends: Vec<BackendView>,
}

#[derive(Debug, Serialize)]
struct SplitView {
    namespace: String,
    name: String,
    generation: i64,
}

#[derive(Debug, Serialize)]
struct WorkloadView {
    namespace: String,
    kind: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct BackendView {
    name: String,
    weight: u64,
    endpoints: Vec<EndpointView>,
}

#[derive(Debug, Serialize)]
struct EndpointView {
    address: SocketAddr,
    workload: Option<WorkloadView>,
    pod: String,
    meshed: bool,
    identity: String,
    /// Requests and connections it is busy with for this proxy.
    load: u32,
}

impl Config {
    pub(crate) fn of(admin: &Admin) -> Self {
        let entries = admin.store.entries();
        Self {
            operator: admin.observed.health.borrow().clone(),
            workload: admin.observed.bootstrap.borrow().as_ref().map(|bootstrap| WorkloadView::of(&bootstrap.workload)),
            draining: admin.drain.has_begun(),
            in_flight: admin.drain.in_flight(),
            targets: entries.iter().map(|entry| (entry.target.to_string(), TargetView::of(entry))).collect(),
        }
    }
}

impl TargetView {
    fn of(entry: &Entry) -> Self {
        let destination = entry.policy().map(|policy| match policy {
            Policy::Service(service) => DestinationView::Service(ServiceView::of(&service)),
            Policy::Pod(pod) => DestinationView::Pod {
                endpoint: EndpointView::of(&pod.seat),
                opaque: pod.opaque,
                by_authority: pod.by_authority,
            },
            Policy::Unknown => DestinationView::Unknown,
        });
        let refusal = entry.refusal().map(|refusal| RefusalView { version: refusal.version, reason: refusal.reason });
        Self { version: entry.version(), destination, refusal }
    }
}

impl ServiceView {
    fn of(service: &ServicePolicy) -> Self {
        let backends = service.backends.iter().map(|backend| BackendView {
            name: backend.name.to_string(),
            weight: backend.weight,
            endpoints: backend.seats.iter().map(|seat| EndpointView::of(seat)).collect(),
        });
        Self {
            name: service.name.to_string(),
            port: service.port.get(),
            opaque: service.opaque,
            split: service.split.as_ref().map(|split| SplitView {
                namespace: split.namespace.to_string(),
                name: split.name.to_string(),
                generation: split.generation,
            }),
            turns: service.turns(),
            backends: backends.collect(),
        }
    }
}

impl WorkloadView {
    fn of(workload: &Workload) -> Self {
        Self {
            namespace: workload.namespace.to_string(),
            kind: workload.kind.to_string(),
            name: workload.name.to_string(),
        }
    }
}

impl EndpointView {
    fn of(seat: &Seat) -> Self {
        let endpoint = &seat.endpoint;
        Self {
            address: endpoint.address,
            workload: endpoint.workload.as_ref().map(WorkloadView::of),
            pod: endpoint.pod.to_string(),
            meshed: endpoint.meshed,
            identity: endpoint.identity.to_string(),
            load: seat.load.get(),
        }
    }
}
