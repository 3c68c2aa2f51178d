//! Names of the objects that traffic is attributed to.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A Service of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceRef {
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub name: String,
}

/// A `TrafficSplit` of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitRef {
    /// Namespace of the `TrafficSplit`.
    pub namespace: String,
    /// Name of the `TrafficSplit`.
    pub name: String,
}

/// An HTTPRouteGroup of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupRef {
    /// Namespace of the group.
    pub namespace: String,
    /// Name of the group.
    pub name: String,
}

/// A pod of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodRef {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
}

/// The object that owns a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadRef {
    /// Namespace of the object and of its pods.
    pub namespace: String,
    /// What sort of object it is.
    pub kind: WorkloadKind,
    /// Name of the object.
    pub name: String,
}

/// What sort of object owns a pod; a pod that nothing owns is its own workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` `StatefulSet`.
    StatefulSet,
    /// `apps/v1` `DaemonSet`.
    DaemonSet,
    /// `apps/v1` `ReplicaSet` that no Deployment owns.
    ReplicaSet,
    /// `v1` `ReplicationController`.
    ReplicationController,
    /// `batch/v1` Job.
    Job,
    /// `v1` Pod without an owner, or with one that is none of the above.
    Pod,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Job,
        Self::Pod,
    ];

    /// The `kind` of the Kubernetes object.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::Pod => "Pod",
        }
    }
}

/// A kind that owns no pods.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not the kind of a workload")]
pub struct UnknownWorkloadKind(pub String);

impl FromStr for WorkloadKind {
    type Err = UnknownWorkloadKind;

    fn from_str(kind: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| UnknownWorkloadKind(kind.to_owned()))
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for SplitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
