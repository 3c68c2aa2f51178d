//! The edges in Prometheus' text format, under Istio's standard names, which dashboards and Flagger read already.
//!
//! Only what is known is said: a label that would have to be guessed is `unknown`, which is Istio's word for it.

use std::{collections::BTreeMap, fmt::Write};

use super::{Admin, config::unix_seconds};
use crate::{
    identity::{Credentials, Fingerprint},
    policy::Workload,
    traffic::{Direction, Edge, EdgeKey, Security},
};

/// Upper bounds of `istio_request_duration_milliseconds`, in microseconds, and how they are written.
///
/// Source: Istio's telemetry, whose dashboards expect no others.
const DURATIONS: [(u64, &str); 20] = [
    (500, "0.5"),
    (1_000, "1"),
    (5_000, "5"),
    (10_000, "10"),
    (25_000, "25"),
    (50_000, "50"),
    (100_000, "100"),
    (250_000, "250"),
    (500_000, "500"),
    (1_000_000, "1000"),
    (2_500_000, "2500"),
    (5_000_000, "5000"),
    (10_000_000, "10000"),
    (30_000_000, "30000"),
    (60_000_000, "60000"),
    (300_000_000, "300000"),
    (600_000_000, "600000"),
    (1_800_000_000, "1800000"),
    (3_600_000_000, "3600000"),
    (u64::MAX, "+Inf"),
];

const UNKNOWN: &str = "unknown";

/// Totals by label set: edges that differ by a pod only are one series.
#[derive(Debug, Default)]
struct Series {
    requests: BTreeMap<String, u64>,
    durations: BTreeMap<String, Durations>,
    tcp: BTreeMap<String, [u64; 4]>,
}

#[derive(Debug, Default)]
struct Durations {
    /// Not cumulative; the last are those that are slower than all bounds.
    counts: Vec<u64>,
    sum_microseconds: u64,
}

/// All metrics.
pub(crate) fn render(admin: &Admin) -> String {
    let own = admin.observed.bootstrap.borrow().as_ref().map(|bootstrap| bootstrap.workload.clone());
    let mut series = Series::default();
    for edge in admin.registry.edges() {
        series.add(&edge, &labels(&edge.key, own.as_ref(), admin));
    }
    let connected = u8::from(admin.observed.health.borrow().connected);
    let mut text = series.render();
    let _ = write!(
        text,
        "# HELP weft_operator_connected Whether the discovery stream is open.\n\
         # TYPE weft_operator_connected gauge\nweft_operator_connected {connected}\n\
         # HELP weft_targets Destinations that are kept up to date.\n\
         # TYPE weft_targets gauge\nweft_targets {}\n",
        admin.store.entries().len()
    );
    identity(&mut text, &admin.credentials);
    head(
        &mut text,
        "weft_errors_total",
        "counter",
        "Requests and connections that the proxy refused or failed, by reason.",
    );
    for ((direction, reason), total) in admin.registry.errors.totals() {
        let direction = match direction {
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
        };
        let _ = writeln!(text, "weft_errors_total{{direction=\"{direction}\",reason=\"{reason}\"}} {total}");
    }
    text
}

/// Who the proxy is, and how connections of the mesh began.
fn identity(text: &mut String, credentials: &Credentials) {
    let name = "weft_tls_handshakes_total";
    head(text, name, "counter", "Handshakes with other sidecars.");
    for (direction, result, count) in credentials.handshakes.totals() {
        let mut labels = String::new();
        let (outcome, reason) = match result {
            Ok(()) => ("success", ""),
            Err(reason) => ("failure", reason.label()),
        };
        let direction = match direction {
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
        };
        for (label, value) in [("direction", direction), ("result", outcome), ("reason", reason)] {
            push_label(&mut labels, label, value);
        }
        let _ = writeln!(text, "{name}{{{labels}}} {count}");
    }
    let renewals = credentials.renewals();
    let _ = write!(
        text,
        "# HELP weft_certificate_renewals_total Attempts to have a certificate signed.\n\
         # TYPE weft_certificate_renewals_total counter\n\
         weft_certificate_renewals_total{{result=\"success\"}} {}\n\
         weft_certificate_renewals_total{{result=\"failure\"}} {}\n",
        renewals.succeeded, renewals.failed
    );
    if let Some(material) = credentials.material() {
        let certified = &material.certified;
        let mut labels = String::new();
        push_label(&mut labels, "spiffe_id", &certified.id.to_string());
        push_label(&mut labels, "issuer_sha256", &certified.issuer.to_string());
        head(
            text,
            "weft_certificate_expiry_timestamp_seconds",
            "gauge",
            "End of the certificate that is shown to others.",
        );
        let end = unix_seconds(certified.not_after);
        let _ = writeln!(text, "weft_certificate_expiry_timestamp_seconds{{{labels}}} {end}");
    }
    if let Some(trust) = credentials.trust() {
        head(text, "weft_trust_root_info", "gauge", "Roots that others' certificates may be signed by.");
        for root in &trust.roots {
            let mut labels = String::new();
            push_label(&mut labels, "trust_domain", &trust.trust_domain);
            push_label(&mut labels, "sha256", &Fingerprint::of(root).to_string());
            let _ = writeln!(text, "weft_trust_root_info{{{labels}}} 1");
        }
    }
}

