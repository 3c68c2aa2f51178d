//! `split.smi-spec.io/v1alpha4`.

mod traffic_split;

pub use traffic_split::{Backend, RouteGroupKind, RouteGroupReference, TrafficSplit, TrafficSplitSpec};
