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

/// The matches of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpRouteGroupSpec {
    /// The group's matches, each with a name of its own. A request that meets any one is a request of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::matches::<HttpMatch>")]
    pub matches: Option<Vec<HttpMatch>>,
}

/// Why a group's matches cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchesError {
    /// Neither `spec` nor the top level has them.
    #[error(
        "spec.matches is missing; write the matches under spec, as in spec: {{matches: [{{name: api, pathRegex: /api}}]}}"
    )]
    Missing,
    /// Both have them, and they differ.
    #[error("matches beside spec differ from spec.matches; keep those under spec")]
    Differ,
}

impl HttpRouteGroup {
    /// The group's matches, wherever they stand.
    ///
    /// # Errors
    ///
    /// If there are none at all, or two lists that differ.
    pub fn matches(&self) -> Result<&[HttpMatch], MatchesError> {
        let under = self.spec.spec.as_ref().and_then(|spec| spec.matches.as_deref());
        match (under, self.spec.matches.as_deref()) {
            (Some(under), Some(beside)) if under != beside => Err(MatchesError::Differ),
            (Some(matches), _) | (None, Some(matches)) => Ok(matches),
            (None, None) => Err(MatchesError::Missing),
        }
    }
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
