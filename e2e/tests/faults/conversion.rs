//! The conversion webhook is down, or gone for good: nothing is lost, what needs no conversion goes on, and Weft can be removed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Cluster, TestNamespace, eventually,
    harness::{Mesh, Node, Reply, kubectl, script, weft},
    run_alone,
};
use http::Method;
use serde_json::{Value, json};

/// Time that the API server needs to follow a change of a definition, and the watches behind it.
const FOLLOW: Duration = Duration::from_secs(60);
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficsplits.split.smi-spec.io";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
const MERGE: [(&str, &str); 1] = [("content-type", "application/merge-patch+json")];

/// TrafficSplits of one version by path, as a client of that version has them.
struct Splits<'a> {
    namespace: &'a TestNamespace,
    version: &'a str,
}

impl Splits<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/apis/split.smi-spec.io/{}/namespaces/{}/trafficsplits{rest}", self.version, self.namespace.name)
    }

    async fn create(&self, name: &str, weight: Value) -> Result<Reply> {
        let split = json!({
            "apiVersion": format!("split.smi-spec.io/{}", self.version),
            "kind": "TrafficSplit",
            "metadata": {"name": name},
            "spec": {"service": "web", "backends": [{"service": "v1", "weight": weight}]},
        });
        self.namespace.cluster.request(Method::POST, &self.path(""), &JSON, split.to_string()).await
    }

    async fn get(&self, name: &str) -> Result<Reply> {
        self.namespace.cluster.get(&self.path(&format!("/{name}"))).await
    }

    async fn patch(&self, name: &str, patch: Value) -> Result<Reply> {
        let path = self.path(&format!("/{name}"));
        self.namespace.cluster.request(Method::PATCH, &path, &MERGE, patch.to_string()).await
    }

    async fn weight(&self, name: &str) -> Result<Value> {
        Ok(self.get(name).await?.json::<Value>()?["spec"]["backends"][0]["weight"].clone())
    }
}

fn weight(weight: u32) -> Value {
    json!({"spec": {"backends": [{"service": "v1", "weight": weight}]}})
}

#[test]
fn while_it_is_down_the_stored_version_works_and_others_say_why() {
    run_alone("conversion-down", async |ns| {
        let (new, old) = (Splits { namespace: ns, version: "v1alpha4" }, Splits { namespace: ns, version: "v1alpha1" });
        new.create("new", 1.into()).await?.json::<Value>()?;
        old.create("old", "500m".into()).await?.json::<Value>()?;
        Mesh::new(&ns.cluster)
            .without_operator(async || {
                // Reads, lists and writes at the stored version, among them what a controller does to shift weights.
                let listed: Value = ns.cluster.get(&new.path("")).await?.json()?;
                ensure!(listed["items"].as_array().is_some_and(|items| items.len() == 2), "{listed}");
                for name in ["new", "old"] {
                    new.patch(name, weight(7)).await?.json::<Value>()?;
                    ensure!(new.weight(name).await? == 7, "{name}");
                }
                let finalizer = |list: Value| json!({"metadata": {"finalizers": list}});
                new.patch("new", finalizer(json!(["e2e.weft.dev/wait"]))).await?.json::<Value>()?;
                ns.delete_split("new").await?;
                new.patch("new", finalizer(json!([]))).await?.json::<Value>()?;
                ensure!(new.get("new").await?.status == 404, "it is still there");
                // The others say which webhook does not answer, and write nothing.
                for (what, reply) in [
                    ("read", old.get("old").await?),
                    ("write", old.create("third", "1".into()).await?),
                    ("change", old.patch("old", json!({"metadata": {"labels": {"a": "b"}}})).await?),
                ] {
                    ensure!(reply.status.is_server_error(), "{what}: {} {}", reply.status, reply.body);
                    ensure!(reply.body.contains("conversion webhook for split.smi-spec.io"), "{what}: {}", reply.body);
                }
                ensure!(new.get("third").await?.status == 404, "half a write");
                Ok(())
            })
            .await?;
        eventually(FOLLOW, "the old version after the outage", async || {
            let found = old.weight("old").await?;
            ensure!(found == "7" || found == 7, "{found}");
            Ok(())
        })
        .await
    });
}

