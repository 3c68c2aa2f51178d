//! IdentityBinding: one name for several identities of a workload.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SmiStatus, schema};

/// Gathers the identities of a workload under one name, for TrafficTargets to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "access.smi-spec.io",
    version = "v1alpha4",
    kind = "IdentityBinding",
    namespaced,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "ib",
    category = "smi",
    doc = "Gathers the identities of a workload under one name, for TrafficTargets to refer to."
)]
#[serde(rename_all = "camelCase")]
pub struct IdentityBindingSpec {
    /// The ways in which the workload's identities are given. An identity that any one of them gives belongs to the
    /// binding.
    pub schemes: IdentitySchemes,
}

/// The ways in which identities can be given; the results are added up.
///
/// The specification's text calls the selector and the service account mutually exclusive while its own example has
/// both, so the schema accepts both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentitySchemes {
    /// Selects pods of the binding's namespace by their labels; the identities are those that the pods run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::pod_label_selector")]
    pub pod_label_selector: Option<LabelSelector>,

    /// SPIFFE IDs, with or without spiffe:// in front, such as cluster.local/ns/shop/sa/web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::spiffe_identities")]
    pub spiffe_identities: Option<Vec<String>>,

    /// Name of a service account in the binding's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_account: Option<String>,
}
