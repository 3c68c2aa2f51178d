//! From the wire to own types. One part that cannot be read refuses the whole message.

mod matches;
mod shares;

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use weft_policy::identity::{InvalidId, SpiffeId};
use weft_proxy_api::v1;

pub(crate) use self::shares::{InvalidConditional, InvalidShares};

use crate::policy::{Backend, Destination, Endpoint, Identity, PodPort, Service, ServiceName, Split, Target, Workload};

/// Why an update is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidUpdate {
    #[error("the update has no destination")]
    NoDestination,
    #[error("service: {0}")]
    Service(#[from] InvalidService),
    #[error("pod: {0}")]
    Pod(#[from] InvalidPod),
}

/// Why a target cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidTarget {
    #[error("the target is empty")]
    Empty,
    #[error("address: {0}")]
    Address(#[from] InvalidAddress),
    #[error("the authority {host:?} is not lower case, has a port or ends with a dot")]
    Host { host: String },
    #[error("authority: {0}")]
    Port(#[from] InvalidPort),
}

/// Why a socket address cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidAddress {
    #[error("an IP address has 4 or 16 bytes, not {0}")]
    Length(usize),
    #[error(transparent)]
    Port(#[from] InvalidPort),
}

/// A number that is no port.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{0} is not a port from 1 to 65535")]
pub(crate) struct InvalidPort(u32);

/// Why the name of a Service, split or workload cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the {what} {namespace:?}/{name:?} is not fully named")]
pub(crate) struct InvalidName {
    what: &'static str,
    namespace: String,
    name: String,
}

/// Why a Service cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidService {
    #[error("it has no name")]
    NoName,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Port(#[from] InvalidPort),
    #[error(transparent)]
    Shares(#[from] InvalidShares),
    #[error("conditional split {position}: {error}")]
    Conditional { position: usize, error: InvalidConditional },
}

/// Why a backend cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidBackend {
    #[error("it has no name")]
    NoName,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("endpoint {position}: {error}")]
    Endpoint { position: usize, error: InvalidEndpoint },
}

/// Why an endpoint cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidEndpoint {
    #[error("it has no address")]
    NoAddress,
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error(transparent)]
    Workload(#[from] InvalidName),
    #[error("its identity: {0}")]
    Identity(#[from] InvalidId),
    #[error("it has the identity {0:?} but no sidecar")]
    NoSidecar(String),
}

/// Why a pod's port cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidPod {
    #[error("it has no endpoint")]
    NoEndpoint,
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
}

/// Why a bootstrap cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidBootstrap {
    #[error("it names no workload")]
    NoWorkload,
    #[error(transparent)]
    Workload(#[from] InvalidName),
    #[error("{0} ms is less than the 100 ms that reports must be apart")]
    ReportInterval(u32),
    #[error("it has no latency bounds")]
    NoLatencyBounds,
    #[error("the latency bounds do not ascend: {after} us follows {before} us")]
    LatencyBounds { before: u64, after: u64 },
    #[error("subscriptions cannot be idle for 0 s")]
    IdleSubscription,
}

/// What a proxy is told once for each stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bootstrap {
    /// The workload that the proxy's pod belongs to.
    pub(crate) workload: Workload,
    /// Time between two reports.
    pub(crate) report_interval: Duration,
    /// Upper bounds of the latency buckets, in microseconds, strictly ascending.
    pub(crate) latency_bounds: Arc<[u64]>,
    /// Time after which a target that nobody uses is unsubscribed.
    pub(crate) idle_subscription: Duration,
}

impl TryFrom<v1::Bootstrap> for Bootstrap {
    type Error = InvalidBootstrap;

    fn try_from(wire: v1::Bootstrap) -> Result<Self, InvalidBootstrap> {
        let workload = wire.workload.ok_or(InvalidBootstrap::NoWorkload)?.try_into()?;
        if wire.report_interval_milliseconds < 100 {
            return Err(InvalidBootstrap::ReportInterval(wire.report_interval_milliseconds));
        }
        let bounds = wire.latency_bounds_microseconds;
        if bounds.is_empty() {
            return Err(InvalidBootstrap::NoLatencyBounds);
        }
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(InvalidBootstrap::LatencyBounds { before: pair[0], after: pair[1] });
        }
        if wire.idle_subscription_seconds == 0 {
            return Err(InvalidBootstrap::IdleSubscription);
        }
        Ok(Self {
            workload,
            report_interval: Duration::from_millis(wire.report_interval_milliseconds.into()),
            latency_bounds: bounds.into(),
            idle_subscription: Duration::from_secs(wire.idle_subscription_seconds.into()),
        })
    }
}

impl TryFrom<Option<v1::update::Destination>> for Destination {
    type Error = InvalidUpdate;

    fn try_from(wire: Option<v1::update::Destination>) -> Result<Self, InvalidUpdate> {
        Ok(match wire.ok_or(InvalidUpdate::NoDestination)? {
            v1::update::Destination::Service(service) => Self::Service(service.try_into()?),
            v1::update::Destination::Pod(pod) => Self::Pod(pod.try_into()?),
            v1::update::Destination::Unknown(v1::Unknown {}) => Self::Unknown,
        })
    }
}

impl TryFrom<v1::Target> for Target {
    type Error = InvalidTarget;

