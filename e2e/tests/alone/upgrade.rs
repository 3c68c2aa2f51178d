//! Objects that the version before has stored, by its definitions of the kinds, are there after the ordinary installation of this
//! one. `make test-upgrade` does the same with that version's programs, under load. Needs the local cluster, whose kinds can be
//! removed with all their objects.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use e2e::{
    TestNamespace, eventually,
    harness::{Inventory, Manifest, Node, kubectl, script, weft},
    run_alone,
};
use serde_json::json;

/// Time to install, or to remove.
const INSTALL_LIMIT: Duration = Duration::from_secs(240);
/// Time for the API server to follow, and for the operator to say something about every object.
const FOLLOW: Duration = Duration::from_secs(60);

/// Defines the kinds as the version before did, and nothing else of Weft: nobody is there to convert or to judge.
async fn define_as_before() -> Result<()> {
    let uninstalled = script("config/uninstall.sh", &["--crds"], INSTALL_LIMIT).await?;
    ensure!(uninstalled.code == 0, "{uninstalled:?}");
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrade/crds");
    let apply = ["apply", "--server-side", "--field-manager=weft-install", "-k"];
    kubectl(&[&apply[..], &[&*crds.to_string_lossy()]].concat(), "").await?.success()?;
    Ok(())
}

async fn upgrade(ns: &TestNamespace) -> Result<()> {
    define_as_before().await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrade/objects.yaml");
    let objects = eventually(FOLLOW, "kinds to store objects in", async || ns.apply_file(&file).await).await?;
    let old = ns.cluster.get("/apis/split.smi-spec.io/v1alpha1").await?;
    ensure!(old.status == 404, "the version before had one version: {}", old.body);
    let before = Inventory::of(ns).await?;
    ensure!(before.count() == objects.len(), "{before} of {} objects", objects.len());

    let installed = script("config/install.sh", &[], INSTALL_LIMIT).await?;
    ensure!(installed.code == 0, "{installed:?}");
    before.is_unchanged(ns).await?;
    let read = before.is_readable_in_every_version(ns).await?;
    ensure!(read > 2 * before.count(), "{read} times");
    println!("{before}: all as before, read {read} times in all versions");
    let migrated = weft(&["migrate-storage", "--check"], "").await?;
    ensure!(migrated.code == 0, "{migrated:?}");
    eventually(FOLLOW, "a status of every object", async || {
        for object in &objects {
            ns.conditions(object).await?;
        }
        Ok(())
    })
    .await?;
    before.is_unchanged(ns).await?;
    is_manageable(ns, &objects).await
}

/// What today would be refused can be labelled and deleted, and everything else can be applied again.
async fn is_manageable(ns: &TestNamespace, objects: &[Manifest]) -> Result<()> {
    for object in objects {
        if object.name() == "refused-today" {
            ns.apply_manifest(object).await?;
            let mut labelled = object.clone();
            labelled.0["metadata"]["labels"] = json!({"e2e": "labelled"});
            let labelled = ns.apply_manifest(&labelled).await?;
            ensure!(labelled["metadata"]["labels"]["e2e"] == "labelled", "{labelled}");
            ns.delete_manifest(object).await?;
        } else {
            let before = ns.get_manifest(object).await?;
            let after = ns.apply_manifest(object).await?;
            let [before, after] = [before, after].map(|object| object["metadata"]["generation"].clone());
            ensure!(before == after, "{} was generation {before} and is {after}", object.describe());
        }
    }
    Ok(())
}

#[test]
fn of_the_kinds_of_the_version_before_loses_nothing() {
    if Node::local().is_none() {
        return;
    }
    run_alone("upgrade-kinds", async |ns| {
        let Err(failed) = upgrade(ns).await else { return Ok(()) };
        // Other tests need it, whatever became of this one.
        let installed = script("config/install.sh", &[], INSTALL_LIMIT).await?;
        ensure!(installed.code == 0, "{installed:?}");
        Err(failed)
    });
}
