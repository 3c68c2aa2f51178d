//! The group `split.smi-spec.io`: sending shares of a service's traffic to other services.

pub mod v1alpha1;
pub mod v1alpha2;
pub mod v1alpha3;
pub mod v1alpha4;

/// Name of the API group.
pub const GROUP: &str = "split.smi-spec.io";
