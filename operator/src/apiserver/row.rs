//! One row of an answer: which traffic of which resource, as object and as cells.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{
    resource::reference,
    types::{Direction, Edge, GROUP, KIND, Metric, Reference, Side, TrafficMetrics},
};
use crate::{
    model::WorkloadRef,
    traffic::{Flow, Totals, Traffic, WINDOW},
};

/// One moment on both clocks: reports carry the one that never jumps, answers the one on the wall.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For ages.
    pub instant: Instant,
    /// For timestamps.
    pub timestamp: Timestamp,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { instant: Instant::now(), timestamp: Timestamp::now() }
    }
}

/// Traffic of a resource with everyone or one peer.
#[derive(Debug, Clone)]
pub(super) struct Row {
    resource: WorkloadRef,
    direction: Direction,
    side: Side,
    /// The other end; `None` for everyone.
    peer: Option<WorkloadRef>,
    flow: Flow,
}

impl Row {
    /// Everything that a resource received. Nothing is a row too.
    pub(super) fn own(resource: WorkloadRef, traffic: Option<&Traffic>) -> Self {
        let flow = traffic.map(|traffic| traffic.received.clone()).unwrap_or_default();
        Self { resource, direction: Direction::From, side: Side::Server, peer: None, flow }
    }

    /// A row for each peer, and one for everything sent where not all of it went to peers with a name.
    pub(super) fn edges(resource: &WorkloadRef, traffic: &Traffic) -> Vec<Self> {
        let row = |direction, peer: Option<&WorkloadRef>, flow: &Flow| Self {
            resource: resource.clone(),
            direction,
            side: Side::Client,
            peer: peer.cloned(),
            flow: flow.clone(),
        };
        let everything = traffic.sent_to_unnamed().then(|| row(Direction::To, None, &traffic.sent));
        let to = traffic.to.iter().map(|(peer, flow)| row(Direction::To, Some(peer), flow));
        let from = traffic.from.iter().map(|(source, flow)| row(Direction::From, Some(source), flow));
        everything.into_iter().chain(to).chain(from).collect()
    }

    /// Whether the row is everything that the resource received.
    pub(super) fn is_own(&self) -> bool {
        self.side == Side::Server && self.peer.is_none()
    }

    /// Name of the resource, for lists that have one row of each.
    pub(super) fn short_name(&self) -> String {
        self.resource.name.clone()
    }

    /// A name that no other row of any list has: kind and name of the resource, then of the peer, and its namespace where it
    /// is another. Names of Kubernetes have no colon.
    pub(super) fn unique_name(&self) -> String {
        let mut name = format!("{}:{}", self.resource.kind.as_str().to_ascii_lowercase(), self.resource.name);
        if self.is_own() {
            return name;
        }
        name.push_str(match self.direction {
            Direction::To => ":to",
            Direction::From => ":from",
        });
        if let Some(peer) = &self.peer {
            for part in [&peer.kind.as_str().to_ascii_lowercase(), &peer.name] {
                name.push(':');
                name.push_str(part);
            }
            if peer.namespace != self.resource.namespace {
                name.push(':');
                name.push_str(&peer.namespace);
            }
        }
        name
    }

    /// What the row is about.
    pub(super) fn resource(&self) -> &WorkloadRef {
        &self.resource
    }

    /// The row as an object of a version of the API.
    pub(super) fn object(&self, version: &str, name: String, now: Moment) -> TrafficMetrics {
        let age = self.age(now).unwrap_or_default();
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::ZERO);
        let timestamp = now.timestamp.checked_sub(age).unwrap_or(now.timestamp);
        TrafficMetrics {
            api_version: format!("{GROUP}/{version}"),
            kind: KIND.to_owned(),
            metadata: TrafficMetrics::metadata(name, &self.resource.namespace, timestamp),
            resource: reference(&self.resource),
            edge: Edge {
                direction: self.direction,
                side: self.side,
                resource: self.peer.as_ref().map_or_else(Reference::default, reference),
            },
            backend: None,
            timestamp,
            window: format!("{}s", WINDOW.as_secs()),
            metrics: metrics(&self.flow.totals),
        }
    }

    /// The row as kubectl prints it: NAME, EDGE, SUCCESS, RPS, P50, P90, P99, AGE.
    pub(super) fn cells(&self, now: Moment) -> Vec<String> {
        let totals = &self.flow.totals;
        let latency = |quantile| totals.latency.percentile(quantile).map_or_else(absent, milliseconds);
        vec![
            self.resource.name.clone(),
            self.edge_cell(),
            success(totals),
            rate(totals),
            latency(0.5),
            latency(0.9),
            latency(0.99),
            self.age(now).map_or_else(absent, |age| format!("{}s", age.as_secs())),
        ]
    }

    /// Like `to catalog-v1 (catalog)`: the peer and, where they are known and not called the same, the Services addressed.
    fn edge_cell(&self) -> String {
        let direction = match self.direction {
            Direction::To => "to",
            Direction::From => "from",
        };
        let Some(peer) = &self.peer else {
            return format!("{direction} *");
        };
        let qualified = |namespace: &str, name: &str| {
            if namespace == self.resource.namespace { name.to_owned() } else { format!("{namespace}/{name}") }
        };
        let mut cell = format!("{direction} {}", qualified(&peer.namespace, &peer.name));
        let roots: Vec<_> = self.flow.roots.iter().map(|root| qualified(&root.namespace, &root.name)).collect();
        if !roots.is_empty() && roots != [qualified(&peer.namespace, &peer.name)] {
            cell.push_str(&format!(" ({})", roots.join(", ")));
        }
        cell
    }

    /// Time since the newest report in the row; `None` when no sidecar reports.
    fn age(&self, now: Moment) -> Option<Duration> {
        Some(now.instant.saturating_duration_since(self.flow.newest?))
    }
}

fn absent() -> String {
    "-".to_owned()
}

fn metrics(totals: &Totals) -> Vec<Metric> {
    let latencies = [("p99_response_latency", 0.99), ("p90_response_latency", 0.9), ("p50_response_latency", 0.5)];
    let counts = [("success_count", totals.success), ("failure_count", totals.failure)];
    latencies
        .into_iter()
        .filter_map(|(name, quantile)| {
            let latency = totals.latency.percentile(quantile)?;
            // Quantities round up: a latency below one thousandth is not none.
            let value = format!("{}m", latency.as_micros().div_ceil(1000));
            Some(Metric { name: name.to_owned(), unit: Some("seconds".to_owned()), value })
        })
        .chain(counts.into_iter().map(|(name, count)| Metric {
            name: name.to_owned(),
            unit: None,
            value: count.to_string(),
        }))
        .collect()
}

/// Share of requests that were answered as asked, rounded down so that only all of them are 100 %.
fn success(totals: &Totals) -> String {
    let requests = u128::from(totals.requests());
    if requests == 0 {
        return absent();
    }
    let hundredths = u128::from(totals.success) * 10_000 / requests;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Requests in a second, on average of the window.
fn rate(totals: &Totals) -> String {
    let window = u128::from(WINDOW.as_secs());
    let tenths = (u128::from(totals.requests()) * 10 + window / 2) / window;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Whole milliseconds, like the quantity in the object.
fn milliseconds(latency: Duration) -> String {
    format!("{}ms", latency.as_micros().div_ceil(1000))
}
