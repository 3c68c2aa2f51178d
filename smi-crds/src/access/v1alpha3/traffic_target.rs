//! TrafficTarget: which identities may reach which others, and by which routes.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rule, SubjectKind};
use crate::{SmiStatus, schema};

/// Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "access.smi-spec.io",
    version = "v1alpha3",
    kind = "TrafficTarget",
    namespaced,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "tt",
    category = "smi",
    doc = "Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies."
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTargetSpec {
    /// The identity that may be reached: every pod of the target's namespace that runs with it.
    #[schemars(schema_with = "schema::destination_without_port_and_binding::<Subject>")]
    pub destination: Subject,

    /// The traffic that is allowed. Absent or empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Option<Vec<Rule>>,

    /// The identities that are allowed. Absent or empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sources_without_binding::<Subject>")]
    pub sources: Option<Vec<Subject>>,
}

/// Names an identity, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What the name is the name of. Absent: a ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SubjectKind>,

    /// Name of the service account, binding or group.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the service account or binding. Absent or empty: the target's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}
