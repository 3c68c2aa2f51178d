//! Every SMI object of a namespace as the API server has it, to be held against what is there later.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Cluster, TestNamespace};

/// The groups whose objects are stored; those of metrics are not.
const GROUPS: [&str; 3] = ["access.smi-spec.io", "specs.smi-spec.io", "split.smi-spec.io"];
/// The version that objects are stored in.
const STORED: &str = "v1alpha4";
/// How many kinds there are.
const KINDS: usize = 6;

/// A kind in one of the versions that the API server serves.
#[derive(Debug, Clone)]
struct Served {
    group: String,
    version: String,
    plural: String,
}

impl Served {
    fn path(&self, namespace: &str) -> String {
        format!("/apis/{}/{}/namespaces/{namespace}/{}", self.group, self.version, self.plural)
    }
}

/// Plural of the kind, and name.
type Key = (String, String);

/// What SMI objects there are in a namespace, and everything about them that nobody but their owner may change.
#[derive(Debug, Clone)]
pub struct Inventory(BTreeMap<Key, Value>);

impl Inventory {
    /// The objects as they are stored.
    ///
    /// # Errors
    /// When the API server does not serve all kinds, or refuses.
    pub async fn of(namespace: &TestNamespace) -> Result<Self> {
        let mut objects = BTreeMap::new();
        let served = served(&namespace.cluster).await?;
        let stored: Vec<_> = served.into_iter().filter(|served| served.version == STORED).collect();
        ensure!(stored.len() == KINDS, "{} kinds are served in {STORED}: {stored:?}", stored.len());
        for served in stored {
            let list: Value = namespace.cluster.get(&served.path(&namespace.name)).await?.json()?;
            for item in list["items"].as_array().context("a list without items")? {
                let name = item["metadata"]["name"].as_str().context("an object without a name")?.to_owned();
                objects.insert((served.plural.clone(), name), lasting(item));
            }
        }
        Ok(Self(objects))
    }

    /// How many objects there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Expects that all objects are in the namespace as they were here, and no others.
    ///
    /// # Errors
    /// When one is gone, new or different; the message names each and shows both.
    pub async fn is_unchanged(&self, namespace: &TestNamespace) -> Result<()> {
        let now = Self::of(namespace).await?;
        let differences = self.differences(&now);
        ensure!(differences.is_empty(), "{} objects differ: {}", differences.len(), differences.join("\n"));
        Ok(())
    }

    /// Expects that every object is found by its name in every version that its kind has, as the same object with the same
    /// labels and annotations. Returns how many were read.
    ///
    /// # Errors
    /// When one is not.
    pub async fn is_readable_in_every_version(&self, namespace: &TestNamespace) -> Result<usize> {
        let mut read = 0;
        for served in served(&namespace.cluster).await? {
            for ((_, name), stored) in self.0.iter().filter(|((plural, _), _)| *plural == served.plural) {
                let path = format!("{}/{name}", served.path(&namespace.name));
                let found: Value = namespace.cluster.get(&path).await?.json().context(path.clone())?;
                ensure!(found["apiVersion"] == format!("{}/{}", served.group, served.version), "{path}: {found}");
                for field in ["uid", "labels"] {
                    ensure!(found["metadata"][field] == stored["metadata"][field], "{path}: {field}: {found} {stored}");
                }
                // What the version cannot say is kept in an annotation more.
                for (key, value) in stored["metadata"]["annotations"].as_object().into_iter().flatten() {
                    ensure!(found["metadata"]["annotations"][key] == *value, "{path}: {key}: {found} {stored}");
                }
                read += 1;
            }
        }
        Ok(read)
    }

    fn differences(&self, now: &Self) -> Vec<String> {
        let gone = self.0.iter().filter_map(|(key, was)| match now.0.get(key) {
            None => Some(format!("{} {} is gone", key.0, key.1)),
            // 1 and 1.0 differ here, too.
            Some(is) if is != was => Some(format!("{} {} was {was} and is {is}", key.0, key.1)),
            Some(_) => None,
        });
        let new = now.0.keys().filter(|key| !self.0.contains_key(*key));
        gone.chain(new.map(|key| format!("{} {} is new", key.0, key.1))).collect()
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = BTreeMap::<&str, usize>::new();
        for (plural, _) in self.0.keys() {
            *counts.entry(plural).or_default() += 1;
        }
        let counts: Vec<String> = counts.iter().map(|(plural, count)| format!("{count} {plural}")).collect();
        f.write_str(&counts.join(", "))
    }
}

/// All of an object but its status, and what the API server keeps for itself.
fn lasting(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !["managedFields", "resourceVersion"].contains(&field.as_str()));
    }
    object
}

/// The kinds of SMI in all of their versions.
async fn served(cluster: &Cluster) -> Result<Vec<Served>> {
    let mut served = Vec::new();
    for group in GROUPS {
        let found: Value = cluster.get(&format!("/apis/{group}")).await?.json()?;
        for version in found["versions"].as_array().context("a group without versions")? {
            let version = version["version"].as_str().context("a version without a name")?;
            let found: Value = cluster.get(&format!("/apis/{group}/{version}")).await?.json()?;
            for resource in found["resources"].as_array().context("a version without resources")? {
                let plural = resource["name"].as_str().context("a resource without a name")?;
                // The others are `trafficsplits/status` and the like.
                if !plural.contains('/') {
                    let (group, version) = (group.to_owned(), version.to_owned());
                    served.push(Served { group, version, plural: plural.to_owned() });
                }
            }
        }
    }
    Ok(served)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inventory(objects: &[(&str, Value)]) -> Inventory {
        let key = |name: &str| ("trafficsplits".to_owned(), name.to_owned());
        Inventory(objects.iter().map(|(name, object)| (key(name), lasting(object))).collect())
    }

    #[test]
    fn tells_what_has_changed() {
        let object = |resource_version: &str, weight: Value| {
            json!({
                "metadata": {"uid": "1", "resourceVersion": resource_version, "managedFields": [resource_version]},
                "spec": {"weight": weight},
                "status": {"seen": resource_version},
            })
        };
        let before = inventory(&[("a", object("1", 1.into()))]);
        for (name, now, want) in [
            ("another status", inventory(&[("a", object("2", 1.into()))]), &[][..]),
            ("gone", inventory(&[]), &["trafficsplits a is gone"]),
            ("one more", inventory(&[("a", object("1", 1.into())), ("b", json!({}))]), &["trafficsplits b is new"]),
            (
                "another number",
                inventory(&[("a", object("1", 1.0.into()))]),
                &[
                    r#"trafficsplits a was {"metadata":{"uid":"1"},"spec":{"weight":1}} and is {"metadata":{"uid":"1"},"spec":{"weight":1.0}}"#,
                ],
            ),
        ] {
            assert_eq!(before.differences(&now), want, "{name}");
        }
    }
}
