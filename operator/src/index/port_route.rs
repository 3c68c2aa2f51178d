//! TCPRoutes and UDPRoutes.

use std::num::NonZeroU16;

use smi_crds::specs::v1alpha4::{TcpRoute, UdpRoute};

use super::{
    Concern, DecodeError,
    smi::{SmiObject, identity, put},
};
use crate::model::{ObjectRef, PortRoute, SmiKind, Snapshot};

impl SmiObject for TcpRoute {
    type Part = PortRoute;
    const KIND: SmiKind = SmiKind::TcpRoute;
    const CONCERNS: &'static [Concern] = &[Concern::Here(SmiKind::TcpRoute), Concern::Here(SmiKind::TrafficTarget)];

    fn part(&self) -> Result<PortRoute, DecodeError> {
        let matches = self.spec.spec.as_ref().and_then(|spec| spec.matches.as_ref());
        Ok(route(identity(self), matches.and_then(|matches| matches.name.clone()), self.ports()))
    }

    fn put(snapshot: &mut Snapshot, name: &ObjectRef, route: PortRoute) -> bool {
        put(&mut snapshot.port_routes, name, route)
    }

    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        snapshot.port_routes.remove(name).is_some()
    }

    fn names(snapshot: &Snapshot) -> Vec<ObjectRef> {
        of_kind(snapshot, Self::KIND)
    }
}

impl SmiObject for UdpRoute {
    type Part = PortRoute;
    const KIND: SmiKind = SmiKind::UdpRoute;
    const CONCERNS: &'static [Concern] = &[Concern::Here(SmiKind::UdpRoute), Concern::Here(SmiKind::TrafficTarget)];

    fn part(&self) -> Result<PortRoute, DecodeError> {
        let matches = self.spec.spec.as_ref().and_then(|spec| spec.matches.as_ref());
        Ok(route(identity(self), matches.and_then(|matches| matches.name.clone()), self.ports()))
    }

    fn put(snapshot: &mut Snapshot, name: &ObjectRef, route: PortRoute) -> bool {
        put(&mut snapshot.port_routes, name, route)
    }

    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        snapshot.port_routes.remove(name).is_some()
    }

    fn names(snapshot: &Snapshot) -> Vec<ObjectRef> {
        of_kind(snapshot, Self::KIND)
    }
}

fn of_kind(snapshot: &Snapshot, kind: SmiKind) -> Vec<ObjectRef> {
    snapshot.port_routes.keys().filter(|name| name.kind == kind).cloned().collect()
}

fn route((uid, generation): (String, i64), name: Option<String>, ports: impl Iterator<Item = NonZeroU16>) -> PortRoute {
    PortRoute { uid, generation, name, ports: ports.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Kind, Smi, Stored};

    #[test]
    fn keeps_routes_of_both_kinds_apart() {
        let mut snapshot = Snapshot::default();
        let object = |kind: &str, ports: serde_json::Value| {
            serde_json::json!({"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": kind,
                "metadata": {"name": "db", "namespace": "shop"}, "spec": {"matches": {"ports": ports}}})
        };
        let tcp: Stored<TcpRoute> = serde_json::from_value(object("TCPRoute", [5432].into())).unwrap();
        let udp: Stored<UdpRoute> = serde_json::from_value(object("UDPRoute", serde_json::Value::Null)).unwrap();
        let (tcp_name, udp_name) = (Smi::key(&tcp).unwrap(), Smi::key(&udp).unwrap());
        assert!(Smi::apply(&mut snapshot, &tcp_name, &tcp) && Smi::apply(&mut snapshot, &udp_name, &udp));
        assert_eq!(snapshot.port_routes[&tcp_name].ports.len(), 1);
        assert!(snapshot.port_routes[&udp_name].ports.is_empty(), "every port");
        assert!(Smi::<TcpRoute>::remove(&mut snapshot, &tcp_name));
        assert_eq!((TcpRoute::names(&snapshot).len(), UdpRoute::names(&snapshot).len()), (0, 1));
    }
}
