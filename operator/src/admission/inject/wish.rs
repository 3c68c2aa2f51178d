//! What a pod's annotations ask of its sidecar.

use std::num::NonZeroU16;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Pod;
use weft_policy::port::DEFAULT_OPAQUE;

use super::{
    Refusal,
    annotation::{
        ADMIN_PORT, CPU_LIMIT, CPU_REQUEST, DRAIN_SECONDS, HEADER_SECONDS, INBOUND_PORT, LOG_LEVEL, MAX_CONNECTIONS,
        MAX_HEADER_BYTES, MAX_STREAMS, MEMORY_LIMIT, MEMORY_REQUEST, OPAQUE_PORTS, OUTBOUND_PORT, SKIP_INBOUND_PORTS,
        SKIP_OUTBOUND_CIDRS, SKIP_OUTBOUND_PORTS,
    },
    quantity::{Quantity, QuantityError},
    value::{self, ValueError},
};

const DEFAULT_OUTBOUND_PORT: u16 = 15001;
const DEFAULT_INBOUND_PORT: u16 = 15006;
const DEFAULT_ADMIN_PORT: u16 = 15020;
const DEFAULT_CPU_REQUEST: &str = "10m";
const DEFAULT_MEMORY_REQUEST: &str = "32Mi";
/// What Kubernetes gives a pod that does not say.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// What the sidecar of a pod is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) opaque_ports: Vec<u16>,
    pub(super) skip_inbound_ports: Vec<NonZeroU16>,
    pub(super) skip_outbound_ports: Vec<NonZeroU16>,
    pub(super) skip_outbound_cidrs: Vec<IpNet>,
    pub(super) outbound_port: u16,
    pub(super) inbound_port: u16,
    pub(super) admin_port: u16,
    pub(super) cpu: Resource,
    pub(super) memory: Resource,
    /// Absent: what the sidecar logs by itself.
    pub(super) log_level: Option<String>,
    /// Absent: as long as the sidecar takes by itself.
    pub(super) drain_seconds: Option<u16>,
    /// What clients may ask of the sidecar. Absent: what it takes by itself.
    pub(super) limits: Limits,
}

/// What clients may ask of the sidecar; see [`super::annotation::ANNOTATIONS`] for units and ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) connections: Option<u32>,
    pub(super) header_bytes: Option<u32>,
    pub(super) header_seconds: Option<u32>,
    pub(super) streams: Option<u32>,
}

/// Request and limit of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) request: String,
    pub(super) limit: Option<String>,
}

/// The annotations of one pod.
struct Reader<'a> {
    name: &'a str,
    pod: &'a Pod,
}

impl Reader<'_> {
    fn read<T, E: Into<ValueError>>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(name)) else {
            return Ok(None);
        };
        match parse(value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => {
                Err(Refusal::Value { object: self.name.to_owned(), name, value: value.clone(), error: error.into() })
            }
        }
    }

    fn resource(
        &self,
        [request_name, limit_name]: [&'static str; 2],
        default: &str,
        parse: impl Fn(&str) -> Result<Quantity, QuantityError>,
    ) -> Result<Resource, Refusal> {
        let request = self.read(request_name, &parse)?;
        let limit = self.read(limit_name, &parse)?;
        let request = match (request, &limit) {
            (Some(request), Some(limit)) if request.is_above(limit) => {
                return Err(Refusal::LimitBelowRequest {
                    pod: self.name.to_owned(),
                    request: request_name,
                    request_value: request.text,
                    limit: limit_name,
                    limit_value: limit.text.clone(),
                });
            }
            (Some(request), _) => request.text,
            // Nobody who sets a small limit means to have a pod refused for a request that is not theirs.
            (None, Some(limit)) if parse(default).is_ok_and(|default| default.is_above(limit)) => limit.text.clone(),
            (None, _) => default.to_owned(),
        };
        Ok(Resource { request, limit: limit.map(|limit| limit.text) })
    }
}

impl Wishes {
    /// Reads the annotations of a pod, whose name in messages is `name`.
    pub(super) fn read(name: &str, pod: &Pod) -> Result<Self, Refusal> {
        let reader = Reader { name, pod };
        let opaque_ports = reader.read(OPAQUE_PORTS, value::ports)?;
        let wishes = Self {
            opaque_ports: opaque_ports
                .map_or_else(|| DEFAULT_OPAQUE.to_vec(), |ports| ports.into_iter().map(NonZeroU16::get).collect()),
            skip_inbound_ports: reader.read(SKIP_INBOUND_PORTS, value::ports)?.unwrap_or_default(),
            skip_outbound_ports: reader.read(SKIP_OUTBOUND_PORTS, value::ports)?.unwrap_or_default(),
            skip_outbound_cidrs: reader.read(SKIP_OUTBOUND_CIDRS, value::networks)?.unwrap_or_default(),
            outbound_port: reader.read(OUTBOUND_PORT, value::proxy_port)?.unwrap_or(DEFAULT_OUTBOUND_PORT),
            inbound_port: reader.read(INBOUND_PORT, value::proxy_port)?.unwrap_or(DEFAULT_INBOUND_PORT),
            admin_port: reader.read(ADMIN_PORT, value::proxy_port)?.unwrap_or(DEFAULT_ADMIN_PORT),
            cpu: reader.resource([CPU_REQUEST, CPU_LIMIT], DEFAULT_CPU_REQUEST, Quantity::cpu)?,
            memory: reader.resource([MEMORY_REQUEST, MEMORY_LIMIT], DEFAULT_MEMORY_REQUEST, Quantity::memory)?,
            log_level: reader.read(LOG_LEVEL, value::log_level)?,
            drain_seconds: reader.read(DRAIN_SECONDS, value::drain_seconds)?,
            limits: Limits {
                connections: reader.read(MAX_CONNECTIONS, value::number(1, 1_000_000))?,
                header_bytes: reader.read(MAX_HEADER_BYTES, value::number(1024, 1_000_000))?,
                header_seconds: reader.read(HEADER_SECONDS, value::number(1, 3600))?,
                streams: reader.read(MAX_STREAMS, value::number(1, 10_000))?,
            },
        };
        let [outbound, inbound, admin] = wishes.listeners();
        for (first, second) in [(outbound, inbound), (outbound, admin), (inbound, admin)] {
            if first.1 == second.1 {
                return Err(Refusal::SamePort {
                    pod: name.to_owned(),
                    first: first.0,
                    second: second.0,
                    port: first.1,
                });
            }
        }
        Ok(wishes)
    }

    /// The ports that the sidecar listens on, each with the annotation that moves it.
    pub(super) fn listeners(&self) -> [(&'static str, u16); 3] {
        [(OUTBOUND_PORT, self.outbound_port), (INBOUND_PORT, self.inbound_port), (ADMIN_PORT, self.admin_port)]
    }

    /// What the pod's author should know about wishes that will not come true.
    pub(super) fn warnings(&self, pod: &Pod) -> Option<String> {
        let grace =
            pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(DEFAULT_GRACE_SECONDS);
        let drain = self.drain_seconds?;
        (i64::from(drain) > grace).then(|| {
            format!(
                "{DRAIN_SECONDS} is {drain}, but the pod ends after terminationGracePeriodSeconds, which is {grace}"
            )
        })
    }
}
