//! `TrafficSplit`: which one is in force for a root, what its backends get, and what is wrong with it.

use std::num::NonZeroU16;

use thiserror::Error;
use weft_policy::root::{self, InvalidName};

use super::{Mesh, endpoint};
use crate::model::{AppliedSplit, Backend, Service, ServiceRef, Snapshot, Split, SplitBackend, SplitRef};

/// Something about a `TrafficSplit` that its author has to know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// `spec.service` names no Service of the split's namespace.
    #[error("spec.service: {0}")]
    InvalidRoot(#[source] InvalidName),
    /// `spec.matches` is not followed yet; following only the weights would send everybody where some should go.
    #[error("spec.matches is not supported yet, so this split is not applied; remove spec.matches to split by weight")]
    UnsupportedMatches,
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
            Self::UnsupportedMatches => "UnsupportedMatches",
            Self::Conflicted { .. } => "Conflicted",
            Self::RootNotFound { .. } => "RootNotFound",
            Self::ZeroWeight { .. } => "ZeroWeight",
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
            Self::BackendNotFound { backend, .. } => Some((backend, None)),
            Self::PortNotFound { backend, port, .. } | Self::NoReadyEndpoints { backend, port } => {
                Some((backend, Some(*port)))
            }
            Self::InvalidRoot(_)
            | Self::UnsupportedMatches
            | Self::Conflicted { .. }
            | Self::RootNotFound { .. }
            | Self::ZeroWeight { .. }
            | Self::InvalidBackend(_) => None,
        }
    }

    /// The split is not applied at all.
    #[must_use]
    pub fn rejects(&self) -> bool {
        matches!(self, Self::InvalidRoot(_) | Self::UnsupportedMatches | Self::Conflicted { .. })
    }

    /// The split names something that is not there.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        match self {
            Self::RootNotFound { .. }
            | Self::InvalidBackend(_)
            | Self::BackendNotFound { .. }
            | Self::PortNotFound { .. }
            | Self::NoReadyEndpoints { .. } => true,
            Self::InvalidRoot(_) | Self::UnsupportedMatches | Self::Conflicted { .. } | Self::ZeroWeight { .. } => {
                false
            }
        }
    }
}

/// The root of a split and everything its author has to know about it, in the order of `spec`.
#[must_use]
pub fn judge(snapshot: &Snapshot, mesh: &Mesh, name: &SplitRef) -> (Option<ServiceRef>, Vec<Finding>) {
    let Some(split) = snapshot.splits.get(name) else {
        return (None, Vec::new());
    };
    let root = match root::parse(&split.service, &name.namespace, &mesh.cluster_domain) {
        Ok(root) => ServiceRef { namespace: name.namespace.clone(), name: root },
        Err(error) => return (None, vec![Finding::InvalidRoot(error)]),
    };
    if split.has_matches {
        return (Some(root), vec![Finding::UnsupportedMatches]);
    }
    if let Some(winner) = in_force(snapshot, mesh, &root).filter(|winner| winner.split != *name) {
        let finding = Finding::Conflicted { root: root.name.clone(), winner: winner.split.name };
        return (Some(root), vec![finding]);
    }
    let mut findings = Vec::new();
    match snapshot.services.get(&root) {
        None => {
            findings.push(Finding::RootNotFound { root: root.name.clone(), namespace: root.namespace.clone() });
        }
        Some(service) => {
            for backend in &split.backends {
                let of_backend = service.ports.iter().filter_map(|port| {
                    let port = port.port;
                    reach(
                        snapshot,
                        mesh,
                        &root,
                        backend,
                        port,
                        service.cluster_ips.first().is_some_and(|ip| ip.is_ipv6()),
                    )
                    .err()
                });
                findings.extend(of_backend);
            }
            // A missing Service is missing for every port.
            findings.dedup();
        }
    }
    if split.backends.iter().all(|backend| backend.weight == 0) {
        findings.push(Finding::ZeroWeight { root: root.name.clone() });
    }
    (Some(root), findings)
}

/// The split that decides for a root: the oldest, and of two made in the same second the first by name.
pub(super) fn in_force(snapshot: &Snapshot, mesh: &Mesh, root: &ServiceRef) -> Option<AppliedSplit> {
    snapshot
        .splits
        .of_root(root)
        .filter(|(_, split)| !split.has_matches && names(split, root, mesh))
        .min_by_key(|(name, split)| (split.created, *name))
        .map(|(name, split)| AppliedSplit { split: name.clone(), generation: split.generation })
}

fn names(split: &Split, root: &ServiceRef, mesh: &Mesh) -> bool {
    root::parse(&split.service, &root.namespace, &mesh.cluster_domain).is_ok_and(|name| name == root.name)
}

/// The backends of a split for one port of its root. `None` when all weights are 0.
///
/// A backend that cannot serve is left out as long as another can. Where none can, those with a weight stay, so that a request
/// fails instead of going where nobody sent it.
pub(super) fn backends(
    snapshot: &Snapshot,
    mesh: &Mesh,
    name: &SplitRef,
    port: NonZeroU16,
    ipv6: bool,
) -> Option<Vec<Backend>> {
    let split = snapshot.splits.get(name)?;
    let root = ServiceRef {
        namespace: name.namespace.clone(),
        name: root::parse(&split.service, &name.namespace, &mesh.cluster_domain).ok()?,
    };
    let weighted = || split.backends.iter().filter(|backend| backend.weight > 0);
    let able: Vec<Backend> =
        weighted().filter_map(|backend| reach(snapshot, mesh, &root, backend, port, ipv6).ok()).collect();
    if !able.is_empty() {
        return Some(able);
    }
    let unable: Vec<Backend> = weighted()
        .map(|backend| Backend {
            service: ServiceRef { namespace: name.namespace.clone(), name: backend.service.clone() },
            weight: backend.weight,
            endpoints: Vec::new(),
        })
        .collect();
    (!unable.is_empty()).then_some(unable)
}

/// A backend with its endpoints for `port` of the root, or why it gets no traffic. One of weight 0 needs no endpoints.
fn reach(
    snapshot: &Snapshot,
    mesh: &Mesh,
    root: &ServiceRef,
    backend: &SplitBackend,
    port: NonZeroU16,
    ipv6: bool,
) -> Result<Backend, Finding> {
    let name = root::parse(&backend.service, &root.namespace, &mesh.cluster_domain).map_err(Finding::InvalidBackend)?;
    let name = ServiceRef { namespace: root.namespace.clone(), name };
    let service: &Service = snapshot
        .services
        .get(&name)
        .ok_or_else(|| Finding::BackendNotFound { backend: name.name.clone(), namespace: root.namespace.clone() })?;
    let own = service.ports.iter().find(|own| own.port == port).ok_or_else(|| Finding::PortNotFound {
        backend: name.name.clone(),
        port,
        root: root.name.clone(),
    })?;
    let endpoints = endpoint::of_port(snapshot, mesh, &name, &own.name, ipv6);
    if endpoints.is_empty() && backend.weight > 0 {
        return Err(Finding::NoReadyEndpoints { backend: name.name, port });
    }
    Ok(Backend { service: name, weight: backend.weight, endpoints })
}
