//! `TrafficTarget`: what is wrong with it. It is not enforced yet.

use std::collections::HashSet;

use thiserror::Error;

use super::{
    identity_binding,
    object_name::{self, InvalidObjectName},
    route,
};
use crate::model::{ObjectRef, Rule, SmiKind, Snapshot, Subject, SubjectKind, TrafficTarget};

/// What Kubernetes puts service accounts into. Source: `k8s.io/apiserver`, `serviceaccount` and `user` packages.
const EVERYBODY: &str = "system:authenticated";
const EVERY_ACCOUNT: &str = "system:serviceaccounts";
const ACCOUNTS_OF: &str = "system:serviceaccounts:";
/// API groups of subjects.
const ACCESS: &str = "access.smi-spec.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Something about a `TrafficTarget` that its author has to know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// The destination is in another namespace, whose owner alone may open it.
    #[error(
        "spec.destination.namespace: {found} is not the target's own namespace {namespace}; put the target into {found}, or leave \
         the field out"
    )]
    OtherNamespace {
        /// As written.
        found: String,
        /// The target's namespace.
        namespace: String,
    },
    /// A group cannot be a destination.
    #[error("spec.destination.kind: Group {name} cannot be a destination; name a ServiceAccount or an IdentityBinding")]
    GroupAsDestination {
        /// As written.
        name: String,
    },
    /// The API group is not the kind's.
    #[error("{field}.group: {kind} is not a kind of {found}; leave the field out")]
    OtherApiGroup {
        /// Of the subject.
        field: String,
        /// Of the subject.
        kind: &'static str,
        /// As written.
        found: String,
    },
    /// No object can have the name.
    #[error("{field}: {problem}")]
    InvalidName {
        /// Of the subject, and in it.
        field: String,
        /// What is wrong with it.
        #[source]
        problem: InvalidObjectName,
    },
    /// There are no rules.
    #[error("spec.rules is empty, so the target grants nothing; name an HTTPRouteGroup, TCPRoute or UDPRoute")]
    NoRules,
    /// There are no sources.
    #[error(
        "spec.sources is empty, so the target grants nothing; name a ServiceAccount, an IdentityBinding or a Group"
    )]
    NoSources,
    /// The group is none of service accounts.
    #[error("{field}.name: nobody is in group {name}; write {EVERY_ACCOUNT} or {ACCOUNTS_OF}NAMESPACE")]
    UnknownGroup {
        /// Of the subject.
        field: String,
        /// As written.
        name: String,
    },
    /// A binding does not exist (yet).
    #[error("{field}: IdentityBinding {name} does not exist in namespace {namespace}, so it stands for nobody")]
    BindingNotFound {
        /// Of the subject.
        field: String,
        /// As written.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// A binding is there and cannot be used.
    #[error(
        "{field}: IdentityBinding {name} of namespace {namespace} is not accepted, so it stands for nobody; see its status"
    )]
    BindingNotAccepted {
        /// Of the subject.
        field: String,
        /// As written.
        name: String,
        /// Where it is.
        namespace: String,
    },
    /// A route does not exist (yet).
    #[error("{field}: {kind} {name} does not exist in namespace {namespace}, so the rule grants nothing")]
    RouteNotFound {
        /// Of the rule.
        field: String,
        /// Of the route.
        kind: SmiKind,
        /// Of the route.
        name: String,
        /// The target's namespace.
        namespace: String,
    },
    /// A route is there and cannot be used.
    #[error("{field}: {kind} {name} is not accepted, so the rule grants nothing; see its status")]
    RouteNotAccepted {
        /// Of the rule.
        field: String,
        /// Of the route.
        kind: SmiKind,
        /// Of the route.
        name: String,
    },
    /// A route has no match of this name.
    #[error("{field}.matches: {kind} {name} has no match {wanted}, so nothing is granted by it; {hint}")]
    MatchNotFound {
        /// Of the rule.
        field: String,
        /// Of the route.
        kind: SmiKind,
        /// Of the route.
        name: String,
        /// As written.
        wanted: String,
        /// What could have been meant.
        hint: String,
    },
}

impl Finding {
    /// The reason of a condition and of an Event.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::OtherNamespace { .. } => "OtherNamespace",
            Self::GroupAsDestination { .. } => "InvalidDestination",
            Self::OtherApiGroup { .. } => "InvalidSubject",
            Self::InvalidName { .. } => "InvalidName",
            Self::NoRules => "NoRules",
            Self::NoSources => "NoSources",
            Self::UnknownGroup { .. } => "UnknownGroup",
            Self::BindingNotFound { .. } => "BindingNotFound",
            Self::BindingNotAccepted { .. } => "BindingNotAccepted",
            Self::RouteNotFound { .. } => "RouteNotFound",
            Self::RouteNotAccepted { .. } => "RouteNotAccepted",
            Self::MatchNotFound { .. } => "MatchNotFound",
        }
    }

    /// The target does not take part at all.
    #[must_use]
    pub fn rejects(&self) -> bool {
        match self {
            Self::OtherNamespace { .. } | Self::GroupAsDestination { .. } => true,
            Self::OtherApiGroup { field, .. } | Self::InvalidName { field, .. } => field.starts_with(DESTINATION),
            _ => false,
        }
    }

    /// The target grants nothing, whatever it names.
    #[must_use]
    pub fn grants_nothing(&self) -> bool {
        matches!(self, Self::NoRules | Self::NoSources)
    }
}

