//! What a sidecar is told about one destination.

use std::{net::SocketAddr, num::NonZeroU16};

use weft_policy::http::Conditions;

use super::{GroupRef, PodRef, ServiceRef, SplitRef, WorkloadRef};

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
    /// Splits of some requests only, in the order in which a request is compared with them.
    pub conditional: Vec<ConditionalSplit>,
    /// The split that the backends come from.
    pub split: Option<AppliedSplit>,
    /// For what goes by no conditional split: at least one, with at least one weight above zero.
    pub backends: Vec<Backend>,
}

impl ServicePort {
    /// Every split that is in force.
    pub fn splits(&self) -> impl Iterator<Item = &AppliedSplit> {
        self.conditional.iter().map(|conditional| &conditional.split).chain(&self.split)
    }
}

/// A split of the requests that meet one of its matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionalSplit {
    /// Which one.
    pub split: AppliedSplit,
    /// The matches of its route groups; none where no group can be used, and then it splits nothing.
    pub matches: Vec<Conditions>,
    /// At least one, with at least one weight above zero.
    pub backends: Vec<Backend>,
}

/// A split that is in force for a Service, as it and its route groups are now: whoever acknowledged this very one acts on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedSplit {
    /// Which one.
    pub split: SplitRef,
    /// Its `metadata.uid`: one that was made anew counts its generations anew.
    pub uid: String,
    /// Its `metadata.generation`.
    pub generation: i64,
    /// The route groups that its matches come from.
    pub groups: Vec<AppliedGroup>,
}

/// A route group whose matches a split uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedGroup {
    /// Which one.
    pub group: GroupRef,
    /// Its `metadata.uid`.
    pub uid: String,
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
