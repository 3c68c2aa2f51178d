//! TrafficSplit: shares of one service's traffic for several backend services, for all requests or those that route
//! groups match.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Backend, RouteGroupReference};
use crate::{SmiStatus, schema};

/// Sends the traffic of a root service to backend services in the ratio of their weights.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "split.smi-spec.io",
    version = "v1alpha3",
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
