//! Plain types of what is observed, compiled and reported; they know neither Kubernetes clients nor the wire.

mod destination;
mod name;
mod route_group;
mod snapshot;
mod trust;

pub use destination::{
    AppliedGroup, AppliedSplit, Backend, ConditionalSplit, Destination, Endpoint, PodPort, ServicePort, Target,
};
pub use name::{GroupRef, PodRef, ServiceRef, SplitRef, UnknownWorkloadKind, WorkloadKind, WorkloadRef};
pub use route_group::{GroupProblem, RouteGroup};
pub use snapshot::{Pod, Port, Service, Slice, SliceEndpoint, Snapshot, Split, SplitBackend};
pub use trust::{Fingerprint, NotAFingerprint, Trust};
