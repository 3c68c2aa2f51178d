//! Weights are honoured exactly.

use anyhow::{Result, ensure};
use e2e::{harness::TestClient, load::Plan, run};

use crate::WEB;

async fn expect(client: &TestClient, plan: &Plan, want: &[(&str, u64)]) -> Result<()> {
    let tally = client.run(plan).await?;
    ensure!(tally.failed == 0, "{tally}");
    for (name, count) in want {
        ensure!(tally.of(name) == *count, "{name} should have answered {count} times: {tally}");
    }
    Ok(())
}

#[test]
fn a_thousand_requests_at_900_to_100_give_900_and_100() {
    run("weights", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 900).backend("v2", 100).programmed().await?;
        let plan = Plan::new(WEB).requests(1000);
        expect(&client, &plan, &[("v1", 900), ("v2", 100)]).await?;
        expect(&client, &plan.connections(4), &[("v1", 900), ("v2", 100)]).await
    });
}

#[test]
fn three_equal_weights_share_equally() {
    run("thirds", async |ns| {
        let client = ns.web(&["v1", "v2", "v3"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 1).backend("v3", 1).programmed().await?;
        expect(&client, &Plan::new(WEB).requests(999), &[("v1", 333), ("v2", 333), ("v3", 333)]).await
    });
}

#[test]
fn a_weight_of_zero_gets_nothing() {
    run("zero", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 0).backend("v2", 1).programmed().await?;
        expect(&client, &Plan::new(WEB).requests(500).connections(4), &[("v1", 0), ("v2", 500)]).await
    });
}

#[test]
fn a_deleted_split_leaves_the_root_service_to_itself() {
    run("deleted", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).programmed().await?;
        client.reaches_only(WEB, &["v1"]).await?;
        ns.delete_split("web").await?;
        client.reaches_only(WEB, &["v1", "v2"]).await?;
        Ok(())
    });
}
