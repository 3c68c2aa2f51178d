//! TCPRoute: TCP traffic, by port.

use std::num::NonZeroU16;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PortMatch;
use crate::{SmiStatus, schema};

/// Names TCP traffic by port, for access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha4",
    kind = "TCPRoute",
    root = "TcpRoute",
    namespaced,
    no_spec,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "tr",
    category = "smi",
    doc = "Names TCP traffic by port, for access rules to refer to."
)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteFields {
    /// Which connections this route stands for. Absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::only_object::<TcpRouteSpec>")]
    pub spec: Option<TcpRouteSpec>,
}

/// Which connections a route stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteSpec {
    /// The ports. Absent: every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::only_object::<PortMatch>")]
    pub matches: Option<PortMatch>,
}

impl TcpRoute {
    /// The ports in the order they were written in; none means every port.
    pub fn ports(&self) -> impl Iterator<Item = NonZeroU16> {
        self.spec.spec.iter().filter_map(|spec| spec.matches.as_ref()).flat_map(PortMatch::numbers)
    }
}
