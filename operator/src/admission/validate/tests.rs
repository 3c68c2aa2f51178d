//! Verdicts, by kind, and how they are told.

mod routes;
mod splits;
mod targets;
mod webhook;

use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::{compile::Mesh, model::Snapshot};

fn mesh() -> Mesh {
    Mesh { cluster_domain: "cluster.local".to_owned(), trust_domain: "cluster.local".to_owned() }
}

/// An object `shop/it` of the stored version.
fn object(kind: &str, spec: Value) -> (Kind, DynamicObject) {
    let group = match kind {
        "TrafficSplit" => "split.smi-spec.io",
        "TrafficTarget" | "IdentityBinding" => "access.smi-spec.io",
        _ => "specs.smi-spec.io",
    };
    let object = json!({
        "apiVersion": format!("{group}/v1alpha4"),
        "kind": kind,
        "metadata": {"namespace": "shop", "name": "it"},
        "spec": spec,
    });
    (Kind::of(group, kind).unwrap(), serde_json::from_value(object).unwrap())
}

/// What is said of it, refusals first.
fn said(kind: &str, spec: Value, snapshot: Option<&Snapshot>) -> Vec<String> {
    let (kind, object) = object(kind, spec);
    let verdict = judge(kind, &object, "shop", &mesh(), snapshot);
    let refusals = verdict.refusals.iter().map(|refusal| format!("refused: {refusal}"));
    refusals.chain(verdict.warnings.iter().map(|warning| format!("warned: {warning}"))).collect()
}