#[test]
fn with_two_replicas_one_may_die() {
    run_alone("conversion-replicas", async |ns| {
        let old = Splits { namespace: ns, version: "v1alpha1" };
        let mesh = Mesh::new(&ns.cluster);
        mesh.with_replicas(2, async || {
            old.create("web", "1".into()).await?.json::<Value>()?;
            let dead = mesh.kill_one().await?;
            // The API server may have been speaking with the one that died.
            eventually(Duration::from_secs(10), "a write by way of the other replica", async || {
                old.patch("web", weight(2)).await?.json::<Value>()?;
                Ok(())
            })
            .await?;
            for number in 0..50 {
                old.patch("web", weight(number)).await?.json::<Value>().with_context(|| format!("without {dead}"))?;
            }
            Ok(())
        })
        .await
    });
}

/// Stores TrafficSplits in `version` from now on.
async fn store_in(cluster: &Cluster, version: &str) -> Result<()> {
    let mut definition: Value = cluster.get(DEFINITION).await?.json()?;
    let versions = definition["spec"]["versions"].as_array_mut().context("no versions")?;
    for known in versions {
        known["storage"] = (known["name"] == version).into();
    }
    cluster.request(Method::PUT, DEFINITION, &JSON, definition.to_string()).await?.json::<Value>()?;
    Ok(())
}

async fn stored_versions(cluster: &Cluster) -> Result<Value> {
    Ok(cluster.get(DEFINITION).await?.json::<Value>()?["status"]["storedVersions"].clone())
}

/// A TrafficSplit that is stored as the definitions of another mesh would have stored it.
async fn stored_in_an_old_version(ns: &TestNamespace, name: &str) -> Result<()> {
    let before = storage_hash(&ns.cluster).await?;
    store_in(&ns.cluster, "v1alpha2").await?;
    let written = written_in_an_old_version(ns, name, &before).await;
    store_in(&ns.cluster, "v1alpha4").await?;
    eventually(FOLLOW, "storing in the newest version", async || {
        let now = storage_hash(&ns.cluster).await?;
        ensure!(now == before, "it is still {now}");
        Ok(())
    })
    .await?;
    written
}

async fn written_in_an_old_version(ns: &TestNamespace, name: &str, before: &Value) -> Result<()> {
    eventually(FOLLOW, "storing in the old version", async || {
        let now = storage_hash(&ns.cluster).await?;
        ensure!(now != *before, "it is still {now}");
        Ok(())
    })
    .await?;
    let old = Splits { namespace: ns, version: "v1alpha2" };
    eventually(FOLLOW, "an object of the old version", async || {
        old.create(name, 3.into()).await?.json::<Value>()?;
        Ok(())
    })
    .await?;
    // What the operator writes later would be stored in the newest version again, and the object with it.
    ns.has_condition(name, "ResolvedRefs", "False", "RootNotFound", &[]).await?;
    old.patch(name, json!({"metadata": {"labels": {"last": "write"}}})).await?.json::<Value>()?;
    let stored = stored_versions(&ns.cluster).await?;
    ensure!(stored.as_array().is_some_and(|stored| stored.contains(&"v1alpha2".into())), "{stored}");
    Ok(())
}

/// What the API server calls the version that it stores TrafficSplits in.
async fn storage_hash(cluster: &Cluster) -> Result<Value> {
    let resources: Value = cluster.get("/apis/split.smi-spec.io/v1alpha4").await?.json()?;
    let resources = resources["resources"].as_array().context("no resources")?;
    let found = resources.iter().find(|resource| resource["name"] == "trafficsplits").context("no TrafficSplits")?;
    Ok(found["storageVersionHash"].clone())
}

