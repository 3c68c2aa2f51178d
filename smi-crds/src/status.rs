//! The `status` that every SMI kind has, and the types of its conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What the mesh made of the object. Written by the mesh only, through the status subresource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SmiStatus {
    /// What is known about the object, one entry for each type: Accepted, ResolvedRefs, Programmed and, where it
    /// applies, Conflicted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The metadata.generation that this status describes. Lower than the object's own: the latest change has not
    /// been looked at yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Types of the conditions in [`SmiStatus::conditions`].
pub mod condition {
    /// True: the spec was read without error and takes part in the configuration.
    pub const ACCEPTED: &str = "Accepted";

    /// True: another object that came first decides in this one's place.
    pub const CONFLICTED: &str = "Conflicted";

    /// True: every proxy that needs this generation acknowledged it. The message has the numbers.
    pub const PROGRAMMED: &str = "Programmed";

    /// True: every object that the spec names exists and fits.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
}
