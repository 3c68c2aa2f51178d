//! Every sample in every version: what is written in one is read in all, and comes back as it was.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{TestNamespace, eventually, run};
use http::Method;
use serde_json::{Map, Value};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Kinds with their plural and the versions that are published, the stored one last.
const KINDS: [(&str, &str, &[&str]); 6] = [
    ("TrafficSplit", "trafficsplits", &["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]),
    ("TrafficTarget", "traffictargets", &["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]),
    ("HTTPRouteGroup", "httproutegroups", &["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]),
    ("TCPRoute", "tcproutes", &["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]),
    ("UDPRoute", "udproutes", &["v1alpha4"]),
    ("IdentityBinding", "identitybindings", &["v1alpha4"]),
];

/// An SMI object that a sample has.
struct Sample {
    file: String,
    object: Value,
    plural: &'static str,
    versions: &'static [&'static str],
}

impl Sample {
    fn group_and_version(&self) -> Result<(&str, &str)> {
        let of = self.object["apiVersion"].as_str().and_then(|version| version.split_once('/'));
        of.with_context(|| format!("{}: no apiVersion", self.file))
    }

    fn name(&self) -> Result<&str> {
        self.object["metadata"]["name"].as_str().with_context(|| format!("{}: no name", self.file))
    }

    /// Path of the object, or without its name of the list, in a version.
    fn path(&self, ns: &TestNamespace, version: &str, with_name: bool) -> Result<String> {
        let (group, _) = self.group_and_version()?;
        let list = format!("/apis/{group}/{version}/namespaces/{}/{}", ns.name, self.plural);
        Ok(if with_name { format!("{list}/{}", self.name()?) } else { list })
    }
}

/// Every SMI object below `config/samples`.
fn samples() -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                samples.extend(objects(&path)?);
            }
        }
    }
    samples.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(samples)
}

fn objects(path: &Path) -> Result<Vec<Sample>> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path)?;
    let mut found = Vec::new();
    for document in serde_norway::Deserializer::from_str(&text) {
        let mut object: Value = serde::Deserialize::deserialize(document).with_context(|| file.clone())?;
        let is_smi = object["apiVersion"].as_str().is_some_and(|version| version.contains(".smi-spec.io/"));
        let kind = KINDS.into_iter().find(|(kind, ..)| is_smi && object["kind"] == *kind);
        if let Some((_, plural, versions)) = kind {
            // The sample's own namespace is not the test's.
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("namespace");
            }
            found.push(Sample { file: file.clone(), object, plural, versions });
        }
    }
    Ok(found)
}

/// What a client wrote of an object, without what the API server, the operator and Weft's annotation add.
fn written(object: &Value) -> Map<String, Value> {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    fields.remove("status");
    let metadata = fields.remove("metadata").unwrap_or_default();
    for field in ["name", "labels"] {
        fields.insert(format!("metadata.{field}"), metadata[field].clone());
    }
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    for (name, value) in annotations.filter(|(name, _)| *name != smi_crds::CONVERSION) {
        fields.insert(format!("metadata.annotations.{name}"), value.clone());
    }
    fields
}

#[test]
fn what_is_written_in_one_is_read_in_all_and_comes_back_as_it_was() {
    run("versions", async |ns| {
        let samples = samples()?;
        for (kind, _, versions) in KINDS {
            for version in versions {
                let exists = samples.iter().any(|sample| {
                    sample.object["kind"] == kind
                        && sample.group_and_version().is_ok_and(|(_, written)| written == *version)
                });
                ensure!(exists, "there is no sample of {kind} {version}");
            }
        }
        let mut ways = 0;
        for sample in &samples {
            ways += there_and_back(ns, sample).await.with_context(|| sample.file.clone())?;
        }
        println!(
            "{} objects of {} kinds, {ways} ways from one version to another and back",
            samples.len(),
            KINDS.len()
        );
        Ok(())
    });
}

/// Writes a sample, reads it in every version, and writes it back by that version. Returns by how many.
async fn there_and_back(ns: &TestNamespace, sample: &Sample) -> Result<usize> {
    let (group, own) = sample.group_and_version()?;
    let want = written(&sample.object);
    for version in sample.versions {
        let create = format!("{}?fieldValidation=Strict", sample.path(ns, own, false)?);
        let created = ns.cluster.request(Method::POST, &create, &JSON, sample.object.to_string()).await?;
        let created: Value = created.json()?;
        ensure!(written(&created) == want, "created as {created}");

        let other = sample.path(ns, version, true)?;
        let converted = smi_crds::convert(created, &format!("{group}/{version}"))?;
        // The operator writes the status meanwhile.
        eventually(Duration::from_secs(10), &format!("writing back in {version}"), async || {
            let read: Value = ns.cluster.get(&other).await?.json()?;
            ensure!(written(&read) == written(&converted), "in {version}: {read}, but it should be {converted}");
            let replace = format!("{other}?fieldValidation=Strict");
            ns.cluster.request(Method::PUT, &replace, &JSON, read.to_string()).await?.json::<Value>()
        })
        .await?;

        let back: Value = ns.cluster.get(&sample.path(ns, own, true)?).await?.json()?;
        ensure!(written(&back) == want, "by {version} it became {back}");
        let generation = &back["metadata"]["generation"];
        ensure!(*generation == 1, "written back in {version} it counts as a change: generation {generation}");
        ns.cluster.request(Method::DELETE, &sample.path(ns, own, true)?, &[], String::new()).await?.json::<Value>()?;
    }
    Ok(sample.versions.len())
}
