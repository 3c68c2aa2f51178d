//! TrafficTarget: which identities may reach which others, and by which routes.

use std::num::NonZeroU16;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::convert::{CONVERSION, kept_port};
use crate::{SmiStatus, schema};

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
    doc = "Allows the sources to reach the destination by the traffic that the rules name. Grants add up; nothing denies."
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTargetSpec {
    /// The identity that may be reached: every pod of the target's namespace that runs with it.
    #[schemars(schema_with = "schema::destination_without_port::<Subject>")]
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
    /// API group of the kind: access.smi-spec.io for an IdentityBinding, rbac.authorization.k8s.io for a Group. Absent or
    /// empty means the group that the kind is known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::api_group_of_subjects")]
    pub group: Option<String>,

    /// What the name is the name of. Absent: a ServiceAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SubjectKind>,

    /// Name of the service account, binding or group.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the service account or binding. Absent or empty: the target's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// The port that a TrafficTarget was limited to cannot be read, so that it must not grant anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the annotation weft.dev/conversion, which keeps destination.port of older versions, cannot be read ({0}); remove it and \
     name a TCPRoute with the port in spec.rules"
)]
pub struct UnreadablePort(String);

impl TrafficTarget {
    /// The only port of the destination that may be reached, if the object was written in a version that can say so:
    /// `v1alpha1` and `v1alpha2` have `destination.port`, which is kept in an annotation. None: every port that the
    /// rules allow.
    ///
    /// # Errors
    ///
    /// If the annotation cannot be read.
    pub fn port(&self) -> Result<Option<NonZeroU16>, UnreadablePort> {
        let annotations = self.metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|annotations| annotations.get(CONVERSION)) else { return Ok(None) };
        kept_port(text).map_err(UnreadablePort)
    }
}

impl Subject {
    /// What the name is the name of; a service account unless something else was written.
    pub fn kind(&self) -> SubjectKind {
        self.kind.unwrap_or(SubjectKind::ServiceAccount)
    }
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
