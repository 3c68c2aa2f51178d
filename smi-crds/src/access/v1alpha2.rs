//! `access.smi-spec.io/v1alpha2`, whose fields stand under `spec`.

mod traffic_target;

pub use super::v1alpha3::{RouteKind, Rule, Subject, SubjectKind};
pub use traffic_target::{Destination, TrafficTarget, TrafficTargetSpec};
