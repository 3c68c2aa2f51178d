//! What the proxy believes, as JSON.

use std::{collections::BTreeMap, net::SocketAddr, time::SystemTime};

use serde::Serialize;

use super::Admin;
use crate::{
    discovery::Health,
    identity::{Credentials, Fingerprint, Renewals},
    policy::{Entry, Policy, Seat, ServicePolicy, Shares, Split, Standing, Workload},
};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Config {
    operator: Health,
    identity: IdentityView,
    /// The workload of the pod, as the operator sees it.
    workload: Option<WorkloadView>,
    draining: bool,
    in_flight: usize,
    /// By target.
    targets: BTreeMap<String, TargetView>,
}

/// Who the proxy is, and whom it believes.
#[derive(Debug, Serialize)]
struct IdentityView {
    /// Absent while there is none.
    certificate: Option<CertificateView>,
    trust_domain: Option<String>,
    /// SHA-256 of each root, as hexadecimal digits.
    roots: Vec<String>,
    renewals: Renewals,
}

#[derive(Debug, Serialize)]
struct CertificateView {
    id: String,
    /// Seconds since 1970.
    not_after: u64,
    /// SHA-256 of the issuer's certificate.
    issuer: String,
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
    /// Splits of some requests only, in the order in which a request is compared with them.
    conditional: Vec<ConditionalView>,
    /// What goes by none of them.
    #[serde(flatten)]
    rest: SharesView,
}

#[derive(Debug, Serialize)]
struct ConditionalView {
    /// Names of the matches.
    matches: Vec<String>,
    #[serde(flatten)]
    shares: SharesView,
}

#[derive(Debug, Serialize)]
struct SharesView {
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
    /// Absent when it is not meshed.
    identity: Option<String>,
    /// Requests and connections it is busy with for this proxy.
    load: u32,
    /// It failed again and again, and is left alone for a while if others are left.
    ejected: bool,
}

impl Config {
    pub(crate) fn of(admin: &Admin) -> Self {
        let entries = admin.store.entries();
        Self {
            operator: admin.observed.health.borrow().clone(),
            identity: IdentityView::of(&admin.credentials),
            workload: admin.observed.bootstrap.borrow().as_ref().map(|bootstrap| WorkloadView::of(&bootstrap.workload)),
            draining: admin.drain.has_begun(),
            in_flight: admin.drain.in_flight(),
            targets: entries.iter().map(|entry| (entry.target.to_string(), TargetView::of(entry))).collect(),
        }
    }
}

impl IdentityView {
    fn of(credentials: &Credentials) -> Self {
        let material = credentials.material();
        let trust = credentials.trust();
        let roots = trust.iter().flat_map(|trust| trust.roots.iter());
        Self {
            certificate: material.map(|material| CertificateView {
                id: material.certified.id.to_string(),
                not_after: unix_seconds(material.certified.not_after),
                issuer: material.certified.issuer.to_string(),
            }),
            roots: roots.map(|root| Fingerprint::of(root).to_string()).collect(),
            trust_domain: trust.map(|trust| trust.trust_domain.clone()),
            renewals: credentials.renewals(),
        }
    }
}

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl TargetView {
    fn of(entry: &Entry) -> Self {
        let destination = entry.policy().and_then(|policy| match policy {
            Policy::Service(service) => Some(DestinationView::Service(ServiceView::of(&service))),
            Policy::Pod(pod) => Some(DestinationView::Pod {
                endpoint: EndpointView::of(&pod.seat),
                opaque: pod.opaque,
                by_authority: pod.by_authority,
            }),
            Policy::Unknown => Some(DestinationView::Unknown),
            // The refusal says it.
            Policy::Refused => None,
        });
        let refusal = entry.refusal().map(|refusal| RefusalView { version: refusal.version, reason: refusal.reason });
        Self { version: entry.version(), destination, refusal }
    }
}

impl ServiceView {
    fn of(service: &ServicePolicy) -> Self {
        let conditional = service.conditional.iter().map(|conditional| ConditionalView {
            matches: conditional.matches.iter().map(|one| one.name().to_owned()).collect(),
            shares: SharesView::of(&conditional.shares),
        });
        Self {
            name: service.name.to_string(),
            port: service.port.get(),
            opaque: service.opaque,
            conditional: conditional.collect(),
            rest: SharesView::of(&service.rest),
        }
    }
}

impl SharesView {
    fn of(shares: &Shares) -> Self {
        let backends = shares.backends.iter().map(|backend| BackendView {
            name: backend.name.to_string(),
            weight: backend.weight,
            endpoints: backend.seats.iter().map(|seat| EndpointView::of(seat)).collect(),
        });
        Self { split: shares.split.as_ref().map(SplitView::of), turns: shares.turns(), backends: backends.collect() }
    }
}

impl SplitView {
    fn of(split: &Split) -> Self {
        Self { namespace: split.namespace.to_string(), name: split.name.to_string(), generation: split.generation }
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
            meshed: endpoint.identity.is_some(),
            identity: endpoint.identity.as_ref().map(|identity| identity.id.to_string()),
            load: seat.load.get(),
            ejected: seat.load.standing() != Standing::InService,
        }
    }
}
