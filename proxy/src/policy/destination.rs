//! Destinations as the operator describes them, checked and in plain types.

use std::{fmt, net::SocketAddr, num::NonZeroU16, sync::Arc};

use weft_policy::{http::Match, identity::SpiffeId};

/// Where the traffic to one target goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// The target is a port of a Service.
    Service(Service),
    /// The target is a port of a pod.
    Pod(PodPort),
    /// Not of this cluster, or not known: passed through untouched.
    Unknown,
}

/// Namespace and name of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServiceName {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A `TrafficSplit`, in the generation whose weights are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) generation: i64,
}

/// The object that owns a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Workload {
    pub(crate) namespace: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// A port of a Service and where its traffic goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) port: NonZeroU16,
    /// The protocol is not looked at.
    pub(crate) opaque: bool,
    /// Splits of some requests only, in the order in which a request is compared with them.
    pub(crate) conditional: Vec<ConditionalSplit>,
    /// The split whose weights the backends have.
    pub(crate) split: Option<Split>,
    /// At least one, and not all of weight 0.
    pub(crate) backends: Vec<Backend>,
}

/// A split of the requests that meet one of its matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConditionalSplit {
    pub(crate) split: Split,
    /// None: no request is meant.
    pub(crate) matches: Vec<Arc<Match>>,
    /// At least one, and not all of weight 0.
    pub(crate) backends: Vec<Backend>,
}

/// A Service that part of the traffic goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) name: ServiceName,
    /// Relative to the others'; 0 means no traffic.
    pub(crate) weight: u64,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// A port of a pod, or an address that stands behind a Service without being a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// The owner of the pod.
    pub(crate) workload: Option<Workload>,
    /// Name of the pod in the workload's namespace; may be empty.
    pub(crate) pod: Arc<str>,
    /// Who the pod's sidecar must prove to be; `None` when the pod has no sidecar.
    pub(crate) identity: Option<Arc<Identity>>,
}

/// Who a sidecar must prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: SpiffeId,
    /// What stands for it in TLS, which is never empty.
    pub(crate) server_name: Box<str>,
}

impl From<SpiffeId> for Identity {
    fn from(id: SpiffeId) -> Self {
        Self { server_name: id.server_name().into(), id }
    }
}

/// A port of a pod that the application addressed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodPort {
    pub(crate) endpoint: Endpoint,
    pub(crate) opaque: bool,
    /// The authority of each request says which Service is meant.
    pub(crate) by_authority: bool,
}
