//! An HTTPRouteGroup, and whether it can be compared with requests.

use std::collections::HashSet;

use smi_crds::specs::v1alpha4::HeaderProblem;
use thiserror::Error;
use weft_policy::http::{Conditions, InvalidMatch, Match};

use super::Unreadable;

/// Patterns of paths and headers that one group may have. Each takes up to some milliseconds to compile, here, in admission and
/// in every sidecar that the group concerns.
pub const MAX_PATTERNS: usize = 1024;

/// An HTTPRouteGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteGroup {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its matches as written.
    matches: Vec<Conditions>,
    /// What is wrong with them, found out once: patterns are costly to compile.
    problems: Vec<GroupProblem>,
    /// What is to be said although it is accepted.
    remarks: Vec<GroupRemark>,
}

/// What is wrong with the headers of a match that was stored before such were refused. It is compared with requests as before:
/// every filter must match, so that nothing is matched that was not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("match {name:?}: {problem}")]
pub struct GroupRemark {
    /// Name of the match.
    pub name: String,
    /// What is wrong.
    #[source]
    pub problem: HeaderProblem,
}

/// Why a group is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GroupProblem {
    /// A match cannot be compared with requests.
    #[error(transparent)]
    Match(#[from] InvalidMatch),
    /// It would take long to compile.
    #[error(
        "the matches have {0} patterns in pathRegex and headers, and at most {MAX_PATTERNS} are compiled; divide them among groups"
    )]
    TooManyPatterns(usize),
    /// Two matches have one name, so that a rule which names it would be ambiguous.
    #[error("match {0:?}: more than one match has this name; give each a name of its own")]
    Duplicate(String),
    /// A field has a value that it cannot have.
    #[error("{} cannot be read: {}", .0.field, .0.error)]
    Unreadable(Box<Unreadable>),
}

impl RouteGroup {
    /// A group with these matches.
    #[must_use]
    pub fn new(uid: String, generation: i64, matches: Vec<Conditions>) -> Self {
        let mut names = HashSet::new();
        let duplicate = |conditions: &Conditions| {
            (!names.insert(conditions.name.clone())).then(|| GroupProblem::Duplicate(conditions.name.clone()))
        };
        let mut problems: Vec<GroupProblem> = matches.iter().filter_map(duplicate).collect();
        let patterns = Self::patterns(&matches);
        if patterns > MAX_PATTERNS {
            problems.push(GroupProblem::TooManyPatterns(patterns));
        } else {
            let wrong = matches.iter().filter_map(|conditions| Match::new(conditions).err());
            problems.extend(wrong.map(GroupProblem::from));
        }
        Self { uid, generation, matches, problems, remarks: Vec::new() }
    }

    /// The same with what is to be said although it is accepted.
    #[must_use]
    pub fn with_remarks(mut self, remarks: Vec<GroupRemark>) -> Self {
        self.remarks = remarks;
        self
    }

    /// What its author should mend although it is accepted.
    #[must_use]
    pub fn remarks(&self) -> &[GroupRemark] {
        &self.remarks
    }

    /// How many patterns matches have.
    #[must_use]
    pub fn patterns(matches: &[Conditions]) -> usize {
        let of_match =
            |conditions: &Conditions| usize::from(conditions.path_regex.is_some()) + conditions.headers.len();
        matches.iter().map(of_match).sum()
    }

    /// Whether these are its matches.
    pub fn is_written_as(&self, matches: impl Iterator<Item = Conditions>) -> bool {
        matches.collect::<Vec<_>>() == self.matches
    }

    /// What its author has to mend, duplicate names first; empty when it is accepted.
    #[must_use]
    pub fn problems(&self) -> &[GroupProblem] {
        &self.problems
    }

    /// Its matches.
    ///
    /// # Errors
    /// With the first problem when the group is not accepted: one match that cannot be read makes all of them unusable, so that
    /// nothing is matched that its author did not mean.
    pub fn matches(&self) -> Result<&[Conditions], &GroupProblem> {
        self.problems.first().map_or(Ok(self.matches.as_slice()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_one_wrong_match_has_no_matches() {
        let on = |name: &str, regex: &str| Conditions {
            name: name.to_owned(),
            path_regex: Some(regex.to_owned()),
            ..Conditions::default()
        };
        let many = |patterns: usize| (0..patterns).map(|number| on(&format!("m{number}"), "/a")).collect();
        for (name, matches, want) in [
            ("right", vec![on("a", "/a"), on("b", "/b")], vec![]),
            ("empty", vec![], vec![]),
            (
                "pattern",
                vec![on("a", "/a"), on("b", "/(")],
                vec![
                    r#"match "b": pathRegex: "/(" is no regular expression in RE2 syntax: unclosed group, at character 2"#,
                ],
            ),
            ("as many patterns as there may be", many(MAX_PATTERNS), vec![]),
            (
                "more",
                many(MAX_PATTERNS + 1),
                vec![
                    "the matches have 1025 patterns in pathRegex and headers, and at most 1024 are compiled; divide them among groups",
                ],
            ),
            (
                "names",
                vec![on("a", "/a"), on("a", "/b")],
                vec![r#"match "a": more than one match has this name; give each a name of its own"#],
            ),
        ] {
            let group = RouteGroup::new("uid".to_owned(), 1, matches.clone());
            let problems: Vec<String> = group.problems().iter().map(ToString::to_string).collect();
            assert_eq!(problems, want, "{name}");
            assert_eq!(group.matches().ok(), want.is_empty().then_some(&*matches), "{name}");
        }
    }
}
