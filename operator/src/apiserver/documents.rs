//! Discovery: which groups, versions and resources there are.

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use super::{
    accept::{GroupsRepresentation, groups_representation, json as accepts_json},
    resource::{EDGES, RESOURCES, Resource},
    status::Refusal,
    types::{GROUP, KIND, LIST_KIND, VERSIONS},
};

const AGGREGATED: HeaderValue =
    HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

/// `/apis`.
pub(super) async fn groups(method: Method, headers: HeaderMap) -> Result<Response, Refusal> {
    read_only(&method)?;
    Ok(match groups_representation(&headers)? {
        GroupsRepresentation::Names => {
            axum::Json(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [group_document()] }))
                .into_response()
        }
        GroupsRepresentation::Aggregated => {
            let mut response = axum::Json(aggregated_document()).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, AGGREGATED);
            response
        }
    })
}

/// `/apis/metrics.smi-spec.io`.
pub(super) async fn group(method: Method, headers: HeaderMap) -> Result<Response, Refusal> {
    read_only(&method)?;
    accepts_json(&headers)?;
    Ok(axum::Json(group_document()).into_response())
}

/// `/apis/metrics.smi-spec.io/{version}`.
pub(super) async fn resources(
    method: Method,
    headers: HeaderMap,
    Path(version): Path<String>,
) -> Result<Response, Refusal> {
    if !VERSIONS.contains(&version.as_str()) {
        return Err(Refusal::NoSuchPath);
    }
    read_only(&method)?;
    accepts_json(&headers)?;
    let mut resources = Vec::new();
    for resource in RESOURCES {
        let Resource { plural, singular, short, of } = resource;
        let mut document = json!({
            "name": plural, "singularName": singular, "namespaced": true, "kind": KIND, "verbs": ["get", "list"],
        });
        if !short.is_empty() {
            document["shortNames"] = json!(short);
        }
        resources.push(document);
        if of.is_some() {
            resources.push(json!({
                "name": format!("{plural}/{EDGES}"), "singularName": "", "namespaced": true, "kind": LIST_KIND,
                "verbs": ["get"],
            }));
        }
    }
    let document = json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{GROUP}/{version}"),
        "resources": resources,
    });
    Ok(axum::Json(document).into_response())
}

/// Documents are only read.
pub(super) fn read_only(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::ReadOnly),
    }
}

fn group_document() -> Value {
    let version = |version: &str| json!({ "groupVersion": format!("{GROUP}/{version}"), "version": version });
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": VERSIONS.map(version),
        "preferredVersion": version(VERSIONS[0]),
    })
}

fn aggregated_document() -> Value {
    let version = |version: &str| {
        let kind = |kind: &str| json!({ "group": GROUP, "version": version, "kind": kind });
        let resources = RESOURCES.iter().map(|Resource { plural, singular, short, of }| {
            let mut document = json!({
                "resource": plural, "responseKind": kind(KIND), "scope": "Namespaced", "singularResource": singular,
                "verbs": ["get", "list"],
            });
            if !short.is_empty() {
                document["shortNames"] = json!(short);
            }
            if of.is_some() {
                document["subresources"] =
                    json!([{ "subresource": EDGES, "responseKind": kind(LIST_KIND), "verbs": ["get"] }]);
            }
            document
        });
        json!({ "version": version, "freshness": "Current", "resources": resources.collect::<Vec<_>>() })
    };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{ "metadata": { "name": GROUP, "creationTimestamp": null }, "versions": VERSIONS.map(version) }],
    })
}
