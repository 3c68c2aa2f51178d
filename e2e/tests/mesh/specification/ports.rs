//! Which Services can be backends, by the examples of the texts on TrafficSplit: those that have the root's port.

use anyhow::{Result, ensure};
use e2e::{
    TestNamespace,
    harness::Manifest,
    load::{Plan, Protocol},
    run,
};
use serde_json::json;

use super::example;

const TEXTS: [(&str, u8); 4] = [("v1alpha1", 2), ("v1alpha2", 2), ("v1alpha3", 3), ("v1alpha4", 3)];

/// A split of birds into both colours, at a version; the text has the Services alone.
fn birds(version: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": format!("split.smi-spec.io/{version}"),
        "kind": "TrafficSplit",
        "metadata": {"name": "birds"},
        "spec": {"service": "birds", "backends": [
            {"service": "blue-birds", "weight": 1},
            {"service": "green-birds", "weight": 1},
        ]},
    }))
}

/// Blue and green birds, and a client. The green ones listen for HTTP on `green_port`.
async fn aviary(ns: &TestNamespace, green_port: u16) -> Result<()> {
    for (name, color, port) in [("blue-birds", "blue", 8080), ("green-birds", "green", green_port)] {
        let birds = ns.server(name).label("app", "birds").label("color", color).http_port(port).without_service();
        birds.apply().await?;
    }
    ns.client("client").apply().await?;
    for name in ["blue-birds", "green-birds", "client"] {
        ns.rolled_out(name).await?;
    }
    Ok(())
}

#[test]
fn every_port_of_the_root_is_split_and_each_backend_has_its_own_target_port() {
    run("spec-ports", async |ns| {
        aviary(ns, 8081).await?;
        let client = ns.test_client("client").await?;
        for (version, number) in TEXTS {
            ns.apply_file(&example(&format!("traffic-split.{version}"), &format!("{number:02}-ports"))).await?;
            let split = birds(version);
            ns.apply_manifest(&split).await?;
            ns.programmed(split.name()).await?;
            client.reaches("http://birds:8080/").await?;
            let rest = Plan::new("birds:9090").protocol(Protocol::Tcp);
            for (port, plan) in [("8080", Plan::new("http://birds:8080/")), ("9090", rest)] {
                ns.programmed(split.name()).await?;
                let tally = client.run(&plan.requests(100)).await?;
                let counts = (tally.of("blue-birds"), tally.of("green-birds"), tally.failed);
                ensure!(counts == (50, 50, 0), "{version}, port {port}: {tally}");
            }
            ns.delete_manifest(&split).await?;
        }
        Ok(())
    });
}

#[test]
fn a_backend_without_the_roots_port_gets_nothing_and_its_author_is_told() {
    run("spec-no-port", async |ns| {
        aviary(ns, 8080).await?;
        let client = ns.test_client("client").await?;
        for (version, number) in TEXTS {
            let name = format!("{:02}-ports-that-do-not-match", number + 1);
            ns.apply_file(&example(&format!("traffic-split.{version}"), &name)).await?;
            let split = birds(version);
            ns.apply_manifest(&split).await?;
            ns.has_condition("birds", "ResolvedRefs", "False", "PortNotFound", &["blue-birds", "8080"]).await?;
            ns.programmed("birds").await?;
            client.reaches("http://birds:8080/").await?;
            let tally = client.run(&Plan::new("http://birds:8080/").requests(100)).await?;
            ensure!((tally.of("green-birds"), tally.failed) == (100, 0), "{version}: {tally}");
            ns.event("birds", "PortNotFound", &["blue-birds", "8080"]).await?;
            let told = ns.kubectl(&["describe", "trafficsplit", "birds"], "").await?.success()?;
            let told = told.split("Events:").nth(1).unwrap_or_default();
            ensure!(told.contains("PortNotFound") && told.contains("blue-birds"), "{version}: {told}");
            ns.delete_manifest(&split).await?;
        }
        Ok(())
    });
}
