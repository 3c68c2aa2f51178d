//! `access.smi-spec.io/v1alpha3`, the first without a port on the destination.

mod traffic_target;

pub use super::v1alpha4::{RouteKind, Rule, SubjectKind};
pub use traffic_target::{Subject, TrafficTarget, TrafficTargetSpec};
