//! Between the model and protobuf.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
};

use thiserror::Error;
use weft_policy::http::Conditions;
use weft_proxy_api::v1;

use crate::model::{
    AppliedSplit, Backend, ConditionalSplit, Destination, Endpoint, ServicePort, ServiceRef, Target, Trust, WorkloadRef,
};

/// Source: RFC 1035 section 2.3.4.
const LONGEST_HOST: usize = 255;

/// Why a target cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidTarget {
    #[error("the target is empty")]
    Empty,
    #[error("an address has 4 or 16 bytes, not {0}")]
    AddressLength(usize),
    #[error("{0} is not a port: a port is 1 to 65535")]
    Port(u32),
    #[error("the authority has no host")]
    NoHost,
    #[error("a host has at most {LONGEST_HOST} bytes, not {0}")]
    LongHost(usize),
}

/// The target that a sidecar of `namespace` means.
pub(super) fn target(target: &v1::Target, namespace: &str) -> Result<Target, InvalidTarget> {
    match target.target.as_ref().ok_or(InvalidTarget::Empty)? {
        v1::target::Target::Address(address) => {
            let ip = if let Ok(v4) = <[u8; 4]>::try_from(&*address.ip) {
                IpAddr::from(v4)
            } else if let Ok(v6) = <[u8; 16]>::try_from(&*address.ip) {
                IpAddr::from(v6)
            } else {
                return Err(InvalidTarget::AddressLength(address.ip.len()));
            };
            Ok(Target::Address(SocketAddr::new(ip.to_canonical(), port(address.port)?.get())))
        }
        v1::target::Target::Authority(authority) => {
            if authority.host.is_empty() {
                return Err(InvalidTarget::NoHost);
            }
            if authority.host.len() > LONGEST_HOST {
                return Err(InvalidTarget::LongHost(authority.host.len()));
            }
            Ok(Target::Authority {
                namespace: namespace.to_owned(),
                host: authority.host.clone(),
                port: port(authority.port)?,
            })
        }
    }
}

fn port(port: u32) -> Result<NonZeroU16, InvalidTarget> {
    u16::try_from(port).ok().and_then(NonZeroU16::new).ok_or(InvalidTarget::Port(port))
}

/// The update that tells a sidecar about a destination.
pub(super) fn update(asked: v1::Target, version: u64, destination: &Destination) -> v1::OperatorMessage {
    let destination = match destination {
        Destination::Service(port) => v1::update::Destination::Service(service(port)),
        Destination::Pod(port) => v1::update::Destination::Pod(v1::PodPort {
            endpoint: Some(endpoint(&port.endpoint)),
            opaque: port.opaque,
            by_authority: port.by_authority,
        }),
        Destination::Unknown => v1::update::Destination::Unknown(v1::Unknown {}),
    };
    let update = v1::Update { target: Some(asked), version, destination: Some(destination) };
    v1::OperatorMessage { message: Some(v1::operator_message::Message::Update(update)) }
}

/// The message that tells a sidecar whom to believe.
pub(super) fn trust(version: u64, trust: &Trust) -> v1::OperatorMessage {
    let trust = v1::Trust {
        version,
        trust_domain: trust.trust_domain.clone(),
        roots: trust.roots.clone(),
        issuer: trust.issuer.as_bytes().to_vec(),
    };
    v1::OperatorMessage { message: Some(v1::operator_message::Message::Trust(trust)) }
}

fn service(port: &ServicePort) -> v1::Service {
    v1::Service {
        name: Some(service_name(&port.service)),
        port: u32::from(port.port.get()),
        opaque: port.opaque,
        split: port.split.as_ref().map(split),
        backends: port.backends.iter().map(backend).collect(),
        conditional: port.conditional.iter().map(conditional).collect(),
    }
}

fn conditional(conditional: &ConditionalSplit) -> v1::ConditionalSplit {
    v1::ConditionalSplit {
        split: Some(split(&conditional.split)),
        matches: conditional.matches.iter().map(http_match).collect(),
        backends: conditional.backends.iter().map(backend).collect(),
    }
}

fn http_match(conditions: &Conditions) -> v1::HttpMatch {
    let header = |(name, regex): &(String, String)| v1::HeaderMatch { name: name.clone(), regex: regex.clone() };
    v1::HttpMatch {
        name: conditions.name.clone(),
        path_regex: conditions.path_regex.clone(),
        methods: conditions.methods.clone(),
        headers: conditions.headers.iter().map(header).collect(),
    }
}

fn split(applied: &AppliedSplit) -> v1::Split {
    v1::Split {
        namespace: applied.split.namespace.clone(),
        name: applied.split.name.clone(),
        generation: applied.generation,
    }
}

fn backend(backend: &Backend) -> v1::Backend {
    v1::Backend {
        name: Some(service_name(&backend.service)),
        weight: backend.weight,
        endpoints: backend.endpoints.iter().map(endpoint).collect(),
    }
}

fn endpoint(endpoint: &Endpoint) -> v1::Endpoint {
    let ip = match endpoint.address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    v1::Endpoint {
        address: Some(v1::SocketAddress { ip, port: u32::from(endpoint.address.port()) }),
        workload: endpoint.workload.as_ref().map(workload),
        pod: endpoint.pod.as_ref().map(|pod| pod.name.clone()).unwrap_or_default(),
        meshed: endpoint.identity.is_some(),
        identity: endpoint.identity.clone().unwrap_or_default(),
    }
}

fn service_name(name: &ServiceRef) -> v1::ServiceName {
    v1::ServiceName { namespace: name.namespace.clone(), name: name.name.clone() }
}

pub(super) fn workload(workload: &WorkloadRef) -> v1::Workload {
    v1::Workload {
        namespace: workload.namespace.clone(),
        kind: workload.kind.as_str().to_owned(),
        name: workload.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &[u8], port: u32) -> v1::Target {
        let address = v1::SocketAddress { ip: ip.to_vec(), port };
        v1::Target { target: Some(v1::target::Target::Address(address)) }
    }

    fn authority(host: &str, port: u32) -> v1::Target {
        let authority = v1::Authority { host: host.to_owned(), port };
        v1::Target { target: Some(v1::target::Target::Authority(authority)) }
    }

    #[test]
    fn reads_targets() {
        let v6 = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let mapped = "::ffff:10.0.0.1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let at = |address: &str| Ok(Target::Address(address.parse().unwrap()));
        for (name, wire, want) in [
            ("v4", address(&[10, 0, 0, 1], 80), at("10.0.0.1:80")),
            ("v6", address(&v6, 80), at("[fd00::1]:80")),
            ("v4 in v6", address(&mapped, 80), at("10.0.0.1:80")),
            ("no address", address(&[], 80), Err(InvalidTarget::AddressLength(0))),
            ("port 0", address(&[10, 0, 0, 1], 0), Err(InvalidTarget::Port(0))),
            ("large port", address(&[10, 0, 0, 1], 65_536), Err(InvalidTarget::Port(65_536))),
            ("empty", v1::Target::default(), Err(InvalidTarget::Empty)),
            ("no host", authority("", 80), Err(InvalidTarget::NoHost)),
            ("a host without end", authority(&"a".repeat(256), 80), Err(InvalidTarget::LongHost(256))),
            (
                "authority",
                authority("web", 80),
                Ok(Target::Authority {
                    namespace: "shop".to_owned(),
                    host: "web".to_owned(),
                    port: 80.try_into().unwrap(),
                }),
            ),
        ] {
            assert_eq!(target(&wire, "shop"), want, "{name}");
        }
    }
}
