//! The group `specs.smi-spec.io`: what traffic looks like, for splits and access rules to refer to.

pub mod v1alpha1;
pub mod v1alpha2;
pub mod v1alpha3;
pub mod v1alpha4;

/// Name of the API group.
pub const GROUP: &str = "specs.smi-spec.io";
