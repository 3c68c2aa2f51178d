//! HTTPRouteGroup: named matches of HTTP requests, by path and method.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HeaderFilters, HttpMethod};
use crate::{SmiStatus, schema};

/// Names HTTP/1 and HTTP/2 requests by path and method, for splits and access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha1",
    kind = "HTTPRouteGroup",
    root = "HttpRouteGroup",
    namespaced,
    no_spec,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "htr",
    category = "smi",
    doc = "Names HTTP/1 and HTTP/2 requests by path and method, for splits and access rules to refer to."
)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteGroupFields {
    /// The group's matches, each with a name of its own. A request that meets any one is a request of this group.
    #[schemars(schema_with = "schema::matches::<HttpMatch>")]
    pub matches: Vec<HttpMatch>,
}

/// A set of conditions on a request, all of which must hold. No condition at all: every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    /// Name of the match, unique in its group. Access rules refer to it.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Regular expression for the path without its query, in RE2 syntax, anchored at the start only. Absent: any path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_regex: Option<String>,

    /// Methods of which the request must have one. Absent, empty or with "*" among them: any method.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub methods: Option<Vec<HttpMethod>>,

    /// Not part of this version, so it is refused; write the group as specs.smi-spec.io/v1alpha4.
    // It stands in the schema because the API server drops what does not, and the match would match more requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_filters")]
    pub headers: Option<HeaderFilters>,
}
