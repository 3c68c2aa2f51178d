//! `split.smi-spec.io/v1alpha3`, the first with `matches`.

mod traffic_split;

pub use super::v1alpha4::{Backend, RouteGroupKind, RouteGroupReference};
pub use traffic_split::{TrafficSplit, TrafficSplitSpec};
