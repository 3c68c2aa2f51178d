//! Pure: the conditions of a `TrafficSplit`.

use smi_crds::condition::{ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED_REFS};

use super::verdict::{About, FALSE, Judgement, Notice, TRUE, UNKNOWN, count, join};
use crate::{compile::Finding, publish::Progress};

/// The conditions of a split at `generation`.
pub(super) fn conditions(findings: &[Finding], progress: &Progress, generation: i64) -> Vec<Judgement> {
    vec![accepted(findings), conflicted(findings), programmed(findings, progress, generation), resolved(findings)]
}

/// What its author is told, once.
pub(super) fn notices(findings: &[Finding]) -> Vec<Notice> {
    let about = |finding: &Finding| match (finding.backend(), finding.group()) {
        (Some((backend, port)), _) => {
            let field_path = port.map(|port| format!("spec.ports[{port}]"));
            Some(About::Service { name: backend.to_owned(), field_path })
        }
        (None, Some(group)) => Some(About::Group { name: group.to_owned() }),
        (None, None) => None,
    };
    let notice =
        |finding: &Finding| Notice { reason: finding.reason(), text: finding.to_string(), about: about(finding) };
    findings.iter().map(notice).collect()
}

fn accepted(findings: &[Finding]) -> Judgement {
    if let Some(finding) = findings.iter().find(|finding| finding.rejects()) {
        return Judgement::new(ACCEPTED, FALSE, finding.reason(), finding.to_string());
    }
    match findings.iter().find(|finding| matches!(finding, Finding::ZeroWeight { .. })) {
        Some(finding) => Judgement::new(ACCEPTED, TRUE, finding.reason(), finding.to_string()),
        None => {
            Judgement::new(ACCEPTED, TRUE, "Accepted", "the split takes part in the configuration of its root service")
        }
    }
}

fn conflicted(findings: &[Finding]) -> Judgement {
    match findings.iter().find(|finding| matches!(finding, Finding::Conflicted { .. })) {
        Some(finding) => Judgement::new(CONFLICTED, TRUE, "OlderSplitExists", finding.to_string()),
        None => Judgement::new(CONFLICTED, FALSE, "NoConflict", "no older split stands in the way"),
    }
}

fn resolved(findings: &[Finding]) -> Judgement {
    if findings.iter().any(Finding::rejects) {
        let message = "the references of a split that is not accepted are not looked at";
        return Judgement::new(RESOLVED_REFS, UNKNOWN, "NotAccepted", message);
    }
    let unresolved: Vec<&Finding> = findings.iter().filter(|finding| finding.is_unresolved()).collect();
    match unresolved.first() {
        Some(first) => Judgement::new(RESOLVED_REFS, FALSE, first.reason(), join(&unresolved, ". ")),
        None => Judgement::new(RESOLVED_REFS, TRUE, "ResolvedRefs", "everything that the split names exists and fits"),
    }
}

fn programmed(findings: &[Finding], progress: &Progress, generation: i64) -> Judgement {
    if findings.iter().any(Finding::rejects) {
        let message = "no proxy is told about a split that is not accepted";
        return Judgement::new(PROGRAMMED, FALSE, "NotAccepted", message);
    }
    if findings.iter().any(|finding| matches!(finding, Finding::RootNotFound { .. })) {
        let message = "no proxy can use a root service that does not exist";
        return Judgement::new(PROGRAMMED, FALSE, "RootNotFound", message);
    }
    progressed(progress, generation)
}

/// How far proxies have followed.
pub(super) fn progressed(progress: &Progress, generation: i64) -> Judgement {
    let Progress { proxies, acknowledged, refused } = progress;
    let message =
        format!("{acknowledged} of {} acknowledged generation {generation}", count(*proxies, "proxy", "proxies"));
    if !refused.is_empty() {
        let refusals: Vec<String> = refused.iter().map(|(pod, refusal)| format!("pod {pod}: {refusal}")).collect();
        return Judgement::new(
            PROGRAMMED,
            FALSE,
            "Refused",
            format!("{message}; refused by {}", join(&refusals, "; ")),
        );
    }
    if acknowledged < proxies {
        return Judgement::new(PROGRAMMED, FALSE, PENDING, message);
    }
    Judgement::new(PROGRAMMED, TRUE, "Programmed", message)
}

/// Reason of what some sidecars have not answered yet.
pub(super) const PENDING: &str = "Pending";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{compile::Share, model::PodRef};

    fn progress(acknowledged: usize, proxies: usize) -> Progress {
        Progress { proxies, acknowledged, refused: BTreeSet::new() }
    }

    fn summary(findings: &[Finding], progress: &Progress) -> Vec<String> {
        let text = |judgement: &Judgement| {
            format!("{}={} {} {}", judgement.type_, judgement.status, judgement.reason, judgement.message)
        };
        conditions(findings, progress, 2).iter().map(text).collect()
    }

    #[test]
    fn says_that_all_is_well() {
        assert_eq!(
            summary(&[], &progress(3, 3)),
            [
                "Accepted=True Accepted the split takes part in the configuration of its root service",
                "Conflicted=False NoConflict no older split stands in the way",
                "Programmed=True Programmed 3 of 3 proxies acknowledged generation 2",
                "ResolvedRefs=True ResolvedRefs everything that the split names exists and fits",
            ]
        );
    }

    #[test]
    fn names_every_backend_that_is_missing() {
        let missing = |backend: &str| Finding::BackendNotFound {
            backend: backend.to_owned(),
            namespace: "shop".to_owned(),
            share: Share::OfOthers,
        };
        let findings = [missing("a"), missing("b")];
        assert_eq!(
            summary(&findings, &progress(0, 1))[2..],
            [
                "Programmed=False Pending 0 of 1 proxy acknowledged generation 2",
                "ResolvedRefs=False BackendNotFound spec.backends: backend service a does not exist in namespace shop; \
                 the others share its traffic. spec.backends: backend service b does not exist in namespace shop; the \
                 others share its traffic"
            ]
        );
        assert_eq!(notices(&findings)[1].about, Some(About::Service { name: "b".to_owned(), field_path: None }));
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
        let message = progressed(&progress, 1).message;
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
}
