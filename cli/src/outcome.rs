//! The answer of a check, and of a command as its exit status.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

/// An answer to a yes-or-no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It is so. Exit status 0.
    Yes,
    /// It is not so. Exit status 1.
    No,
    /// That could not be told. Exit status 2.
    Unknown,
}

impl Outcome {
    /// Whether all of `outcomes` are yes: one no decides, then one unknown. Nothing at all says nothing.
    pub(crate) fn all(outcomes: impl IntoIterator<Item = Self>) -> Self {
        outcomes
            .into_iter()
            .reduce(|all, one| match (all, one) {
                (Self::No, _) | (_, Self::No) => Self::No,
                (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
                (Self::Yes, Self::Yes) => Self::Yes,
            })
            .unwrap_or(Self::Unknown)
    }

    /// The exit status that stands for the answer.
    const fn status(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Unknown => 2,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        })
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        outcome.status().into()
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{No, Unknown, Yes};
    use super::*;

    #[test]
    fn exits_with_the_worst_that_is_certain() {
        for (name, outcomes, want) in [
            ("all yes", &[Yes, Yes][..], 0),
            ("one no", &[Yes, No, Yes], 1),
            ("one unknown", &[Yes, Unknown, Yes], 2),
            ("a no after an unknown", &[Unknown, No], 1),
            ("a no before an unknown", &[No, Unknown], 1),
            ("nothing asked", &[], 2),
        ] {
            assert_eq!(Outcome::all(outcomes.iter().copied()).status(), want, "{name}");
        }
    }
}
