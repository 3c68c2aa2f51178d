//! `split.smi-spec.io/v1alpha2`, the first with weights that are whole numbers.

mod traffic_split;

pub use super::v1alpha4::Backend;
pub use traffic_split::{TrafficSplit, TrafficSplitSpec};
