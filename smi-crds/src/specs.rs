//! The group `specs.smi-spec.io`: what traffic looks like, for splits and access rules to refer to.

pub mod v1alpha4;

/// Name of the API group.
pub const GROUP: &str = "specs.smi-spec.io";
