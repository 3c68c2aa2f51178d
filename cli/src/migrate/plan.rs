//! What is to be done with a kind, from its CustomResourceDefinition. Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ApiResource;

use crate::connection::cause;
use crate::outcome::Outcome;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing can be done.
    Tell { state: Outcome, found: String, advice: &'static str },
    /// Nothing has to be done.
    Done { kind: ApiResource },
    /// Every object has to be written in `kind`'s version, because it may be stored in an older one.
    Migrate { kind: ApiResource, older: Vec<String> },
}

/// What to do with the kind that this was read of.
pub(super) fn plan(read: &Result<Option<CustomResourceDefinition>, kube::Error>) -> Plan {
    let definition = match read {
        Ok(Some(definition)) => definition,
        Ok(None) => {
            let found = "the kind is not installed, so nothing is stored".to_owned();
            return Plan::Tell { state: Outcome::Yes, found, advice: "" };
        }
        Err(error) => {
            let advice = match error {
                kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
                    "use an account that may get customresourcedefinitions"
                }
                _ => "try again",
            };
            return Plan::Tell { state: Outcome::Unknown, found: cause(error), advice };
        }
    };
    let Some(storage) = definition.spec.versions.iter().find(|version| version.storage) else {
        let found = "it names no version that objects are stored in".to_owned();
        return Plan::Tell { state: Outcome::Unknown, found, advice: "try again" };
    };
    let names = &definition.spec.names;
    let kind = ApiResource {
        group: definition.spec.group.clone(),
        version: storage.name.clone(),
        api_version: format!("{}/{}", definition.spec.group, storage.name),
        kind: names.kind.clone(),
        plural: names.plural.clone(),
    };
    let stored = definition.status.as_ref().and_then(|status| status.stored_versions.as_deref()).unwrap_or_default();
    let older: Vec<String> = stored.iter().filter(|version| **version != kind.version).cloned().collect();
    if older.is_empty() { Plan::Done { kind } } else { Plan::Migrate { kind, older } }
}
