//! The API server dies and comes back. Needs the local cluster, whose daemons can be killed.

use std::time::Duration;

use anyhow::ensure;
use e2e::{eventually, harness::Node, load::Plan, run_alone};

use crate::WEB;

#[test]
fn killed_and_back_it_fails_no_request_and_changes_arrive_again() {
    let Some(node) = Node::local() else { return };
    run_alone("api-server-killed", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        client.reaches_only(WEB, &["v1"]).await?;
        let load = client.start(&Plan::new(WEB).rate(50.0).connections(2)).await?;
        load.more(50).await?;

        node.kill("kube-apiserver").await?;
        // Its watch caches fill one after the other.
        eventually(Duration::from_secs(60), "an edit after the return of the API server", async || {
            ns.split("web", "web").backend("v1", 0).backend("v2", 1).apply().await
        })
        .await?;
        eventually(Duration::from_secs(60), "the edit being programmed", async || ns.programmed("web").await).await?;
        client.reaches_only(WEB, &["v2"]).await?;
        let after = load.more(100).await?;
        ensure!(after.of("v1") == 0, "an old configuration is still in use: {after}");
        eventually(Duration::from_secs(60), "metrics after the return", async || {
            let edges = ns.edges("deployments/client").await?;
            ensure!(edges.iter().any(|edge| edge.leads_to("v2")), "{edges:?}");
            Ok(())
        })
        .await?;
        load.stop_without_failure().await?;
        Ok(())
    });
}
