//! HTTPRouteGroup: named matches of HTTP requests.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HttpMatch;
use crate::{SmiStatus, schema};

/// Names HTTP/1 and HTTP/2 requests by path, method and headers, for splits and access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha2",
    kind = "HTTPRouteGroup",
    root = "HttpRouteGroup",
    namespaced,
    no_spec,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "htr",
    category = "smi",
    doc = "Names HTTP/1 and HTTP/2 requests by path, method and headers, for splits and access rules to refer to."
)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteGroupFields {
    /// The group's matches, each with a name of its own. A request that meets any one is a request of this group.
    #[schemars(schema_with = "schema::matches::<HttpMatch>")]
    pub matches: Vec<HttpMatch>,
}
