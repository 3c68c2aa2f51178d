//! `access.smi-spec.io/v1alpha4`.

mod identity_binding;
mod traffic_target;

pub use identity_binding::{IdentityBinding, IdentityBindingSpec, IdentitySchemes};
pub use traffic_target::{RouteKind, Rule, Subject, SubjectKind, TrafficTarget, TrafficTargetSpec, UnreadablePort};
