//! A report as it comes from the wire, checked and typed.

use std::{collections::HashMap, num::NonZeroU16, time::Duration};

use thiserror::Error;
use weft_proxy_api::v1;

use super::{
    latency::{Histogram, latency_bounds},
    totals::{STATUS_CLASSES, Totals},
};
use crate::model::{ServiceRef, UnknownWorkloadKind, WorkloadRef};

/// Longest name that is taken, in bytes: what Kubernetes allows for the name of an object.
const MAX_NAME_BYTES: usize = 253;

/// Most edges that one process may have: a gateway to a thousand pods on a few ports each. It bounds what a proxy can make the
/// operator remember.
const MAX_EDGES: usize = 16_384;

/// Direction of an edge, from the reporting pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the pod's application to others.
    Outbound,
    /// To the pod's application from others.
    Inbound,
}

/// A `TrafficSplit` of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitRef {
    /// Namespace of the split.
    pub namespace: String,
    /// Name of the split.
    pub name: String,
}

/// What names an edge of one proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeKey {
    /// Which way the traffic goes.
    pub direction: Direction,
    /// Service that the application addressed.
    pub root: Option<ServiceRef>,
    /// Split that chose the backend.
    pub split: Option<SplitRef>,
    /// Service that served.
    pub backend: Option<ServiceRef>,
    /// Who answered; unknown when nobody did, or somebody outside the cluster.
    pub peer: Option<WorkloadRef>,
    /// The peer's pod, in the namespace of the peer.
    pub peer_pod: Option<String>,
    /// Port as the application saw it.
    pub port: NonZeroU16,
}

/// A report that can be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Name of the proxy's process.
    pub instance: String,
    /// Time since the process started.
    pub uptime: Duration,
    /// Totals since then of the edges that changed.
    pub edges: HashMap<EdgeKey, Totals>,
}

/// Why a report is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidReport {
    /// The process has no name, or too long a one.
    #[error("the instance's name has {0} bytes, which is not 1 to {MAX_NAME_BYTES}")]
    Instance(usize),
    /// More edges than one process may have.
    #[error("{0} edges are more than {MAX_EDGES}")]
    TooManyEdges(usize),
    /// Two totals for one edge.
    #[error("edge {0} has the same name as one before it")]
    DuplicateEdge(usize),
    /// One edge cannot be read.
    #[error("edge {index}: {source}")]
    Edge {
        /// Position in the report, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidEdge,
    },
}

/// Why an edge is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidEdge {
    /// Neither inbound nor outbound.
    #[error("direction {0} is neither inbound nor outbound")]
    Direction(i32),
    /// A name is empty or too long.
    #[error("{field} has {bytes} bytes, which is not 1 to {MAX_NAME_BYTES}")]
    Name {
        /// Which name.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// Not a port.
    #[error("{0} is not a port")]
    Port(u32),
    /// The peer is of an unknown kind.
    #[error(transparent)]
    Peer(#[from] UnknownWorkloadKind),
    /// The peer's pod is named, the peer is not.
    #[error("pod {0:?} has no workload")]
    PodWithoutPeer(String),
    /// Not a first digit of a status.
    #[error("{0} is not a status class")]
    StatusClass(u32),
    /// Not one count for each bound and one more.
    #[error("{0} latency buckets instead of {expected} or none", expected = latency_bounds().len() + 1)]
    Buckets(usize),
}

/// Reads a report.
///
/// # Errors
/// [`InvalidReport`] names the first part that cannot be read; nothing of such a report may be used.
pub fn decode(report: v1::TrafficReport) -> Result<Report, InvalidReport> {
    if report.instance.is_empty() || report.instance.len() > MAX_NAME_BYTES {
        return Err(InvalidReport::Instance(report.instance.len()));
    }
    if report.edges.len() > MAX_EDGES {
        return Err(InvalidReport::TooManyEdges(report.edges.len()));
    }
    let mut edges = HashMap::with_capacity(report.edges.len());
    for (index, edge) in report.edges.into_iter().enumerate() {
        let (key, totals) = decode_edge(edge).map_err(|source| InvalidReport::Edge { index, source })?;
        if edges.insert(key, totals).is_some() {
            return Err(InvalidReport::DuplicateEdge(index));
        }
    }
    Ok(Report { instance: report.instance, uptime: Duration::from_millis(report.uptime_milliseconds), edges })
}

/// Whether a process with so many edges may have more.
pub(super) fn has_room(edges: usize) -> bool {
    edges < MAX_EDGES
}

fn decode_edge(edge: v1::EdgeTotals) -> Result<(EdgeKey, Totals), InvalidEdge> {
    let direction = match v1::Direction::try_from(edge.direction) {
        Ok(v1::Direction::Outbound) => Direction::Outbound,
        Ok(v1::Direction::Inbound) => Direction::Inbound,
        Ok(v1::Direction::Unspecified) | Err(_) => return Err(InvalidEdge::Direction(edge.direction)),
    };
    let port = u16::try_from(edge.port).ok().and_then(NonZeroU16::new).ok_or(InvalidEdge::Port(edge.port))?;
    let peer = edge.peer.map(decode_peer).transpose()?;
    let peer_pod = match (edge.peer_pod, &peer) {
        (pod, _) if pod.is_empty() => None,
        (pod, Some(_)) => Some(name("peer_pod", pod)?),
        (pod, None) => return Err(InvalidEdge::PodWithoutPeer(pod)),
    };
    let mut status_classes = [0; STATUS_CLASSES];
    for (class, count) in edge.status_classes {
        let slot = usize::try_from(class).ok().and_then(|class| status_classes.get_mut(class));
        *slot.ok_or(InvalidEdge::StatusClass(class))? = count;
    }
    let buckets = edge.latency_buckets.len();
    let latency = Histogram::from_buckets(edge.latency_buckets).ok_or(InvalidEdge::Buckets(buckets))?;
    let key = EdgeKey {
        direction,
        root: edge.root.map(|service| decode_service("root", service)).transpose()?,
        split: edge.split.map(decode_split).transpose()?,
        backend: edge.backend.map(|service| decode_service("backend", service)).transpose()?,
        peer,
        peer_pod,
        port,
    };
    let totals = Totals {
        success: edge.success,
        failure: edge.failure,
        status_classes,
        latency,
        latency_sum: Duration::from_micros(edge.latency_sum_microseconds),
        tcp_opened: edge.tcp_opened,
        tcp_closed: edge.tcp_closed,
        tcp_received_bytes: edge.tcp_received_bytes,
        tcp_sent_bytes: edge.tcp_sent_bytes,
    };
    Ok((key, totals))
}

fn decode_service(field: &'static str, service: v1::ServiceName) -> Result<ServiceRef, InvalidEdge> {
    Ok(ServiceRef { namespace: name(field, service.namespace)?, name: name(field, service.name)? })
}

fn decode_split(split: v1::Split) -> Result<SplitRef, InvalidEdge> {
    Ok(SplitRef { namespace: name("split", split.namespace)?, name: name("split", split.name)? })
}

fn decode_peer(peer: v1::Workload) -> Result<WorkloadRef, InvalidEdge> {
    Ok(WorkloadRef {
        kind: peer.kind.parse()?,
        namespace: name("peer", peer.namespace)?,
        name: name("peer", peer.name)?,
    })
}

fn name(field: &'static str, name: String) -> Result<String, InvalidEdge> {
    match name.len() {
        1..=MAX_NAME_BYTES => Ok(name),
        bytes => Err(InvalidEdge::Name { field, bytes }),
    }
}
