//! EndpointSlices: where a Service's pods are, and which of them are ready.

use std::num::NonZeroU16;

use k8s_openapi::api::discovery::v1 as discovery;
use kube::ResourceExt;

use super::{Concern, Kind};
use crate::model::{PodRef, ServiceRef, Slice, SliceEndpoint, SmiKind, Snapshot};

/// Label of a slice that names its Service. Source: `discovery.k8s.io/v1`, `LabelServiceName`.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// EndpointSlices of all namespaces.
#[derive(Debug)]
pub enum EndpointSlices {}

impl Kind for EndpointSlices {
    type Object = discovery::EndpointSlice;
    type Key = (ServiceRef, String);
    const CONCERNS: &'static [Concern] = &[Concern::Here(SmiKind::TrafficSplit)];

    fn key(object: &discovery::EndpointSlice) -> Option<Self::Key> {
        let name = object.labels().get(SERVICE_NAME)?.clone();
        Some((ServiceRef { namespace: object.namespace()?, name }, object.name_any()))
    }

    fn namespace((service, _): &Self::Key) -> &str {
        &service.namespace
    }

    fn apply(snapshot: &mut Snapshot, (service, name): &Self::Key, object: &discovery::EndpointSlice) -> bool {
        let slice = read(&service.namespace, object);
        if snapshot.slices.get(service).and_then(|slices| slices.get(name)) == Some(&slice) {
            return false;
        }
        snapshot.apply_slice(service.clone(), name.clone(), slice);
        true
    }

    fn remove(snapshot: &mut Snapshot, (service, name): &Self::Key) -> bool {
        let known = snapshot.slices.get(service).is_some_and(|slices| slices.contains_key(name));
        snapshot.remove_slice(service, name);
        known
    }

    fn keys(snapshot: &Snapshot) -> Vec<Self::Key> {
        let of_service = |(service, slices): (&ServiceRef, &std::collections::BTreeMap<String, Slice>)| {
            slices.keys().map(|name| (service.clone(), name.clone())).collect::<Vec<_>>()
        };
        snapshot.slices.iter().flat_map(of_service).collect()
    }
}

fn read(namespace: &str, object: &discovery::EndpointSlice) -> Slice {
    let is_tcp = |port: &&discovery::EndpointPort| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    let ports = object.ports.iter().flatten().filter(is_tcp).filter_map(|port| {
        let number = port.port.and_then(|number| u16::try_from(number).ok()).and_then(NonZeroU16::new)?;
        Some((port.name.clone().unwrap_or_default(), number))
    });
    let ready = object.endpoints.iter().filter(|endpoint| {
        // Unknown counts as ready. Source: `discovery.k8s.io/v1`, `EndpointConditions.ready`.
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    Slice {
        ports: ports.collect(),
        ready: ready
            .filter_map(|endpoint| {
                // An endpoint has one address; more are the same endpoint's. One that is no address is of the type FQDN.
                let address = endpoint.addresses.first()?.parse().ok()?;
                let pod = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
                let pod = pod.and_then(|target| target.name.clone());
                let pod = pod.map(|name| PodRef { namespace: namespace.to_owned(), name });
                Some(SliceEndpoint { address, pod })
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_ready_endpoints_and_tcp_ports() {
        let object: discovery::EndpointSlice = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "all"}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "a"}},
                {"addresses": ["10.1.0.2"], "conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "b"}},
                {"addresses": ["10.1.0.3"], "conditions": {}},
                {"addresses": ["example.org"], "conditions": {}},
            ],
        }))
        .unwrap();
        let slice = read("shop", &object);
        assert_eq!(
            slice.ports.into_iter().map(|(name, port)| (name, port.get())).collect::<Vec<_>>(),
            [("http".to_owned(), 8080)]
        );
        let ready: Vec<_> = slice.ready.iter().map(|endpoint| endpoint.address.to_string()).collect();
        assert_eq!(ready, ["10.1.0.1", "10.1.0.3"]);
        assert_eq!(slice.ready[0].pod.as_ref().map(|pod| &*pod.name), Some("a"));
        assert_eq!(slice.ready[1].pod, None);
    }
}
