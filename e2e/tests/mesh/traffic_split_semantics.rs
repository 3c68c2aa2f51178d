//! What a TrafficSplit means where the specification leaves room.

use anyhow::ensure;
use e2e::{load::Plan, run};
use serde_json::json;

use crate::WEB;

#[test]
fn with_all_weights_zero_the_root_service_serves() {
    run("all-zero", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        client.reaches_only(WEB, &["v1"]).await?;
        ns.split("web", "web").backend("v1", 0).backend("v2", 0).apply().await?;
        ns.has_condition("web", "Accepted", "True", "ZeroWeight", &["web"]).await?;
        client.reaches_only(WEB, &["v1", "v2"]).await?;
        Ok(())
    });
}

#[test]
fn the_older_of_two_splits_decides_and_the_other_takes_over_when_it_goes() {
    run("conflict", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        // Of the same second the first by name is the older, so the order holds however fast this goes.
        ns.split("first", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        ns.split("second", "web").backend("v1", 0).backend("v2", 1).apply().await?;
        ns.has_condition("second", "Conflicted", "True", "OlderSplitExists", &["first"]).await?;
        ns.has_condition("second", "Accepted", "False", "Conflicted", &["first"]).await?;
        ns.event("second", "Conflicted", &["web", "first"]).await?;
        ns.programmed("first").await?;
        client.reaches_only(WEB, &["v1"]).await?;

        ns.delete_split("first").await?;
        ns.has_condition("second", "Accepted", "True", "Accepted", &[]).await?;
        ns.has_condition("second", "Conflicted", "False", "NoConflict", &[]).await?;
        ns.programmed("second").await?;
        client.reaches_only(WEB, &["v2"]).await?;
        Ok(())
    });
}

#[test]
fn a_root_that_is_its_own_backend_gets_its_share_and_is_not_split_again() {
    run("own-backend", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.service("web", json!({"name": "v1"})).await?;
        ns.split("web", "web").backend("web", 3).backend("v2", 1).programmed().await?;
        client.reaches_only(WEB, &["v1", "v2"]).await?;
        let tally = client.run(&Plan::new(WEB).requests(400)).await?;
        ensure!((tally.of("v1"), tally.of("v2"), tally.failed) == (300, 100, 0), "{tally}");
        Ok(())
    });
}

#[test]
fn a_backend_that_is_a_root_itself_is_not_split_again() {
    run("chain", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("v1", "v1").backend("v2", 1).programmed().await?;
        ns.split("web", "web").backend("v1", 1).programmed().await?;
        client.reaches_only(WEB, &["v1"]).await?;
        client.reaches_only("http://v1:8080/", &["v2"]).await?;
        Ok(())
    });
}

#[test]
fn the_root_may_be_written_in_full() {
    run("full-name", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        let full = format!("web.{}.svc.cluster.local.", ns.name);
        ns.split("web", &full).backend("v1", 0).backend("v2", 1).programmed().await?;
        for url in
            [WEB.to_owned(), format!("http://web.{}:8080/", ns.name), format!("http://web.{}.svc:8080/", ns.name)]
        {
            client.reaches_only(&url, &["v2"]).await?;
        }
        Ok(())
    });
}
