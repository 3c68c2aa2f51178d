//! What the author of a `TrafficSplit` has to know about it.

use std::num::NonZeroU16;

use thiserror::Error;
use weft_policy::root::InvalidName;

use crate::model::GroupProblem;

/// Something about a `TrafficSplit` that its author has to know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// `spec.service` names no Service of the split's namespace.
    #[error("spec.service: {0}")]
    InvalidRoot(#[source] InvalidName),
    /// The root is the name of a host elsewhere: nobody behind it is known, and no request to it can be told from others.
    #[error(
        "spec.service: root service {root} is an ExternalName, which no proxy can split; name a service with a cluster address or a headless one"
    )]
    ExternalRoot {
        /// Name of the Service.
        root: String,
    },
    /// An older split has the same root.
    #[error("root service {root} is split by the older TrafficSplit {winner}; delete one of the two")]
    Conflicted {
        /// The Service that both name.
        root: String,
        /// The split that is in force.
        winner: String,
    },
    /// The root does not exist (yet).
    #[error("spec.service: root service {root} does not exist in namespace {namespace}")]
    RootNotFound {
        /// Name of the Service.
        root: String,
        /// The split's namespace.
        namespace: String,
    },
    /// No weight is above zero.
    #[error("all weights are 0, so root service {root} serves by its own endpoints")]
    ZeroWeight {
        /// Name of the Service.
        root: String,
    },
    /// A route group does not exist (yet), or cannot be read.
    #[error("spec.matches: HTTPRouteGroup {group} does not exist in namespace {namespace}; no request is split by it")]
    GroupNotFound {
        /// Name of the group.
        group: String,
        /// The split's namespace.
        namespace: String,
    },
    /// A route group is not accepted.
    #[error("spec.matches: HTTPRouteGroup {group} is not accepted; no request is split by it: {problem}")]
    GroupNotAccepted {
        /// Name of the group.
        group: String,
        /// What is wrong with it.
        #[source]
        problem: Box<GroupProblem>,
    },
    /// A backend has a name that no Service of the namespace can have.
    #[error("spec.backends: {0}")]
    InvalidBackend(#[source] InvalidName),
    /// A backend does not exist (yet).
    #[error(
        "spec.backends: backend service {backend} does not exist in namespace {namespace}; the others share its traffic"
    )]
    BackendNotFound {
        /// Name of the Service, as written.
        backend: String,
        /// The split's namespace.
        namespace: String,
    },
    /// A backend is the name of a host elsewhere.
    #[error(
        "spec.backends: backend service {backend} is an ExternalName, which has no endpoints; the others share its traffic; name a service with endpoints"
    )]
    ExternalBackend {
        /// Name of the Service.
        backend: String,
    },
    /// A backend lacks a port of its root.
    #[error(
        "spec.backends: backend service {backend} has no port {port} of its root service {root}; the others share its traffic"
    )]
    PortNotFound {
        /// Name of the Service.
        backend: String,
        /// Port of the root.
        port: NonZeroU16,
        /// Name of the root.
        root: String,
    },
    /// A backend with a weight has nobody to serve.
    #[error(
        "spec.backends: backend service {backend} has no ready endpoints for port {port}; the others share its traffic"
    )]
    NoReadyEndpoints {
        /// Name of the Service.
        backend: String,
        /// Port of the root.
        port: NonZeroU16,
    },
}

impl Finding {
    /// The reason of a condition and of an Event.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidRoot(_) => "InvalidRoot",
            Self::ExternalRoot { .. } | Self::ExternalBackend { .. } => "ExternalName",
            Self::Conflicted { .. } => "Conflicted",
            Self::RootNotFound { .. } => "RootNotFound",
            Self::ZeroWeight { .. } => "ZeroWeight",
            Self::GroupNotFound { .. } => "RouteGroupNotFound",
            Self::GroupNotAccepted { .. } => "RouteGroupNotAccepted",
            Self::InvalidBackend(_) => "InvalidBackend",
            Self::BackendNotFound { .. } => "BackendNotFound",
            Self::PortNotFound { .. } => "PortNotFound",
            Self::NoReadyEndpoints { .. } => "NoReadyEndpoints",
        }
    }

    /// The backend that it is about, and the port if it is about one.
    #[must_use]
    pub fn backend(&self) -> Option<(&str, Option<NonZeroU16>)> {
        match self {
            Self::BackendNotFound { backend, .. } | Self::ExternalBackend { backend } => Some((backend, None)),
            Self::PortNotFound { backend, port, .. } | Self::NoReadyEndpoints { backend, port } => {
                Some((backend, Some(*port)))
            }
            Self::InvalidRoot(_)
            | Self::ExternalRoot { .. }
            | Self::Conflicted { .. }
            | Self::RootNotFound { .. }
            | Self::ZeroWeight { .. }
            | Self::GroupNotFound { .. }
            | Self::GroupNotAccepted { .. }
            | Self::InvalidBackend(_) => None,
        }
    }

    /// The route group that it is about.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::GroupNotFound { group, .. } | Self::GroupNotAccepted { group, .. } => Some(group),
            _ => None,
        }
    }

    /// The split is not applied at all.
    #[must_use]
    pub fn rejects(&self) -> bool {
        matches!(self, Self::InvalidRoot(_) | Self::ExternalRoot { .. } | Self::Conflicted { .. })
    }

    /// The split names something that is not there, or cannot be used.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        match self {
            Self::RootNotFound { .. }
            | Self::GroupNotFound { .. }
            | Self::GroupNotAccepted { .. }
            | Self::InvalidBackend(_)
            | Self::BackendNotFound { .. }
            | Self::ExternalBackend { .. }
            | Self::PortNotFound { .. }
            | Self::NoReadyEndpoints { .. } => true,
            Self::InvalidRoot(_) | Self::ExternalRoot { .. } | Self::Conflicted { .. } | Self::ZeroWeight { .. } => {
                false
            }
        }
    }
}
