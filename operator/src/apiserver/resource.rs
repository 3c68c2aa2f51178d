//! The resources that metrics can be asked of.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{Pod, ReplicationController},
};
use kube::core::ApiResource;

use super::types::Reference;
use crate::model::{PodRef, WorkloadKind, WorkloadRef};
use crate::traffic::{Traffic, View};

/// A resource of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resource {
    /// Name in paths.
    pub(super) plural: &'static str,
    /// Name for one.
    pub(super) singular: &'static str,
    /// Shorter names.
    pub(super) short: &'static [&'static str],
    /// Kind of the objects that metrics are about; `None` for every workload in one list.
    pub(super) of: Option<WorkloadKind>,
}

/// Every resource. All have the kind `TrafficMetrics`, of which kubectl knows only the last one, so that must be the one that
/// lists everything.
///
/// `ReplicaSets` are not among them: nearly all belong to a Deployment, which is then what traffic is attributed to.
pub(super) const RESOURCES: &[Resource] = &[
    Resource { plural: "daemonsets", singular: "daemonset", short: &[], of: Some(WorkloadKind::DaemonSet) },
    Resource { plural: "deployments", singular: "deployment", short: &[], of: Some(WorkloadKind::Deployment) },
    Resource { plural: "jobs", singular: "job", short: &[], of: Some(WorkloadKind::Job) },
    Resource { plural: "pods", singular: "pod", short: &[], of: Some(WorkloadKind::Pod) },
    Resource {
        plural: "replicationcontrollers",
        singular: "replicationcontroller",
        short: &[],
        of: Some(WorkloadKind::ReplicationController),
    },
    Resource { plural: "statefulsets", singular: "statefulset", short: &[], of: Some(WorkloadKind::StatefulSet) },
    Resource { plural: "trafficmetrics", singular: "trafficmetric", short: &["tm"], of: None },
];

/// The subresource that lists edges.
pub(super) const EDGES: &str = "edges";

pub(super) fn find(plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.plural == plural)
}

/// How the objects of a kind are asked for.
pub(super) fn api(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        WorkloadKind::ReplicaSet => ApiResource::erase::<k8s_openapi::api::apps::v1::ReplicaSet>(&()),
        WorkloadKind::ReplicationController => ApiResource::erase::<ReplicationController>(&()),
        WorkloadKind::Job => ApiResource::erase::<Job>(&()),
        WorkloadKind::Pod => ApiResource::erase::<Pod>(&()),
    }
}

/// API version of a kind.
pub(super) fn api_version(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::ReplicaSet => {
            "apps/v1"
        }
        WorkloadKind::Job => "batch/v1",
        WorkloadKind::ReplicationController | WorkloadKind::Pod => "v1",
    }
}

/// The object as the API names it.
pub(super) fn reference(workload: &WorkloadRef) -> Reference {
    Reference::new(api_version(workload.kind), workload.kind.as_str(), &workload.namespace, &workload.name)
}

/// Traffic of an object: of a pod with pods, of any other with workloads.
pub(super) fn traffic<'a>(view: &'a View, object: &WorkloadRef) -> Option<&'a Traffic> {
    match object.kind {
        WorkloadKind::Pod => view.pod(&PodRef { namespace: object.namespace.clone(), name: object.name.clone() }),
        _ => view.workload(object),
    }
}
