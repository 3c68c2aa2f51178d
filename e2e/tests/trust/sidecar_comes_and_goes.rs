//! Pods that gain or lose their sidecar are followed.

use anyhow::{Result, ensure};
use e2e::{
    harness::{RunningLoad, TestClient, TestNamespace},
    load::{Plan, Protocol},
    run,
};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

/// What goes on from inside while pods are replaced.
const INSIDE: [(&str, Protocol); 4] = [
    ("http://web:8080/", Protocol::Http1),
    ("http://web:8080/", Protocol::H2),
    ("http://web:8080", Protocol::Grpc),
    ("web:9090", Protocol::Tcp),
];
/// From outside. The sidecar is told that its pod is about to end, and tells clients that keep a connection until they are told.
const OUTSIDE: [(&str, Protocol); 3] = [INSIDE[0], INSIDE[1], INSIDE[3]];

async fn loads(client: &TestClient, what: &[(&str, Protocol)]) -> Result<Vec<RunningLoad>> {
    let mut loads = Vec::new();
    for (url, protocol) in what {
        loads.push(client.start(&Plan::new(*url).protocol(*protocol).rate(20.0).connections(2)).await?);
    }
    Ok(loads)
}

/// Awaits that all loads have gone on for so many requests.
async fn more(loads: &[RunningLoad], requests: u64) -> Result<()> {
    for load in loads {
        load.more(requests).await?;
    }
    Ok(())
}

/// Handshakes with other sidecars that a client's sidecar has begun with success.
async fn handshakes(ns: &TestNamespace, client: &TestClient) -> Result<f64> {
    let labels = ["direction=\"outbound\"", "result=\"success\""];
    Ok(ns.proxy_metrics(&client.pod).await?.sum("weft_tls_handshakes_total", &labels))
}

#[test]
fn without_a_failed_request() {
    run("comes-and-goes", async |ns| {
        let meshed = ns.web(&["v1"]).await?;
        ns.client("plain").label("weft.dev/inject", "disabled").rolled_out().await?;
        let plain = ns.test_client("plain").await?;
        let mut running = loads(&meshed, &INSIDE).await?;
        running.extend(loads(&plain, &OUTSIDE).await?);

        for (round, inject, is_meshed) in
            [(1, "disabled", false), (2, "enabled", true), (3, "disabled", false), (4, "enabled", true)]
        {
            ns.server("v1").replicas(2).label("weft.dev/inject", inject).rolled_out().await?;
            // What was on its way to the pods that ended has ended.
            more(&running, 10).await?;
            let before = handshakes(ns, &meshed).await?;
            more(&running, 20).await?;
            let made = handshakes(ns, &meshed).await? - before;
            // TCP makes a connection for each request, each of them a handshake between sidecars.
            ensure!((made > 0.0) == is_meshed, "round {round}, sidecars {inject}: {made} handshakes");
        }
        let mut failed = Vec::new();
        for (number, load) in running.into_iter().enumerate() {
            let tally = load.stop().await?;
            if tally.failed > 0 {
                failed.push(format!("load {number}: {tally}"));
            }
        }
        ensure!(failed.is_empty(), "of four loads from inside and three from outside failed {failed:#?}");
        Ok(())
    });
}

#[test]
fn a_port_that_goes_past_the_sidecar_is_reached_as_plain() {
    run("skipped-port", async |ns| {
        let client = ns.web(&["v1"]).await?;
        let port = json!({"name": "control", "port": 9000, "targetPort": 9000});
        ns.apply::<Service>("control", json!({"spec": {"selector": {"app": "web"}, "ports": [port]}})).await?;
        client.reaches("http://control:9000/count").await?;
        client.get("http://control:9000/count", 20).await?;
        Ok(())
    });
}
