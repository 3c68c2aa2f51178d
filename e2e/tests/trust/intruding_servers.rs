//! Servers that answer at an endpoint's address without being it: the caller's sidecar does not tell them anything.

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Authority, Leaf, TestClient, TestNamespace, identity},
    intrusion::Pose,
    load::{Plan, Protocol},
    run,
};
use serde_json::json;
use std::time::Duration;

use crate::asked_for;

/// What nobody but the right server may hear.
const SECRET: &str = "for-nobodys-ears";

async fn failed(ns: &TestNamespace, client: &TestClient, reason: &str) -> Result<f64> {
    let reason = format!("reason=\"{reason}\"");
    Ok(ns.proxy_metrics(&client.pod).await?.sum("weft_tls_handshakes_total", &["direction=\"outbound\"", &reason]))
}

#[test]
fn with_certificates_of_others_are_told_nothing() {
    run("intruding-servers", async |ns| {
        ns.client("client").apply().await?;
        ns.service("web", json!({"app": "web"})).await?;
        let intruder = ns.intruder_as_sidecar("web", ns.server("v1")).await?;
        ns.rolled_out("client").await?;
        let client = ns.test_client("client").await?;

        let mesh = Authority::of(&ns.cluster).await?;
        let stranger = Authority::root("weft")?;
        let right = identity(&ns.name, "default")?;
        let other = identity(&ns.name, "other")?;
        let good = Pose { credentials: Some(mesh.sign(&Leaf::of(&right))?) };
        let secret = |protocol: Protocol| {
            let url =
                if protocol == Protocol::Tcp { "web:9090".to_owned() } else { format!("http://web:8080/{SECRET}") };
            Plan { body: SECRET.to_owned(), ..Plan::new(url).protocol(protocol).requests(1) }
        };

        // With the right certificate it is believed: everything else is as it should be.
        intruder.pose(&good).await?;
        eventually(Duration::from_secs(30), "an answer of the intruder", async || {
            client.get(&format!("http://web:8080/{SECRET}"), 1).await
        })
        .await?;
        let seen = intruder.seen().await?;
        ensure!(seen.handshakes > 0 && seen.heard.iter().any(|heard| heard.contains(SECRET)), "{seen:?}");

        for (name, credentials, reason) in [
            ("another identity", Some(mesh.sign(&Leaf::of(&other))?), "wrong-identity"),
            ("a self-made authority", Some(stranger.sign(&Leaf::of(&right))?), "unknown-issuer"),
            ("expired", Some(mesh.sign(&Leaf::of(&right).minutes(-60, -10))?), "expired"),
            ("not yet valid", Some(mesh.sign(&Leaf::of(&right).minutes(60, 120))?), "not-yet-valid"),
            ("no TLS", None, "protocol"),
        ] {
            intruder.pose(&Pose { credentials }).await?;
            for protocol in [Protocol::Http1, Protocol::H2, Protocol::Tcp] {
                let counted = failed(ns, &client, reason).await?;
                let tally = client.run(&secret(protocol)).await?;
                ensure!((tally.sent, tally.ok) == (1, 0), "{name}, {protocol:?}: {tally}");
                let metrics = ns.proxy_metrics(&client.pod).await?.lines("weft_tls_handshakes_total");
                ensure!(failed(ns, &client, reason).await? > counted, "{name}, {protocol:?}, not {reason}: {metrics}");
                if protocol != Protocol::Tcp {
                    let first = tally.first_failure.context("no failure")?;
                    ensure!(first.contains("status 50"), "{name}, {protocol:?}: {first}");
                }
            }
            let seen = intruder.seen().await?;
            ensure!(seen.connections > 0 && seen.handshakes == 0, "{name}: {seen:?}");
            ensure!(!seen.heard.iter().any(|heard| heard.contains(SECRET)), "{name} has heard it: {seen:?}");
            let log = ns.log(&client.pod, "weft-proxy").await?;
            ensure!(log.contains(reason), "{name}: {reason} is not in the log: {log}");
        }
        ensure!(asked_for(ns, &intruder.pod, &format!("/{SECRET}")).await? == 0, "the application was asked");

        intruder.pose(&good).await?;
        let tally = client.run(&secret(Protocol::Http1)).await?;
        ensure!(tally.failed == 0, "the right certificate again: {tally}");
        Ok(())
    });
}
