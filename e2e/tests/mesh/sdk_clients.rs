//! What clients that others wrote make of the API: smi-sdk-go with every kind at every version that it has, and controllers that
//! write what they read and compare.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use e2e::{
    harness::{Question, sdk},
    run,
};

/// Kinds at versions that the SDK has: 4 of TrafficSplit, HTTPRouteGroup and TCPRoute, 3 of TrafficTarget, 1 of UDPRoute.
const CLIENTS: usize = 16;

/// Prints a table with a line for each kind and version, and expects that no question failed.
fn all_well(questions: &[Question]) -> Result<()> {
    let mut lines: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for Question { kind, version, verb, failure } in questions {
        let outcome = if failure.is_empty() { verb.clone() } else { format!("NOT {verb}") };
        lines.entry((kind, version)).or_default().push(outcome);
    }
    for ((kind, version), verbs) in lines {
        println!("{kind:<15} {version:<9} {}", verbs.join(", "));
    }
    let failed = questions.iter().filter(|question| !question.failure.is_empty());
    let failed: Vec<String> = failed
        .map(|Question { kind, version, verb, failure }| format!("\n{kind} {version}: {verb}: {failure}"))
        .collect();
    println!("{} questions, {} failed", questions.len(), failed.len());
    ensure!(failed.is_empty(), "{}", failed.concat());
    Ok(())
}

fn clients(questions: &[Question]) -> usize {
    questions.iter().map(|question| (&question.kind, &question.version)).collect::<BTreeSet<_>>().len()
}

#[test]
fn every_client_of_the_sdk_reads_what_it_wrote_by_every_verb() {
    run("sdk-verbs", async |ns| {
        let questions = sdk(ns, "verbs").await?;
        all_well(&questions)?;
        ensure!(clients(&questions) == CLIENTS, "{} kinds and versions", clients(&questions));
        Ok(())
    });
}

#[test]
fn a_client_of_another_version_loses_nothing() {
    run("sdk-versions", async |ns| {
        let questions = sdk(ns, "versions").await?;
        all_well(&questions)?;
        // 4 versions of three kinds and 3 of one, each edited at every other.
        ensure!(questions.len() == 3 * 4 * 3 + 3 * 2, "{} pairs of versions", questions.len());
        Ok(())
    });
}

#[test]
fn a_controller_that_compares_what_it_reads_finds_nothing_to_do() {
    run("sdk-rollout", async |ns| {
        let questions = sdk(ns, "rollout").await?;
        all_well(&questions)?;
        ensure!(clients(&questions) == 3, "{} kinds and versions", clients(&questions));
        Ok(())
    });
}
