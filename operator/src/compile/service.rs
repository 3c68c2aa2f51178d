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
    let in_force = split::in_force(snapshot, mesh, name);
    let of_rest = in_force.rest.and_then(|rest| split::backends(snapshot, mesh, rest, port.port, ipv6));
    let conditional = |one| split::conditional(snapshot, mesh, one, port.port, ipv6, &whole);
    ServicePort {
        service: name.clone(),
        port: port.port,
        opaque: declared.unwrap_or(&DEFAULT_OPAQUE).contains(&port.port.get()),
        conditional: in_force.conditional.into_iter().map(conditional).collect(),
        split: in_force.rest.map(|(name, split)| split::applied(snapshot, name, split)),
        backends: of_rest.unwrap_or_else(|| vec![whole()]),
    }
}
