//! `TrafficTarget`: whose pods it speaks for, and what its rules refer to.

use std::collections::{HashMap, HashSet};

use smi_crds::access::v1alpha4::{RouteKind, Rule, Subject, SubjectKind, TrafficTarget};

use super::{Refusal, Verdict, Warning};
use crate::{
    compile::object_name::{self, InvalidObjectName},
    model::{GroupRef, Snapshot},
};

/// Judges a target of `namespace`. `snapshot` is `None` as long as the cluster has not been read.
pub(super) fn judge(object: &TrafficTarget, namespace: &str, snapshot: Option<&Snapshot>) -> Verdict {
    let mut verdict = Verdict::default();
    let spec = &object.spec;
    verdict.refusals.extend(names("spec.destination", &spec.destination));
    if let Some(found) = spec.destination.namespace.as_deref().filter(|found| !found.is_empty() && *found != namespace)
    {
        verdict.refuse(Refusal::OtherNamespace { found: found.to_owned(), own: namespace.to_owned() });
    }
    if let Err(problem) = object.port() {
        verdict.refuse(Refusal::Port(problem));
    }
    let rules = spec.rules.as_deref().unwrap_or_default();
    let mut firsts = HashMap::new();
    for (index, rule) in rules.iter().enumerate() {
        let kind = kind_of(rule.kind);
        if let Err(problem) = object_name::check(kind, &rule.name) {
            verdict.refuse(Refusal::ObjectName { path: format!("spec.rules[{index}].name"), problem });
        }
        let first = *firsts.entry((kind, rule.name.as_str())).or_insert(index);
        if first != index {
            verdict.refuse(Refusal::RuleTwice { index, first, kind, name: rule.name.clone() });
        } else if rule.kind == RouteKind::HttpRouteGroup
            && let Some(snapshot) = snapshot
        {
            verdict.warnings.extend(missing(snapshot, namespace, index, rule));
        }
        let matches = rule.matches.as_deref().unwrap_or_default();
        if rule.kind != RouteKind::HttpRouteGroup && !matches.is_empty() {
            verdict.warn(Warning::MatchesOfPorts { index, kind });
        }
        let mut named = HashSet::new();
        for (at, name) in matches.iter().enumerate() {
            if !named.insert(name) {
                verdict.refuse(Refusal::RuleMatchTwice { rule: index, index: at, name: name.clone() });
            }
        }
    }
    for (index, source) in spec.sources.iter().flatten().enumerate() {
        verdict.refusals.extend(names(&format!("spec.sources[{index}]"), source));
    }
    if rules.is_empty() {
        verdict.warn(Warning::NoRules);
    }
    if spec.sources.as_ref().is_none_or(Vec::is_empty) {
        verdict.warn(Warning::NoSources);
    }
    verdict
}

/// What is wrong with the names of a subject. Those of groups have other rules, and which there are is said by the status.
fn names(path: &str, subject: &Subject) -> Vec<Refusal> {
    let kind = match subject.kind() {
        SubjectKind::ServiceAccount => "ServiceAccount",
        SubjectKind::IdentityBinding => "IdentityBinding",
        SubjectKind::Group => return Vec::new(),
    };
    let namespace = subject.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let checks = [
        ("name", object_name::check(kind, &subject.name)),
        ("namespace", namespace.map_or(Ok(()), object_name::check_namespace)),
    ];
    let refusal = |(field, check): (&str, Result<(), InvalidObjectName>)| {
        Some(Refusal::ObjectName { path: format!("{path}.{field}"), problem: check.err()? })
    };
    checks.into_iter().filter_map(refusal).collect()
}

/// What a rule names and its group has not, or not yet.
fn missing(snapshot: &Snapshot, namespace: &str, rule_index: usize, rule: &Rule) -> Vec<Warning> {
    let name = GroupRef { namespace: namespace.to_owned(), name: rule.name.clone() };
    let Some(group) = snapshot.route_groups.get(&name) else {
        return vec![Warning::NoRoute { index: rule_index, name: name.name }];
    };
    // A group that is not accepted says so itself.
    let Ok(known) = group.matches() else { return Vec::new() };
    let known: HashSet<&str> = known.iter().map(|it| it.name.as_str()).collect();
    let unknown = rule.matches.iter().flatten().enumerate().filter(|(_, name)| !known.contains(name.as_str()));
    unknown
        .map(|(index, match_name)| Warning::NoSuchMatch {
            rule: rule_index,
            index,
            group: name.name.clone(),
            name: match_name.clone(),
        })
        .collect()
}

fn kind_of(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::HttpRouteGroup => "HTTPRouteGroup",
        RouteKind::TcpRoute => "TCPRoute",
        RouteKind::UdpRoute => "UDPRoute",
    }
}
