//! The objects that an issuer and its rotation are kept in, all in the operator's namespace.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, watch_object},
    },
};

use super::{Issuer, issuer::Entries, made};

/// The issuer that is wanted: made by the operator, or brought. cert-manager's layout.
pub(super) const WANTED: &str = "weft-ca";
/// The operator's own copy of the issuer that signs. It differs from the wanted one while a rotation is under way, and keeps the
/// old key usable even if the wanted one is replaced or deleted while no operator runs.
pub(super) const ACTIVE: &str = "weft-ca-active";
/// The bundle of roots, and the state of the rotation.
pub(super) const BUNDLE: &str = "weft-trust-bundle";
/// Who writes.
pub(super) const MANAGER: &str = "weft-operator";

/// An object as it was seen; `None` when there is none.
pub(super) enum Change {
    Wanted(Option<Secret>),
    Active(Option<Secret>),
    Record(Option<ConfigMap>),
}

/// What has been seen of each object. The outer `None`: nothing yet.
#[derive(Default)]
pub(super) struct Stored {
    wanted: Option<Option<Secret>>,
    active: Option<Option<Secret>>,
    record: Option<Option<ConfigMap>>,
}

impl Stored {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Wanted(secret) => self.wanted = Some(secret),
            Change::Active(secret) => self.active = Some(secret),
            Change::Record(map) => self.record = Some(map),
        }
    }

    /// Whether each has been looked at.
    pub(super) fn is_known(&self) -> bool {
        self.wanted.is_some() && self.active.is_some() && self.record.is_some()
    }

    /// Whether there is no issuer anywhere, usable or not.
    pub(super) fn is_bare(&self) -> bool {
        self.is_known() && self.wanted().is_none() && self.active().is_none()
    }

    pub(super) fn wanted(&self) -> Option<&Secret> {
        self.wanted.as_ref().and_then(Option::as_ref)
    }

    pub(super) fn active(&self) -> Option<&Secret> {
        self.active.as_ref().and_then(Option::as_ref)
    }

    pub(super) fn record(&self) -> Option<&BTreeMap<String, String>> {
        self.record.as_ref().and_then(Option::as_ref).and_then(|map| map.data.as_ref())
    }
}

/// Reads and writes them.
#[derive(Clone)]
pub(super) struct Store {
    secrets: Api<Secret>,
    maps: Api<ConfigMap>,
}

impl Store {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client.clone(), namespace), maps: Api::namespaced(client, namespace) }
    }

    /// Each object as it is, and again whenever it changes.
    pub(super) fn watch(&self) -> impl Stream<Item = watcher::Result<Change>> + Send + use<> {
        let secret = |name| watch_object(self.secrets.clone(), name).default_backoff();
        let wanted = secret(WANTED).map(|seen| seen.map(Change::Wanted)).boxed();
        let active = secret(ACTIVE).map(|seen| seen.map(Change::Active)).boxed();
        let record = watch_object(self.maps.clone(), BUNDLE).default_backoff();
        let record = record.map(|seen| seen.map(Change::Record)).boxed();
        stream::select_all([wanted, active, record])
    }

    /// Creates the wanted issuer; `false` when somebody else was quicker: then theirs it is.
    pub(super) async fn create_wanted(&self, entries: Entries) -> kube::Result<bool> {
        let metadata = ObjectMeta {
            name: Some(WANTED.to_owned()),
            annotations: Some(made::mark(&entries)),
            labels: Some(labels()),
            ..ObjectMeta::default()
        };
        let secret = Secret { metadata, type_: Some(TYPE.to_owned()), data: Some(entries), ..Secret::default() };
        match self.secrets.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
            created => created.map(|_| true),
        }
    }

    /// Replaces the wanted issuer, unless it has changed since it was seen as `secret`.
    pub(super) async fn replace_wanted(&self, secret: &Secret, entries: Entries) -> kube::Result<()> {
        let mut secret = secret.clone();
        secret.metadata.annotations.get_or_insert_default().extend(made::mark(&entries));
        secret.metadata.managed_fields = None;
        secret.data = Some(entries);
        match self.secrets.replace(WANTED, &PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
            replaced => replaced.map(drop),
        }
    }

    /// Keeps a copy of the issuer that signs.
    pub(super) async fn keep_active(&self, issuer: &Issuer) -> kube::Result<()> {
        let secret = serde_json::json!({
            "apiVersion": Secret::api_version(&()),
            "kind": Secret::kind(&()),
            "metadata": {"name": ACTIVE, "labels": labels()},
            "type": TYPE,
            "data": issuer.entries(),
        });
        self.secrets.patch(ACTIVE, &PatchParams::apply(MANAGER).force(), &Patch::Apply(secret)).await.map(drop)
    }

    /// Writes the bundle and the state of the rotation.
    pub(super) async fn write_record(&self, data: &BTreeMap<String, String>) -> kube::Result<()> {
        apply_map(&self.maps, data).await
    }
}

/// Type of Secrets in cert-manager's layout.
const TYPE: &str = "kubernetes.io/tls";

/// Makes the bundle's ConfigMap hold `data`.
pub(super) async fn apply_map(maps: &Api<ConfigMap>, data: &BTreeMap<String, String>) -> kube::Result<()> {
    let map = serde_json::json!({
        "apiVersion": ConfigMap::api_version(&()),
        "kind": ConfigMap::kind(&()),
        "metadata": {"name": BUNDLE, "labels": labels()},
        "data": data,
    });
    maps.patch(BUNDLE, &PatchParams::apply(MANAGER).force(), &Patch::Apply(map)).await.map(drop)
}

fn labels() -> BTreeMap<String, String> {
    [("app.kubernetes.io/part-of".to_owned(), "weft".to_owned())].into()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_sample_brings_the_issuer_that_is_wanted() {
        let sample = include_str!("../../../config/samples/issuer/cert-manager.yaml");
        let documents = serde_norway::Deserializer::from_str(sample);
        let objects: Vec<Value> = documents.map(|object| Value::deserialize(object).unwrap()).collect();
        let wanted = objects.iter().find(|object| object["spec"]["secretName"] == WANTED).unwrap();
        assert_eq!(wanted["metadata"]["namespace"], "weft-system");
        assert_eq!(wanted["spec"]["isCA"], true);
        assert_eq!(wanted["spec"]["usages"], json!(["cert sign", "crl sign"]));
        let signer = objects.iter().find(|object| {
            object["kind"] == "Issuer" && object["metadata"]["name"] == wanted["spec"]["issuerRef"]["name"]
        });
        let root = &signer.unwrap()["spec"]["ca"]["secretName"];
        assert!(objects.iter().any(|object| object["spec"]["secretName"] == *root && object["spec"]["isCA"] == true));
    }
}
