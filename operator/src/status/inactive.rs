//! Kinds that are served but not acted on yet: their status says so, lest anybody relies on them.

use std::{error::Error, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use smi_crds::{
    access::v1alpha4::{IdentityBinding, TrafficTarget},
    condition::ACCEPTED,
    specs::v1alpha4::{HttpRouteGroup, TcpRoute, UdpRoute},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::splits::MANAGER;

/// Time after which a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Reason of the condition.
const REASON: &str = "NotSupported";

/// Marks every object of the kinds that Weft does not act on.
pub struct Inactive {
    client: Client,
    resources: Vec<(ApiResource, &'static str)>,
}

impl Inactive {
    /// Writes by `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        fn of<K: Resource<DynamicType = ()>>(effect: &'static str) -> (ApiResource, &'static str) {
            (ApiResource::erase::<K>(&()), effect)
        }
        let resources = vec![
            of::<HttpRouteGroup>("no request is matched by it"),
            of::<TcpRoute>("no connection is matched by it"),
            of::<UdpRoute>("no packet is matched by it"),
            of::<TrafficTarget>("it neither allows nor denies anything"),
            of::<IdentityBinding>("no identity is bound by it"),
        ];
        Self { client, resources }
    }

    /// Follows the kinds until `shutdown`, while this replica leads.
    pub async fn run(self, mut leads: watch::Receiver<bool>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                waited = leads.wait_for(|leads| *leads) => if waited.is_err() { return },
                () = shutdown.cancelled() => return,
            }
            tokio::select! {
                () = self.follow() => {}
                waited = leads.wait_for(|leads| !*leads) => if waited.is_err() { return },
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn follow(&self) {
        let watches = self.resources.iter().map(|(resource, effect)| {
            let api = Api::<DynamicObject>::all_with(self.client.clone(), resource);
            let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
            objects.map(move |object| (resource, *effect, object)).boxed()
        });
        let mut objects = stream::select_all(watches);
        while let Some((resource, effect, object)) = objects.next().await {
            let kind = &resource.kind;
            match object {
                Ok(object) if is_marked(&object) => {}
                Ok(object) => {
                    if let Err(error) = self.mark(resource, effect, &object).await {
                        let name = object.name_any();
                        tracing::warn!(kind, name, error = &error as &dyn Error, "Could not write the status");
                        // Everything is listed again, so that this one comes up once more.
                        tokio::time::sleep(AGAIN).await;
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(kind, error = &error as &dyn Error, "Watch failed, will be tried again");
                }
            }
        }
    }

    async fn mark(&self, resource: &ApiResource, effect: &str, object: &DynamicObject) -> kube::Result<()> {
        let namespace = object.namespace().unwrap_or_default();
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), &namespace, resource);
        let generation = object.metadata.generation;
        let patch = serde_json::json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "status": {
                "observedGeneration": generation,
                "conditions": [{
                    "type": ACCEPTED,
                    "status": "False",
                    "reason": REASON,
                    "message": format!("Weft does not act on {} yet: {effect}", resource.kind),
                    "observedGeneration": generation,
                    "lastTransitionTime": Time(Timestamp::now()),
                }],
            },
        });
        let params = PatchParams::apply(MANAGER).force();
        match api.patch_status(&object.name_any(), &params, &Patch::Apply(patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            written => written.map(drop),
        }
    }
}

fn is_marked(object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    status["observedGeneration"].as_i64() == object.metadata.generation
        && status["conditions"].as_array().is_some_and(|conditions| {
            conditions.iter().any(|condition| condition["type"] == ACCEPTED && condition["reason"] == REASON)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_each_generation_once() {
        let object = |generation: i64, status: serde_json::Value| -> DynamicObject {
            serde_json::from_value(serde_json::json!({"apiVersion": "a/v1", "kind": "A",
                "metadata": {"name": "a", "generation": generation}, "status": status}))
            .unwrap()
        };
        let marked = serde_json::json!({"observedGeneration": 1,
            "conditions": [{"type": "Accepted", "status": "False", "reason": "NotSupported"}]});
        let other = serde_json::json!({"observedGeneration": 1,
            "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted"}]});
        for (name, object, want) in [
            ("new", object(1, serde_json::Value::Null), false),
            ("marked", object(1, marked.clone()), true),
            ("changed since", object(2, marked), false),
            ("written by another", object(1, other), false),
        ] {
            assert_eq!(is_marked(&object), want, "{name}");
        }
    }
}
