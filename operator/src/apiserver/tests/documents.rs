//! Discovery and OpenAPI.

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value;

use super::Setup;

#[tokio::test]
async fn discovery() {
    let setup = Setup::new();
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (name, path, accept) in [
        ("groups", "/apis", "application/json"),
        ("groups_aggregated", "/apis", aggregated),
        ("group", "/apis/metrics.smi-spec.io", ""),
        ("resources", "/apis/metrics.smi-spec.io/v1alpha1", "application/json"),
    ] {
        let (code, document) = setup.request("GET", path, &[("accept", accept)]).await;
        assert_eq!(code, StatusCode::OK, "{name}");
        insta::assert_json_snapshot!(format!("discovery_{name}"), document);
    }
    let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    let (code, _) = setup.request("GET", "/apis", &[("accept", beta)]).await;
    assert_eq!(code, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn the_resource_that_lists_everything_is_the_last() {
    let setup = Setup::new();
    let (_, document) = setup.request("GET", "/apis/metrics.smi-spec.io/v1alpha2", &[]).await;
    let last = document["resources"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["shortNames"][0]), (&"trafficmetrics".into(), &"tm".into()));
}

/// References to schemas, wherever they are.
fn references(document: &Value, found: &mut BTreeSet<String>) {
    match document {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(target)) => drop(found.insert(target.to_owned())),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn openapi_documents_hold_together() {
    let setup = Setup::new();
    let (_, index) = setup.request("GET", "/openapi/v3", &[]).await;
    let mut paths = vec!["/openapi/v2".to_owned()];
    for version in ["v1alpha1", "v1alpha2"] {
        let url = &index["paths"][format!("apis/metrics.smi-spec.io/{version}")]["serverRelativeURL"];
        paths.push(url.as_str().unwrap().to_owned());
    }
    for path in paths {
        let (code, document) = setup.request("GET", &path, &[]).await;
        assert_eq!(code, StatusCode::OK, "{path}");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() >= 6, "{path}: {found:?}");
        for target in found {
            assert!(document.pointer(&target[1..]).is_some(), "{path}: {target}");
        }
        let operations: Vec<_> =
            document["paths"].as_object().unwrap().values().map(|path| &path["get"]["operationId"]).collect();
        let unique: BTreeSet<_> = operations.iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(unique.len(), operations.len(), "{path}");
    }
}
