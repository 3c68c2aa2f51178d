//! TrafficSplit: shares of one service's traffic for several backend services.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{SmiStatus, schema};

/// Sends the traffic of a root service to backend services in the ratio of their weights.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "split.smi-spec.io",
    version = "v1alpha4",
    kind = "TrafficSplit",
    namespaced,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "ts",
    category = "smi",
    doc = "Sends the traffic of a root service to backend services in the ratio of their weights."
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficSplitSpec {
    /// The root service: the name that clients call, in the split's own namespace. Written as web, web.ns, web.ns.svc
    /// or web.ns.svc.cluster.local, with or without a dot at the end.
    #[schemars(schema_with = "schema::root_service")]
    pub service: String,

    /// The services that receive the traffic, from 1 to 128, each at most once. The order has no meaning.
    #[schemars(schema_with = "schema::backends::<Backend>")]
    pub backends: Vec<Backend>,

    /// Route groups that limit the split to the requests they match; all other requests go where the root's split without matches sends them, or to the root service itself.
    /// Absent: every request is split.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub matches: Option<Vec<RouteGroupReference>>,
}

/// A service that receives a share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// Name of the service, in the split's namespace. It needs a port with the number of the root service's port.
    #[schemars(schema_with = "schema::backend_service")]
    pub service: String,

    /// Share of the traffic relative to the sum of all weights: a whole number from 0 to 4294967295. 0: none.
    // 128 backends of 2^32-1 sum to less than 2^39, so a sum in 64 bits never overflows. `uint32` is not a format that
    // the API server knows.
    #[schemars(range(min = 0, max = 4294967295u32), extend("format" = "int64"))]
    pub weight: u32,
}

/// Names a route group whose matches a request must meet to be split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteGroupReference {
    /// API group of the route group: specs.smi-spec.io. Absent or empty means the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::api_group_of_matches")]
    pub api_group: Option<String>,

    /// Kind of the route group.
    pub kind: RouteGroupKind,

    /// Name of the route group, in the split's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A kind that can limit a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteGroupKind {
    /// HTTPRouteGroup of specs.smi-spec.io.
    #[serde(rename = "HTTPRouteGroup")]
    HttpRouteGroup,
}