#[test]
fn objects_of_an_old_version_are_migrated_and_need_it_no_more() {
    run_alone("migrate-storage", async |ns| {
        let new = Splits { namespace: ns, version: "v1alpha4" };
        stored_in_an_old_version(ns, "old").await?;
        let before = new.get("old").await?.json::<Value>()?;
        Mesh::new(&ns.cluster)
            .without_operator(async || {
                let reply = new.get("old").await?;
                ensure!(reply.status.is_server_error(), "it is not stored in an old version: {}", reply.body);
                Ok(())
            })
            .await?;
        eventually(FOLLOW, "the watches of the API server", async || {
            new.get("old").await?.json::<Value>()?;
            let check = weft(&["migrate-storage", "--check"], "").await?;
            ensure!(check.code == 1 && check.stdout.contains("objects may be stored in v1alpha2"), "{check:?}");
            Ok(())
        })
        .await?;

        forbidden_is_said(ns).await?;
        let migrated = weft(&["migrate-storage", "-o", "json"], "").await?;
        ensure!(migrated.code == 0, "{migrated:?}");
        let rows: Value = serde_json::from_str(&migrated.stdout)?;
        let row = rows
            .as_array()
            .and_then(|rows| rows.iter().find(|row| row["definition"] == "trafficsplits.split.smi-spec.io"));
        ensure!(row.is_some_and(|row| row["rewritten"].as_u64() > Some(0) && row["state"] == "yes"), "{rows}");
        let stored = stored_versions(&ns.cluster).await?;
        ensure!(stored == json!(["v1alpha4"]), "{stored}");
        let again = weft(&["migrate-storage", "--check"], "").await?;
        ensure!(again.code == 0, "{again:?}");

        let after = new.get("old").await?.json::<Value>()?;
        ensure!(after["spec"] == before["spec"], "{before} {after}");
        ensure!(after["metadata"]["generation"] == before["metadata"]["generation"], "it counts as a change: {after}");
        Mesh::new(&ns.cluster)
            .without_operator(async || {
                new.get("old").await?.json::<Value>()?;
                Ok(())
            })
            .await
    });
}

/// Who may not do it is told what is missing.
async fn forbidden_is_said(ns: &TestNamespace) -> Result<()> {
    let config = kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"], "").await?.success()?;
    let mut config: Value = serde_json::from_str(&config)?;
    let token = ns.kubectl(&["create", "token", "default"], "").await?.success()?;
    config["users"][0]["user"] = json!({"token": token.trim()});
    let file = std::env::temp_dir().join(format!("{}.kubeconfig", ns.name));
    std::fs::write(&file, config.to_string())?;
    let refused = weft(&["--kubeconfig", &file.to_string_lossy(), "migrate-storage"], "").await;
    std::fs::remove_file(&file)?;
    let refused = refused?;
    ensure!(refused.code == 2, "{refused:?}");
    ensure!(refused.stdout.contains("use an account that may get customresourcedefinitions"), "{refused:?}");
    Ok(())
}

async fn removed_with_its_kinds(ns: &TestNamespace, new: &Splits<'_>) -> Result<()> {
    // Removed without the kinds, the operator is gone while objects of an old version are stored.
    let uninstalled = script("config/uninstall.sh", &[], Duration::from_secs(120)).await?;
    ensure!(uninstalled.code == 0, "{uninstalled:?}");
    ensure!(uninstalled.stderr.contains("trafficsplits.split.smi-spec.io"), "no word of old objects: {uninstalled:?}");
    ensure!(new.get("old").await?.status.is_server_error(), "it is not stored in an old version in {}", ns.name);
    new.get("older").await?.json::<Value>()?;
    let removed = script("config/uninstall.sh", &["--crds"], Duration::from_secs(120)).await?;
    ensure!(removed.code == 0, "{removed:?}");
    Ok(())
}

#[test]
fn gone_for_good_it_does_not_keep_weft_and_its_kinds_from_being_removed() {
    if Node::local().is_none() {
        return;
    }
    run_alone("conversion-gone", async |ns| {
        stored_in_an_old_version(ns, "old").await?;
        let old = Splits { namespace: ns, version: "v1alpha1" };
        old.create("older", "1".into()).await?.json::<Value>()?;
        let new = Splits { namespace: ns, version: "v1alpha4" };
        let removed = removed_with_its_kinds(ns, &new).await;
        // Other tests need it, whatever became of this one.
        let installed = script("config/install.sh", &[], Duration::from_secs(240)).await?;
        ensure!(installed.code == 0, "{installed:?}");
        removed?;
        let listed = new.namespace.cluster.get(&new.path("")).await?.json::<Value>()?;
        ensure!(listed["items"] == json!([]), "{listed}");
        old.create("again", "1".into()).await?.json::<Value>()?;
        Ok(())
    });
}
