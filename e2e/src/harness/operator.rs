//! Weft's operator with other options, another image, or just new.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Cluster, Metrics, TestNamespace, WEFT_NAMESPACE, eventually, namespace::is_ready};

const OPERATOR: &str = "weft-operator";
const CONTAINER: &str = "operator";
/// Port of the operator's health and metrics.
const HEALTH_PORT: u16 = 8080;

/// The operator's Deployment.
#[derive(Clone)]
pub struct Operator {
    /// Its namespace, as tests know those of their own.
    pub namespace: TestNamespace,
}

impl Operator {
    /// The operator of this cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        Self { namespace: TestNamespace { cluster: cluster.clone(), name: WEFT_NAMESPACE.to_owned() } }
    }

    /// Runs the operator with these variables, does `meanwhile`, and puts back what was there, even if `meanwhile` fails.
    ///
    /// # Errors
    /// Those of `meanwhile`; and when the operator does not start in time.
    pub async fn with_variables<T>(
        &self,
        variables: &[(&str, &str)],
        meanwhile: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let container = self.container().await?;
        let had = container["env"].as_array().cloned().unwrap_or_default();
        let set: Vec<Value> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let back: Vec<Value> = variables
            .iter()
            .map(|(name, _)| {
                let old = had.iter().find(|variable| variable["name"] == *name).cloned();
                old.unwrap_or_else(|| json!({"name": name, "$patch": "delete"}))
            })
            .collect();
        let done = match self.patch_container(json!({"env": set})).await {
            Ok(()) => meanwhile().await,
            Err(error) => Err(error),
        };
        self.patch_container(json!({"env": back})).await?;
        done
    }

    /// Runs the operator from another image, whose name ends in `tag`, with sidecars of the same tag; afterwards everything is as
    /// it was, even if `meanwhile` fails.
    ///
    /// # Errors
    /// Those of `meanwhile`; and when the operator does not start in time.
    pub async fn with_images<T>(&self, tag: &str, meanwhile: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        const SIDECAR_IMAGE: &str = "WEFT_PROXY_IMAGE";
        let container = self.container().await?;
        let had = container["image"].as_str().context("no image")?.to_owned();
        let variables = container["env"].as_array().context("no variables")?;
        let sidecar = variables.iter().find(|variable| variable["name"] == SIDECAR_IMAGE).context(SIDECAR_IMAGE)?;
        let sidecar = sidecar["value"].as_str().context(SIDECAR_IMAGE)?.to_owned();
        let images = |operator: &str, sidecar: &str| json!({"image": operator, "env": [{"name": SIDECAR_IMAGE, "value": sidecar}]});
        let done = match self.patch_container(images(&tagged(&had, tag), &tagged(&sidecar, tag))).await {
            Ok(()) => meanwhile().await,
            Err(error) => Err(error),
        };
        self.patch_container(images(&had, &sidecar)).await?;
        done
    }

    /// Replaces its pods by new ones of the same kind.
    ///
    /// # Errors
    /// When they do not start in time.
    pub async fn restart(&self, why: &str) -> Result<()> {
        self.patch(json!({"metadata": {"annotations": {"e2e/restart": why}}})).await
    }

    /// Its ready pod.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn pod(&self) -> Result<Pod> {
        eventually(Duration::from_secs(60), "the one ready operator", async || {
            let pods = self.namespace.api::<Pod>().list(&operator_pods()).await?;
            let mut ready = pods.into_iter().filter(|pod| is_ready(pod) && pod.metadata.deletion_timestamp.is_none());
            let pod = ready.next().context("none is ready")?;
            ensure!(ready.next().is_none(), "several are ready");
            Ok(pod)
        })
        .await
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        let pod = self.pod().await?;
        let text = self.namespace.cluster.ask_pod(Method::GET, &pod, HEALTH_PORT, "metrics", String::new()).await?;
        Ok(Metrics::new(text))
    }

    /// What it has logged since it was started.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn log(&self) -> Result<String> {
        self.namespace.log(&self.pod().await?, CONTAINER).await
    }

    async fn container(&self) -> Result<Value> {
        let deployment = self.deployments().get(OPERATOR).await?;
        let containers = deployment.spec.and_then(|spec| spec.template.spec).context("no pods")?.containers;
        let container = containers.into_iter().find(|container| container.name == CONTAINER).context("no container")?;
        Ok(serde_json::to_value(container)?)
    }

    async fn patch_container(&self, mut container: Value) -> Result<()> {
        container["name"] = CONTAINER.into();
        self.patch(json!({"spec": {"containers": [container]}})).await
    }

    /// Changes the pods' template and awaits the pods.
    async fn patch(&self, template: Value) -> Result<()> {
        let patch = json!({"spec": {"template": template}});
        self.deployments().patch(OPERATOR, &PatchParams::default(), &Patch::Strategic(&patch)).await?;
        self.namespace.rolled_out(OPERATOR).await?;
        // One that ends still answers the API server by connections that it has.
        eventually(Duration::from_secs(60), "the end of the operators before", async || {
            let pods = self.namespace.api::<Pod>().list(&operator_pods()).await?.items.len();
            ensure!(pods == 1, "there are {pods}");
            Ok(())
        })
        .await
    }

    fn deployments(&self) -> Api<Deployment> {
        self.namespace.api()
    }
}

fn operator_pods() -> ListParams {
    ListParams::default().labels(&format!("app.kubernetes.io/name={OPERATOR}"))
}

/// An image with another tag.
fn tagged(image: &str, tag: &str) -> String {
    let end = match image.rsplit_once(':') {
        // What follows the last colon may be the port of a registry.
        Some((name, after)) if !after.contains('/') => name,
        _ => image,
    };
    format!("{end}:{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_the_tag_of_an_image() {
        for (image, want) in [
            ("localhost/weft-proxy:dev", "localhost/weft-proxy:next"),
            ("registry:5000/weft", "registry:5000/weft:next"),
            ("weft", "weft:next"),
        ] {
            assert_eq!(tagged(image, "next"), want);
        }
    }
}
