//! A port of a Service: who serves it.

use weft_policy::port::DEFAULT_OPAQUE;

use super::{Mesh, endpoint, split};
use crate::model::{Backend, Port, ServicePort, ServiceRef, Snapshot};

/// A port of a Service that exists. `ipv6` says which addresses to prefer where an endpoint has both.
pub(super) fn compile(snapshot: &Snapshot, mesh: &Mesh, name: &ServiceRef, port: &Port, ipv6: bool) -> ServicePort {
    let declared = snapshot.services.get(name).and_then(|service| service.opaque_ports.as_deref());
    let whole = || Backend {
        service: name.clone(),
        weight: 1,
        endpoints: endpoint::of_port(snapshot, mesh, name, &port.name, ipv6),
    };
    let applied = split::in_force(snapshot, mesh, name);
    ServicePort {
        service: name.clone(),
        port: port.port,
        opaque: declared.unwrap_or(&DEFAULT_OPAQUE).contains(&port.port.get()),
        backends: applied
            .as_ref()
            .and_then(|applied| split::backends(snapshot, mesh, &applied.split, port.port, ipv6))
            .unwrap_or_else(|| vec![whole()]),
        split: applied,
    }
}
