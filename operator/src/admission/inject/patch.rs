//! JSON Patches of pods. They add, and never replace a list: what this version of the Kubernetes API does not know stays.

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, jsonptr::PointerBuf};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{
    Skip,
    annotation::{INJECT_SKIPPED, INJECTED},
    container::{identity_volume, init_container, proxy_container},
    wish::Wishes,
};
use crate::admission::Settings;

/// Kubernetes' own: the container that `kubectl logs` and `kubectl exec` mean when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Gives a pod its sidecar.
pub(super) fn injected(pod: &Pod, wishes: &Wishes, settings: &Settings) -> Patch {
    let mut operations = Vec::new();
    let first_container = pod.spec.iter().flat_map(|spec| &spec.containers).next();
    let default_container = first_container
        .filter(|_| annotation(pod, DEFAULT_CONTAINER).is_none())
        .map(|container| (DEFAULT_CONTAINER, container.name.clone()));
    let annotations = [Some((INJECTED, settings.version.clone())), default_container];
    annotate(&mut operations, pod, annotations.into_iter().flatten());
    if annotation(pod, INJECT_SKIPPED).is_some() {
        operations.push(PatchOperation::Remove(RemoveOperation {
            path: PointerBuf::from_tokens(["metadata", "annotations", INJECT_SKIPPED]),
        }));
    }

    let spec = pod.spec.as_ref();
    match spec.and_then(|spec| spec.volumes.as_ref()) {
        Some(_) => operations.push(add(["spec", "volumes", "-"], identity_volume())),
        None => operations.push(add(["spec", "volumes"], json!([identity_volume()]))),
    }
    // Before the pod's own, which then have the mesh too.
    let (init, proxy) = (init_container(wishes, settings), proxy_container(wishes, settings));
    match spec.and_then(|spec| spec.init_containers.as_ref()) {
        Some(_) => {
            operations.extend([add(["spec", "initContainers", "0"], init), add(["spec", "initContainers", "1"], proxy)])
        }
        None => operations.push(add(["spec", "initContainers"], json!([init, proxy]))),
    }
    Patch(operations)
}

/// Writes into a pod why it has no sidecar.
pub(super) fn skipped(pod: &Pod, reason: Skip) -> Patch {
    let mut operations = Vec::new();
    let text = reason.to_string();
    // A pod that has nothing to do with Weft stays as it is.
    if reason != Skip::NotAsked && annotation(pod, INJECT_SKIPPED) != Some(&text) {
        annotate(&mut operations, pod, [(INJECT_SKIPPED, text)]);
    }
    Patch(operations)
}

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a String> {
    pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(name))
}

fn annotate(
    operations: &mut Vec<PatchOperation>,
    pod: &Pod,
    annotations: impl IntoIterator<Item = (&'static str, String)>,
) {
    if pod.metadata.annotations.is_none() {
        operations.push(add(["metadata", "annotations"], json!({})));
    }
    operations.extend(
        annotations.into_iter().map(|(name, value)| add(["metadata", "annotations", name], Value::String(value))),
    );
}

fn add<'a>(path: impl IntoIterator<Item = &'a str>, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path), value })
}
