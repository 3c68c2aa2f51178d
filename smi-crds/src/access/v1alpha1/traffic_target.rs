//! TrafficTarget: which identities may reach which others, at which port and by which routes.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Destination, Rule, Subject};
use crate::SmiStatus;

/// Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "access.smi-spec.io",
    version = "v1alpha1",
    kind = "TrafficTarget",
    namespaced,
    no_spec,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "tt",
    category = "smi",
    doc = "Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies."
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTargetFields {
    /// The identity that may be reached: every pod of the target's namespace that runs with it.
    pub destination: Destination,

    /// The traffic that is allowed. Absent or empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub specs: Option<Vec<Rule>>,

    /// The identities that are allowed. Absent or empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Option<Vec<Subject>>,
}
