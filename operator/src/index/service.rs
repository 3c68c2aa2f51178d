//! Services.

use std::num::NonZeroU16;

use k8s_openapi::api::core::v1 as core;
use kube::ResourceExt;

use super::Kind;
use crate::model::{Port, Service, ServiceRef, Snapshot};

/// Annotation of a Service: its ports whose protocol is not looked at, separated by commas.
const OPAQUE_PORTS: &str = "weft.dev/opaque-ports";

/// Type of a Service that is the name of a host elsewhere.
const EXTERNAL_NAME: &str = "ExternalName";

/// Services of all namespaces.
#[derive(Debug)]
pub enum Services {}

impl Kind for Services {
    type Object = core::Service;
    type Key = ServiceRef;

    fn key(object: &core::Service) -> Option<ServiceRef> {
        Some(ServiceRef { namespace: object.namespace()?, name: object.name_any() })
    }

    fn namespace(key: &ServiceRef) -> &str {
        &key.namespace
    }

    fn apply(snapshot: &mut Snapshot, key: &ServiceRef, object: &core::Service) -> bool {
        let service = read(key, object);
        if snapshot.services.get(key) == Some(&service) {
            return false;
        }
        snapshot.apply_service(key.clone(), service);
        true
    }

    fn remove(snapshot: &mut Snapshot, key: &ServiceRef) -> bool {
        let known = snapshot.services.contains_key(key);
        snapshot.remove_service(key);
        known
    }

    fn keys(snapshot: &Snapshot) -> Vec<ServiceRef> {
        snapshot.services.keys().cloned().collect()
    }
}

fn read(name: &ServiceRef, object: &core::Service) -> Service {
    let spec = object.spec.as_ref();
    let is_tcp = |port: &&core::ServicePort| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    let ports = spec.and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    Service {
        // "None" is how a headless service says that it has no address.
        cluster_ips: spec
            .and_then(|spec| spec.cluster_ips.as_deref())
            .unwrap_or_default()
            .iter()
            .filter_map(|ip| ip.parse().ok())
            .collect(),
        external: spec.and_then(|spec| spec.type_.as_deref()) == Some(EXTERNAL_NAME),
        ports: ports
            .iter()
            .filter(is_tcp)
            .filter_map(|port| {
                let number = u16::try_from(port.port).ok().and_then(NonZeroU16::new)?;
                Some(Port { name: port.name.clone().unwrap_or_default(), port: number })
            })
            .collect(),
        opaque_ports: object.annotations().get(OPAQUE_PORTS).and_then(|value| opaque_ports(name, value)),
    }
}

fn opaque_ports(service: &ServiceRef, value: &str) -> Option<Vec<u16>> {
    let ports = value.split(',').map(str::trim).filter(|port| !port.is_empty()).map(str::parse).collect();
    match ports {
        Ok(ports) => Some(ports),
        Err(error) => {
            tracing::warn!(
                %service, annotation = OPAQUE_PORTS, value, %error,
                "Ignored an annotation that is no list of ports such as 3306,5432; the default ports hold"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_compiled() {
        let object: core::Service = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "shop", "annotations": {"weft.dev/opaque-ports": "9000, 9001"}},
            "spec": {"clusterIPs": ["10.0.0.1", "fd00::1"], "ports": [
                {"name": "http", "port": 80, "protocol": "TCP"},
                {"name": "quic", "port": 443, "protocol": "UDP"},
                {"name": "rest", "port": 90},
            ]},
        }))
        .unwrap();
        let key = Services::key(&object).unwrap();
        let service = read(&key, &object);
        assert_eq!((service.cluster_ips.len(), service.external), (2, false));
        assert_eq!(
            service.ports.iter().map(|port| (&*port.name, port.port.get())).collect::<Vec<_>>(),
            [("http", 80), ("rest", 90)]
        );
        assert_eq!(service.opaque_ports, Some(vec![9000, 9001]));
    }

    #[test]
    fn a_service_may_be_a_host_elsewhere() {
        let object: core::Service = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"type": "ExternalName", "externalName": "example.org"},
        }))
        .unwrap();
        assert!(read(&Services::key(&object).unwrap(), &object).external);
    }

    #[test]
    fn a_headless_service_has_no_address() {
        let object: core::Service = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "shop", "annotations": {"weft.dev/opaque-ports": "many"}},
            "spec": {"clusterIPs": ["None"], "clusterIP": "None"},
        }))
        .unwrap();
        let service = read(&Services::key(&object).unwrap(), &object);
        assert!(service.cluster_ips.is_empty());
        assert_eq!(service.opaque_ports, None, "an unreadable list leaves the defaults in force");
    }
}
