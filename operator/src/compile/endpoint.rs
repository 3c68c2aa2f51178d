//! Who is behind a Service: the ready endpoints of its slices.

use std::net::SocketAddr;

use super::Mesh;
use crate::model::{Endpoint, PodRef, ServiceRef, Slice, Snapshot};

/// The ready endpoints behind the port of a Service that is named `port`, sorted. Where there are some of the preferred address
/// family the others are left out: they are the same pods once more.
pub(super) fn of_port(snapshot: &Snapshot, mesh: &Mesh, name: &ServiceRef, port: &str, ipv6: bool) -> Vec<Endpoint> {
    let mut found: Vec<Endpoint> = slices(snapshot, name)
        .filter_map(|slice| slice.ports.get(port).map(|target| (slice, target)))
        .flat_map(|(slice, target)| {
            slice
                .ready
                .iter()
                .map(|ready| at(snapshot, mesh, SocketAddr::new(ready.address, target.get()), ready.pod.clone()))
        })
        .collect();
    if found.iter().any(|endpoint| endpoint.address.is_ipv6() == ipv6) {
        found.retain(|endpoint| endpoint.address.is_ipv6() == ipv6);
    }
    found.sort();
    // While a slice is split in two an endpoint may stand in both.
    found.dedup();
    found
}

/// An address with what is known of the pod behind it.
pub(super) fn at(snapshot: &Snapshot, mesh: &Mesh, address: SocketAddr, pod: Option<PodRef>) -> Endpoint {
    let known = pod.as_ref().and_then(|name| snapshot.pods.get(name));
    Endpoint {
        address,
        workload: known.map(|pod| pod.workload.clone()),
        // Where connections go past the sidecar nobody could answer a handshake of the mesh.
        identity: known.filter(|pod| pod.meshed && !pod.skipped_ports.contains(&address.port())).map(|known| {
            let namespace = &known.workload.namespace;
            format!("spiffe://{}/ns/{namespace}/sa/{}", mesh.trust_domain, known.service_account)
        }),
        // A slice may name a pod that is gone already; nothing would be known of it but its name.
        pod: pod.filter(|_| known.is_some()),
    }
}

/// The slices of a Service.
pub(super) fn slices<'a>(snapshot: &'a Snapshot, name: &ServiceRef) -> impl Iterator<Item = &'a Slice> + use<'a> {
    snapshot.slices.get(name).into_iter().flat_map(|slices| slices.values())
}

/// The Services of a namespace that have no cluster address.
pub(super) fn headless<'a>(snapshot: &'a Snapshot, namespace: &'a str) -> impl Iterator<Item = &'a ServiceRef> {
    let first = ServiceRef { namespace: namespace.to_owned(), name: String::new() };
    snapshot.headless.range(first..).take_while(move |name| name.namespace == namespace)
}
