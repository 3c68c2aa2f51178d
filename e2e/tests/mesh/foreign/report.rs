//! What the programs of the image `interop` report.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::harness::TestNamespace;
use serde::Deserialize;

use super::Way;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped,
}

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    outcome: Outcome,
    detail: String,
}

#[derive(Debug, Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

/// Outcome and reason of each case.
pub(crate) struct Report(BTreeMap<String, (Outcome, String)>);

impl Report {
    /// Runs a command that reports, in the client's pod of `way`.
    pub(crate) async fn of(ns: &TestNamespace, way: &Way, limit: Duration, command: &[&str]) -> Result<Self> {
        let text = way.run(ns, limit, command).await?;
        let Cases { cases } = serde_json::from_str(&text).with_context(|| format!("no report: {text}"))?;
        let report: BTreeMap<_, _> = cases.into_iter().map(|case| (case.name, (case.outcome, case.detail))).collect();
        ensure!(!report.is_empty(), "no case was run by way of {}", way.name);
        Ok(Self(report))
    }

    /// How many cases had this outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.0.values().filter(|(found, _)| *found == outcome).count()
    }

    /// Cases that failed, each with its reason on a line of its own.
    pub(crate) fn failures(&self) -> String {
        self.lines(|_| true)
    }

    /// Cases that failed here and not in `baseline`.
    pub(crate) fn failures_beyond(&self, baseline: &Self) -> String {
        self.lines(|name| baseline.0.get(name).is_none_or(|(outcome, _)| *outcome != Outcome::Failed))
    }

    /// Whether the same cases were asked.
    pub(crate) fn asks_the_same_as(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
    }

    fn lines(&self, which: impl Fn(&str) -> bool) -> String {
        let failed = self.0.iter().filter(|(name, (outcome, _))| *outcome == Outcome::Failed && which(name));
        failed.map(|(name, (_, detail))| format!("\n{name}: {detail}")).collect()
    }
}
