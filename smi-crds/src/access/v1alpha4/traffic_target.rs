//! TrafficTarget: which identities may reach which others, and by which routes.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SmiStatus;

/// Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "access.smi-spec.io",
    version = "v1alpha4",
    kind = "TrafficTarget",
    namespaced,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "tt",
    category = "smi",
    doc = "Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies.",
    printcolumn(
        name = "Destination",
        type_ = "string",
        description = "Name of the identity that may be reached.",
        json_path = ".spec.destination.name"
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        description = "Whether the target was read and takes part.",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        description = "Whether the proxies acknowledged the target.",
        json_path = ".status.conditions[?(@.type==\"Programmed\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "Time since the target was created.",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTargetSpec {
    /// The identity that may be reached: every pod of the target's namespace that runs with it.
    pub destination: Subject,

    /// The traffic that is allowed. Absent or empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Option<Vec<Rule>>,

    /// The identities that are allowed. Absent or empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Option<Vec<Subject>>,
}

/// Names an identity, or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// API group of the kind: access.smi-spec.io for an IdentityBinding. Absent means the group that the kind is known
    /// by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,

    /// What the name is the name of.
    pub kind: SubjectKind,

    /// Name of the service account, binding or group.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the service account or binding. Absent or empty: the target's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// What can stand for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SubjectKind {
    /// A service account of Kubernetes.
    ServiceAccount,
    /// An IdentityBinding of access.smi-spec.io.
    IdentityBinding,
    /// A group that Kubernetes puts service accounts in, such as system:serviceaccounts:shop.
    Group,
}

/// Traffic that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Kind of the route.
    pub kind: RouteKind,

    /// Name of the route, in the target's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Names of matches in an HTTPRouteGroup. Absent or empty: all of its matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "atomic"))]
    pub matches: Option<Vec<String>>,
}

/// A kind of specs.smi-spec.io that a rule can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RouteKind {
    /// HTTPRouteGroup: requests.
    #[serde(rename = "HTTPRouteGroup")]
    HttpRouteGroup,
    /// TCPRoute: connections, by port.
    #[serde(rename = "TCPRoute")]
    TcpRoute,
    /// UDPRoute: datagrams, by port.
    #[serde(rename = "UDPRoute")]
    UdpRoute,
}
