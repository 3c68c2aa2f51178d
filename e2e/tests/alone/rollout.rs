//! Weft itself is replaced under load. Needs the local cluster, whose images can be named anew.

use anyhow::{Result, ensure};
use e2e::{
    harness::{Node, Operator, TestNamespace},
    run_alone,
};

use crate::{loads, more, stop};

/// Tag of the next images.
const TAG: &str = "next";

/// Expects that the sidecars of `name` have images of this tag, or of another.
async fn have_tag(ns: &TestNamespace, name: &str, next: bool) -> Result<()> {
    for pod in ns.pods(name).await? {
        let containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
        let sidecar = containers.into_iter().flatten().find(|container| container.name == "weft-proxy");
        let image = sidecar.and_then(|sidecar| sidecar.image.clone()).unwrap_or_default();
        ensure!(image.ends_with(&format!(":{TAG}")) == next, "a sidecar of {name} has the image {image}");
    }
    Ok(())
}

#[test]
fn of_operator_and_sidecars_fails_no_request() {
    let Some(node) = Node::local() else { return };
    run_alone("rollout", async |ns| {
        for name in ["weft-operator", "weft-proxy"] {
            node.tag(&format!("localhost/{name}:dev"), &format!("localhost/{name}:{TAG}")).await?;
        }
        let operator = Operator::of(&ns.cluster);
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 1).programmed().await?;
        let loads = loads(&client, 25.0).await?;
        more(&loads, 25).await?;

        let first = operator.pod().await?;
        operator.restart(&ns.name).await?;
        ensure!(operator.pod().await?.metadata.uid != first.metadata.uid, "the operator was not replaced");
        more(&loads, 50).await?;

        operator
            .with_images(TAG, async || {
                for (name, next) in [("v1", true), ("v2", true)] {
                    ns.server(name).annotation("e2e/weft", TAG).rolled_out().await?;
                    have_tag(ns, name, next).await?;
                }
                more(&loads, 50).await?;
                // The next operator speaks with sidecars of both images.
                ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
                client.reaches_only(crate::WEB, &["v1"]).await?;
                Ok(())
            })
            .await?;
        ns.server("v1").annotation("e2e/weft", "back").rolled_out().await?;
        have_tag(ns, "v1", false).await?;
        more(&loads, 50).await?;
        let sent = stop(loads).await?;
        println!("{sent} requests while operator and sidecars were replaced twice, and none failed");
        Ok(())
    });
}
