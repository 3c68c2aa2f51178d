//! Which pods get a sidecar, and which sidecar.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Image, TestNamespace, as_manifest, bare_pod},
    run,
};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

fn application() -> Value {
    json!({"containers": [{"name": "app", "image": Image::Server.reference(), "imagePullPolicy": "IfNotPresent"}]})
}

fn init_containers(pod: &Value) -> Vec<&str> {
    let containers = pod["spec"]["initContainers"].as_array();
    containers.into_iter().flatten().filter_map(|container| container["name"].as_str()).collect()
}

fn sidecar(pod: &Value) -> Result<&Value> {
    let containers = pod["spec"]["initContainers"].as_array();
    let found = containers.into_iter().flatten().find(|container| container["name"] == "weft-proxy");
    found.context("the pod has no sidecar")
}

#[test]
fn a_pod_of_a_labelled_namespace_gets_a_native_sidecar() {
    run("inject", async |ns| {
        let pod = ns.admitted(&bare_pod("app", application())).await?;
        ensure!(init_containers(&pod) == ["weft-init", "weft-proxy"], "{:?}", init_containers(&pod));
        let sidecar = sidecar(&pod)?;
        ensure!(sidecar["restartPolicy"] == "Always" && sidecar["startupProbe"].is_object(), "{sidecar:#}");
        Ok(())
    });
}

#[test]
fn submitting_an_injected_pod_again_changes_nothing() {
    run("reinject", async |ns| {
        let once = as_manifest(&ns.admitted(&bare_pod("app", application())).await?);
        let twice = as_manifest(&ns.admitted(&once).await?);
        ensure!(once == twice, "once: {once:#}\ntwice: {twice:#}");
        Ok(())
    });
}

#[test]
fn a_pod_that_is_left_alone_says_why() {
    run("left-alone", async |ns| {
        let skipped = "weft.dev/inject-skipped";
        let mut annotated = bare_pod("app", application());
        annotated["metadata"]["annotations"] = json!({"weft.dev/inject": "disabled"});
        let mut labelled = bare_pod("app", application());
        labelled["metadata"]["labels"]["weft.dev/inject"] = "disabled".into();
        let mut host_network = bare_pod("app", application());
        host_network["spec"]["hostNetwork"] = true.into();
        for (name, pod, reason) in [
            ("annotated", annotated, "disabled"),
            ("labelled", labelled, "disabled"),
            ("host network", host_network, "hostNetwork"),
        ] {
            let pod = ns.admitted(&pod).await?;
            ensure!(init_containers(&pod).is_empty(), "{name}: {:?}", init_containers(&pod));
            let why = pod["metadata"]["annotations"][skipped].as_str().unwrap_or_default();
            ensure!(why.contains(reason), "{name}: the reason is {why:?}");
        }
        Ok(())
    });
}

#[test]
fn a_labelled_pod_gets_a_sidecar_where_its_namespace_does_not_ask() {
    run("labelled-pod", async |ns| {
        let plain = TestNamespace::create_with(&ns.cluster, "plain", false).await?;
        let mut labelled = bare_pod("app", application());
        labelled["metadata"]["labels"]["weft.dev/inject"] = "enabled".into();
        let (asks, does_not) = (plain.admitted(&labelled).await, plain.admitted(&bare_pod("app", application())).await);
        plain.delete().await?;
        ensure!(init_containers(&asks?) == ["weft-init", "weft-proxy"]);
        ensure!(init_containers(&does_not?).is_empty());
        Ok(())
    });
}

#[test]
fn annotations_choose_ports_and_resources() {
    run("annotations", async |ns| {
        let mut pod = bare_pod("app", application());
        pod["metadata"]["annotations"] = json!({
            "weft.dev/admin-port": "16020",
            "weft.dev/outbound-port": "16001",
            "weft.dev/skip-inbound-ports": "9000",
            "weft.dev/skip-outbound-ports": "443",
            "weft.dev/skip-outbound-cidrs": "192.0.2.0/24",
            "weft.dev/proxy-cpu-request": "30m",
            "weft.dev/proxy-memory-limit": "96Mi",
        });
        let pod = ns.admitted(&pod).await?;
        let sidecar = sidecar(&pod)?;
        ensure!(sidecar["resources"]["requests"]["cpu"] == "30m", "{sidecar:#}");
        ensure!(sidecar["resources"]["limits"]["memory"] == "96Mi", "{sidecar:#}");
        ensure!(sidecar["ports"][0]["containerPort"] == 16020, "{sidecar:#}");
        let rules = pod["spec"]["initContainers"][0]["args"].to_string();
        for part in ["16001", "16020,9000", "443", "192.0.2.0/24"] {
            ensure!(rules.contains(part), "{part} is not in {rules}");
        }
        Ok(())
    });
}

#[test]
fn an_annotation_that_cannot_be_read_refuses_the_pod() {
    run("unreadable", async |ns| {
        let mut pod = bare_pod("app", application());
        pod["metadata"]["annotations"] = json!({"weft.dev/skip-inbound-ports": "http"});
        let reply = ns.submit_pod(&pod, true).await?;
        ensure!(reply.status.is_client_error(), "status {}", reply.status);
        ensure!(reply.body.contains("weft.dev/skip-inbound-ports") && reply.body.contains("http"), "{}", reply.body);
        Ok(())
    });
}

#[test]
fn a_job_reaches_the_mesh_with_its_first_request_and_completes() {
    run("job", async |ns| {
        ns.web(&["v1", "v2"]).await?;
        let mut spec = application();
        spec["containers"][0]["image"] = Image::Client.reference().into();
        spec["containers"][0]["args"] = json!(["once", crate::WEB]);
        spec["restartPolicy"] = "Never".into();
        ns.apply::<Job>("once", json!({"spec": {"backoffLimit": 0, "template": {"spec": spec}}})).await?;
        eventually(Duration::from_secs(60), "the end of a Job", async || {
            let status = ns.api::<Job>().get("once").await?.status.unwrap_or_default();
            ensure!(status.succeeded == Some(1), "{}", serde_json::to_string(&status)?);
            Ok(())
        })
        .await
    });
}
