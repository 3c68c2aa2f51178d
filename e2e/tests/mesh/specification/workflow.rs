//! The workflow of the texts on TrafficSplit, from the first version of an application to the second, under load.

use anyhow::{Context, Result, ensure};
use e2e::{TestNamespace, load::Plan, run};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::api::DeleteParams;
use serde_json::json;

use super::example;

const URL: &str = "http://foobar:8080/";
const SPLIT: &str = "foobar-rollout";

/// Applies a step of the workflow and awaits that it is in force.
async fn step(ns: &TestNamespace, version: &str, name: &str) -> Result<()> {
    ns.apply_file(&example(&format!("traffic-split.{version}"), name)).await?;
    ns.programmed(SPLIT).await?;
    Ok(())
}

/// The steps are the examples from number `first` on.
fn rolls_out(version: &str, first: u8) {
    run("spec-workflow", async |ns| {
        let server = |name: &str| ns.server(name).label("app", "foobar");
        server("foobar-v1").apply().await?;
        ns.service("foobar", json!({"app": "foobar"})).await?;
        ns.client("client").apply().await?;
        for name in ["foobar-v1", "client"] {
            ns.rolled_out(name).await?;
        }
        let client = ns.test_client("client").await?;
        client.reaches(URL).await?;
        let load = client.start(&Plan::new(URL).rate(100.0)).await?;
        let plan = Plan::new(URL).requests(300);

        // The split names foobar-v2 before that exists, so that its pods, which the root selects too, get nothing.
        step(ns, version, &format!("{first:02}-workflow-begin")).await?;
        let mark = load.mark().await?;
        server("foobar-v2").rolled_out().await?;
        ns.has_condition(SPLIT, "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
        ns.programmed(SPLIT).await?;
        load.more(100).await?;
        let tally = load.since(mark).await?;
        ensure!(tally.of("foobar-v2") == 0 && tally.failed == 0, "{version}: before the shift: {tally}");
        // What is tried by hand reaches the new version.
        let tally = client.get("http://foobar-v2:8080/", 20).await?;
        ensure!(tally.of("foobar-v2") == 20, "{version}: by hand: {tally}");

        step(ns, version, &format!("{:02}-workflow-shift", first + 1)).await?;
        let mark = load.mark().await?;
        let by_hand = client.run(&plan).await?;
        let load_since = load.since(mark).await?;
        // They take turns, so that only the sum is exact, but for what was on its way at both ends.
        let of = |name: &str| by_hand.of(name) + load_since.of(name);
        let is_a_third = (3 * of("foobar-v2")).abs_diff(of("foobar-v1") + of("foobar-v2")) <= 30;
        ensure!(is_a_third && by_hand.failed == 0, "{version}: after the shift: {by_hand}, and {load_since}");

        step(ns, version, &format!("{:02}-workflow-end", first + 2)).await?;
        let tally = client.run(&plan).await?;
        ensure!((tally.of("foobar-v2"), tally.failed) == (300, 0), "{version}: at the end: {tally}");

        // The old version goes, then the split; what is left is the root with the new version.
        ns.api::<Deployment>().delete("foobar-v1", &DeleteParams::foreground()).await.context("the Deployment")?;
        ns.api::<Service>().delete("foobar-v1", &DeleteParams::default()).await.context("the Service")?;
        load.more(100).await?;
        ns.delete_split(SPLIT).await?;
        client.reaches_only(URL, &["foobar-v2"]).await?;
        load.stop_without_failure().await?;
        Ok(())
    });
}

#[test]
fn a_new_version_is_rolled_out_without_a_failed_request_at_v1alpha1() {
    rolls_out("v1alpha1", 4);
}

#[test]
fn a_new_version_is_rolled_out_without_a_failed_request_at_v1alpha2() {
    rolls_out("v1alpha2", 4);
}

#[test]
fn a_new_version_is_rolled_out_without_a_failed_request_at_v1alpha3() {
    rolls_out("v1alpha3", 5);
}

#[test]
fn a_new_version_is_rolled_out_without_a_failed_request_at_v1alpha4() {
    rolls_out("v1alpha4", 5);
}
