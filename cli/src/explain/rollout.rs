//! The pods that workloads of manifests would have, and the endpoints that Services would have with them.
//!
//! They are thought to be ready: whether an image exists, and what a probe says, nobody can tell from a manifest.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec, Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use serde_json::{Value, json};
use weft_operator::admission::Settings;
use weft_operator::admission::inject::{Namespace, Outcome, inject};
use weft_operator::index::{EndpointSlices, Kind, Pods};
use weft_operator::model::{PodRef, ServiceRef, WorkloadKind, WorkloadRef};

use super::manifest::{Manifest, ManifestError};
use super::overlay::{Addresses, Laid};
use super::world::World;

/// A workload of a manifest.
#[derive(Debug)]
pub(super) struct Rollout {
    /// Where it stands.
    pub(super) manifest: Manifest,
    /// What it is.
    pub(super) workload: WorkloadRef,
    /// How many pods it asks for.
    pub(super) replicas: u64,
    /// What they are like.
    pub(super) template: PodTemplateSpec,
}

/// Gives the workloads that were laid over `world` their pods, instead of those that they have, and the Services concerned the
/// endpoints that follow from it.
///
/// # Errors
/// When the pods of a workload would be refused.
pub(super) fn roll_out(
    world: &mut World,
    laid: &Laid,
    cluster_domain: &str,
    addresses: &mut Addresses,
) -> Result<(), ManifestError> {
    let mut moved: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut note = |pod: &Pod| moved.push((pod.namespace().unwrap_or_default(), pod.labels().clone()));
    for rollout in &laid.rollouts {
        world.pods.retain(|_, pod| {
            let stays = Pods::observe(pod).is_none_or(|observed| observed.workload != rollout.workload);
            if !stays {
                note(pod);
            }
            stays
        });
        for number in 0..rollout.replicas {
            let pod = rollout.pod(number, world, cluster_domain, addresses)?;
            note(&pod);
            if let Some(key) = Pods::key(&pod) {
                world.pods.insert(key, pod);
            }
        }
    }
    let concerned: BTreeSet<ServiceRef> = world
        .services
        .iter()
        .filter(|(name, service)| {
            let selects = |(namespace, labels): &(String, BTreeMap<String, String>)| {
                *namespace == name.namespace && selector(service).is_some_and(|selector| is_subset(selector, labels))
            };
            selector(service).is_some() && (laid.services.contains(name) || moved.iter().any(selects))
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in concerned {
        find_endpoints(world, &name);
    }
    Ok(())
}

impl Rollout {
    /// One of its pods, with a sidecar if the operator's webhook would give it one.
    fn pod(
        &self,
        number: u64,
        world: &World,
        cluster_domain: &str,
        addresses: &mut Addresses,
    ) -> Result<Pod, ManifestError> {
        let WorkloadRef { namespace, kind, name } = &self.workload;
        let mut object = json!({"metadata": self.template.metadata, "spec": self.template.spec});
        let alone = *kind == WorkloadKind::Pod;
        let pod_name = if alone { name.clone() } else { format!("{name}-{number}") };
        for (field, value) in [
            ("name", Value::from(pod_name)),
            ("namespace", namespace.as_str().into()),
            (
                "ownerReferences",
                match alone {
                    true => Value::Null,
                    false => json!([{"apiVersion": self.manifest.api_version, "kind": kind.as_str(), "name": name,
                        "uid": "", "controller": true}]),
                },
            ),
        ] {
            object["metadata"][field] = value;
        }
        let created: Pod = self.manifest.typed_at("spec.template", &object)?;
        let none = BTreeMap::new();
        let labels = world.namespaces.get(namespace).unwrap_or(&none);
        let settings = Settings::new("weft-proxy", "", cluster_domain, Default::default());
        let outcome = inject(&created, &Namespace { name: namespace, labels }, &settings)
            .map_err(|refusal| self.manifest.refused(refusal))?;
        if let Outcome::Injected { patch, .. } = outcome {
            json_patch::patch(&mut object, &patch)
                .map_err(|error| self.manifest.wrong("spec.template".to_owned(), error.to_string()))?;
        }
        object["status"] = json!({"phase": "Running", "podIPs": [{"ip": addresses.next()}],
            "conditions": [{"type": "Ready", "status": "True"}]});
        self.manifest.typed_at("spec.template", &object)
    }
}

fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref().filter(|selector| !selector.is_empty())
}

fn is_subset(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// Does what the controller of endpoints would do. Each pod gets a slice of its own, because the numbers of named ports differ.
fn find_endpoints(world: &mut World, name: &ServiceRef) {
    let Some((service, selector)) = world.services.get(name).and_then(|service| Some((service, selector(service)?)))
    else {
        return;
    };
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let ports: Vec<&ServicePort> = ports.collect();
    let first = PodRef { namespace: name.namespace.clone(), name: String::new() };
    let pods = world.pods.range(first..).take_while(|(pod, _)| pod.namespace == name.namespace);
    let chosen = pods.filter(|(_, pod)| is_subset(selector, pod.labels()) && is_ready(pod));
    let slices: Vec<EndpointSlice> = chosen.filter_map(|(_, pod)| slice(name, &ports, pod)).collect();
    world.slices.retain(|(service, _), _| service != name);
    world.slices.extend(slices.into_iter().filter_map(|slice| Some((EndpointSlices::key(&slice)?, slice))));
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The slice of a Service with one pod.
fn slice(service: &ServiceRef, ports: &[&ServicePort], pod: &Pod) -> Option<EndpointSlice> {
    let ip = pod.status.as_ref()?.pod_ips.as_ref()?.first()?.ip.clone();
    let ports: Vec<Value> = ports
        .iter()
        .filter_map(|port| {
            let target = target_port(port, pod)?;
            Some(json!({"name": port.name.clone().unwrap_or_default(), "port": target, "protocol": port.protocol}))
        })
        .collect();
    let name = pod.name_any();
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("{}-{name}", service.name),
            "namespace": service.namespace,
            "labels": {"kubernetes.io/service-name": service.name},
        },
        "addressType": if ip.contains(':') { "IPv6" } else { "IPv4" },
        "ports": ports,
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": name}}],
    }))
    .ok()
}

/// The number that a Service's port has in a pod; `None` where the pod has no port of that name.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
            let mut known = containers.flat_map(|container| container.ports.iter().flatten());
            known.find(|known| known.name.as_ref() == Some(name)).map(|known| known.container_port)
        }
    }
}
