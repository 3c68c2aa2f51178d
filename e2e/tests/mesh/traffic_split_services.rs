//! Every sort of Service as a root or a backend, and every way to name one.

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{TestClient, TestNamespace},
    load::Plan,
    run,
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use serde_json::{Value, json};

use crate::{SPLIT_LIMIT, WEB};

/// Every way to name the Service `name`.
fn spellings(ns: &TestNamespace, name: &str) -> [String; 5] {
    let ns = &ns.name;
    [
        name.to_owned(),
        format!("{name}.{ns}"),
        format!("{name}.{ns}.svc"),
        format!("{name}.{ns}.svc.cluster.local"),
        format!("{name}.{ns}.svc.cluster.local."),
    ]
}

/// Awaits that requests of a plan are answered by `name` alone.
async fn comes_to(client: &TestClient, plan: &Plan, name: &str) -> Result<()> {
    eventually(SPLIT_LIMIT, &format!("{plan:?} going to {name}"), async || {
        let tally = client.run(&plan.clone().requests(10)).await?;
        ensure!((tally.of(name), tally.failed) == (10, 0), "{tally}");
        Ok(())
    })
    .await
}

#[test]
fn a_root_and_a_request_may_be_spelled_in_every_way() {
    run("spellings", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.route_group("beta", json!([{"name": "beta", "pathRegex": "/beta"}])).await?;
        for (turn, root) in spellings(ns, "web").iter().enumerate() {
            let (all, some) = if turn % 2 == 0 { ("v1", "v2") } else { ("v2", "v1") };
            ns.split("all", root).backend(all, 1).backend(some, 0).programmed().await?;
            ns.split("some", root).backend(some, 1).backend(all, 0).matching("beta").programmed().await?;
            for host in spellings(ns, "web") {
                let url = format!("http://{host}:8080/");
                comes_to(&client, &Plan::new(&url), all).await?;
                // The authority need not have the port that was connected to.
                comes_to(&client, &Plan::new(format!("{url}beta")).header("host", &host), some).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_headless_root_is_matched_by_the_requests_authority() {
    run("headless", async |ns| {
        for backend in ["v1", "v2"] {
            ns.server(backend).apply().await?;
        }
        let port = json!({"name": "http", "port": 8080, "targetPort": 8080});
        let headless = json!({"spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [port]}});
        ns.apply::<Service>("web", headless).await?;
        ns.client("client").apply().await?;
        for name in ["v1", "v2", "client"] {
            ns.rolled_out(name).await?;
        }
        let client = ns.test_client("client").await?;
        client.reaches(WEB).await?;
        ns.route_group("beta", json!([{"name": "beta", "pathRegex": "/beta"}])).await?;
        ns.split("all", "web").backend("v1", 1).programmed().await?;
        ns.split("some", "web").backend("v2", 1).matching("beta").programmed().await?;
        for host in spellings(ns, "web") {
            let url = format!("http://{host}:8080/");
            for (path, want) in [("", "v1"), ("beta", "v2")] {
                let plan = Plan::new(format!("{url}{path}"));
                comes_to(&client, &plan, want).await?;
                comes_to(&client, &plan.header("host", &host), want).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_service_without_selector_is_a_root_and_a_backend() {
    run("by-hand", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        for (name, pod) in [("root", "v1"), ("backend", "v2")] {
            let pod = ns.running_pod(pod).await?;
            let ip = pod.status.and_then(|status| status.pod_ip).context("a pod without an address")?;
            let ports = json!([{"name": "http", "port": 8080, "targetPort": 8080}]);
            ns.apply::<Service>(name, json!({"spec": {"ports": ports}})).await?;
            let slice = json!({
                "metadata": {"labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
                "endpoints": [{"addresses": [ip]}],
            });
            ns.apply::<EndpointSlice>(&format!("{name}-by-hand"), slice).await?;
        }
        let plan = Plan::new("http://root:8080/");
        comes_to(&client, &plan, "v1").await?;
        ns.split("root", "root").backend("backend", 1).programmed().await?;
        comes_to(&client, &plan, "v2").await?;
        ns.has_condition("root", "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
        Ok(())
    });
}

/// A Service with two ports, whose names and targets may be any.
async fn two_ports(ns: &TestNamespace, name: &str, selector: Value, ports: [(&str, Value); 2]) -> Result<()> {
    let [first, second] = ports;
    let port = |number: u16, (name, target): (&str, Value)| json!({"name": name, "port": number, "targetPort": target});
    let spec = json!({"selector": selector, "ports": [port(80, first), port(81, second)]});
    ns.apply::<Service>(name, json!({ "spec": spec })).await?;
    Ok(())
}

#[test]
fn ports_go_by_number_whatever_their_names_and_targets() {
    run("ports", async |ns| {
        for backend in ["v1", "v2"] {
            ns.server(backend).without_service().apply().await?;
        }
        two_ports(ns, "web", json!({"name": "v1"}), [("web", json!(8080)), ("http", json!("http"))]).await?;
        two_ports(ns, "new", json!({"name": "v2"}), [("http", json!("http")), ("other", json!(8080))]).await?;
        ns.client("client").apply().await?;
        for name in ["v1", "v2", "client"] {
            ns.rolled_out(name).await?;
        }
        let client = ns.test_client("client").await?;
        for url in ["http://web:80/", "http://web:81/"] {
            client.reaches(url).await?;
        }
        ns.split("web", "web").backend("new", 1).programmed().await?;
        for url in ["http://web:80/", "http://web:81/"] {
            comes_to(&client, &Plan::new(url), "v2").await?;
        }
        Ok(())
    });
}

#[test]
fn an_external_name_is_refused_with_a_reason() {
    run("external", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        let spec = json!({"type": "ExternalName", "externalName": "example.org"});
        ns.apply::<Service>("far", json!({ "spec": spec })).await?;
        ns.split("root", "far").backend("v1", 1).apply().await?;
        ns.has_condition("root", "Accepted", "False", "ExternalName", &["far"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("far", 1).backend("v2", 0).programmed().await?;
        ns.has_condition("web", "ResolvedRefs", "False", "ExternalName", &["far", "share its traffic"]).await?;
        ns.event("web", "ExternalName", &["far"]).await?;
        client.reaches_only(WEB, &["v1"]).await?;
        Ok(())
    });
}
