//! The group `access.smi-spec.io`: who may call whom, and by what identity.

pub mod v1alpha1;
pub mod v1alpha2;
pub mod v1alpha3;
pub mod v1alpha4;

/// Name of the API group.
pub const GROUP: &str = "access.smi-spec.io";
