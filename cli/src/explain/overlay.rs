//! Laying manifests over what is there, as if they had been applied.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, PodTemplateSpec, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;
use serde_json::{Value, json};
use smi_crds::SmiStatus;
use smi_crds::specs::v1alpha4::HttpRouteGroup;
use smi_crds::split::v1alpha4::TrafficSplit;
use weft_operator::index::{EndpointSlices, Kind, Services, Smi, SmiObject, Stored};
use weft_operator::model::{ServiceRef, WorkloadKind, WorkloadRef};

use super::manifest::{Manifest, ManifestError};
use super::rollout::Rollout;
use super::world::{Objects, World};

/// Pods that a workload of a manifest can be thought to have: one needs no more to see where a request goes.
const MOST_REPLICAS: u64 = 10_000;

/// What manifests make of a world.
#[derive(Debug, Default)]
pub(super) struct Laid {
    /// Workloads whose pods are still to come.
    pub(super) rollouts: Vec<Rollout>,
    /// Services whose endpoints are to be found anew.
    pub(super) services: BTreeSet<ServiceRef>,
    /// Objects that say nothing about where a request goes.
    pub(super) passed_over: Vec<String>,
}

/// Addresses that nobody has: of the block that is reserved for the future (RFC 1112, section 4).
#[derive(Debug, Default)]
pub(super) struct Addresses(u32);

impl Addresses {
    /// One that was not given away before.
    pub(super) fn next(&mut self) -> String {
        self.0 += 1;
        Ipv4Addr::from_bits(0xF000_0000 | self.0).to_string()
    }
}

/// What a manifest without it gets from the API server.
pub(super) struct Creation {
    /// When manifests are thought to be applied; `None` where they are all that there is, and may say when they were.
    pub(super) now: Option<Timestamp>,
}

impl Creation {
    /// Keeps what the API server keeps of an object that is there already, and adds what it adds to a new one.
    fn complete(&self, metadata: &mut ObjectMeta, before: Option<&ObjectMeta>, changed: bool) {
        if let Some(before) = before {
            metadata.uid.clone_from(&before.uid);
            metadata.creation_timestamp.clone_from(&before.creation_timestamp);
            metadata.generation = before.generation.map(|generation| generation + i64::from(changed));
            return;
        }
        metadata.generation.get_or_insert(1);
        match self.now {
            Some(now) => metadata.creation_timestamp = Some(Time(now)),
            // As written, and what is not written is newer than what is.
            None => {
                metadata.creation_timestamp.get_or_insert(Time(Timestamp::MAX));
            }
        }
    }
}

/// Lays `manifests` over `world`, in order.
///
/// # Errors
/// At the first that cannot be read.
pub(super) fn lay(
    world: &mut World,
    manifests: Vec<Manifest>,
    creation: &Creation,
    addresses: &mut Addresses,
) -> Result<Laid, ManifestError> {
    let mut laid = Laid::default();
    for manifest in manifests {
        match (manifest.group(), manifest.kind.as_str()) {
            ("", "Service") => {
                let key = service(&mut world.services, &manifest, addresses)?;
                laid.services.insert(key);
            }
            ("discovery.k8s.io", "EndpointSlice") => put::<EndpointSlices>(&mut world.slices, manifest.typed()?),
            ("", "Namespace") => {
                let namespace: Namespace = manifest.typed()?;
                world.namespaces.insert(manifest.name, namespace.metadata.labels.unwrap_or_default());
            }
            ("split.smi-spec.io", "TrafficSplit") => {
                let manifest = keep(manifest, &world.splits);
                let split: TrafficSplit = manifest.stored()?.typed()?;
                replace(&mut world.splits, split, creation, |split| &split.spec);
            }
            ("specs.smi-spec.io", "HTTPRouteGroup") => {
                let manifest = keep(manifest, &world.route_groups).stored()?;
                let group: HttpRouteGroup = manifest.typed()?;
                group.matches().map_err(|error| manifest.without_matches(error))?;
                replace(&mut world.route_groups, group, creation, |group| &group.spec);
            }
            (group, kind) => match workload(group, kind) {
                Some(kind) => laid.rollouts.push(rollout(manifest, kind)?),
                None => {
                    let Manifest { kind, namespace, name, .. } = manifest;
                    laid.passed_over.push(format!("{kind} {namespace}/{name}"));
                }
            },
        }
    }
    Ok(laid)
}

fn put<K: Kind>(objects: &mut Objects<K>, object: K::Object) {
    if let Some(key) = K::key(&object) {
        objects.insert(key, object);
    }
}

