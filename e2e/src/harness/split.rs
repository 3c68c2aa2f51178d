//! TrafficSplits and what their status says. As JSON, because tests also write what no type allows.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as MetaCondition;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{TestNamespace, eventually};

/// A condition of a TrafficSplit.
pub type Condition = MetaCondition;

/// Time in which the operator says what it thinks of a change.
const STATUS_LIMIT: Duration = Duration::from_secs(20);

/// A TrafficSplit to be.
#[derive(Clone)]
pub struct SplitSpec {
    namespace: TestNamespace,
    name: String,
    root: String,
    backends: Vec<Value>,
    matches: Vec<Value>,
}

impl SplitSpec {
    pub(crate) fn new(namespace: TestNamespace, name: &str, root: &str) -> Self {
        Self { namespace, name: name.to_owned(), root: root.to_owned(), backends: Vec::new(), matches: Vec::new() }
    }

    /// One more backend.
    #[must_use]
    pub fn backend(mut self, service: &str, weight: u32) -> Self {
        self.backends.push(json!({"service": service, "weight": weight}));
        self
    }

    /// Limits it to the requests of one more route group.
    #[must_use]
    pub fn matching(mut self, group: &str) -> Self {
        self.matches.push(json!({"kind": "HTTPRouteGroup", "name": group}));
        self
    }

    /// Applies it and returns its generation.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply(&self) -> Result<i64> {
        let mut object = json!({
            "apiVersion": "split.smi-spec.io/v1alpha4",
            "kind": "TrafficSplit",
            "metadata": {"name": self.name},
            "spec": {"service": self.root, "backends": self.backends},
        });
        if !self.matches.is_empty() {
            object["spec"]["matches"] = self.matches.clone().into();
        }
        let splits = self.namespace.splits();
        let applied = splits
            .patch(&self.name, &PatchParams::apply("weft-e2e").force(), &Patch::Apply(&object))
            .await
            .with_context(|| format!("applying TrafficSplit {}", self.name))?;
        applied.metadata.generation.ok_or_else(|| anyhow!("a TrafficSplit without a generation"))
    }

    /// Applies it and awaits that every proxy has acknowledged it.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn programmed(&self) -> Result<i64> {
        let generation = self.apply().await?;
        self.namespace.programmed(&self.name).await?;
        Ok(generation)
    }
}

impl TestNamespace {
    /// The TrafficSplits of this namespace.
    #[must_use]
    pub fn splits(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("split.smi-spec.io", "v1alpha4", "TrafficSplit");
        let resource = ApiResource::from_gvk_with_plural(&kind, "trafficsplits");
        Api::namespaced_with(self.cluster.client.clone(), &self.name, &resource)
    }

    /// The HTTPRouteGroups of this namespace.
    #[must_use]
    pub fn route_groups(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("specs.smi-spec.io", "v1alpha4", "HTTPRouteGroup");
        let resource = ApiResource::from_gvk_with_plural(&kind, "httproutegroups");
        Api::namespaced_with(self.cluster.client.clone(), &self.name, &resource)
    }

    /// Applies an HTTPRouteGroup with these matches.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn route_group(&self, name: &str, matches: Value) -> Result<()> {
        let object = json!({
            "apiVersion": "specs.smi-spec.io/v1alpha4",
            "kind": "HTTPRouteGroup",
            "metadata": {"name": name},
            "spec": {"matches": matches},
        });
        let parameters = PatchParams::apply("weft-e2e").force();
        let applied = self.route_groups().patch(name, &parameters, &Patch::Apply(&object)).await;
        applied.with_context(|| format!("applying HTTPRouteGroup {name}"))?;
        Ok(())
    }

    /// Deletes an HTTPRouteGroup.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn delete_route_group(&self, name: &str) -> Result<()> {
        self.route_groups().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Deletes a TrafficSplit.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn delete_split(&self, name: &str) -> Result<()> {
        self.splits().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// A condition of a TrafficSplit, of its newest generation.
    ///
    /// # Errors
    /// When it is not there (yet).
    pub async fn condition(&self, split: &str, type_: &str) -> Result<Condition> {
        let split = self.splits().get(split).await?;
        let conditions = split.data.pointer("/status/conditions").cloned().unwrap_or_else(|| json!([]));
        let conditions: Vec<Condition> = serde_json::from_value(conditions)?;
        let seen: Vec<String> = conditions.iter().map(describe).collect();
        let found = conditions.into_iter().find(|condition| condition.type_ == type_);
        let condition = found.ok_or_else(|| anyhow!("no condition {type_}; there are {seen:?}"))?;
        ensure!(
            condition.observed_generation == split.metadata.generation,
            "{} is of generation {:?}, the split of {:?}",
            describe(&condition),
            condition.observed_generation,
            split.metadata.generation
        );
        Ok(condition)
    }

    /// Awaits that a condition of a TrafficSplit is `status` for `reason`, and that its message holds every one of `words`.
    ///
    /// # Errors
    /// When that does not happen in time; the message holds the last condition seen.
    pub async fn has_condition(
        &self,
        split: &str,
        type_: &str,
        status: &str,
        reason: &str,
        words: &[&str],
    ) -> Result<Condition> {
        let what = format!("condition {type_}={status} ({reason}) of TrafficSplit {split}, with {words:?}");
        eventually(STATUS_LIMIT, &what, async || {
            let condition = self.condition(split, type_).await?;
            let is_it = condition.status == status
                && condition.reason == reason
                && words.iter().all(|word| condition.message.contains(word));
            ensure!(is_it, "it is {}", describe(&condition));
            Ok(condition)
        })
        .await
    }

    /// Awaits that every proxy that uses the root has acknowledged the newest generation of a TrafficSplit.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn programmed(&self, split: &str) -> Result<Condition> {
        self.has_condition(split, "Programmed", "True", "Programmed", &[]).await
    }
}

fn describe(condition: &Condition) -> String {
    format!("{}={} ({}: {})", condition.type_, condition.status, condition.reason, condition.message)
}