/// The labels that all metrics of an edge have, without braces.
fn labels(key: &EdgeKey, own: Option<&Workload>, admin: &Admin) -> String {
    let (reporter, source, destination) = match key.direction {
        Direction::Outbound => ("source", own, key.peer.as_ref()),
        Direction::Inbound => ("destination", None, own),
    };
    let name = |workload: Option<&Workload>| workload.map_or(UNKNOWN.to_owned(), |workload| workload.name.to_string());
    let namespace =
        |workload: Option<&Workload>| workload.map_or(UNKNOWN.to_owned(), |workload| workload.namespace.to_string());
    let own_namespace = |is_own: bool, found: String| {
        // The pod knows its own namespace before the operator has said anything.
        if is_own && own.is_none() { admin.namespace.clone() } else { found }
    };
    let outbound = key.direction == Direction::Outbound;
    let service = key.backend.as_ref();
    let mut text = String::with_capacity(512);
    for (label, value) in [
        ("reporter", reporter.to_owned()),
        ("source_workload", name(source)),
        ("source_workload_namespace", own_namespace(outbound, namespace(source))),
        ("destination_workload", name(destination)),
        ("destination_workload_namespace", own_namespace(!outbound, namespace(destination))),
        (
            "destination_service",
            service.map_or(UNKNOWN.to_owned(), |service| {
                format!("{}.{}.svc.{}", service.name, service.namespace, admin.cluster_domain)
            }),
        ),
        ("destination_service_name", service.map_or(UNKNOWN.to_owned(), |service| service.name.to_string())),
        ("destination_service_namespace", service.map_or(UNKNOWN.to_owned(), |service| service.namespace.to_string())),
        ("destination_port", key.port.to_string()),
        ("weft_root", key.root.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("weft_backend", key.backend.as_ref().map(ToString::to_string).unwrap_or_default()),
    ] {
        push_label(&mut text, label, &value);
    }
    text
}

fn push_label(text: &mut String, label: &str, value: &str) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(label);
    text.push_str("=\"");
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
}

impl Series {
    fn add(&mut self, edge: &Edge, labels: &str) {
        let answers = edge.answers();
        let mut by_protocol: BTreeMap<&str, u64> = BTreeMap::new();
        for (answer, security, count) in &answers {
            let protocol = if answer.grpc.is_some() { "grpc" } else { "http" };
            *by_protocol.entry(protocol).or_default() += count;
            let mut labels = labels.to_owned();
            push_label(&mut labels, "request_protocol", protocol);
            push_label(&mut labels, "response_code", &answer.status.to_string());
            push_label(
                &mut labels,
                "grpc_response_status",
                &answer.grpc.map(|status| status.to_string()).unwrap_or_default(),
            );
            let policy = match security {
                Security::None => "none",
                Security::MutualTls => "mutual_tls",
            };
            push_label(&mut labels, "connection_security_policy", policy);
            *self.requests.entry(labels).or_default() += count;
        }
        if !answers.is_empty() {
            let bounds: Vec<u64> = DURATIONS.iter().map(|(bound, _)| *bound).collect();
            let durations = self.durations.entry(labels.to_owned()).or_default();
            durations.counts.resize(bounds.len() + 1, 0);
            for (sum, count) in durations.counts.iter_mut().zip(edge.latencies.counts(&bounds)) {
                *sum += count;
            }
            durations.sum_microseconds += edge.latencies.sum_microseconds();
        }
        if edge.tcp.opened() > 0 {
            let totals = self.tcp.entry(labels.to_owned()).or_default();
            let tcp = &edge.tcp;
            for (sum, count) in
                totals.iter_mut().zip([tcp.opened(), tcp.closed(), tcp.received_bytes(), tcp.sent_bytes()])
            {
                *sum += count;
            }
        }
    }

