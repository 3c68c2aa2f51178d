//! The samples of `config/samples/api`: one for each kind and version, read whole and converted without loss.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::WebhookClientConfig;
use serde_json::Value;
use smi_crds::{convert, definitions};

use super::typed::read;

fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples/api");
    let files = fs::read_dir(folder).expect("the folder is there").map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let object = serde_norway::from_str(&fs::read_to_string(&path).unwrap()).expect(&name);
            (name, object)
        })
        .collect()
}

/// Every kind with its published versions, as `apiVersion` has them.
fn published() -> BTreeSet<(String, String)> {
    definitions(&WebhookClientConfig::default())
        .into_iter()
        .flat_map(|definition| {
            let spec = definition.spec;
            let versions = spec.versions.into_iter();
            let pairs = versions.map(|version| (spec.names.kind.clone(), format!("{}/{}", spec.group, version.name)));
            pairs.collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn there_is_a_sample_of_each_kind_and_version() {
    let text = |object: &Value, field: &str| object[field].as_str().unwrap().to_owned();
    let found: BTreeSet<_> =
        samples().iter().map(|(_, object)| (text(object, "kind"), text(object, "apiVersion"))).collect();
    assert_eq!(found, published());
}

#[test]
fn every_sample_is_read_whole_and_converted_without_loss() {
    for (name, object) in samples() {
        assert_eq!(read(&object).expect(&name), object, "{name}: a field was not read");
        for (_, version) in published().iter().filter(|(kind, _)| object["kind"] == **kind) {
            let there = convert(object.clone(), version).expect(&name);
            read(&there).expect(&name);
            let back = convert(there, object["apiVersion"].as_str().unwrap()).expect(&name);
            assert_eq!(back, object, "{name} by {version}");
        }
    }
}
