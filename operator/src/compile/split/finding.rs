//! What the author of a `TrafficSplit` has to know about it.

use std::{fmt, num::NonZeroU16};

use thiserror::Error;
use weft_policy::root::InvalidName;

use crate::model::GroupProblem;

/// What becomes of the share of a backend that gets no traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Other backends have it, in the ratio of their weights.
    OfOthers,
    /// There is no other, so that requests are answered with an error instead of going where nobody sent them.
    OfNobody,
    /// It had none.
    Zero,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfOthers => "the others share its traffic",
            Self::OfNobody => "no backend is left and requests get 503",
            Self::Zero => "nobody misses it, as its weight is 0",
        })
    }
}

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
    #[error("spec.backends: backend service {backend} does not exist in namespace {namespace}; {share}")]
    BackendNotFound {
        /// Name of the Service, as written.
        backend: String,
        /// The split's namespace.
        namespace: String,
        /// What becomes of its share.
        share: Share,
    },
    /// A backend is the name of a host elsewhere.
    #[error(
        "spec.backends: backend service {backend} is an ExternalName, which has no endpoints; {share}; name a service with endpoints"
    )]
    ExternalBackend {
        /// Name of the Service.
        backend: String,
        /// What becomes of its share.
        share: Share,
    },
    /// A backend lacks a port of its root.
    #[error("spec.backends: backend service {backend} has no port {port} of its root service {root}; {share}")]
    PortNotFound {
        /// Name of the Service.
        backend: String,
        /// Port of the root.
        port: NonZeroU16,
        /// Name of the root.
        root: String,
        /// What becomes of its share.
        share: Share,
    },
    /// A backend with a weight has nobody to serve.
    #[error("spec.backends: backend service {backend} has no ready endpoints for port {port}; {share}")]
    NoReadyEndpoints {
        /// Name of the Service.
        backend: String,
        /// Port of the root.
        port: NonZeroU16,
        /// What becomes of its share.
        share: Share,
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

    /// The same, with what becomes of the backend's share.
    #[must_use]
    pub(super) fn with_share(mut self, of_backend: Share) -> Self {
        match &mut self {
            Self::BackendNotFound { share, .. }
            | Self::ExternalBackend { share, .. }
            | Self::PortNotFound { share, .. }
            | Self::NoReadyEndpoints { share, .. } => *share = of_backend,
            _ => {}
        }
        self
    }

    /// The backend that it is about, and the port if it is about one.
    #[must_use]
    pub fn backend(&self) -> Option<(&str, Option<NonZeroU16>)> {
        match self {
            Self::BackendNotFound { backend, .. } | Self::ExternalBackend { backend, .. } => Some((backend, None)),
            Self::PortNotFound { backend, port, .. } | Self::NoReadyEndpoints { backend, port, .. } => {
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
