//! HTTPRouteGroup: named matches of HTTP requests.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HttpMatch, HttpRouteGroupSpec};
use crate::{SmiStatus, schema};

/// Names HTTP/1 and HTTP/2 requests by path, method and headers, for splits and access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha3",
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
    /// The group's matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::only_object::<HttpRouteGroupSpec>")]
    pub spec: Option<HttpRouteGroupSpec>,

    /// The group's matches, if spec has none: where older versions have them, and an example of the specification, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::matches::<HttpMatch>")]
    pub matches: Option<Vec<HttpMatch>>,
}
