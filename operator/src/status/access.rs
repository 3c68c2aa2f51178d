//! Pure: the conditions of the kinds that access control is made of. They are read and judged; nothing is enforced yet.

use std::fmt::Display;

use smi_crds::condition::{ACCEPTED, PROGRAMMED, RESOLVED_REFS};

use super::verdict::{FALSE, Judgement, Notice, TRUE, UNKNOWN, count, join};
use crate::{
    compile::{
        identity_binding::{self, Named},
        traffic_target,
    },
    model::{PortRoute, SmiKind},
};

/// Said of every object that only access control would use, lest anybody relies on it.
fn not_enforced(kind: SmiKind) -> Judgement {
    let message = format!("Weft does not enforce access yet, so no proxy is told about a {kind}");
    Judgement::new(PROGRAMMED, FALSE, "NotEnforced", message)
}

fn unknown_references(kind: SmiKind) -> Judgement {
    let message = format!("the references of a {kind} that is not accepted are not looked at");
    Judgement::new(RESOLVED_REFS, UNKNOWN, "NotAccepted", message)
}

/// The conditions of a TCPRoute or UDPRoute.
pub(super) fn of_route(kind: SmiKind, route: &PortRoute) -> Vec<Judgement> {
    let ports: Vec<_> = route.ports.iter().collect();
    let message = match ports.len() {
        0 => "the route stands for every port".to_owned(),
        1 => format!("the route stands for port {}", ports[0]),
        _ => format!("the route stands for ports {}", join(&ports, ", ")),
    };
    vec![
        Judgement::new(ACCEPTED, TRUE, "Accepted", message),
        not_enforced(kind),
        Judgement::new(RESOLVED_REFS, TRUE, "ResolvedRefs", "the route refers to nothing"),
    ]
}

/// The conditions of a `TrafficTarget`, and what its author is told.
pub(super) fn of_target(findings: &[traffic_target::Finding]) -> (Vec<Judgement>, Vec<Notice>) {
    use traffic_target::Finding;
    let kind = SmiKind::TrafficTarget;
    let notices = findings.iter().map(|finding| notice(finding.reason(), finding)).collect();
    if let Some(finding) = findings.iter().find(|finding| finding.rejects()) {
        let accepted = Judgement::new(ACCEPTED, FALSE, finding.reason(), finding.to_string());
        return (vec![accepted, not_enforced(kind), unknown_references(kind)], notices);
    }
    let (empty, unresolved): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.grants_nothing());
    let accepted = match empty.first() {
        Some(first) => Judgement::new(ACCEPTED, TRUE, first.reason(), join(&empty, ". ")),
        None => Judgement::new(ACCEPTED, TRUE, "Accepted", "the target says who may reach whom, and by what"),
    };
    let resolved = match unresolved.first() {
        Some(first) => Judgement::new(RESOLVED_REFS, FALSE, first.reason(), join(&unresolved, ". ")),
        None => Judgement::new(RESOLVED_REFS, TRUE, "ResolvedRefs", "everything that the target names exists"),
    };
    (vec![accepted, not_enforced(kind), resolved], notices)
}

/// The conditions of an `IdentityBinding`, and what its author is told.
pub(super) fn of_binding(named: &Named, findings: &[identity_binding::Finding]) -> (Vec<Judgement>, Vec<Notice>) {
    use identity_binding::Finding;
    let kind = SmiKind::IdentityBinding;
    // None is a normal number of pods, and comes and goes with every restart.
    let worth = |finding: &&Finding| !matches!(finding, Finding::NoPods { .. });
    let notices = findings.iter().filter(worth).map(|finding| notice(finding.reason(), finding)).collect();
    if let Some(finding) = findings.iter().find(|finding| finding.rejects()) {
        let accepted = Judgement::new(ACCEPTED, FALSE, finding.reason(), finding.to_string());
        return (vec![accepted, not_enforced(kind), unknown_references(kind)], notices);
    }
    let names = format!("the binding names {} now", count(named.pods, "pod", "pods"));
    let remarks: Vec<&Finding> = findings
        .iter()
        .filter(|finding| matches!(finding, Finding::NamesNobody | Finding::SharedAccount { .. }))
        .collect();
    let accepted = match remarks.first() {
        Some(Finding::NamesNobody) => Judgement::new(ACCEPTED, TRUE, "NamesNobody", Finding::NamesNobody.to_string()),
        Some(first) => Judgement::new(ACCEPTED, TRUE, first.reason(), format!("{names}; {}", join(&remarks, ". "))),
        None => Judgement::new(ACCEPTED, TRUE, "Accepted", names),
    };
    let unresolved: Vec<&Finding> = findings.iter().filter(|finding| finding.is_unresolved()).collect();
    let resolved = match (unresolved.first(), findings.iter().find(|finding| !worth(finding))) {
        (Some(first), _) => Judgement::new(RESOLVED_REFS, FALSE, first.reason(), join(&unresolved, ". ")),
        // Whether there is such a service account only its pods could tell.
        (None, Some(nobody)) => Judgement::new(RESOLVED_REFS, UNKNOWN, nobody.reason(), nobody.to_string()),
        (None, None) => {
            Judgement::new(RESOLVED_REFS, TRUE, "ResolvedRefs", "everything that the binding names is known")
        }
    };
    (vec![accepted, not_enforced(kind), resolved], notices)
}

fn notice(reason: &'static str, finding: &impl Display) -> Notice {
    Notice { reason, text: finding.to_string(), about: None }
}
