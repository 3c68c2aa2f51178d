//! Pods: whose address it is, what owns it, whether it has a sidecar.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt;

use super::{Concern, Kind};
use crate::model::{Pod, PodRef, SmiKind, Snapshot, WorkloadKind, WorkloadRef};

/// Label that a Deployment gives its pods and its ReplicaSets' names end with.
const POD_TEMPLATE_HASH: &str = "pod-template-hash";
/// Name of the injected container.
const SIDECAR: &str = "weft-proxy";
/// Name of the injected container that writes the redirect rules, and the argument that says which ports they leave out. What the
/// rules are made of, rather than the annotation, which somebody may change when the rules are long written.
const INIT: &str = "weft-init";
const SKIP_INBOUND_PORTS: &str = "--skip-inbound-ports=";

/// Pods of all namespaces.
#[derive(Debug)]
pub enum Pods {}

impl Kind for Pods {
    type Object = core::Pod;
    type Key = PodRef;
    const CONCERNS: &'static [Concern] = &[Concern::Here(SmiKind::IdentityBinding)];

    fn key(object: &core::Pod) -> Option<PodRef> {
        Some(PodRef { namespace: object.namespace()?, name: object.name_any() })
    }

    fn namespace(key: &PodRef) -> &str {
        &key.namespace
    }

    fn apply(snapshot: &mut Snapshot, key: &PodRef, object: &core::Pod) -> bool {
        if has_ended(object) {
            // Its address may already be another pod's.
            return Self::remove(snapshot, key);
        }
        let pod = read(key, object);
        if snapshot.pods.get(key) == Some(&pod) {
            return false;
        }
        snapshot.apply_pod(key.clone(), pod);
        true
    }

    fn remove(snapshot: &mut Snapshot, key: &PodRef) -> bool {
        let known = snapshot.pods.contains_key(key);
        snapshot.remove_pod(key);
        known
    }

    fn keys(snapshot: &Snapshot) -> Vec<PodRef> {
        snapshot.pods.keys().cloned().collect()
    }
}

impl Pods {
    /// What the snapshot would hold of a pod; `None` when the pod has ended.
    #[must_use]
    pub fn observe(object: &core::Pod) -> Option<Pod> {
        let key = Self::key(object)?;
        (!has_ended(object)).then(|| read(&key, object))
    }
}

