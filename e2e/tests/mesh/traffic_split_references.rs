//! Backends that are not there, or cannot serve: the rest keep their ratio, the author is told, and it heals by itself.

use anyhow::{Result, ensure};
use e2e::{
    harness::{TestClient, TestNamespace},
    load::Plan,
    run,
};
use http::Method;
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use crate::WEB;

/// v1 and v2 get 2 and 1 of three requests, although the split names a third backend.
async fn keeps_the_ratio_of_the_rest(client: &TestClient) -> Result<()> {
    let tally = client.run(&Plan::new(WEB).requests(300)).await?;
    ensure!((tally.of("v1"), tally.of("v2"), tally.failed) == (200, 100, 0), "{tally}");
    Ok(())
}

async fn is_reported(ns: &TestNamespace, reason: &str, words: &[&str]) -> Result<()> {
    ns.has_condition("web", "ResolvedRefs", "False", reason, words).await?;
    ns.has_condition("web", "Accepted", "True", "Accepted", &[]).await?;
    ns.event("web", reason, words).await?;
    Ok(())
}

async fn has_healed(ns: &TestNamespace, client: &TestClient) -> Result<()> {
    ns.has_condition("web", "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
    ns.programmed("web").await?;
    let tally = client.run(&Plan::new(WEB).requests(400)).await?;
    ensure!((tally.of("v1"), tally.of("v2"), tally.of("v3"), tally.failed) == (200, 100, 100, 0), "{tally}");
    Ok(())
}

#[test]
fn a_missing_backend_is_left_out_until_it_exists() {
    run("missing", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 2).backend("v2", 1).backend("v3", 1).programmed().await?;
        is_reported(ns, "BackendNotFound", &["v3", &ns.name]).await?;
        keeps_the_ratio_of_the_rest(&client).await?;
        ns.server("v3").rolled_out().await?;
        has_healed(ns, &client).await
    });
}

#[test]
fn a_backend_without_the_roots_port_is_left_out_until_it_has_it() {
    run("portless", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.server("v3").without_service().rolled_out().await?;
        let other_port = json!({"spec": {"selector": {"name": "v3"}, "ports": [{"name": "other", "port": 8081, "targetPort": 8080}]}});
        ns.apply::<Service>("v3", other_port).await?;
        ns.split("web", "web").backend("v1", 2).backend("v2", 1).backend("v3", 1).programmed().await?;
        is_reported(ns, "PortNotFound", &["v3", "8080"]).await?;
        keeps_the_ratio_of_the_rest(&client).await?;
        ns.service("v3", json!({"name": "v3"})).await?;
        has_healed(ns, &client).await
    });
}

#[test]
fn a_backend_without_ready_endpoints_is_left_out_until_one_is_ready() {
    run("unready", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.server("v3").environment("UNREADY", "true").apply().await?;
        ns.split("web", "web").backend("v1", 2).backend("v2", 1).backend("v3", 1).programmed().await?;
        is_reported(ns, "NoReadyEndpoints", &["v3", "8080"]).await?;
        keeps_the_ratio_of_the_rest(&client).await?;
        let pod = ns.running_pod("v3").await?;
        ns.cluster.ask_pod(Method::POST, &pod, 9000, "set-ready/true", String::new()).await?;
        has_healed(ns, &client).await
    });
}

#[test]
fn a_split_waits_for_its_root() {
    run("rootless", async |ns| {
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).apply().await?;
        ns.has_condition("web", "ResolvedRefs", "False", "RootNotFound", &["web", &ns.name]).await?;
        ns.event("web", "RootNotFound", &["web"]).await?;
        let client = ns.web(&["v1", "v2"]).await?;
        ns.has_condition("web", "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
        client.reaches_only(WEB, &["v1"]).await?;
        Ok(())
    });
}
