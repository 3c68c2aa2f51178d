//! TCPRoute: all TCP traffic.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SmiStatus, schema};

/// Names all TCP traffic, for access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha1",
    kind = "TCPRoute",
    root = "TcpRoute",
    namespaced,
    no_spec,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "tr",
    category = "smi",
    doc = "Names all TCP traffic, for access rules to refer to."
)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteFields {
    /// Empty, or absent. Ports are not part of this version, so they are refused; write the route as
    /// specs.smi-spec.io/v1alpha4.
    // The schema keeps what is written here because the API server drops what is not in it, and a route that was meant
    // for some ports would stand for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::empty_object")]
    pub spec: Option<TcpRouteSpec>,
}

/// Nothing: a route of this version has no conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpRouteSpec {}