/// Gives a manifest of an older version what the object that is there keeps for that version, unless it says so itself: who
/// applies it changes nothing that its version cannot say.
fn keep<T: SmiObject + Serialize>(mut manifest: Manifest, objects: &Objects<Smi<T>>) -> Manifest {
    let is_it = |metadata: &ObjectMeta| {
        metadata.name.as_deref() == Some(&manifest.name) && metadata.namespace.as_deref() == Some(&manifest.namespace)
    };
    let there = objects.values().find(|there| is_it(&there.metadata));
    let Some(there) = there.and_then(|there| there.object.as_ref().ok()) else { return manifest };
    let lowered =
        serde_json::to_value(there).ok().and_then(|there| smi_crds::convert(there, &manifest.api_version).ok());
    let kept =
        lowered.and_then(|lowered| lowered.get("metadata")?.get("annotations")?.get(smi_crds::CONVERSION).cloned());
    if let (Some(kept), Some(metadata)) = (kept, manifest.object["metadata"].as_object_mut())
        && let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
    {
        annotations.entry(smi_crds::CONVERSION).or_insert(kept);
    }
    manifest
}

/// Puts an object of an SMI kind in the place of what is there.
fn replace<T: SmiObject, S: PartialEq>(
    objects: &mut Objects<Smi<T>>,
    mut object: T,
    creation: &Creation,
    spec: impl Fn(&T) -> &S,
) {
    let stored =
        |object: T| Stored { metadata: object.meta().clone(), status: SmiStatus::default(), object: Ok(object) };
    let Some(key) = Smi::key(&stored(object.clone())) else { return };
    let before = objects.get(&key);
    let known = before.and_then(|before| before.object.as_ref().ok());
    let changed = known.is_none_or(|known| spec(known) != spec(&object));
    creation.complete(object.meta_mut(), before.map(|before| &before.metadata), changed);
    objects.insert(key, stored(object));
}

/// Puts a Service in the place of what is there, which keeps its addresses.
fn service(
    services: &mut Objects<Services>,
    manifest: &Manifest,
    addresses: &mut Addresses,
) -> Result<ServiceRef, ManifestError> {
    let mut service: Service = manifest.typed()?;
    let key = ServiceRef { namespace: manifest.namespace.clone(), name: manifest.name.clone() };
    let before = services.get(&key).and_then(|before| before.spec.as_ref());
    let spec = service.spec.get_or_insert_default();
    let external = spec.type_.as_deref() == Some("ExternalName");
    if spec.cluster_ips.is_none() && !external {
        let written = spec.cluster_ip.clone().filter(|address| !address.is_empty());
        let kept =
            || before.and_then(|before| before.cluster_ips.clone()).filter(|addresses| addresses[..] != ["None"]);
        let given = written.map(|address| vec![address]).or_else(kept);
        spec.cluster_ips = Some(given.unwrap_or_else(|| vec![addresses.next()]));
    }
    services.insert(key.clone(), service);
    Ok(key)
}

fn workload(group: &str, kind: &str) -> Option<WorkloadKind> {
    let kind: WorkloadKind = kind.parse().ok()?;
    let of = match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::ReplicaSet => {
            "apps"
        }
        WorkloadKind::Job => "batch",
        WorkloadKind::ReplicationController | WorkloadKind::Pod => "",
    };
    (group == of).then_some(kind)
}

/// The pods that a workload asks for.
fn rollout(manifest: Manifest, kind: WorkloadKind) -> Result<Rollout, ManifestError> {
    let count = match kind {
        // One for each node, and one is enough to see where a request goes.
        WorkloadKind::DaemonSet | WorkloadKind::Pod => None,
        WorkloadKind::Job => Some("parallelism"),
        WorkloadKind::Deployment
        | WorkloadKind::StatefulSet
        | WorkloadKind::ReplicaSet
        | WorkloadKind::ReplicationController => Some("replicas"),
    };
    let replicas = match count.and_then(|field| Some((field, manifest.object.get("spec")?.get(field)?))) {
        None | Some((_, Value::Null)) => 1,
        Some((field, written)) => written.as_u64().filter(|&count| count <= MOST_REPLICAS).ok_or_else(|| {
            manifest.wrong(format!("spec.{field}"), format!("{written} is not a number from 0 to {MOST_REPLICAS}"))
        })?,
    };
    let template: PodTemplateSpec = if kind == WorkloadKind::Pod {
        manifest.typed()?
    } else {
        let template = manifest.object.pointer("/spec/template").unwrap_or(&Value::Null);
        manifest.typed_at("spec.template", template)?
    };
    let workload = WorkloadRef { namespace: manifest.namespace.clone(), kind, name: manifest.name.clone() };
    Ok(Rollout { manifest, workload, replicas, template })
}
