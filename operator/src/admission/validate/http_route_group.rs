//! `HTTPRouteGroup`: patterns, header names, and the names that rules refer to.

use smi_crds::specs::v1alpha4::HttpRouteGroup;
use weft_policy::http::{Conditions, Match};

use super::{Refusal, Verdict, Warning};

/// Judges a group.
pub(super) fn judge(object: &HttpRouteGroup) -> Verdict {
    let mut verdict = Verdict::default();
    let matches = match object.matches() {
        Ok(matches) => matches,
        Err(problem) => {
            verdict.refuse(Refusal::Matches(problem));
            return verdict;
        }
    };
    // As its author wrote it.
    let path =
        if object.spec.spec.as_ref().is_some_and(|spec| spec.matches.is_some()) { "spec.matches" } else { "matches" };
    if matches.is_empty() {
        verdict.warn(Warning::NoMatches);
    }
    for (index, http_match) in matches.iter().enumerate() {
        if let Some(first) = matches[..index].iter().position(|earlier| earlier.name == http_match.name) {
            verdict.refuse(Refusal::MatchTwice { path, index, first, name: http_match.name.clone() });
        }
        let problems = http_match.headers.iter().flat_map(|headers| headers.problems());
        for problem in problems {
            verdict.refuse(Refusal::Headers { path, index, name: http_match.name.clone(), problem });
        }
        let headers = http_match.headers.iter().flat_map(|headers| headers.iter());
        let conditions = Conditions {
            name: http_match.name.clone(),
            path_regex: http_match.path_regex.clone(),
            methods: http_match.methods.iter().flatten().map(|method| method.as_str().to_owned()).collect(),
            headers: headers.map(|(name, regex)| (name.to_owned(), regex.to_owned())).collect(),
        };
        if let Err(problem) = Match::new(&conditions) {
            verdict.refuse(Refusal::Match { path, index, problem });
        }
    }
    verdict
}
