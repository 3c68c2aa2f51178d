//! The sidecar's own life.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{eventually, run};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::WEB;

fn restarts(pod: &Pod) -> Result<i32> {
    let statuses = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_ref());
    let proxy = statuses.into_iter().flatten().find(|status| status.name == "weft-proxy");
    Ok(proxy.context("the pod has no sidecar")?.restart_count)
}

#[test]
fn a_killed_sidecar_is_restarted_and_the_application_is_reachable_again() {
    run("killed-sidecar", async |ns| {
        // The application sees the sidecar's process, and as root may kill it.
        let server = ns.server("v1").pod("shareProcessNamespace", json!(true));
        server.rolled_out().await?;
        ns.service("web", json!({"app": "web"})).await?;
        ns.client("client").rolled_out().await?;
        let client = ns.test_client("client").await?;
        client.reaches(WEB).await?;

        let before = ns.running_pod("v1").await?;
        ns.cluster.ask_pod(Method::POST, &before, 9000, "kill/weft-proxy", String::new()).await?;
        let after = eventually(Duration::from_secs(30), "a restarted sidecar", async || {
            let pod = ns.running_pod("v1").await?;
            ensure!(restarts(&pod)? > restarts(&before)?, "it has not been restarted");
            Ok(pod)
        })
        .await?;
        ensure!(after.metadata.uid == before.metadata.uid, "the pod was replaced");
        ns.rolled_out("v1").await?;
        client.reaches_only(WEB, &["v1"]).await?;
        Ok(())
    });
}
