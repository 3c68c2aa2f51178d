//! HTTPRouteGroup: named matches of HTTP requests.

use std::fmt;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HeaderFilters;
use crate::{SmiStatus, schema};

/// Names HTTP/1 and HTTP/2 requests by path, method and headers, for splits and access rules to refer to.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "specs.smi-spec.io",
    version = "v1alpha4",
    kind = "HTTPRouteGroup",
    root = "HttpRouteGroup",
    namespaced,
    status = "SmiStatus",
    derive = "PartialEq",
    shortname = "htr",
    category = "smi",
    doc = "Names HTTP/1 and HTTP/2 requests by path, method and headers, for splits and access rules to refer to.",
    printcolumn(
        name = "Accepted",
        type_ = "string",
        description = "Whether the group was read and can be referred to.",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "Time since the group was created.",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteGroupSpec {
    /// The group's matches, each with a name of its own. A request that meets any one is a request of this group.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
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

    /// Regular expressions for header values, by header name; every one must match the whole value. Either a map from
    /// name to expression or a list of such maps. The name host stands for the request's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::header_filters")]
    pub headers: Option<HeaderFilters>,
}

/// A request method that a match can name, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Any method, also one that has no name here.
    #[serde(rename = "*")]
    Any,
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// PUT.
    Put,
    /// POST.
    Post,
    /// DELETE.
    Delete,
    /// CONNECT.
    Connect,
    /// OPTIONS.
    Options,
    /// TRACE.
    Trace,
    /// PATCH.
    Patch,
}

impl HttpMethod {
    /// The method as a request line has it, or `*`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
