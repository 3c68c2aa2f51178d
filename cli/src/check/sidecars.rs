//! Pods that carry the sidecar, and whether it is ready.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use super::Check;
use super::assess::unknown;
use crate::outcome::Outcome;

/// Name of the init container that is the sidecar.
const SIDECAR: &str = "weft-proxy";

/// Pods asked for at a time; the page size of kubectl.
const PAGE: u32 = 500;

/// The meshed pods of the cluster that are not on their way out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sidecars {
    /// How many of the pods have their sidecar ready.
    ready: usize,
    /// Namespace and name of the others, in the API server's order.
    waiting: Vec<(String, String)>,
}

impl Sidecars {
    fn add(&mut self, pod: Pod) {
        let containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let status = pod.status.as_ref();
        let over = matches!(status.and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
            || pod.metadata.deletion_timestamp.is_some();
        if over || !containers.iter().any(|container| container.name == SIDECAR) {
            return;
        }
        let statuses = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
        if statuses.iter().any(|status| status.name == SIDECAR && status.ready) {
            self.ready += 1;
        } else {
            let (namespace, name) = (pod.metadata.namespace, pod.metadata.name);
            self.waiting.push((namespace.unwrap_or_default(), name.unwrap_or_default()));
        }
    }
}

impl Extend<Pod> for Sidecars {
    fn extend<I: IntoIterator<Item = Pod>>(&mut self, pods: I) {
        pods.into_iter().for_each(|pod| self.add(pod));
    }
}

/// Reads all pods, a page at a time so that a large cluster does not fill the memory.
pub(super) async fn count(pods: &Api<Pod>) -> Result<Sidecars, kube::Error> {
    let mut sidecars = Sidecars::default();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = pods.list(&page).await?;
        sidecars.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(sidecars),
        }
    }
}

/// Whether every meshed pod has its sidecar ready. A cluster without meshed pods is well.
pub(super) fn assess(counted: &Result<Sidecars, kube::Error>) -> Check {
    let check = "sidecars ready".to_owned();
    match counted {
        Err(error) => unknown(check, error),
        Ok(Sidecars { ready, waiting }) => {
            let meshed = ready + waiting.len();
            let found = format!("{ready} of {meshed} meshed pods");
            match waiting.first() {
                None => Check { check, state: Outcome::Yes, found, advice: String::new() },
                Some((namespace, name)) => Check {
                    check,
                    state: Outcome::No,
                    found,
                    advice: format!("see: kubectl -n {namespace} logs {name} -c {SIDECAR}"),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, containers: Value, status: Value) -> Pod {
        let containers = json!({"containers": [], "initContainers": containers});
        serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "shop"}, "spec": containers, "status": status}),
        )
        .unwrap()
    }

    fn statuses(name: &str, ready: bool) -> Value {
        let status = json!({"name": name, "ready": ready, "image": "i", "imageID": "i", "restartCount": 0});
        json!({"phase": "Running", "initContainerStatuses": [status]})
    }

    #[test]
    fn counts_meshed_pods_that_stay() {
        let sidecar = json!([{"name": "weft-init"}, {"name": "weft-proxy"}]);
        let mut deleted = pod("deleted", sidecar.clone(), statuses("weft-proxy", false));
        deleted.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-02T03:04:05Z")).unwrap();
        let nothing = Sidecars::default;
        let waiting = |name: &str| Sidecars { ready: 0, waiting: vec![("shop".to_owned(), name.to_owned())] };
        for (name, pod, want) in [
            (
                "ready",
                pod("web", sidecar.clone(), statuses("weft-proxy", true)),
                Sidecars { ready: 1, waiting: vec![] },
            ),
            ("not ready", pod("web", sidecar.clone(), statuses("weft-proxy", false)), waiting("web")),
            ("only another is ready", pod("web", sidecar.clone(), statuses("weft-init", true)), waiting("web")),
            ("not started", pod("web", sidecar.clone(), json!({"phase": "Pending"})), waiting("web")),
            ("finished", pod("job", sidecar.clone(), json!({"phase": "Succeeded"})), nothing()),
            ("failed", pod("job", sidecar, json!({"phase": "Failed"})), nothing()),
            ("being deleted", deleted, nothing()),
            ("other init container", pod("web", json!([{"name": "other"}]), statuses("other", true)), nothing()),
            ("no init container", pod("web", json!(null), json!({"phase": "Running"})), nothing()),
        ] {
            let mut sidecars = Sidecars::default();
            sidecars.extend([pod]);
            assert_eq!(sidecars, want, "{name}");
        }
    }

    #[test]
    fn names_the_first_pod_that_waits() {
        let waiting = vec![("shop".to_owned(), "web".to_owned()), ("shop".to_owned(), "cart".to_owned())];
        let check = assess(&Ok(Sidecars { ready: 3, waiting }));
        assert_eq!(check.state, Outcome::No);
        assert_eq!(check.found, "3 of 5 meshed pods");
        assert_eq!(check.advice, "see: kubectl -n shop logs web -c weft-proxy");
    }

    #[test]
    fn is_well_without_meshed_pods() {
        let check = assess(&Ok(Sidecars::default()));
        assert_eq!((check.state, check.found.as_str()), (Outcome::Yes, "0 of 0 meshed pods"));
    }
}
