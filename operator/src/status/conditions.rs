//! Pure: the conditions of a `TrafficSplit`.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use smi_crds::condition::{ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED_REFS};

use crate::{compile::Finding, publish::Progress};

/// The conditions of a split at `generation`, as of `now`. A condition that keeps its status keeps its `lastTransitionTime`
/// from `current`.
pub(super) fn conditions(
    findings: &[Finding],
    progress: &Progress,
    generation: i64,
    current: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |(type_, status, reason, message): Judgement| {
        let kept = current.iter().find(|known| known.type_ == type_ && known.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: Some(generation),
            last_transition_time: kept.map_or(Time(now), |known| known.last_transition_time.clone()),
        }
    };
    [accepted(findings), conflicted(findings), programmed(findings, progress, generation), resolved(findings)]
        .map(condition)
        .into()
}

/// Type, status, reason and message.
type Judgement = (&'static str, &'static str, &'static str, String);

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";
/// How many of many a message names: a condition's message is limited to 32768 bytes.
const NAMED: usize = 10;

fn accepted(findings: &[Finding]) -> Judgement {
    if let Some(finding) = findings.iter().find(|finding| finding.rejects()) {
        return (ACCEPTED, FALSE, finding.reason(), finding.to_string());
    }
    match findings.iter().find(|finding| matches!(finding, Finding::ZeroWeight { .. })) {
        Some(finding) => (ACCEPTED, TRUE, finding.reason(), finding.to_string()),
        None => (ACCEPTED, TRUE, "Accepted", String::new()),
    }
}

fn conflicted(findings: &[Finding]) -> Judgement {
    match findings.iter().find(|finding| matches!(finding, Finding::Conflicted { .. })) {
        Some(finding) => (CONFLICTED, TRUE, "OlderSplitExists", finding.to_string()),
        None => (CONFLICTED, FALSE, "NoConflict", String::new()),
    }
}

fn resolved(findings: &[Finding]) -> Judgement {
    if findings.iter().any(Finding::rejects) {
        let message = "the references of a split that is not accepted are not looked at";
        return (RESOLVED_REFS, UNKNOWN, "NotAccepted", message.to_owned());
    }
    let unresolved: Vec<&Finding> = findings.iter().filter(|finding| finding.is_unresolved()).collect();
    match unresolved.first() {
        Some(first) => (RESOLVED_REFS, FALSE, first.reason(), join(&unresolved, ". ")),
        None => (RESOLVED_REFS, TRUE, "ResolvedRefs", String::new()),
    }
}

fn programmed(findings: &[Finding], progress: &Progress, generation: i64) -> Judgement {
    if findings.iter().any(Finding::rejects) {
        let message = "no proxy is told about a split that is not accepted";
        return (PROGRAMMED, FALSE, "NotAccepted", message.to_owned());
    }
    if findings.iter().any(|finding| matches!(finding, Finding::RootNotFound { .. })) {
        let message = "no proxy can use a root service that does not exist";
        return (PROGRAMMED, FALSE, "RootNotFound", message.to_owned());
    }
    let Progress { proxies, acknowledged, refused } = progress;
    let proxies_of = if *proxies == 1 { "proxy" } else { "proxies" };
    let message = format!("{acknowledged} of {proxies} {proxies_of} acknowledged generation {generation}");
    if !refused.is_empty() {
        let refusals: Vec<String> = refused.iter().map(|(pod, refusal)| format!("pod {pod}: {refusal}")).collect();
        return (PROGRAMMED, FALSE, "Refused", format!("{message}; refused by {}", join(&refusals, "; ")));
    }
    if acknowledged < proxies {
        return (PROGRAMMED, FALSE, "Pending", message);
    }
    (PROGRAMMED, TRUE, "Programmed", message)
}

fn join(parts: &[impl ToString], separator: &str) -> String {
    let mut named: Vec<String> = parts.iter().take(NAMED).map(ToString::to_string).collect();
    if parts.len() > NAMED {
        named.push(format!("and {} more", parts.len() - NAMED));
    }
    named.join(separator)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::PodRef;

    fn progress(acknowledged: usize, proxies: usize) -> Progress {
        Progress { proxies, acknowledged, refused: BTreeSet::new() }
    }

    fn summary(findings: &[Finding], progress: &Progress) -> Vec<String> {
        conditions(findings, progress, 2, &[], Timestamp::UNIX_EPOCH)
            .iter()
            .map(|condition| {
                format!("{}={} {} {}", condition.type_, condition.status, condition.reason, condition.message)
            })
            .collect()
    }

    #[test]
    fn says_that_all_is_well() {
        assert_eq!(
            summary(&[], &progress(3, 3)),
            [
                "Accepted=True Accepted ",
                "Conflicted=False NoConflict ",
                "Programmed=True Programmed 3 of 3 proxies acknowledged generation 2",
                "ResolvedRefs=True ResolvedRefs ",
            ]
        );
    }

    #[test]
    fn names_every_backend_that_is_missing() {
        let missing =
            |backend: &str| Finding::BackendNotFound { backend: backend.to_owned(), namespace: "shop".to_owned() };
        assert_eq!(
            summary(&[missing("a"), missing("b")], &progress(0, 1))[2..],
            [
                "Programmed=False Pending 0 of 1 proxy acknowledged generation 2",
                "ResolvedRefs=False BackendNotFound spec.backends: backend service a does not exist in namespace shop; \
                 the others share its traffic. spec.backends: backend service b does not exist in namespace shop; the \
                 others share its traffic"
            ]
        );
    }

    #[test]
    fn a_loser_of_a_conflict_is_not_programmed() {
        let finding = Finding::Conflicted { root: "web".to_owned(), winner: "first".to_owned() };
        let text = "root service web is split by the older TrafficSplit first; delete one of the two";
        assert_eq!(
            summary(&[finding], &progress(1, 1)),
            [
                format!("Accepted=False Conflicted {text}"),
                format!("Conflicted=True OlderSplitExists {text}"),
                "Programmed=False NotAccepted no proxy is told about a split that is not accepted".to_owned(),
                "ResolvedRefs=Unknown NotAccepted the references of a split that is not accepted are not looked at"
                    .to_owned(),
            ]
        );
    }

    #[test]
    fn a_split_of_a_root_that_is_missing_is_not_programmed() {
        let finding = Finding::RootNotFound { root: "web".to_owned(), namespace: "shop".to_owned() };
        let got = summary(&[finding], &progress(0, 0));
        assert_eq!(got[2], "Programmed=False RootNotFound no proxy can use a root service that does not exist");
    }

    #[test]
    fn a_message_stays_within_its_limit() {
        let refused = (0..1000)
            .map(|pod| (PodRef { namespace: "shop".to_owned(), name: format!("client-{pod}") }, "x".repeat(200)));
        let progress = Progress { proxies: 1000, acknowledged: 0, refused: refused.collect() };
        let message = programmed(&[], &progress, 1).3;
        assert!(message.ends_with("; and 990 more") && message.len() < 32_768, "{message}");
    }

    #[test]
    fn a_refusal_names_the_pod_and_its_reason() {
        let pod = PodRef { namespace: "shop".to_owned(), name: "client".to_owned() };
        let refused = BTreeSet::from([(pod, "backend 1 has no name".to_owned())]);
        let progress = Progress { proxies: 2, acknowledged: 1, refused };
        assert_eq!(
            summary(&[], &progress)[2],
            "Programmed=False Refused 1 of 2 proxies acknowledged generation 2; refused by pod shop/client: backend 1 \
             has no name"
        );
    }

    #[test]
    fn zero_weights_are_accepted_and_said() {
        let finding = Finding::ZeroWeight { root: "web".to_owned() };
        assert_eq!(
            summary(&[finding], &progress(0, 0))[0],
            "Accepted=True ZeroWeight all weights are 0, so root service web serves by its own endpoints"
        );
    }

    #[test]
    fn keeps_the_time_of_the_last_change_of_a_status() {
        let then = Timestamp::UNIX_EPOCH;
        let now = Timestamp::from_second(1000).unwrap();
        let before = conditions(&[], &progress(1, 2), 1, &[], then);
        let after = conditions(&[], &progress(2, 2), 2, &before, now);
        let time = |conditions: &[Condition], type_: &str| {
            conditions.iter().find(|known| known.type_ == type_).unwrap().last_transition_time.0
        };
        assert_eq!(time(&after, "Accepted"), then, "kept its status");
        assert_eq!(time(&after, "Programmed"), now, "changed its status");
    }
}
