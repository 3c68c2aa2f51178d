//! `OpenAPI` documents, as far as the API server merges them and `kubectl explain` reads them.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::Method;
use serde_json::{Map, Value, json};

use super::{
    documents::read_only,
    resource::{EDGES, RESOURCES},
    status::Refusal,
    types::{GROUP, KIND, LIST_KIND, VERSIONS},
};

const V2_REFERENCES: &str = "#/definitions/";
const V3_REFERENCES: &str = "#/components/schemas/";

/// `/openapi/v2`: every version in one document.
pub(super) async fn v2(method: Method) -> Result<Response, Refusal> {
    read_only(&method)?;
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for version in VERSIONS {
        let response =
            |kind: &str| json!({ "description": "OK", "schema": { "$ref": reference(V2_REFERENCES, version, kind) } });
        paths.extend(self::paths(
            version,
            response,
            |name| json!({ "name": name, "in": "path", "required": true, "type": "string" }),
        ));
        definitions.extend(schemas(V2_REFERENCES, version));
    }
    let mut document = head("swagger", "2.0");
    document["paths"] = paths.into();
    document["definitions"] = definitions.into();
    Ok(axum::Json(document).into_response())
}

/// `/openapi/v3`: where the document of each version is.
pub(super) async fn v3_index(method: Method) -> Result<Response, Refusal> {
    read_only(&method)?;
    let paths: Map<String, Value> = VERSIONS
        .into_iter()
        .map(|version| {
            let path = format!("apis/{GROUP}/{version}");
            // Clients keep the document for as long as its address is the same.
            let mut hash = DefaultHasher::new();
            v3_document(version).to_string().hash(&mut hash);
            let url = format!("/openapi/v3/{path}?hash={:016X}", hash.finish());
            (path, json!({ "serverRelativeURL": url }))
        })
        .collect();
    Ok(axum::Json(json!({ "paths": paths })).into_response())
}

/// `/openapi/v3/apis/metrics.smi-spec.io/{version}`.
pub(super) async fn v3(method: Method, Path(version): Path<String>) -> Result<Response, Refusal> {
    let version = VERSIONS.into_iter().find(|known| *known == version).ok_or(Refusal::NoSuchPath)?;
    read_only(&method)?;
    Ok(axum::Json(v3_document(version)).into_response())
}

fn v3_document(version: &str) -> Value {
    let response = |kind: &str| {
        let schema = json!({ "schema": { "$ref": reference(V3_REFERENCES, version, kind) } });
        json!({ "description": "OK", "content": { "application/json": schema } })
    };
    let paths = paths(
        version,
        response,
        |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
    );
    let mut document = head("openapi", "3.0.0");
    document["paths"] = paths.into();
    document["components"] = json!({ "schemas": schemas(V3_REFERENCES, version) });
    document
}

fn head(specification: &str, version: &str) -> Value {
    json!({ specification: version, "info": { "title": "Weft", "version": env!("CARGO_PKG_VERSION") } })
}

fn name(version: &str, kind: &str) -> String {
    format!("io.smi-spec.metrics.{version}.{kind}")
}

fn reference(prefix: &str, version: &str, kind: &str) -> String {
    format!("{prefix}{}", name(version, kind))
}

fn group_version_kind(version: &str, kind: &str) -> Value {
    json!({ "group": GROUP, "version": version, "kind": kind })
}

