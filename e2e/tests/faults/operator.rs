//! The operator is gone: what proxies know keeps working.

use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{eventually, harness::Mesh, load::Plan, run_alone};

use crate::WEB;

/// How long the operator is gone.
const OUTAGE: Duration = Duration::from_secs(30);
const RATE: f64 = 50.0;

#[test]
fn killed_for_thirty_seconds_it_fails_no_request_and_everything_resumes() {
    run_alone("operator-killed", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        client.reaches_only(WEB, &["v1"]).await?;
        let load = client.start(&Plan::new(WEB).rate(RATE).connections(2)).await?;
        load.more(50).await?;

        let mesh = Mesh::new(&ns.cluster);
        mesh.without_operator(async || {
            let since = load.tally().await?.seconds;
            // Nobody is there to pass it on.
            ns.split("web", "web").backend("v1", 0).backend("v2", 1).apply().await?;
            eventually(OUTAGE * 2, "the end of the outage", async || {
                let tally = load.tally().await?;
                ensure!(tally.seconds - since >= OUTAGE.as_secs_f64(), "{tally}");
                ensure!(tally.of("v2") == 0, "a change came without an operator: {tally}");
                Ok(())
            })
            .await
        })
        .await?;

        ns.programmed("web").await?;
        client.reaches_only(WEB, &["v2"]).await?;
        let mark = load.mark().await?;
        load.more(100).await?;
        let after = load.since(mark).await?;
        ensure!(after.of("v1") == 0, "an old configuration is still in use: {after}");
        eventually(Duration::from_secs(30), "metrics after the outage", async || {
            let edges = ns.edges("deployments/client").await?;
            let edge =
                edges.iter().find(|edge| edge.leads_to("v2")).with_context(|| format!("no edge to v2 in {edges:?}"))?;
            ensure!(edge.metric("success_count")? > 0.0, "{edge:?}");
            Ok(())
        })
        .await?;
        load.stop_without_failure().await?;
        Ok(())
    });
}
