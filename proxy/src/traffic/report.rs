//! What the operator is told: cumulative totals, of every edge in a stream's first report and of what changed later.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use weft_proxy_api::v1;

use super::{Direction, Edge, Registry, histogram::Bounds};
use crate::policy::{ServiceName, Workload};

/// The reports of one stream.
#[derive(Debug)]
pub(crate) struct Reports {
    registry: Arc<Registry>,
    instance: Arc<str>,
    started: Instant,
    bounds: Bounds,
    /// What [`Edge::revision`] was when the edge was last reported, by its place in the registry.
    reported: Vec<u64>,
}

impl Reports {
    /// The reports of a new stream, with latencies counted by `bounds`. `started` is when the process did.
    pub(crate) fn new(registry: Arc<Registry>, instance: Arc<str>, started: Instant, bounds: Bounds) -> Self {
        Self { registry, instance, started, bounds, reported: Vec::new() }
    }

    /// What changed since the last call; everything on the first.
    pub(crate) fn next(&mut self) -> v1::TrafficReport {
        let mut totals = Vec::new();
        for (index, edge) in self.registry.edges().iter().enumerate() {
            let revision = edge.revision();
            match self.reported.get_mut(index) {
                Some(reported) if *reported == revision => continue,
                Some(reported) => *reported = revision,
                None => self.reported.push(revision),
            }
            totals.push(self.totals(edge));
        }
        v1::TrafficReport {
            instance: self.instance.to_string(),
            uptime_milliseconds: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            edges: totals,
        }
    }

    fn totals(&self, edge: &Edge) -> v1::EdgeTotals {
        let (mut success, mut failure, mut status_classes) = (0, 0, BTreeMap::new());
        for (answer, _security, count) in edge.answers() {
            *(if answer.is_success() { &mut success } else { &mut failure }) += count;
            *status_classes.entry(u32::from(answer.class())).or_default() += count;
        }
        let has_requests = success + failure > 0;
        let key = &edge.key;
        v1::EdgeTotals {
            direction: match key.direction {
                Direction::Outbound => v1::Direction::Outbound.into(),
                Direction::Inbound => v1::Direction::Inbound.into(),
            },
            root: key.root.as_ref().map(service_name),
            split: key.split.as_ref().map(|(namespace, name)| v1::Split {
                namespace: namespace.to_string(),
                name: name.to_string(),
                generation: 0,
            }),
            backend: key.backend.as_ref().map(service_name),
            peer: key.peer.as_ref().map(workload),
            peer_pod: key.peer_pod.to_string(),
            port: key.port.into(),
            success,
            failure,
            status_classes,
            latency_buckets: if has_requests { edge.latencies.counts(&self.bounds) } else { Vec::new() },
            latency_sum_microseconds: edge.latencies.sum_microseconds(),
            tcp_opened: edge.tcp.opened(),
            tcp_closed: edge.tcp.closed(),
            tcp_received_bytes: edge.tcp.received_bytes(),
            tcp_sent_bytes: edge.tcp.sent_bytes(),
        }
    }
}

fn service_name(name: &ServiceName) -> v1::ServiceName {
    v1::ServiceName { namespace: name.namespace.to_string(), name: name.name.to_string() }
}

fn workload(workload: &Workload) -> v1::Workload {
    v1::Workload {
        namespace: workload.namespace.to_string(),
        kind: workload.kind.to_string(),
        name: workload.name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::traffic::{Answer, EdgeKey, Security};

    #[test]
    fn reports_everything_once_and_then_what_changed() {
        let registry = Arc::new(Registry::default());
        let edge = |port| registry.edge(EdgeKey::of_port(Direction::Inbound, port));
        let ok = Answer { status: 200, ..Answer::default() };
        edge(1).record(ok, Security::None, Duration::from_millis(1));
        edge(2).record(ok, Security::None, Duration::from_millis(1));
        let reports = || Reports::new(registry.clone(), "web-1".into(), Instant::now(), [1000, 5000].into());
        let summary = |report: v1::TrafficReport| -> Vec<(u32, u64)> {
            report.edges.iter().map(|edge| (edge.port, edge.success)).collect()
        };

        let mut first = reports();
        assert_eq!(summary(first.next()), [(1, 1), (2, 1)]);
        assert_eq!(summary(first.next()), []);
        edge(2).record(ok, Security::None, Duration::from_millis(1));
        edge(3).record(ok, Security::None, Duration::from_millis(1));
        assert_eq!(summary(first.next()), [(2, 2), (3, 1)]);
        assert_eq!(summary(reports().next()), [(1, 1), (2, 2), (3, 1)], "a new stream starts with everything");
    }

    #[test]
    fn sums_up_answers_and_connections() {
        let registry = Arc::new(Registry::default());
        let edge = registry.edge(EdgeKey::of_port(Direction::Outbound, 80));
        for (status, grpc, milliseconds) in
            [(200, None, 1), (404, None, 2), (503, None, 9), (0, None, 1), (200, Some(14), 1)]
        {
            edge.record(Answer { status, grpc, broken: false }, Security::None, Duration::from_millis(milliseconds));
        }
        let open = edge.open();
        open.received(10);
        open.sent(7);
        registry.set_bounds(&[1000, 5000].into());
        let mut reports = Reports::new(registry.clone(), "web-1".into(), Instant::now(), [1000, 5000].into());
        let totals = reports.next().edges.remove(0);
        assert_eq!((totals.success, totals.failure), (2, 3));
        assert_eq!(totals.status_classes, BTreeMap::from([(0, 1), (2, 2), (4, 1), (5, 1)]));
        assert_eq!(totals.latency_buckets.iter().sum::<u64>(), 5);
        assert_eq!(totals.latency_sum_microseconds, 14_000);
        assert_eq!((totals.tcp_opened, totals.tcp_closed), (1, 0));
        drop(open);
        let totals = reports.next().edges.remove(0);
        assert_eq!((totals.tcp_closed, totals.tcp_received_bytes, totals.tcp_sent_bytes), (1, 10, 7));
    }
}
