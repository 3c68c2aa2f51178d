//! A thousand good TrafficSplits, and among them what no schema would let in: the thousand act, and the others say why they do not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    TestNamespace, eventually,
    harness::{Cluster, Manifest, Mesh},
    load::Plan,
    run_alone,
};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Value, json};

/// Good splits, each of a root of its own.
const GOOD: usize = 1000;
/// So many of them are tried by traffic, evenly spread.
const TRIED: usize = 20;
/// Objects that are written at the same time.
const AT_ONCE: usize = 16;
/// Time for the operator to start with all of it and say what it thinks.
const LIMIT: Duration = Duration::from_secs(120);
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficsplits.split.smi-spec.io";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];
/// Specs that cannot be read, with the field that their status names: a value and a type that the schema refuses. Of the latter
/// the API server takes no status, because it cannot evaluate the schema's rules on it.
const BAD: [(&str, &str, Option<&str>); 2] = [
    ("bad-value", r#"{"service": "root-0", "backends": [{"service": "v1", "weight": -1}]}"#, Some("weight")),
    ("bad-type", r#"{"service": "root-1", "backends": "v1"}"#, None),
];

#[test]
fn a_thousand_good_splits_act_beside_malformed_ones_that_say_why() {
    run_alone("one-bad", async |ns| {
        for name in ["v1", "v2"] {
            ns.server(name).apply().await?;
        }
        ns.client("client").apply().await?;
        stream::iter(0..GOOD).map(|number| good(ns, number)).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        for name in ["v1", "v2", "client"] {
            ns.rolled_out(name).await?;
        }
        // Validation would refuse them, too.
        Mesh::new(&ns.cluster).without_operator(async || store_malformed(ns).await).await?;

        // The API server lists the old version anew after the schema has changed, and says so until it has.
        eventually(LIMIT, "a list in an old version", async || {
            let old = ns.cluster.get(&path(ns, "v1alpha1", "")).await?.json::<Value>()?;
            let listed = old["items"].as_array().map_or(0, Vec::len);
            ensure!(listed == GOOD + BAD.len(), "{listed} splits are listed");
            Ok(())
        })
        .await?;
        eventually(LIMIT, "every good split in force", async || all_are_programmed(ns).await).await?;
        let client = ns.test_client("client").await?;
        for number in (0..GOOD).step_by(GOOD / TRIED) {
            let url = format!("http://root-{number}:8080/");
            client.reaches_only(&url, &["v2"]).await?;
            let tally = client.run(&Plan::new(url).requests(50)).await?;
            ensure!((tally.of("v2"), tally.failed) == (50, 0), "root-{number}: {tally}");
        }
        for (name, _, field) in BAD {
            let Some(field) = field else { continue };
            let condition = eventually(LIMIT, "what is wrong with a malformed split", async || {
                let condition = ns.condition(name, "Accepted").await?;
                ensure!(condition.status == "False" && condition.message.contains(field), "{condition:?}");
                Ok(condition)
            })
            .await?;
            println!("{name}: {}: {}", condition.reason, condition.message);
        }
        // An edit in between still reaches its proxy.
        ns.split("split-0", "root-0").backend("v1", 1).backend("v2", 0).programmed().await?;
        client.reaches_only("http://root-0:8080/", &["v1"]).await?;
        Ok(())
    });
}

async fn good(ns: &TestNamespace, number: usize) -> Result<()> {
    let root = format!("root-{number}");
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": root},
        "spec": {"selector": {"name": "v1"}, "ports": [{"name": "http", "port": 8080}]},
    });
    ns.create_manifest(&Manifest(service), false).await?.json::<Value>().context("a Service")?;
    let split = json!({
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": format!("split-{number}")},
        "spec": {"service": root, "backends": [{"service": "v1", "weight": 0}, {"service": "v2", "weight": 1}]},
    });
    ns.create_manifest(&Manifest(split), false).await?.json::<Value>().context("a split")?;
    Ok(())
}

fn path(ns: &TestNamespace, version: &str, rest: &str) -> String {
    format!("/apis/split.smi-spec.io/{version}/namespaces/{}/trafficsplits{rest}", ns.name)
}

/// Opens the schema of the stored version for a moment, in which the malformed splits are written.
async fn store_malformed(ns: &TestNamespace) -> Result<()> {
    let definition: Value = ns.cluster.get(DEFINITION).await?.json()?;
    let versions = definition["spec"]["versions"].clone();
    let mut open = versions.clone();
    let stored =
        open.as_array_mut().and_then(|versions| versions.iter_mut().find(|version| version["storage"] == true));
    stored.context("no version is stored")?["schema"] =
        json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    set_versions(&ns.cluster, &open).await?;
    let written = write_malformed(ns).await;
    set_versions(&ns.cluster, &versions).await?;
    written?;
    // Until the schema is back for requests, too.
    eventually(LIMIT, "the schema", async || {
        let split = malformed("probe", BAD[0].1);
        let reply = ns.cluster.request(Method::POST, &path(ns, "v1alpha4", "?dryRun=All"), &JSON, split).await?;
        ensure!(reply.status == 422, "a malformed split is answered with {}: {}", reply.status, reply.body);
        Ok(())
    })
    .await
}

fn malformed(name: &str, spec: &str) -> String {
    let head = r#""apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit""#;
    format!(r#"{{{head}, "metadata": {{"name": "{name}"}}, "spec": {spec}}}"#)
}

async fn write_malformed(ns: &TestNamespace) -> Result<()> {
    for (name, spec, _) in BAD {
        let split = malformed(name, spec);
        eventually(LIMIT, "a malformed split in the store", async || {
            let reply = ns.cluster.request(Method::POST, &path(ns, "v1alpha4", ""), &JSON, split.clone()).await?;
            reply.json::<Value>()
        })
        .await?;
    }
    Ok(())
}

/// By merge patch, so that what others wrote beside the versions stays.
async fn set_versions(cluster: &Cluster, versions: &Value) -> Result<()> {
    let patch = json!({"spec": {"versions": versions}}).to_string();
    let merge = [("content-type", "application/merge-patch+json")];
    cluster.request(Method::PATCH, DEFINITION, &merge, patch).await?.json::<Value>()?;
    Ok(())
}

async fn all_are_programmed(ns: &TestNamespace) -> Result<()> {
    let list: Value = ns.cluster.get(&path(ns, "v1alpha4", "")).await?.json()?;
    let splits = list["items"].as_array().context("no items")?;
    let programmed = |split: &&Value| {
        let conditions = split["status"]["conditions"].as_array();
        conditions.is_some_and(|conditions| {
            conditions.iter().any(|condition| condition["type"] == "Programmed" && condition["status"] == "True")
        })
    };
    let count = splits.iter().filter(programmed).count();
    ensure!(count == GOOD, "{count} of {} are programmed", splits.len());
    Ok(())
}
