//! Pure: the conditions of an HTTPRouteGroup.

use smi_crds::condition::{ACCEPTED, PROGRAMMED, RESOLVED_REFS};

use super::{
    split::progressed,
    verdict::{FALSE, Judgement, Notice, TRUE, join},
};
use crate::{model::GroupProblem, publish::Progress};

/// Reason of a group with a match that cannot be used.
const INVALID: &str = "InvalidMatch";

/// The conditions of a group at `generation`; without `progress` no split uses it.
pub(super) fn conditions(problems: &[GroupProblem], progress: Option<&Progress>, generation: i64) -> Vec<Judgement> {
    let resolved = Judgement::new(RESOLVED_REFS, TRUE, "ResolvedRefs", "the group refers to nothing");
    if !problems.is_empty() {
        let programmed =
            Judgement::new(PROGRAMMED, FALSE, "NotAccepted", "no proxy is told about a group that is not accepted");
        return vec![Judgement::new(ACCEPTED, FALSE, INVALID, join(problems, ". ")), programmed, resolved];
    }
    let accepted = Judgement::new(ACCEPTED, TRUE, "Accepted", "every match can be compared with requests");
    let programmed = match progress {
        Some(progress) => progressed(progress, generation),
        None => Judgement::new(
            PROGRAMMED,
            TRUE,
            "Unused",
            "no TrafficSplit that is in force uses the group, so no proxy needs it",
        ),
    };
    vec![accepted, programmed, resolved]
}

/// What its author is told, once.
pub(super) fn notices(problems: &[GroupProblem]) -> Vec<Notice> {
    problems.iter().map(|problem| Notice { reason: INVALID, text: problem.to_string(), about: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RouteGroup;
    use weft_policy::http::Conditions;

    #[test]
    fn says_what_is_wrong_and_who_uses_it() {
        let on = |name: &str, regex: &str| Conditions {
            name: name.to_owned(),
            path_regex: Some(regex.to_owned()),
            ..Conditions::default()
        };
        let group = |matches| RouteGroup::new(String::new(), 3, matches);
        let (good, bad) = (group(vec![on("a", "/a")]), group(vec![on("a", "/a"), on("b", "/(")]));
        let progress = |acknowledged| Progress { proxies: 2, acknowledged, ..Progress::default() };
        let accepted = "Accepted=True Accepted every match can be compared with requests";
        let invalid = r#"Accepted=False InvalidMatch match "b": pathRegex: "/(" is no regular expression in RE2 syntax: unclosed group, at character 2"#;
        for (name, group, progress, want) in [
            (
                "unused",
                &good,
                None,
                [
                    accepted,
                    "Programmed=True Unused no TrafficSplit that is in force uses the group, so no proxy needs it",
                ],
            ),
            (
                "on its way",
                &good,
                Some(progress(1)),
                [accepted, "Programmed=False Pending 1 of 2 proxies acknowledged generation 3"],
            ),
            (
                "taken",
                &good,
                Some(progress(2)),
                [accepted, "Programmed=True Programmed 2 of 2 proxies acknowledged generation 3"],
            ),
            (
                "invalid",
                &bad,
                Some(progress(2)),
                [invalid, "Programmed=False NotAccepted no proxy is told about a group that is not accepted"],
            ),
        ] {
            let got = conditions(group.problems(), progress.as_ref(), 3);
            let text = |judgement: &Judgement| {
                format!("{}={} {} {}", judgement.type_, judgement.status, judgement.reason, judgement.message)
            };
            assert_eq!(got[..2].iter().map(text).collect::<Vec<_>>(), want, "{name}");
        }
        assert_eq!(notices(bad.problems()).len(), 1);
    }
}
