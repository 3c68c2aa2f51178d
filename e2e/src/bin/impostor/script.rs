//! What the harness has the impostor say: Services by their ports, well-formed or not.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};
use weft_proxy_api::v1::{self, target, update};

/// A Service as the harness describes it. Without backends it is malformed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Service {
    /// Name of each backend and its endpoints; all have the weight 1.
    backends: Vec<(String, Vec<Endpoint>)>,
}

/// One place behind a Service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Endpoint {
    /// Without a sidecar.
    Plain(SocketAddr),
    /// With a sidecar, which must prove to be this.
    Meshed { address: SocketAddr, identity: String },
}

/// All Services, by port. A target on another port is unknown.
#[derive(Debug, Clone)]
pub(crate) struct Script(BTreeMap<u32, Service>);

impl Script {
    /// The malformed Service on `port`, and nothing else.
    pub(crate) fn new(port: u32) -> Self {
        Self(BTreeMap::from([(port, Service::default())]))
    }

    /// From now on `port` is `service`.
    pub(crate) fn set(&mut self, port: u32, service: Service) {
        self.0.insert(port, service);
    }

    /// What is said about `target`.
    pub(crate) fn destination(&self, target: &v1::Target) -> update::Destination {
        let port = match &target.target {
            Some(target::Target::Address(address)) => address.port,
            Some(target::Target::Authority(authority)) => authority.port,
            None => 0,
        };
        let Some(service) = self.0.get(&port) else {
            return update::Destination::Unknown(v1::Unknown {});
        };
        let named = |name: &str| Some(v1::ServiceName { namespace: "impostor".to_owned(), name: name.to_owned() });
        let backends = service.backends.iter().map(|(name, endpoints)| v1::Backend {
            name: named(name),
            weight: 1,
            endpoints: endpoints.iter().map(v1::Endpoint::from).collect(),
        });
        update::Destination::Service(v1::Service {
            name: named("web"),
            port,
            opaque: false,
            split: None,
            backends: backends.collect(),
            conditional: Vec::new(),
        })
    }
}

impl From<&Endpoint> for v1::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let (address, identity) = match endpoint {
            Endpoint::Plain(address) => (address, None),
            Endpoint::Meshed { address, identity } => (address, Some(identity)),
        };
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        Self {
            address: Some(v1::SocketAddress { ip, port: address.port().into() }),
            meshed: identity.is_some(),
            identity: identity.cloned().unwrap_or_default(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_endpoints_with_and_without_a_sidecar() {
        let backends = r#"{"backends": [["v1", ["10.0.0.1:80", {"address": "[fd00::1]:81", "identity": "spiffe://a/ns/b/sa/c"}]]]}"#;
        let mut script = Script::new(80);
        script.set(80, serde_json::from_str(backends).unwrap());
        let at = |port| v1::Target {
            target: Some(target::Target::Address(v1::SocketAddress { ip: vec![10, 0, 0, 9], port })),
        };
        let update::Destination::Service(service) = script.destination(&at(80)) else { panic!("not a service") };
        let said: Vec<_> = service.backends[0].endpoints.iter().map(|e| (e.meshed, e.identity.as_str())).collect();
        assert_eq!(said, [(false, ""), (true, "spiffe://a/ns/b/sa/c")]);
        assert_eq!(script.destination(&at(81)), update::Destination::Unknown(v1::Unknown {}));
    }
}