fn has_ended(object: &core::Pod) -> bool {
    let phase = object.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn read(name: &PodRef, object: &core::Pod) -> Pod {
    let spec = object.spec.as_ref();
    let injected = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let on_host = spec.and_then(|spec| spec.host_network).unwrap_or(false);
    let ips = object.status.iter().filter(|_| !on_host).flat_map(|status| status.pod_ips.iter().flatten());
    Pod {
        uid: object.uid().unwrap_or_default(),
        ips: ips.filter_map(|ip| ip.ip.parse().ok()).collect(),
        workload: workload(name, object),
        service_account: spec
            .and_then(|spec| spec.service_account_name.clone())
            .filter(|account| !account.is_empty())
            .unwrap_or_else(|| "default".to_owned()),
        labels: object.labels().clone(),
        meshed: injected.iter().any(|container| container.name == SIDECAR),
        skipped_ports: injected.iter().filter(|container| container.name == INIT).flat_map(skipped_ports).collect(),
    }
}

/// Ports that the redirect rules leave out. What is no port is left out here: its traffic then is encrypted or fails.
fn skipped_ports(init: &core::Container) -> impl Iterator<Item = u16> {
    let lists = init.args.iter().flatten().filter_map(|argument| argument.strip_prefix(SKIP_INBOUND_PORTS));
    lists.flat_map(|list| list.split(',')).filter_map(|port| port.parse().ok())
}

/// The workload that owns a pod. A ReplicaSet is its Deployment when it is named after it, which spares a watch on ReplicaSets.
fn workload(pod: &PodRef, object: &core::Pod) -> WorkloadRef {
    let of = |kind, name: &str| WorkloadRef { namespace: pod.namespace.clone(), kind, name: name.to_owned() };
    let is_controller = |owner: &&OwnerReference| owner.controller == Some(true);
    let Some(owner) = object.owner_references().iter().find(is_controller) else {
        return of(WorkloadKind::Pod, &pod.name);
    };
    let deployment = object
        .labels()
        .get(POD_TEMPLATE_HASH)
        .and_then(|hash| owner.name.strip_suffix(hash.as_str()))
        .and_then(|rest| rest.strip_suffix('-'));
    match (owner.kind.parse(), deployment) {
        (Ok(WorkloadKind::ReplicaSet), Some(deployment)) => of(WorkloadKind::Deployment, deployment),
        (Ok(kind), _) => of(kind, &owner.name),
        (Err(_), _) => of(WorkloadKind::Pod, &pod.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(value: serde_json::Value) -> core::Pod {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn finds_the_workload() {
        let owned = |kind: &str, name: &str, hash: Option<&str>| {
            let labels = hash.map(|hash| serde_json::json!({POD_TEMPLATE_HASH: hash}));
            pod(
                serde_json::json!({"metadata": {"name": "p", "namespace": "shop", "labels": labels, "ownerReferences": [
                {"apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": true}]}}),
            )
        };
        for (case, object, want) in [
            ("deployment", owned("ReplicaSet", "web-5d6", Some("5d6")), "Deployment shop/web"),
            ("bare replica set", owned("ReplicaSet", "web-5d6", None), "ReplicaSet shop/web-5d6"),
            ("replica set of another name", owned("ReplicaSet", "web", Some("5d6")), "ReplicaSet shop/web"),
            ("stateful set", owned("StatefulSet", "db", None), "StatefulSet shop/db"),
            ("job", owned("Job", "nightly-1", None), "Job shop/nightly-1"),
            ("static pod", owned("Node", "n1", None), "Pod shop/p"),
            ("bare pod", pod(serde_json::json!({"metadata": {"name": "p", "namespace": "shop"}})), "Pod shop/p"),
        ] {
            let key = Pods::key(&object).unwrap();
            assert_eq!(workload(&key, &object).to_string(), want, "{case}");
        }
    }

    #[test]
    fn reads_addresses_account_and_sidecar() {
        for (case, spec, ips, account, meshed) in [
            ("plain", serde_json::json!({"containers": []}), 2, "default", false),
            ("account", serde_json::json!({"containers": [], "serviceAccountName": "web"}), 2, "web", false),
            ("host network", serde_json::json!({"containers": [], "hostNetwork": true}), 0, "default", false),
            (
                "sidecar",
                serde_json::json!({"containers": [], "initContainers": [{"name": "weft-proxy"}]}),
                2,
                "default",
                true,
            ),
        ] {
            let object = pod(serde_json::json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": spec,
                "status": {"podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]}}));
            let read = read(&Pods::key(&object).unwrap(), &object);
            assert_eq!((read.ips.len(), &*read.service_account, read.meshed), (ips, account, meshed), "{case}");
        }
    }

    #[test]
    fn reads_the_ports_that_go_past_the_sidecar() {
        for (case, arguments, want) in [
            ("none", serde_json::json!(["init"]), &[][..]),
            ("one", serde_json::json!(["init", "--skip-inbound-ports=15020"]), &[15020]),
            ("two", serde_json::json!(["init", "--skip-inbound-ports=15020,9000", "--proxy-uid=1337"]), &[9000, 15020]),
            ("no port", serde_json::json!(["init", "--skip-inbound-ports=15020,http"]), &[15020]),
            ("of the other direction", serde_json::json!(["init", "--skip-outbound-ports=9000"]), &[]),
        ] {
            let object =
                pod(serde_json::json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": [],
                "initContainers": [{"name": "weft-init", "args": arguments}, {"name": "weft-proxy"}]}}));
            let read = read(&Pods::key(&object).unwrap(), &object);
            assert_eq!(read.skipped_ports.into_iter().collect::<Vec<_>>(), want, "{case}");
        }
    }

    #[test]
    fn a_pod_that_ended_leaves() {
        let mut snapshot = Snapshot::default();
        let object = |phase: &str| {
            pod(serde_json::json!({"metadata": {"name": "p", "namespace": "shop"},
                "status": {"phase": phase, "podIPs": [{"ip": "10.1.0.1"}]}}))
        };
        let key = Pods::key(&object("Running")).unwrap();
        assert!(Pods::apply(&mut snapshot, &key, &object("Running")));
        assert!(!Pods::apply(&mut snapshot, &key, &object("Running")), "nothing new");
        assert!(Pods::apply(&mut snapshot, &key, &object("Succeeded")));
        assert!(snapshot.pods.is_empty() && snapshot.pod_ips.is_empty());
    }
}
