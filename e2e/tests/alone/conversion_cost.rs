//! What it costs to read TrafficSplits in an old version.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{TestNamespace, eventually, run_alone};
use futures::{StreamExt, TryStreamExt, stream};
use http::Method;
use serde_json::{Value, json};

/// How many there are.
const SPLITS: usize = 5000;
/// How many are created at a time.
const AT_A_TIME: usize = 32;
/// By how much an old version may be slower.
const ALLOWED: Duration = Duration::from_secs(2);
/// Time in which the API server follows what was created in the old versions.
const FOLLOW: Duration = Duration::from_secs(120);

/// Where the API server has the splits in a version.
fn path(ns: &TestNamespace, version: &str) -> String {
    format!("/apis/split.smi-spec.io/{version}/namespaces/{}/trafficsplits", ns.name)
}

async fn create(ns: &TestNamespace, number: usize) -> Result<()> {
    let split = json!({
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": format!("split-{number}")},
        "spec": {
            "service": format!("web-{number}"),
            "backends": [{"service": "v1", "weight": 90}, {"service": "v2", "weight": 10}],
        },
    });
    let json = [("content-type", "application/json")];
    ns.cluster.request(Method::POST, &path(ns, "v1alpha4"), &json, split.to_string()).await?.json::<Value>()?;
    Ok(())
}

/// Lists every split in a version, as a client does that asks for all at once.
async fn list(ns: &TestNamespace, version: &str) -> Result<(Duration, usize)> {
    let path = path(ns, version);
    let start = Instant::now();
    let reply = ns.cluster.get(&path).await?;
    let took = start.elapsed();
    let list: Value = reply.json()?;
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let own = format!("split.smi-spec.io/{version}");
    ensure!(items.iter().all(|item| item["apiVersion"] == *own), "items of another version");
    Ok((took, items.len()))
}

/// The best of three: what else happens on the machine is not what is measured.
async fn best(ns: &TestNamespace, version: &str) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let (took, count) = list(ns, version).await?;
        ensure!(count == SPLITS, "{count} splits in {version}");
        best = best.min(took);
    }
    Ok(best)
}

#[test]
fn thousands_are_listed_in_an_old_version_in_under_two_seconds_more() {
    run_alone("conversion-cost", async |ns| {
        let start = Instant::now();
        stream::iter(0..SPLITS)
            .map(|number| create(ns, number))
            .buffer_unordered(AT_A_TIME)
            .try_collect::<()>()
            .await?;
        println!("{SPLITS} TrafficSplits created in {:?}", start.elapsed());
        // After so many writes at once the API server is behind with the caches of the old versions, which it fills by one
        // conversion for each write. Who lists then waits for it; that is said, and not what is measured.
        let (first, _) = eventually(FOLLOW, "all of them in v1alpha1", async || {
            let (took, count) = list(ns, "v1alpha1").await?;
            ensure!(count == SPLITS, "{count}");
            Ok((took, count))
        })
        .await?;
        println!("the first list in v1alpha1 after them took {first:?}");
        let stored = best(ns, "v1alpha4").await?;
        for version in ["v1alpha1", "v1alpha2", "v1alpha3"] {
            let old = best(ns, version).await?;
            println!("{SPLITS} TrafficSplits listed in {version} in {old:?}, in v1alpha4 in {stored:?}");
            ensure!(old < stored + ALLOWED, "{version} took {old:?}, v1alpha4 {stored:?}");
        }
        // The next test finds a machine that is done with them.
        ns.cluster.request(Method::DELETE, &path(ns, "v1alpha4"), &[], String::new()).await?.json::<Value>()?;
        eventually(FOLLOW, "none of them in v1alpha1", async || {
            let (_, count) = list(ns, "v1alpha1").await?;
            ensure!(count == 0, "{count}");
            Ok(())
        })
        .await
    });
}
