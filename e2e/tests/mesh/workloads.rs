//! Pods come and go under load, and no request fails.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{RunningLoad, TestNamespace},
    load::Plan,
    run,
};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DeleteParams};

use serde_json::{Value, json};

use crate::WEB;

/// A load of four connections on a split to v1 and v2.
async fn load_on_split(ns: &TestNamespace) -> Result<RunningLoad> {
    let client = ns.web(&["v1", "v2"]).await?;
    ns.split("web", "web").backend("v1", 1).backend("v2", 1).programmed().await?;
    let load = client.start(&Plan::new(WEB).rate(100.0).connections(4)).await?;
    load.more(20).await?;
    Ok(load)
}

#[test]
fn rolling_a_backend_fails_no_request() {
    run("roll", async |ns| {
        let load = load_on_split(ns).await?;
        ns.server("v1").replicas(2).rolled_out().await?;
        ns.server("v1").replicas(2).annotation("e2e/template", "2").rolled_out().await?;
        load.more(100).await?;
        load.stop_without_failure().await?;
        Ok(())
    });
}

#[test]
fn deleting_a_pod_fails_no_request() {
    run("delete-pod", async |ns| {
        let load = load_on_split(ns).await?;
        for pod in ns.pods("v1").await? {
            ns.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await?;
        }
        ns.rolled_out("v1").await?;
        load.more(100).await?;
        load.stop_without_failure().await?;
        Ok(())
    });
}

#[test]
fn requests_in_flight_outlive_the_end_of_their_pod() {
    run("in-flight", async |ns| {
        let client = ns.web(&["v1"]).await?;
        // Longer than the application lingers: at its end they are still in flight.
        let slow = Plan::new("http://web:8080/delay?ms=6000").requests(4).connections(4);
        let load = client.start(&slow).await?;
        let pod = ns.running_pod("v1").await?;
        eventually(Duration::from_secs(5), "four requests in flight", async || {
            let count = ns.cluster.ask_pod(Method::GET, &pod, 9000, "count", String::new()).await?;
            let count: Value = serde_json::from_str(&count)?;
            ensure!(count["by_path"]["/delay"] == 4, "{count}");
            Ok(())
        })
        .await?;
        ns.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await?;
        let tally = eventually(Duration::from_secs(20), "their answers", async || {
            let tally = load.tally().await?;
            ensure!(tally.sent == 4, "{tally}");
            Ok(tally)
        })
        .await?;
        ensure!(tally.ok == 4, "{tally}");
        Ok(())
    });
}

#[test]
fn a_pod_killed_without_grace_fails_only_what_was_in_flight_to_it() {
    run("no-grace", async |ns| {
        ns.server("v1").replicas(3).apply().await?;
        ns.service("web", json!({"app": "web"})).await?;
        ns.client("client").rolled_out().await?;
        ns.rolled_out("v1").await?;
        let client = ns.test_client("client").await?;
        client.reaches(WEB).await?;
        let connections = 4;
        let load = client.start(&Plan::new(WEB).rate(100.0).connections(connections)).await?;
        load.more(50).await?;
        let pod = ns.pods("v1").await?.pop().context("no pod")?;
        ns.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        ns.rolled_out("v1").await?;
        load.more(200).await?;
        let tally = load.stop().await?;
        ensure!(tally.failed <= connections as u64, "{tally}");
        Ok(())
    });
}

#[test]
fn scaling_a_backend_from_none_to_three_and_back_fails_no_request() {
    run("scale", async |ns| {
        let load = load_on_split(ns).await?;
        ns.scale("v2", 0).await?;
        ns.rolled_out("v2").await?;
        ns.has_condition("web", "ResolvedRefs", "False", "NoReadyEndpoints", &["v2"]).await?;
        let alone = load.more(50).await?;
        ensure!(alone.of("v2") == 0, "v2 has no pods, and answered: {alone}");

        ns.scale("v2", 3).await?;
        ns.rolled_out("v2").await?;
        ns.has_condition("web", "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
        let both = load.more(100).await?;
        ensure!(both.of("v2") > 0, "v2 is back, and gets nothing: {both}");

        ns.scale("v2", 0).await?;
        ns.rolled_out("v2").await?;
        load.more(100).await?;
        load.stop_without_failure().await?;
        Ok(())
    });
}
