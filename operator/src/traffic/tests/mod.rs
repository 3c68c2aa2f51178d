//! Tests of windows, percentiles, decoding and sums.

mod decode;
mod latency;
mod view;
mod window;

use std::{num::NonZeroU16, time::Duration};

use super::{Direction, EdgeKey, Histogram, Report, Source, Totals, latency_bounds};
use crate::model::{PodRef, ServiceRef, WorkloadKind, WorkloadRef};

fn deployment(name: &str) -> WorkloadRef {
    WorkloadRef { namespace: "demo".into(), kind: WorkloadKind::Deployment, name: name.into() }
}

fn pod(name: &str) -> PodRef {
    PodRef { namespace: "demo".into(), name: name.into() }
}

fn service(name: &str) -> ServiceRef {
    ServiceRef { namespace: "demo".into(), name: name.into() }
}

fn source(workload: &str, name: &str) -> Source {
    Source { pod: pod(name), workload: deployment(workload) }
}

fn inbound() -> EdgeKey {
    EdgeKey {
        direction: Direction::Inbound,
        root: None,
        split: None,
        backend: None,
        peer: None,
        peer_pod: None,
        port: NonZeroU16::MIN,
    }
}

fn outbound(root: &str, peer: Option<&str>) -> EdgeKey {
    EdgeKey {
        direction: Direction::Outbound,
        root: Some(service(root)),
        backend: Some(service(root)),
        peer: peer.map(deployment),
        peer_pod: peer.map(|peer| format!("{peer}-0")),
        ..inbound()
    }
}

/// So many answered requests, all of them in one bucket.
fn requests(success: u64) -> Totals {
    let mut buckets = vec![0; latency_bounds().len() + 1];
    buckets[10] = success;
    Totals {
        success,
        status_classes: [0, 0, success, 0, 0, 0],
        latency: Histogram::from_buckets(buckets).unwrap(),
        latency_sum: Duration::from_micros(250 * success),
        ..Totals::default()
    }
}

fn report(instance: &str, uptime: u64, edges: impl IntoIterator<Item = (EdgeKey, Totals)>) -> Report {
    Report { instance: instance.into(), uptime: Duration::from_secs(uptime), edges: edges.into_iter().collect() }
}
