//! `split.smi-spec.io/v1alpha1`, whose weights are quantities of Kubernetes.

mod traffic_split;

pub use traffic_split::{Backend, TrafficSplit, TrafficSplitSpec};