const DESTINATION: &str = "spec.destination";
/// How many of many names are told.
const NAMED: usize = 10;

/// Everything that the author of a target has to know about it, in the order of `spec`.
#[must_use]
pub fn judge(snapshot: &Snapshot, name: &ObjectRef, target: &TrafficTarget) -> Vec<Finding> {
    let own = name.namespace.as_str();
    let destination = &target.destination;
    if let Some(found) = namespace(destination).filter(|found| *found != own) {
        return vec![Finding::OtherNamespace { found: found.to_owned(), namespace: own.to_owned() }];
    }
    if destination.kind == SubjectKind::Group {
        return vec![Finding::GroupAsDestination { name: destination.name.clone() }];
    }
    let mut findings: Vec<Finding> =
        subject(snapshot, own, DESTINATION.to_owned(), destination).err().into_iter().collect();
    if findings.iter().any(Finding::rejects) {
        return findings;
    }
    if target.rules.is_empty() {
        findings.push(Finding::NoRules);
    }
    for (at, rule) in target.rules.iter().enumerate() {
        findings.extend(judge_rule(snapshot, own, format!("spec.rules[{at}]"), rule));
    }
    if target.sources.is_empty() {
        findings.push(Finding::NoSources);
    }
    for (at, source) in target.sources.iter().enumerate() {
        findings.extend(subject(snapshot, own, format!("spec.sources[{at}]"), source).err());
    }
    findings
}

/// The namespace of a subject, where one is written.
fn namespace(subject: &Subject) -> Option<&str> {
    subject.namespace.as_deref().filter(|namespace| !namespace.is_empty())
}

fn subject(snapshot: &Snapshot, own: &str, field: String, subject: &Subject) -> Result<(), Finding> {
    let (kind, api_group) = match subject.kind {
        SubjectKind::ServiceAccount => ("ServiceAccount", ""),
        SubjectKind::IdentityBinding => ("IdentityBinding", ACCESS),
        SubjectKind::Group => ("Group", RBAC),
    };
    if let Some(found) = subject.api_group.as_deref().filter(|found| !found.is_empty() && *found != api_group) {
        return Err(Finding::OtherApiGroup { field, kind, found: found.to_owned() });
    }
    let name = &subject.name;
    if subject.kind != SubjectKind::Group {
        let invalid = |part: &str, problem| Finding::InvalidName { field: format!("{field}.{part}"), problem };
        object_name::check(kind, name).map_err(|problem| invalid("name", problem))?;
        if let Some(namespace) = namespace(subject) {
            object_name::check_namespace(namespace).map_err(|problem| invalid("namespace", problem))?;
        }
    }
    match subject.kind {
        // Whether it exists only its pods could tell, and none is a normal number of pods.
        SubjectKind::ServiceAccount => Ok(()),
        SubjectKind::Group => {
            let of_namespace =
                name.strip_prefix(ACCOUNTS_OF).is_some_and(|namespace| object_name::check_namespace(namespace).is_ok());
            let is_known = of_namespace || [EVERYBODY, EVERY_ACCOUNT].contains(&name.as_str());
            if is_known { Ok(()) } else { Err(Finding::UnknownGroup { field, name: name.clone() }) }
        }
        SubjectKind::IdentityBinding => {
            let namespace = namespace(subject).unwrap_or(own);
            let binding = ObjectRef::new(SmiKind::IdentityBinding, namespace, name);
            let (name, namespace) = (name.clone(), namespace.to_owned());
            match snapshot.bindings.get(&binding) {
                Some(binding) if identity_binding::is_accepted(binding) => Ok(()),
                None if !snapshot.unreadable.contains_key(&binding) => {
                    Err(Finding::BindingNotFound { field, name, namespace })
                }
                _ => Err(Finding::BindingNotAccepted { field, name, namespace }),
            }
        }
    }
}

fn judge_rule(snapshot: &Snapshot, own: &str, field: String, rule: &Rule) -> Vec<Finding> {
    let (kind, name) = (rule.kind, rule.name.clone());
    match route::find(snapshot, &ObjectRef::new(kind, own, &name)) {
        route::Found::Nothing => vec![Finding::RouteNotFound { field, kind, name, namespace: own.to_owned() }],
        route::Found::Refused => vec![Finding::RouteNotAccepted { field, kind, name }],
        route::Found::Matches(matches) => {
            let hint = if matches.is_empty() {
                "leave matches out".to_owned()
            } else {
                let more = if matches.len() > NAMED { ", ..." } else { "" };
                format!("it has {}{more}", matches[..matches.len().min(NAMED)].join(", "))
            };
            let known: HashSet<&str> = matches.into_iter().collect();
            let missing = rule.matches.iter().filter(|wanted| !known.contains(wanted.as_str()));
            missing
                .take(NAMED)
                .map(|wanted| Finding::MatchNotFound {
                    field: field.clone(),
                    kind,
                    name: name.clone(),
                    wanted: wanted.clone(),
                    hint: hint.clone(),
                })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests;
