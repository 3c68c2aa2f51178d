//! Pure: from what is observed of the cluster to what a sidecar is told, and to what a user is told.
//!
//! No client, no clock, no random number; the same snapshot gives the same answer.

mod endpoint;
pub mod identity_binding;
pub mod object_name;
mod route;
mod service;
mod split;
pub mod traffic_target;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, num::NonZeroU16};

use weft_policy::{port::DEFAULT_OPAQUE, root};

pub use split::{Finding, Judgement, Share, judge};

use crate::model::{Destination, PodPort, PodRef, ServiceRef, Snapshot, Target};

/// What holds for the whole mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// DNS domain of the cluster, such as `cluster.local`.
    pub cluster_domain: String,
    /// Trust domain of the SPIFFE IDs.
    pub trust_domain: String,
}

/// What `target` is, as of `snapshot`.
#[must_use]
pub fn destination(snapshot: &Snapshot, mesh: &Mesh, target: &Target) -> Destination {
    let found = match target {
        Target::Address(address) => match snapshot.cluster_ips.get(&address.ip()) {
            Some(name) => service_by_address(snapshot, mesh, name, *address),
            None => snapshot.pod_ips.get(&address.ip()).map(|pod| pod_port(snapshot, mesh, pod, *address)),
        },
        Target::Authority { namespace, host, port } => root::resolve(host, namespace, &mesh.cluster_domain)
            .and_then(|(namespace, name)| service_by_name(snapshot, mesh, &ServiceRef { namespace, name }, *port)),
    };
    found.unwrap_or(Destination::Unknown)
}

fn service_by_address(snapshot: &Snapshot, mesh: &Mesh, name: &ServiceRef, address: SocketAddr) -> Option<Destination> {
    let port = snapshot.services.get(name)?.ports.iter().find(|port| port.port.get() == address.port())?;
    Some(Destination::Service(service::compile(snapshot, mesh, name, port, address.is_ipv6())))
}

/// Only a headless service is known by name: whoever calls another uses its address, and a `Host` that names one on the way to
/// a pod must not lead past that pod.
fn service_by_name(snapshot: &Snapshot, mesh: &Mesh, name: &ServiceRef, port: NonZeroU16) -> Option<Destination> {
    let service = snapshot.services.get(name).filter(|service| service.cluster_ips.is_empty() && !service.external)?;
    // Who resolves the name gets pods, and may have to use their port.
    let is_target = |name_of_port: &str| {
        endpoint::slices(snapshot, name)
            .any(|slice| slice.ports.get(name_of_port).is_some_and(|target| *target == port))
    };
    let by_number = service.ports.iter().find(|known| known.port == port);
    let port = by_number.or_else(|| service.ports.iter().find(|known| is_target(&known.name)))?;
    Some(Destination::Service(service::compile(snapshot, mesh, name, port, false)))
}

fn pod_port(snapshot: &Snapshot, mesh: &Mesh, pod: &PodRef, address: SocketAddr) -> Destination {
    let serves_here = |name: &ServiceRef| {
        endpoint::slices(snapshot, name).any(|slice| {
            slice.ports.values().any(|port| port.get() == address.port())
                && slice.ready.iter().any(|endpoint| endpoint.address == address.ip())
        })
    };
    Destination::Pod(PodPort {
        endpoint: endpoint::at(snapshot, mesh, address, Some(pod.clone())),
        opaque: DEFAULT_OPAQUE.contains(&address.port()),
        by_authority: endpoint::headless(snapshot, &pod.namespace).any(serves_here),
    })
}
