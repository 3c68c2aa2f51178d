//! TCPRoute: TCP traffic, by port.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PortMatch;
use crate::SmiStatus;

/// Names TCP traffic by port, for access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha4",
    kind = "TCPRoute",
    root = "TcpRoute",
    namespaced,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "tr",
    category = "smi",
    doc = "Names TCP traffic by port, for access rules to refer to.",
    printcolumn(
        name = "Ports",
        type_ = "string",
        description = "The ports; none means every port.",
        json_path = ".spec.matches.ports"
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        description = "Whether the route was read and can be referred to.",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "Time since the route was created.",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteSpec {
    /// Which connections this route stands for.
    pub matches: PortMatch,
}
