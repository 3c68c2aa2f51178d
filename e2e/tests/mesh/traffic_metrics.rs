//! TrafficMetrics agree with what was sent, as objects and as `kubectl get` prints them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Edge, TestNamespace},
    load::Plan,
    run,
};
use http::{Method, StatusCode};
use kube::ResourceExt;
use serde_json::Value;

/// Seconds that a row covers.
const WINDOW: f64 = 30.0;

/// Within 5 %.
fn agrees(what: &str, got: f64, want: f64) -> Result<()> {
    ensure!((got - want).abs() <= want * 0.05, "{what} is {got}, and {want} were sent");
    Ok(())
}

/// The edge from the client to `server` as `kubectl get` prints it: its SUCCESS and its RPS.
async fn row(ns: &TestNamespace, server: &str) -> Result<(f64, f64)> {
    let (columns, rows) = ns.metrics_table("deployments/client/edges").await?;
    ensure!(columns.join(" ").eq_ignore_ascii_case("name edge success rps p50 p90 p99 age"), "{columns:?}");
    let row = rows.iter().find(|row| row[1].starts_with(&format!("to {server}")));
    let row = row.with_context(|| format!("no row to {server} in {rows:?}"))?;
    Ok((row[2].trim_end_matches('%').parse().context("SUCCESS")?, row[3].parse().context("RPS")?))
}

#[test]
fn objects_and_table_agree_with_what_was_sent() {
    run("metrics", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 75).backend("v2", 25).programmed().await?;
        let good = client.run(&Plan::new("http://web:8080/").requests(1200).rate(300.0).connections(4)).await?;
        ensure!((good.of("v1"), good.of("v2")) == (900, 300), "{good}");
        let bad = client.run(&Plan::new("http://web:8080/status/503").requests(400).rate(300.0).connections(4)).await?;
        ensure!(bad.statuses.get(&503) == Some(&400), "{bad}");

        eventually(Duration::from_secs(20), "metrics of what was sent", async || {
            let edges = ns.edges("deployments/client").await?;
            for (server, success, failure) in [("v1", 900.0, 300.0), ("v2", 300.0, 100.0)] {
                let edge = edges.iter().find(|edge| edge.leads_to(server));
                let edge = edge.with_context(|| format!("no edge to {server} in {edges:?}"))?;
                agrees(&format!("success_count to {server}"), edge.metric("success_count")?, success)?;
                agrees(&format!("failure_count to {server}"), edge.metric("failure_count")?, failure)?;
                let latencies = ["p50", "p90", "p99"].map(|name| edge.metric(&format!("{name}_response_latency")));
                let [p50, p90, p99] = latencies;
                let (p50, p90, p99) = (p50?, p90?, p99?);
                ensure!(0.0 < p50 && p50 <= p90 && p90 <= p99 && p99 < 10.0, "latencies {p50}, {p90}, {p99}");

                let (percent, rate) = row(ns, server).await?;
                agrees(&format!("SUCCESS to {server}"), percent, 100.0 * success / (success + failure))?;
                agrees(&format!("RPS to {server}"), rate, (success + failure) / WINDOW)?;
            }
            Ok(())
        })
        .await
    });
}

#[test]
fn what_a_server_received_agrees_with_what_was_sent() {
    run("received", async |ns| {
        let client = ns.web(&["v1"]).await?;
        client.get("http://web:8080/", 40).await?;
        // The kubelet's probes come the same way, and are no traffic. Ten of so few requests would show.
        let pod = ns.running_pod("v1").await?;
        eventually(Duration::from_secs(20), "ten probes", async || {
            let count = ns.cluster.ask_pod(Method::GET, &pod, 9000, "count", String::new()).await?;
            let count: Value = serde_json::from_str(&count)?;
            ensure!(count["by_path"]["/probe"].as_u64() >= Some(10), "{count}");
            Ok(())
        })
        .await?;
        eventually(Duration::from_secs(20), "metrics of what was received", async || {
            for resource in ["deployments/v1".to_owned(), format!("pods/{}", pod.name_any())] {
                let own: Edge = ns.metrics(&resource, &[]).await?.json()?;
                agrees(&format!("success_count of {resource}"), own.metric("success_count")?, 40.0)?;
                ensure!(own.metric("failure_count")? == 0.0, "{own:?}");
            }
            Ok(())
        })
        .await
    });
}

#[test]
fn every_workload_is_in_one_list() {
    run("list", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        client.get("http://web:8080/", 100).await?;
        eventually(Duration::from_secs(20), "a row for each server", async || {
            let (_, rows) = ns.metrics_table("trafficmetrics").await?;
            for name in ["v1", "v2"] {
                ensure!(rows.iter().any(|row| row[0] == name), "no row of {name} in {rows:?}");
            }
            Ok(())
        })
        .await
    });
}

#[test]
fn whoever_may_not_read_them_is_refused() {
    run("forbidden", async |ns| {
        let nobody = [("impersonate-user", "e2e-nobody")];
        for path in ["deployments", "deployments/client/edges", "trafficmetrics"] {
            let reply = ns.metrics(path, &nobody).await?;
            ensure!(reply.status == StatusCode::FORBIDDEN, "{path}: {reply:?}");
            let status: Value = serde_json::from_str(&reply.body)?;
            ensure!(status["kind"] == "Status" && status["reason"] == "Forbidden", "{path}: {status}");
            ensure!(reply.body.contains("e2e-nobody"), "{path} does not say who: {status}");
        }
        Ok(())
    });
}

#[test]
fn an_unknown_resource_is_not_found() {
    run("unknown", async |ns| {
        for path in ["flowers", "flowers/rose", "deployments/nobody/edges"] {
            let reply = ns.metrics(path, &[]).await?;
            ensure!(reply.status == StatusCode::NOT_FOUND, "{path}: {reply:?}");
            let status: Value = serde_json::from_str(&reply.body)?;
            ensure!(status["kind"] == "Status" && status["code"] == 404, "{path}: {status}");
        }
        Ok(())
    });
}
