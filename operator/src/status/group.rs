//! Pure: the conditions of an HTTPRouteGroup.

use smi_crds::condition::{ACCEPTED, PROGRAMMED, RESOLVED_REFS};

use super::{
    split::progressed,
    verdict::{FALSE, Judgement, Notice, TRUE, join},
};
use crate::{
    model::{GroupProblem, GroupRemark},
    publish::Progress,
};

/// Reason of a group with a match that cannot be used.
const INVALID: &str = "InvalidMatch";

/// Reason of a group that is accepted, and should be mended.
const DOUBTFUL: &str = "DoubtfulHeaders";

/// The conditions of a group at `generation`; without `progress` no split uses it.
pub(super) fn conditions(
    problems: &[GroupProblem],
    remarks: &[GroupRemark],
    progress: Option<&Progress>,
    generation: i64,
) -> Vec<Judgement> {
    let resolved = Judgement::new(RESOLVED_REFS, TRUE, "ResolvedRefs", "the group refers to nothing");
    if !problems.is_empty() {
        let programmed =
            Judgement::new(PROGRAMMED, FALSE, "NotAccepted", "no proxy is told about a group that is not accepted");
        return vec![Judgement::new(ACCEPTED, FALSE, INVALID, join(problems, ". ")), programmed, resolved];
    }
    let accepted = if remarks.is_empty() {
        Judgement::new(ACCEPTED, TRUE, "Accepted", "every match can be compared with requests")
    } else {
        Judgement::new(
            ACCEPTED,
            TRUE,
            DOUBTFUL,
            format!("{}; as long as it is so, a request must meet each of them", join(remarks, ". ")),
        )
    };
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
pub(super) fn notices(problems: &[GroupProblem], remarks: &[GroupRemark]) -> Vec<Notice> {
    let problems = problems.iter().map(|problem| (INVALID, problem.to_string()));
    let remarks = remarks.iter().map(|remark| (DOUBTFUL, remark.to_string()));
    problems.chain(remarks).map(|(reason, text)| Notice { reason, text, about: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RouteGroup;
    use smi_crds::specs::v1alpha4::HeaderProblem;
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
        let odd = group(vec![on("a", "/a")]).with_remarks(vec![GroupRemark {
            name: "a".to_owned(),
            problem: HeaderProblem::SameHeader { first: "Cookie".to_owned(), second: "cookie".to_owned() },
        }]);
        let doubtful = r#"Accepted=True DoubtfulHeaders match "a": headers: "Cookie" and "cookie" are one header, whose name may be written in any case, and one value would have to match both patterns: keep one; as long as it is so, a request must meet each of them"#;
        for (name, group, progress, want) in [
            (
                "stored before it was refused",
                &odd,
                Some(progress(2)),
                [doubtful, "Programmed=True Programmed 2 of 2 proxies acknowledged generation 3"],
            ),
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
            let got = conditions(group.problems(), group.remarks(), progress.as_ref(), 3);
            let text = |judgement: &Judgement| {
                format!("{}={} {} {}", judgement.type_, judgement.status, judgement.reason, judgement.message)
            };
            assert_eq!(got[..2].iter().map(text).collect::<Vec<_>>(), want, "{name}");
        }
        assert_eq!(notices(bad.problems(), bad.remarks()).len(), 1);
        assert_eq!(notices(odd.problems(), odd.remarks()).len(), 1);
    }
}
