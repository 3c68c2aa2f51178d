//! One write: the status, and then the Events for what is new in it.

use std::error::Error;

use k8s_openapi::{
    api::core::v1::{ObjectReference, Service},
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use smi_crds::{
    SmiStatus,
    access::v1alpha4::{IdentityBinding, TrafficTarget},
    specs::v1alpha4::{HttpRouteGroup, TcpRoute, UdpRoute},
    split::v1alpha4::TrafficSplit,
};

use super::verdict::{About, Notice, Verdict};
use crate::{
    index::Said,
    model::{ObjectRef, SmiKind},
};

/// Field manager and reporting controller.
const MANAGER: &str = "weft-operator";

/// What came of a write.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The status says this now.
    Written(Said),
    /// The object is gone, or another one of its name has come: the index will hear of it.
    Gone,
    /// The API server takes no status of this object, because of what is stored in its other fields. In its own words.
    Refused(String),
}

/// Writes to the API server.
#[derive(Clone)]
pub(super) struct Writer {
    client: Client,
    recorder: Recorder,
}

impl Writer {
    pub(super) fn new(client: Client, instance: String) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance) };
        Self { recorder: Recorder::new(client.clone(), reporter), client }
    }

    /// Writes a verdict over what the status says.
    ///
    /// The Events come last: an operator that stops in between has told too little rather than the same again and again. A refusal
    /// is told by an Event as well, unless it is the one that was `told` before.
    pub(super) async fn write(
        &self,
        name: &ObjectRef,
        verdict: &Verdict,
        current: &SmiStatus,
        told: Option<&str>,
    ) -> kube::Result<Outcome> {
        let resource = resource(name.kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &name.namespace, &resource);
        let status = verdict.status(current, Timestamp::now());
        let patch = serde_json::json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            // The uid keeps an object that was made anew from getting the old one's status.
            "metadata": {"name": name.name, "uid": verdict.uid},
            "status": status,
        });
        let written = api.patch_status(&name.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await;
        let object = match written {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => return Ok(Outcome::Gone),
            Err(kube::Error::Api(status)) if status.is_invalid() => {
                if told != Some(&status.message) {
                    let text = format!("no status can be written before this is corrected: {}", status.message);
                    self.tell(&resource, name, verdict, &Notice { reason: "Invalid", text, about: None }).await;
                }
                return Ok(Outcome::Refused(status.message.clone()));
            }
            written => written?,
        };
        for notice in verdict.news(current) {
            self.tell(&resource, name, verdict, notice).await;
        }
        let version = object.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default();
        Ok(Outcome::Written(Said { uid: verdict.uid.clone(), version, status }))
    }

    /// Publishes an Event. One that cannot be published must not keep the status from being written.
    async fn tell(&self, resource: &ApiResource, name: &ObjectRef, verdict: &Verdict, notice: &Notice) {
        let about = ObjectReference {
            api_version: Some(resource.api_version.clone()),
            kind: Some(resource.kind.clone()),
            namespace: Some(name.namespace.clone()),
            name: Some(name.name.clone()),
            uid: Some(verdict.uid.clone()),
            ..ObjectReference::default()
        };
        // The recorder takes two Events for one unless they differ in more than their note.
        let secondary = notice.about.as_ref().map(|about| {
            let (resource, other, field_path) = match about {
                About::Service { name, field_path } => (ApiResource::erase::<Service>(&()), name, field_path.clone()),
                About::Group { name } => (ApiResource::erase::<HttpRouteGroup>(&()), name, None),
            };
            ObjectReference {
                api_version: Some(resource.api_version),
                kind: Some(resource.kind),
                namespace: Some(name.namespace.clone()),
                name: Some(other.clone()),
                field_path,
                ..ObjectReference::default()
            }
        });
        let event = Event {
            type_: EventType::Warning,
            reason: notice.reason.to_owned(),
            note: Some(notice.words().to_owned()),
            action: "Compile".to_owned(),
            secondary,
        };
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(object = %name, error = &error as &dyn Error, "Could not publish an Event");
        }
    }
}

fn resource(kind: SmiKind) -> ApiResource {
    match kind {
        SmiKind::HttpRouteGroup => ApiResource::erase::<HttpRouteGroup>(&()),
        SmiKind::IdentityBinding => ApiResource::erase::<IdentityBinding>(&()),
        SmiKind::TcpRoute => ApiResource::erase::<TcpRoute>(&()),
        SmiKind::TrafficSplit => ApiResource::erase::<TrafficSplit>(&()),
        SmiKind::TrafficTarget => ApiResource::erase::<TrafficTarget>(&()),
        SmiKind::UdpRoute => ApiResource::erase::<UdpRoute>(&()),
    }
}
