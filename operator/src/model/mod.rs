//! Plain types of what is observed, compiled and reported; they know neither Kubernetes clients nor the wire.

mod access;
mod destination;
mod name;
mod route_group;
mod smi;
mod snapshot;
mod splits;
mod trust;

pub use access::{IdentityBinding, PortRoute, Requirement, Rule, Selector, Subject, SubjectKind, TrafficTarget};
pub use destination::{
    AppliedGroup, AppliedSplit, Backend, ConditionalSplit, Destination, Endpoint, PodPort, ServicePort, Target,
};
pub use name::{GroupRef, PodRef, ServiceRef, SplitRef, UnknownWorkloadKind, WorkloadKind, WorkloadRef};
pub use route_group::{GroupProblem, GroupRemark, MAX_PATTERNS, RouteGroup};
pub use smi::{ObjectRef, SmiKind};
pub use snapshot::{Pod, Port, Service, Slice, SliceEndpoint, Snapshot, Split, SplitBackend, Unreadable};
pub use splits::Splits;
pub use trust::{Fingerprint, NotAFingerprint, Trust};
