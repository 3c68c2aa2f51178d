//! `HTTPRouteGroup`: patterns, header names, and the names that rules refer to.

use std::collections::HashMap;

use smi_crds::specs::v1alpha4::HttpRouteGroup;
use weft_policy::http::{Conditions, Match};

use super::{Refusal, Verdict, Warning};
use crate::{
    index::conditions,
    model::{MAX_PATTERNS, RouteGroup},
};

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
    let compared: Vec<Conditions> = matches.iter().map(conditions).collect();
    let patterns = RouteGroup::patterns(&compared);
    if patterns > MAX_PATTERNS {
        verdict.refuse(Refusal::TooManyPatterns { path, patterns });
    }
    let mut firsts = HashMap::new();
    for (index, (http_match, conditions)) in matches.iter().zip(&compared).enumerate() {
        let first = *firsts.entry(http_match.name.as_str()).or_insert(index);
        if first != index {
            verdict.refuse(Refusal::MatchTwice { path, index, first, name: http_match.name.clone() });
        }
        let problems = http_match.headers.iter().flat_map(|headers| headers.problems());
        for problem in problems {
            verdict.refuse(Refusal::Headers { path, index, name: http_match.name.clone(), problem });
        }
        if patterns <= MAX_PATTERNS
            && let Err(problem) = Match::new(conditions)
        {
            verdict.refuse(Refusal::Match { path, index, problem });
        }
    }
    verdict
}
