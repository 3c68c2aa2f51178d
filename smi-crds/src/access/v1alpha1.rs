//! `access.smi-spec.io/v1alpha1`, whose fields stand beside `metadata`.

mod traffic_target;

pub use super::v1alpha2::{Destination, RouteKind, Rule, Subject, SubjectKind};
pub use traffic_target::{TrafficTarget, TrafficTargetFields};
