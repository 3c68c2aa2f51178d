//! `TrafficTarget`: whose pods it speaks for, and what its rules refer to.

use smi_crds::access::v1alpha4::{RouteKind, TrafficTarget};

use super::{Refusal, Verdict, Warning};

/// Judges a target of `namespace`.
pub(super) fn judge(object: &TrafficTarget, namespace: &str) -> Verdict {
    let mut verdict = Verdict::default();
    let spec = &object.spec;
    if let Some(found) = spec.destination.namespace.as_deref().filter(|found| !found.is_empty() && *found != namespace) {
        verdict.refuse(Refusal::OtherNamespace { found: found.to_owned(), own: namespace.to_owned() });
    }
    let rules = spec.rules.as_deref().unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        let kind = kind_of(rule.kind);
        let is_same = |earlier: &smi_crds::access::v1alpha4::Rule| earlier.kind == rule.kind && earlier.name == rule.name;
        if let Some(first) = rules[..index].iter().position(is_same) {
            verdict.refuse(Refusal::RuleTwice { index, first, kind, name: rule.name.clone() });
        }
        let matches = rule.matches.as_deref().unwrap_or_default();
        if rule.kind != RouteKind::HttpRouteGroup && !matches.is_empty() {
            verdict.warn(Warning::MatchesOfPorts { index, kind });
        }
        for (at, name) in matches.iter().enumerate() {
            if matches[..at].contains(name) {
                verdict.refuse(Refusal::RuleMatchTwice { rule: index, index: at, name: name.clone() });
            }
        }
    }
    if rules.is_empty() {
        verdict.warn(Warning::NoRules);
    }
    if spec.sources.as_ref().is_none_or(Vec::is_empty) {
        verdict.warn(Warning::NoSources);
    }
    verdict
}

fn kind_of(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::HttpRouteGroup => "HTTPRouteGroup",
        RouteKind::TcpRoute => "TCPRoute",
        RouteKind::UdpRoute => "UDPRoute",
    }
}
