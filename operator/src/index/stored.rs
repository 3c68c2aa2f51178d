//! An SMI object as it is stored, whether it can be read or not.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::Value;
use smi_crds::SmiStatus;
use thiserror::Error;

/// An object of kind `K`. One that cannot be read must not keep a watch from the others, and is told so by its status.
#[derive(Debug, Clone)]
pub struct Stored<K> {
    /// Of any object.
    pub metadata: ObjectMeta,
    /// What was said about it last; empty when that cannot be read.
    pub status: SmiStatus,
    /// The object, or what cannot be read of it.
    pub object: Result<K, DecodeError>,
}

/// A field has a value that its kind cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {error}")]
pub struct DecodeError {
    /// Path of the field.
    pub field: String,
    /// What is wrong with its value.
    pub error: String,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Stored<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        let metadata = object.get("metadata").cloned().unwrap_or_default();
        let metadata = ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        // Taken out, so that nothing in it can make its object unreadable.
        let status = object.as_object_mut().and_then(|object| object.remove("status"));
        let status = status.and_then(|status| SmiStatus::deserialize(status).ok()).unwrap_or_default();
        let object = serde_path_to_error::deserialize(&object)
            .map_err(|error| DecodeError { field: error.path().to_string(), error: error.inner().to_string() });
        Ok(Self { metadata, status, object })
    }
}

impl<K: Resource> Resource for Stored<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use smi_crds::split::v1alpha4::TrafficSplit;

    use super::*;

    #[test]
    fn names_the_field_that_cannot_be_read() {
        let backend = |weight: Value| json!({"service": "web", "backends": [{"service": "v1", "weight": weight}]});
        for (name, spec, status, want) in [
            ("good", backend(json!(1)), Value::Null, None),
            ("weight", backend(json!("many")), Value::Null, Some("spec.backends[0].weight: invalid type: string")),
            ("missing", json!({"service": "web"}), Value::Null, Some("spec: missing field `backends`")),
            ("no spec", Value::Null, Value::Null, Some("spec: invalid type: null")),
            ("status of somebody else", backend(json!(1)), json!({"conditions": 5}), None),
        ] {
            let object = json!({"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
                "metadata": {"name": "web", "namespace": "shop", "generation": 3}, "spec": spec, "status": status});
            let stored: Stored<TrafficSplit> = serde_json::from_value(object).unwrap();
            assert_eq!(stored.metadata.generation, Some(3), "{name}");
            let error = stored.object.err().map(|error| error.to_string());
            match (want, &error) {
                (None, None) => {}
                (Some(want), Some(error)) if error.starts_with(want) => {}
                _ => panic!("{name}: {error:?}"),
            }
        }
    }
}