    fn render(&self) -> String {
        let mut text = String::new();
        head(&mut text, "istio_requests_total", "counter", "Requests that have ended.");
        for (labels, count) in &self.requests {
            let _ = writeln!(text, "istio_requests_total{{{labels}}} {count}");
        }
        let name = "istio_request_duration_milliseconds";
        head(&mut text, name, "histogram", "Time from a request's head to the end of its answer.");
        for (labels, durations) in &self.durations {
            let mut total = 0;
            for ((bound, written), count) in DURATIONS.iter().zip(&durations.counts) {
                total += count;
                if *bound == u64::MAX {
                    total += durations.counts.last().copied().unwrap_or_default();
                }
                let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{written}\"}} {total}");
            }
            let (whole, rest) = (durations.sum_microseconds / 1000, durations.sum_microseconds % 1000);
            let _ = writeln!(text, "{name}_sum{{{labels}}} {whole}.{rest:03}\n{name}_count{{{labels}}} {total}");
        }
        for (index, (name, help)) in [
            ("istio_tcp_connections_opened_total", "Connections opened that were not looked into."),
            ("istio_tcp_connections_closed_total", "Connections closed that were not looked into."),
            ("istio_tcp_received_bytes_total", "Bytes from clients on such connections."),
            ("istio_tcp_sent_bytes_total", "Bytes to clients on such connections."),
        ]
        .into_iter()
        .enumerate()
        {
            head(&mut text, name, "counter", help);
            for (labels, totals) in &self.tcp {
                let _ = writeln!(text, "{name}{{{labels}}} {}", totals[index]);
            }
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::traffic::{Answer, Registry};

    #[test]
    fn adds_up_edges_that_differ_by_a_pod() {
        let registry = Registry::default();
        for pod in ["web-1", "web-2"] {
            let key = EdgeKey { peer_pod: pod.into(), ..EdgeKey::of_port(Direction::Outbound, 80) };
            let edge = registry.edge(key);
            edge.record(Answer { status: 200, ..Answer::default() }, Security::None, Duration::from_millis(3));
            edge.record(
                Answer { status: 200, grpc: Some(14), broken: false },
                Security::MutualTls,
                Duration::from_secs(100),
            );
            drop(edge.open());
        }
        let mut series = Series::default();
        for edge in registry.edges() {
            series.add(&edge, "a=\"b\"");
        }
        let text = series.render();
        for want in [
            r#"istio_requests_total{a="b",request_protocol="http",response_code="200",grpc_response_status="",connection_security_policy="none"} 2"#,
            r#"istio_requests_total{a="b",request_protocol="grpc",response_code="200",grpc_response_status="14",connection_security_policy="mutual_tls"} 2"#,
            r#"istio_request_duration_milliseconds_bucket{a="b",le="1"} 0"#,
            r#"istio_request_duration_milliseconds_bucket{a="b",le="5"} 2"#,
            r#"istio_request_duration_milliseconds_bucket{a="b",le="60000"} 2"#,
            r#"istio_request_duration_milliseconds_bucket{a="b",le="+Inf"} 4"#,
            r#"istio_request_duration_milliseconds_sum{a="b"} 200006.000"#,
            r#"istio_request_duration_milliseconds_count{a="b"} 4"#,
            r#"istio_tcp_connections_opened_total{a="b"} 2"#,
            r#"istio_tcp_connections_closed_total{a="b"} 2"#,
        ] {
            assert!(text.lines().any(|line| line == want), "{want} is not in\n{text}");
        }
    }

    #[test]
    fn escapes_labels() {
        let mut text = String::new();
        push_label(&mut text, "a", "x\"y\\z\n");
        assert_eq!(text, r#"a="x\"y\\z\n""#);
    }
}
