//! The objects that metrics are asked of, as far as their names go.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::{
    Api, Client,
    api::ListParams,
    core::{DynamicObject, PartialObjectMeta},
};

use super::{resource::api, status::Refusal};
use crate::model::{WorkloadKind, WorkloadRef};

/// Asks the API server for metadata.
pub(super) struct Objects {
    client: Client,
}

/// Objects that exist, and where the list continues.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) objects: Vec<WorkloadRef>,
    pub(super) metadata: ListMeta,
}

impl Objects {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Objects of a kind that the parameters select, in the order of the API server.
    pub(super) async fn list(
        &self,
        kind: WorkloadKind,
        namespace: Option<&str>,
        parameters: &ListParams,
    ) -> Result<Found, Refusal> {
        let list = self.api(kind, namespace).list_metadata(parameters).await.map_err(Refusal::from_kube)?;
        let objects = list.items.into_iter().filter_map(|object| {
            // The API server gives every object both.
            let (namespace, name) = (object.metadata.namespace?, object.metadata.name?);
            Some(WorkloadRef { namespace, kind, name })
        });
        Ok(Found { objects: objects.collect(), metadata: list.metadata })
    }

    /// Whether an object exists.
    pub(super) async fn exists(&self, object: &WorkloadRef) -> Result<bool, Refusal> {
        let found: Option<PartialObjectMeta<DynamicObject>> = self
            .api(object.kind, Some(&object.namespace))
            .get_metadata_opt(&object.name)
            .await
            .map_err(Refusal::from_kube)?;
        Ok(found.is_some())
    }

    fn api(&self, kind: WorkloadKind, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &api(kind)),
            None => Api::all_with(self.client.clone(), &api(kind)),
        }
    }
}
