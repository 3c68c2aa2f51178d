//! Single pods, as they are after admission, and Jobs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{Reply, TestNamespace, eventually, namespace::is_ready};

impl TestNamespace {
    /// Asks the API server to create a pod; with `dry_run` it only says what would become of it.
    ///
    /// # Errors
    /// When there is no answer. A refusal is an answer.
    pub async fn submit_pod(&self, pod: &Value, dry_run: bool) -> Result<Reply> {
        let mut pod = pod.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        let query = if dry_run { "?dryRun=All" } else { "" };
        let path = format!("/api/v1/namespaces/{}/pods{query}", self.name);
        self.cluster.request(Method::POST, &path, &[("content-type", "application/json")], pod.to_string()).await
    }

    /// What admission makes of a pod, which is not created.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn admitted(&self, pod: &Value) -> Result<Value> {
        self.submit_pod(pod, true).await?.json()
    }

    /// Creates a pod and awaits that it is ready.
    ///
    /// # Errors
    /// When it is refused or not ready in time.
    pub async fn started_pod(&self, pod: &Value) -> Result<Pod> {
        let created: Pod = self.submit_pod(pod, false).await?.json()?;
        let name = created.metadata.name.context("a pod without a name")?;
        eventually(Duration::from_secs(60), &format!("pod {name} being ready"), async || {
            let pod = self.api::<Pod>().get(&name).await?;
            ensure!(is_ready(&pod), "its status is {}", serde_json::to_string(&pod.status)?);
            Ok(pod)
        })
        .await
    }
}

/// A pod of one application container that has not been through admission.
#[must_use]
pub fn bare_pod(name: &str, spec: Value) -> Value {
    let mut pod = json!({"metadata": {"name": name, "labels": {"name": name}}, "spec": spec});
    pod["spec"]["terminationGracePeriodSeconds"] = 1.into();
    pod
}

/// What admission returned, as a manifest that can be submitted again.
#[must_use]
pub fn as_manifest(admitted: &Value) -> Value {
    let mut manifest = admitted.clone();
    if let Some(object) = manifest.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = manifest["metadata"].as_object_mut() {
        metadata.retain(|field, _| ["name", "namespace", "labels", "annotations"].contains(&field.as_str()));
    }
    manifest
}
