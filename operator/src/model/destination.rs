//! What a sidecar is told about one destination.

use std::{net::SocketAddr, num::NonZeroU16};

use super::{PodRef, ServiceRef, SplitRef, WorkloadRef};

/// What an application addresses: the key under which a sidecar asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The original destination of a connection.
    Address(SocketAddr),
    /// The authority of a request, as a client in `namespace` means it.
    Authority {
        /// Namespace of the pod that sends the request.
        namespace: String,
        /// Lower case, without port and trailing dot.
        host: String,
        /// Port of the authority.
        port: NonZeroU16,
    },
}

/// The answer for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A port of a Service.
    Service(ServicePort),
    /// A port of a pod.
    Pod(PodPort),
    /// Nothing that the cluster knows; it passes through untouched.
    Unknown,
}

/// A port of a Service and where its traffic goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// The Service that is addressed.
    pub service: ServiceRef,
    /// Its own port.
    pub port: NonZeroU16,
    /// The protocol is not looked at.
    pub opaque: bool,
    /// The split that the backends come from.
    pub split: Option<AppliedSplit>,
    /// At least one, with at least one weight above zero.
    pub backends: Vec<Backend>,
}

/// The split that is in force for a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedSplit {
    /// Which one.
    pub split: SplitRef,
    /// Its `metadata.generation`.
    pub generation: i64,
}

/// A Service that takes a share of the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Which one.
    pub service: ServiceRef,
    /// Relative share; 0 takes none.
    pub weight: u64,
    /// Ready endpoints, sorted by address.
    pub endpoints: Vec<Endpoint>,
}

/// Where a request can be sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Address and target port.
    pub address: SocketAddr,
    /// The pod behind it.
    pub pod: Option<PodRef>,
    /// What owns the pod.
    pub workload: Option<WorkloadRef>,
    /// SPIFFE ID of a pod with a sidecar; `None` for one without.
    pub identity: Option<String>,
}

/// A port of a pod that is addressed itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// The pod's port.
    pub endpoint: Endpoint,
    /// The protocol is not looked at.
    pub opaque: bool,
    /// A headless service leads here, so a request's authority may name a root.
    pub by_authority: bool,
}
