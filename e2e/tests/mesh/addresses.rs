//! Traffic by its address: IPv6 from end to end, and networks that are none of the mesh's business.

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::TestNamespace,
    load::{Plan, Protocol},
    run,
};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use crate::{SPLIT_LIMIT, WEB};

/// A Service that has an IPv6 address and no other.
async fn ipv6_service(ns: &TestNamespace, name: &str, selector: serde_json::Value) -> Result<Service> {
    let port = |name: &str, port: u16| json!({"name": name, "port": port, "targetPort": port});
    let spec = json!({
        "selector": selector,
        "ipFamilyPolicy": "SingleStack",
        "ipFamilies": ["IPv6"],
        "ports": [port("http", 8080), port("tcp", 9090), port("mysql", 3306)],
    });
    ns.apply(name, json!({ "spec": spec })).await
}

fn address_of(service: &Service) -> Result<&str> {
    let address = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    address.context("a Service without an address")
}

#[test]
fn ipv6_is_split_like_ipv4_by_every_protocol() {
    run("ipv6", async |ns| {
        for name in ["v1", "v2"] {
            ns.server(name).without_service().apply().await?;
            ipv6_service(ns, name, json!({"name": name})).await?;
        }
        let web = ipv6_service(ns, "web", json!({"app": "web"})).await?;
        let address = address_of(&web)?;
        ensure!(address.contains(':'), "{address} is not IPv6");
        ns.client("client").apply().await?;
        for name in ["v1", "v2", "client"] {
            ns.rolled_out(name).await?;
        }
        let client = ns.test_client("client").await?;
        client.reaches(WEB).await?;
        ns.split("web", "web").backend("v1", 80).backend("v2", 20).programmed().await?;
        for (url, protocol) in [
            (WEB.to_owned(), Protocol::Http1),
            (format!("http://[{address}]:8080/"), Protocol::Http1),
            (WEB.to_owned(), Protocol::H2),
            ("http://web:8080".to_owned(), Protocol::Grpc),
            ("web:9090".to_owned(), Protocol::Tcp),
            ("web:3306".to_owned(), Protocol::TcpServerFirst),
        ] {
            let plan = Plan::new(&url).protocol(protocol);
            // Until the operator has answered the first use of a port, nothing is split.
            eventually(SPLIT_LIMIT, &format!("{url} being split, {protocol:?}"), async || {
                let first = client.run(&plan.clone().requests(20)).await?;
                ensure!(first.failed == 0 && first.of("v1") == 16, "{first}");
                Ok(())
            })
            .await?;
            let tally = client.run(&plan.requests(100)).await?;
            ensure!((tally.of("v1"), tally.of("v2"), tally.failed) == (80, 20, 0), "{url}, {protocol:?}: {tally}");
        }
        Ok(())
    });
}

#[test]
fn a_network_that_is_skipped_is_reached_past_the_sidecar() {
    run("skipped-network", async |ns| {
        for name in ["v1", "v2"] {
            ns.server(name).apply().await?;
        }
        // To Kubernetes both Services are v1, to the mesh v2.
        let address = address_of(&ns.service("skipped", json!({"name": "v1"})).await?)?.to_owned();
        ns.service("web", json!({"name": "v1"})).await?;
        for root in ["web", "skipped"] {
            ns.split(root, root).backend("v2", 1).apply().await?;
        }
        let network = format!("{address}/32");
        ns.client("client").annotation("weft.dev/skip-outbound-cidrs", &network).apply().await?;
        for name in ["v1", "v2", "client"] {
            ns.rolled_out(name).await?;
        }
        let client = ns.test_client("client").await?;
        client.reaches_only(WEB, &["v2"]).await?;
        client.reaches_only("http://skipped:8080/", &["v1"]).await?;
        let known = ns.proxy_config(&client.pod).await?["targets"].to_string();
        ensure!(
            !known.contains(address_of(&ns.api::<Service>().get("skipped").await?)?),
            "the sidecar knows it: {known}"
        );
        Ok(())
    });
}
