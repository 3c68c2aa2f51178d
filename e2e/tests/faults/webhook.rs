//! The injection webhook is down.

use anyhow::Result;
use e2e::{
    harness::{Mesh, TestNamespace},
    run_alone,
};

#[test]
fn while_it_is_down_pods_of_the_mesh_wait_and_others_start() {
    run_alone("webhook-down", async |ns| {
        let plain = TestNamespace::create_with(&ns.cluster, "plain", false).await?;
        let down = Mesh::new(&ns.cluster).without_operator(async || waits_only_in_the_mesh(ns, &plain).await).await;
        plain.delete().await?;
        down?;
        ns.rolled_out("v1").await?;
        ns.rolled_out("client").await?;
        let client = ns.test_client("client").await?;
        client.reaches("http://v1:8080/").await?;
        Ok(())
    });
}

async fn waits_only_in_the_mesh(ns: &TestNamespace, plain: &TestNamespace) -> Result<()> {
    ns.server("v1").apply().await?;
    ns.client("client").apply().await?;
    plain.server("v1").rolled_out().await?;
    for name in ["v1", "client"] {
        ns.waits_for_pods(name, "inject-namespace.weft.dev").await?;
    }
    Ok(())
}