    fn try_from(wire: v1::Target) -> Result<Self, InvalidTarget> {
        match wire.target.ok_or(InvalidTarget::Empty)? {
            v1::target::Target::Address(wire) => Ok(Self::Address(address(&wire)?)),
            v1::target::Target::Authority(v1::Authority { host, port: number }) => {
                let strange = |byte: u8| byte.is_ascii_uppercase() || byte == b':';
                if host.is_empty() || host.ends_with('.') || host.bytes().any(strange) {
                    return Err(InvalidTarget::Host { host });
                }
                Ok(Self::Authority { host, port: port(number)? })
            }
        }
    }
}

impl From<&Target> for v1::Target {
    fn from(target: &Target) -> Self {
        let target = match target {
            Target::Address(address) => v1::target::Target::Address(v1::SocketAddress {
                ip: match address.ip() {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                },
                port: address.port().into(),
            }),
            Target::Authority { host, port } => {
                v1::target::Target::Authority(v1::Authority { host: host.clone(), port: port.get().into() })
            }
        };
        Self { target: Some(target) }
    }
}

impl TryFrom<v1::Service> for Service {
    type Error = InvalidService;

    fn try_from(wire: v1::Service) -> Result<Self, InvalidService> {
        let conditional = |(position, split): (usize, v1::ConditionalSplit)| {
            split.try_into().map_err(|error| InvalidService::Conditional { position, error })
        };
        Ok(Self {
            name: wire.name.ok_or(InvalidService::NoName)?.try_into()?,
            port: port(wire.port)?,
            opaque: wire.opaque,
            split: wire.split.map(Split::try_from).transpose()?,
            backends: shares::backends(wire.backends)?,
            conditional: wire.conditional.into_iter().enumerate().map(conditional).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<v1::Backend> for Backend {
    type Error = InvalidBackend;

    fn try_from(wire: v1::Backend) -> Result<Self, InvalidBackend> {
        let endpoint = |(position, endpoint): (usize, v1::Endpoint)| {
            endpoint.try_into().map_err(|error| InvalidBackend::Endpoint { position, error })
        };
        Ok(Self {
            name: wire.name.ok_or(InvalidBackend::NoName)?.try_into()?,
            weight: wire.weight,
            endpoints: wire.endpoints.into_iter().enumerate().map(endpoint).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<v1::Endpoint> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(wire: v1::Endpoint) -> Result<Self, InvalidEndpoint> {
        // Without an identity to expect, traffic that must be encrypted could not be: then nothing of the update holds.
        let identity = match wire.meshed {
            true => Some(Arc::new(Identity::from(wire.identity.parse::<SpiffeId>()?))),
            false if wire.identity.is_empty() => None,
            false => return Err(InvalidEndpoint::NoSidecar(wire.identity)),
        };
        Ok(Self {
            address: address(&wire.address.ok_or(InvalidEndpoint::NoAddress)?)?,
            workload: wire.workload.map(Workload::try_from).transpose()?,
            pod: wire.pod.into(),
            identity,
        })
    }
}

impl TryFrom<v1::PodPort> for PodPort {
    type Error = InvalidPod;

    fn try_from(wire: v1::PodPort) -> Result<Self, InvalidPod> {
        let endpoint = wire.endpoint.ok_or(InvalidPod::NoEndpoint)?.try_into()?;
        Ok(Self { endpoint, opaque: wire.opaque, by_authority: wire.by_authority })
    }
}

impl TryFrom<v1::ServiceName> for ServiceName {
    type Error = InvalidName;

    fn try_from(wire: v1::ServiceName) -> Result<Self, InvalidName> {
        named("service", &wire.namespace, &wire.name)?;
        Ok(Self { namespace: wire.namespace.into(), name: wire.name.into() })
    }
}

impl TryFrom<v1::Split> for Split {
    type Error = InvalidName;

    fn try_from(wire: v1::Split) -> Result<Self, InvalidName> {
        named("split", &wire.namespace, &wire.name)?;
        Ok(Self { namespace: wire.namespace.into(), name: wire.name.into(), generation: wire.generation })
    }
}

impl TryFrom<v1::Workload> for Workload {
    type Error = InvalidName;

    fn try_from(wire: v1::Workload) -> Result<Self, InvalidName> {
        named("workload", &wire.namespace, &wire.name)?;
        named("kind of workload", &wire.namespace, &wire.kind)?;
        Ok(Self { namespace: wire.namespace.into(), kind: wire.kind.into(), name: wire.name.into() })
    }
}

fn named(what: &'static str, namespace: &str, name: &str) -> Result<(), InvalidName> {
    if namespace.is_empty() || name.is_empty() {
        return Err(InvalidName { what, namespace: namespace.to_owned(), name: name.to_owned() });
    }
    Ok(())
}

fn address(wire: &v1::SocketAddress) -> Result<SocketAddr, InvalidAddress> {
    let ip = match *wire.ip.as_slice() {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        ref long => {
            IpAddr::from(<[u8; 16]>::try_from(long).map_err(|_wrong_length| InvalidAddress::Length(long.len()))?)
        }
    };
    Ok(SocketAddr::new(ip, port(wire.port)?.get()))
}

fn port(number: u32) -> Result<NonZeroU16, InvalidPort> {
    u16::try_from(number).ok().and_then(NonZeroU16::new).ok_or(InvalidPort(number))
}

#[cfg(test)]
mod tests;
