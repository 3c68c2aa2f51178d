//! Every example can be applied, is kept as it was written, and is accepted.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use e2e::{
    Cluster, TestNamespace, eventually,
    harness::{Manifest, content},
    run,
};
use futures::{StreamExt, stream};

use super::{examples, title};

/// Examples that are applied at the same time, each in a namespace of its own.
const AT_ONCE: usize = 6;
/// Time for the operator to say what it thinks of an object.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn every_example_is_accepted_and_kept_as_it_was_written() {
    run("examples", async |ns| {
        let examples = examples()?;
        let results = stream::iter(&examples)
            .map(|example| async move { (title(example), in_its_namespace(&ns.cluster, example).await) })
            .buffer_unordered(AT_ONCE);
        let (mut objects, mut failures) = (0, Vec::new());
        for (title, result) in results.collect::<Vec<_>>().await {
            match result {
                Ok(found) => objects += found,
                Err(error) => failures.push(format!("\n{title}: {error:#}")),
            }
        }
        failures.sort();
        println!("{} examples with {objects} objects, {} failed", examples.len(), failures.len());
        ensure!(failures.is_empty(), "{}", failures.concat());
        Ok(())
    });
}

async fn in_its_namespace(cluster: &Cluster, example: &Path) -> Result<usize> {
    let ns = TestNamespace::create_with(cluster, "example", false).await?;
    let result = is_accepted(&ns, example).await;
    ns.delete().await?;
    result
}

/// Applies the objects of an example and returns how many there are.
async fn is_accepted(ns: &TestNamespace, example: &Path) -> Result<usize> {
    let manifests = Manifest::read(example)?;
    ensure!(!manifests.is_empty(), "it is empty");
    for manifest in &manifests {
        ns.apply_manifest(manifest).await?;
    }
    for manifest in manifests.iter().filter(|manifest| manifest.is_smi()) {
        let read = content(&ns.get_manifest(manifest).await?);
        let written = ns.content_here(manifest);
        ensure!(read == written, "{}: written {written}, read {read}", manifest.describe());
        eventually(LIMIT, "an accepted object", async || ns.accepts(manifest).await).await?;
    }
    Ok(manifests.len())
}
