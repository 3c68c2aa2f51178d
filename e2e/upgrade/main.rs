//! An upgrade of Weft under load. `make test-upgrade` runs it, and before has put the version before in the cluster: `run.sh` is the
//! way here.

use std::{path::Path, pin::pin, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    TestNamespace, eventually,
    harness::{Inventory, Manifest, Operator, loads, more, script, stop, weft},
    run_alone,
};
use k8s_openapi::api::core::v1::Pod;
use tokio::time::interval;

const WEB: &str = "http://web:8080/";
/// Requests a second of each load.
const RATE: f64 = 25.0;
/// Time between two writes of a controller.
const SHIFT: Duration = Duration::from_millis(100);
/// Time to install.
const INSTALL_LIMIT: Duration = Duration::from_secs(240);
/// Time for the operator to say something about what concerns it.
const FOLLOW: Duration = Duration::from_secs(60);

/// Which image the sidecar of a pod has, by its content.
fn sidecar_image(pod: &Pod) -> Result<String> {
    let statuses = pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref());
    let sidecar = statuses.unwrap_or_default().iter().find(|container| container.name == "weft-proxy");
    Ok(sidecar.context("a pod without a sidecar")?.image_id.clone())
}

/// Expects that the sidecars of a Deployment have this image, or another.
async fn have_image(ns: &TestNamespace, deployment: &str, image: &str, same: bool) -> Result<()> {
    for pod in ns.pods(deployment).await? {
        let has = sidecar_image(&pod)?;
        ensure!(
            (has == image) == same,
            "a sidecar of {deployment} has the image {has}, the version before had {image}"
        );
    }
    Ok(())
}

/// Stores objects of all kinds, awaits what the version before says of them, and returns them as they are.
async fn store(ns: &TestNamespace) -> Result<(Vec<Manifest>, Inventory)> {
    let objects = ns.apply_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrade/objects.yaml")).await?;
    eventually(FOLLOW, "a status of every TrafficSplit", async || {
        for object in objects.iter().filter(|object| object.kind() == "TrafficSplit") {
            ns.conditions(object).await?;
        }
        Ok(())
    })
    .await?;
    Ok((objects, Inventory::of(ns).await?))
}

async fn upgrade(ns: &TestNamespace) -> Result<()> {
    let operator = Operator::of(&ns.cluster).pod().await?;
    let installed = script("e2e/upgrade/install.sh", &[], INSTALL_LIMIT).await?;
    ensure!(installed.code == 0, "{installed:?}");
    let now = Operator::of(&ns.cluster).pod().await?;
    ensure!(now.metadata.uid != operator.metadata.uid, "the operator was not replaced");
    Ok(())
}

/// Upgrades while a controller goes on shifting weights; returns how often it did.
async fn upgrade_while_weights_are_shifted(ns: &TestNamespace) -> Result<u32> {
    let mut upgraded = pin!(upgrade(ns));
    let mut ticks = interval(SHIFT);
    let mut shifts = 0;
    loop {
        tokio::select! {
            done = &mut upgraded => break done?,
            _ = ticks.tick() => {
                let weight = shifts % 100;
                let split = ns.split("shifted", "nobody").backend("v1", weight).backend("v2", 100 - weight);
                split.apply().await.with_context(|| format!("the controller's write {shifts}"))?;
                shifts += 1;
            }
        }
    }
    ns.delete_split("shifted").await?;
    Ok(shifts)
}

/// Weft's own word that all is well, and a status of this version on every object.
async fn is_well(ns: &TestNamespace, objects: &[Manifest]) -> Result<()> {
    for arguments in [&["migrate-storage", "--check"][..], &["check"]] {
        eventually(FOLLOW, &format!("weft {}", arguments.join(" ")), async || {
            let said = weft(arguments, "").await?;
            ensure!(said.code == 0, "{}{}", said.stdout, said.stderr);
            Ok(())
        })
        .await?;
    }
    eventually(FOLLOW, "a status of every object", async || {
        for object in objects {
            ns.conditions(object).await?;
        }
        Ok(())
    })
    .await
}

#[test]
fn to_this_checkout_fails_no_request_and_loses_no_object() {
    run_alone("upgrade", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        let image = sidecar_image(&client.pod)?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 1).programmed().await?;
        let (objects, before) = store(ns).await?;
        let mut running = loads(&client, RATE).await?;
        more(&running, 50).await?;

        let shifts = upgrade_while_weights_are_shifted(ns).await?;
        // The operator is new, all sidecars are old.
        more(&running, 50).await?;
        before.is_unchanged(ns).await?;
        let read = before.is_readable_in_every_version(ns).await?;
        ns.programmed("web").await?;

        ns.client("late").rolled_out().await?;
        have_image(ns, "late", &image, false).await?;
        let late = ns.test_client("late").await?;
        late.reaches(WEB).await?;
        running.extend(loads(&late, RATE).await?);
        for name in ["v1", "v2"] {
            // An old and a new client ask old servers, then an old and a new one.
            have_image(ns, name, &image, true).await?;
            more(&running, 50).await?;
            ns.server(name).annotation("e2e/weft", "new").rolled_out().await?;
            have_image(ns, name, &image, false).await?;
            more(&running, 50).await?;
        }
        have_image(ns, "client", &image, true).await?;

        is_well(ns, &objects).await?;
        before.is_unchanged(ns).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        for client in [&client, &late] {
            client.reaches_only(WEB, &["v1"]).await?;
        }
        more(&running, 50).await?;
        let sent = stop(running).await?;
        println!("{sent} requests and {shifts} writes of a controller while Weft was upgraded, and none failed");
        println!("{} objects ({before}) as before, read {read} times in all versions", before.count());
        Ok(())
    });
}