fn paths(version: &str, response: impl Fn(&str) -> Value, parameter: impl Fn(&str) -> Value) -> Map<String, Value> {
    let camel = |text: &str| {
        let mut letters = text.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    let mut paths = Map::new();
    for resource in RESOURCES {
        let plural = resource.plural;
        let all = format!("/apis/{GROUP}/{version}/{plural}");
        let namespaced = format!("/apis/{GROUP}/{version}/namespaces/{{namespace}}/{plural}");
        let one = format!("{namespaced}/{{name}}");
        let mut add = |path: String, id: &str, action: &str, kind: &str| {
            let operation = json!({
                "description": format!("{action} metrics of {plural}"),
                "operationId": format!("{id}{}{}", camel(version), camel(plural)),
                "tags": [format!("metrics_{version}")],
                "responses": { "200": response(kind) },
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": group_version_kind(version, KIND),
            });
            let named = ["namespace", "name"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
            let parameters: Vec<Value> = named.map(&parameter).collect();
            paths.insert(path, json!({ "get": operation, "parameters": parameters }));
        };
        if resource.of.is_some() {
            add(format!("{one}/{EDGES}"), "readMetricsEdges", "get", LIST_KIND);
        }
        add(all, "listMetricsForAllNamespaces", "list", LIST_KIND);
        add(namespaced, "listMetrics", "list", LIST_KIND);
        add(one, "readMetrics", "get", KIND);
    }
    paths
}

fn schemas(references: &str, version: &str) -> Map<String, Value> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let to = |kind: &str, description: &str| {
        let target = reference(references, version, kind);
        if references == V2_REFERENCES {
            json!({ "description": description, "$ref": target })
        } else {
            // Version 3 ignores what stands beside a reference.
            json!({ "description": description, "allOf": [{ "$ref": target }] })
        }
    };
    let object = |description: &str, properties: Value| json!({ "type": "object", "description": description, "properties": properties });
    let api_version = text("Versioned schema of this representation of an object.");
    let kind = text("Kind of this object.");

    let mut metrics = object(
        "Traffic of a resource in a window, with everyone or with one peer.",
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": { "type": "object", "description": "Name, namespace and the time of the metrics." },
            "resource": to("Reference", "What the metrics are about."),
            "edge": to("Edge", "Which of the resource's traffic."),
            "backend": to("Backend", "Which backend of a split, where the resource is one."),
            "timestamp": { "type": "string", "format": "date-time", "description": "End of the window." },
            "window": text("Length of the window, like 30s."),
            "metrics": {
                "type": "array",
                "description": "Percentiles of the latency, as far as there are requests, and the counts of requests.",
                "items": { "$ref": reference(references, version, "Metric") },
            },
        }),
    );
    metrics["x-kubernetes-group-version-kind"] = json!([group_version_kind(version, KIND)]);
    let mut list = object(
        "A list of traffic metrics.",
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": { "type": "object", "description": "Where to continue, if there is more." },
            "resource": to("Reference", "What the objects have in common."),
            "selector": { "type": "object", "description": "Labels that the resources were selected by." },
            "items": {
                "type": "array",
                "description": "The objects.",
                "items": { "$ref": reference(references, version, KIND) },
            },
        }),
    );
    list["x-kubernetes-group-version-kind"] = json!([group_version_kind(version, LIST_KIND)]);
    let edge = object(
        "Which of a resource's traffic.",
        json!({
            "direction": text("Where it goes: to the edge's resource, or from it."),
            "side": text("Who counted it: client or server."),
            "resource": to("Reference", "The other end; empty for everyone."),
        }),
    );
    let target = object(
        "A resource; without any field it stands for all of them.",
        json!({
            "apiVersion": text("API version of the kind."),
            "kind": text("Kind of the resource."),
            "namespace": text("Namespace of the resource."),
            "name": text("Name of the resource."),
        }),
    );
    let backend = object(
        "A backend of a split.",
        json!({
            "apex": text("The root Service of the split."),
            "name": text("The Service that served."),
            "weight": { "type": "integer", "format": "int64", "description": "Weight of the backend." },
        }),
    );
    let metric = object(
        "One number.",
        json!({
            "name": text("p99_response_latency, p90_response_latency, p50_response_latency, success_count or failure_count."),
            "unit": text("seconds of a latency; counts have none."),
            "value": text("A quantity: 10m are 10 milliseconds."),
        }),
    );
    [
        (KIND, metrics),
        (LIST_KIND, list),
        ("Edge", edge),
        ("Reference", target),
        ("Backend", backend),
        ("Metric", metric),
    ]
    .map(|(kind, schema)| (name(version, kind), schema))
    .into_iter()
    .collect()
}
