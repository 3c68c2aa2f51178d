//! Who may reach whom, as written: TrafficTargets, IdentityBindings, and the routes of connections and datagrams.

use std::{collections::BTreeMap, num::NonZeroU16};

use super::SmiKind;

/// A TCPRoute or UDPRoute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRoute {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.matches.name`, which a rule may refer to.
    pub name: Option<String>,
    /// `spec.matches.ports`; none means every port.
    pub ports: Vec<NonZeroU16>,
}

/// A `TrafficTarget`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficTarget {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.destination`.
    pub destination: Subject,
    /// `spec.rules`.
    pub rules: Vec<Rule>,
    /// `spec.sources`.
    pub sources: Vec<Subject>,
}

/// Names identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What the name is the name of.
    pub kind: SubjectKind,
    /// As written; absent and empty are the same.
    pub api_group: Option<String>,
    /// Name of the service account, binding or group.
    pub name: String,
    /// As written; absent and empty are the same, the target's own.
    pub namespace: Option<String>,
}

/// What can stand for identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    /// A service account.
    ServiceAccount,
    /// An `IdentityBinding`.
    IdentityBinding,
    /// A group of service accounts, as Kubernetes names them.
    Group,
}

/// Traffic that a `TrafficTarget` allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Kind of the route: `HttpRouteGroup`, `TcpRoute` or `UdpRoute`.
    pub kind: SmiKind,
    /// Name of the route, in the target's namespace.
    pub name: String,
    /// Names of matches of the route; none means all.
    pub matches: Vec<String>,
}

/// An `IdentityBinding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityBinding {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.schemes.podLabelSelector`.
    pub selector: Option<Selector>,
    /// `spec.schemes.spiffeIdentities`, as written.
    pub spiffe_ids: Vec<String>,
    /// `spec.schemes.serviceAccount`.
    pub service_account: Option<String>,
}

/// A selector of pods by their labels. All of its requirements must be met; one without any selects every pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    /// Labels that a pod must have.
    pub labels: BTreeMap<String, String>,
    /// More requirements.
    pub requirements: Vec<Requirement>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Name of the label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`, as written.
    pub operator: String,
    /// What `In` and `NotIn` compare with.
    pub values: Vec<String>,
}
