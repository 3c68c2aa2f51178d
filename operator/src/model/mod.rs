//! Plain types of what is observed, compiled and reported; they know neither Kubernetes clients nor the wire.

mod destination;
mod name;
mod snapshot;
mod trust;

pub use destination::{AppliedSplit, Backend, Destination, Endpoint, PodPort, ServicePort, Target};
pub use name::{PodRef, ServiceRef, SplitRef, UnknownWorkloadKind, WorkloadKind, WorkloadRef};
pub use snapshot::{Pod, Port, Service, Slice, SliceEndpoint, Snapshot, Split, SplitBackend};
pub use trust::{Fingerprint, NotAFingerprint, Trust};
