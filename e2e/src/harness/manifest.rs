//! Manifests as files have them: any kind, any version, and whatever nobody should write.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Deserialize;
use serde_json::Value;

use super::{Reply, TestNamespace, namespace::FIELD_MANAGER};

/// The namespace that examples write, and that stands for the test's own.
const WRITTEN_NAMESPACE: &str = "default";

/// An object to be, as a document of a file or as JSON.
#[derive(Debug, Clone)]
pub struct Manifest(pub Value);

impl Manifest {
    /// The documents of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no YAML.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let documents = serde_norway::Deserializer::from_str(&text);
        let documents: Result<Vec<Value>, _> = documents.map(Value::deserialize).collect();
        Ok(documents.with_context(|| path.display().to_string())?.into_iter().map(Self).collect())
    }

    /// Its kind, or nothing.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// Its name, or nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Whether SMI specifies its kind.
    #[must_use]
    pub fn is_smi(&self) -> bool {
        self.api_version().contains(".smi-spec.io/")
    }

    /// Kind and name.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} {} {}", self.api_version(), self.kind(), self.name())
    }

    fn api_version(&self) -> &str {
        self.0["apiVersion"].as_str().unwrap_or_default()
    }

    /// Path of its collection in a namespace. Plurals of the kinds in question are regular.
    fn path(&self, namespace: &str) -> String {
        let api = self.api_version();
        let root = if api.contains('/') { "apis" } else { "api" };
        format!("/{root}/{api}/namespaces/{namespace}/{}s", self.kind().to_lowercase())
    }

    fn within(&self, namespace: &str) -> Value {
        let mut object = self.0.clone();
        replace_namespace(&mut object, namespace);
        object
    }
}

/// All of an object but version, kind, metadata and status.
#[must_use]
pub fn content(object: &Value) -> Value {
    let mut content = object.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|field, _| !["apiVersion", "kind", "metadata", "status"].contains(&field.as_str()));
    }
    content
}

/// Fields `namespace` that say [`WRITTEN_NAMESPACE`].
fn replace_namespace(value: &mut Value, namespace: &str) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field == "namespace" && value == WRITTEN_NAMESPACE {
                    *value = namespace.into();
                } else {
                    replace_namespace(value, namespace);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace_namespace(item, namespace)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl TestNamespace {
    /// Creates an object with strict validation, as `kubectl create` and the first `kubectl apply` do; with `dry_run` the API
    /// server only says what would become of it.
    ///
    /// # Errors
    /// When there is no answer. A refusal is an answer.
    pub async fn create_manifest(&self, manifest: &Manifest, dry_run: bool) -> Result<Reply> {
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let path = format!("{}?fieldValidation=Strict{dry_run}", manifest.path(&self.name));
        let object = manifest.within(&self.name).to_string();
        self.cluster.request(Method::POST, &path, &[("content-type", "application/json")], object).await
    }

    /// Applies an object, as `kubectl apply --server-side --force-conflicts` does, and returns what became of it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn apply_manifest(&self, manifest: &Manifest) -> Result<Value> {
        let path = format!(
            "{}/{}?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict",
            manifest.path(&self.name),
            manifest.name()
        );
        let json = [("content-type", "application/apply-patch+yaml")];
        let reply = self.cluster.request(Method::PATCH, &path, &json, manifest.within(&self.name).to_string()).await?;
        reply.json().with_context(|| manifest.describe())
    }

    /// Applies every document of a file.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn apply_file(&self, path: &Path) -> Result<Vec<Manifest>> {
        let manifests = Manifest::read(path)?;
        for manifest in &manifests {
            self.apply_manifest(manifest).await.with_context(|| path.display().to_string())?;
        }
        Ok(manifests)
    }

    /// The object that a manifest names, at the manifest's version.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn get_manifest(&self, manifest: &Manifest) -> Result<Value> {
        let reply = self.cluster.get(&format!("{}/{}", manifest.path(&self.name), manifest.name())).await?;
        reply.json().with_context(|| manifest.describe())
    }

    /// What a manifest says in this namespace, without version, kind and metadata.
    #[must_use]
    pub fn content_here(&self, manifest: &Manifest) -> Value {
        content(&manifest.within(&self.name))
    }

    /// Deletes the object that a manifest names.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn delete_manifest(&self, manifest: &Manifest) -> Result<()> {
        let path = format!("{}/{}", manifest.path(&self.name), manifest.name());
        let reply = self.cluster.request(Method::DELETE, &path, &[], String::new()).await?;
        reply.json::<Value>().map(drop).with_context(|| manifest.describe())
    }

    /// What the mesh says about the newest generation of the object that a manifest names.
    ///
    /// # Errors
    /// When it has said nothing about this generation yet.
    pub async fn conditions(&self, manifest: &Manifest) -> Result<Vec<Condition>> {
        let object = self.get_manifest(manifest).await?;
        let conditions: Vec<Condition> = match object.pointer("/status/conditions") {
            Some(conditions) => serde_json::from_value(conditions.clone())?,
            None => bail!("{} has no status yet: {object}", manifest.describe()),
        };
        let generation = object["metadata"]["generation"].as_i64();
        for condition in &conditions {
            ensure!(
                condition.observed_generation == generation,
                "{}: {condition:?} is not of generation {generation:?}",
                manifest.describe()
            );
        }
        Ok(conditions)
    }

    /// Whether the mesh accepts the object that a manifest names.
    ///
    /// # Errors
    /// When it does not, or has not said so yet.
    pub async fn accepts(&self, manifest: &Manifest) -> Result<()> {
        let conditions = self.conditions(manifest).await?;
        let accepted = conditions.iter().find(|condition| condition.type_ == "Accepted");
        let accepted = accepted.ok_or_else(|| anyhow!("{}: {conditions:?}", manifest.describe()))?;
        ensure!(accepted.status == "True", "{}: {}: {}", manifest.describe(), accepted.reason, accepted.message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(text: &str) -> Manifest {
        Manifest(serde_norway::from_str(text).unwrap())
    }

    #[test]
    fn knows_where_an_object_belongs() {
        for (name, text, path) in [
            ("core", "{apiVersion: v1, kind: Service}", "/api/v1/namespaces/here/services"),
            (
                "a group",
                "{apiVersion: specs.smi-spec.io/v1alpha1, kind: HTTPRouteGroup}",
                "/apis/specs.smi-spec.io/v1alpha1/namespaces/here/httproutegroups",
            ),
        ] {
            assert_eq!(manifest(text).path("here"), path, "{name}");
        }
    }

    #[test]
    fn puts_its_own_namespace_where_default_is_written() {
        let target = manifest(
            "{metadata: {name: default, namespace: default}, sources: [{name: a, namespace: default}, {namespace: b}]}",
        );
        let want = json!({
            "metadata": {"name": "default", "namespace": "here"},
            "sources": [{"name": "a", "namespace": "here"}, {"namespace": "b"}],
        });
        assert_eq!(target.within("here"), want);
    }
}
