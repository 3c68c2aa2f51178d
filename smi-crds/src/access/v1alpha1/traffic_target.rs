//! TrafficTarget: which identities may reach which others, at which port and by which routes.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Destination, Rule, Subject};
use crate::{SmiStatus, schema};

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
    #[schemars(schema_with = "schema::destination_without_binding::<Destination>")]
    pub destination: Destination,

    /// The traffic that is allowed. Absent or empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rules_without_udp::<Rule>")]
    pub specs: Option<Vec<Rule>>,

    /// The identities that are allowed. Absent or empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::sources_without_binding::<Subject>")]
    pub sources: Option<Vec<Subject>>,
}
