//! Sums by workload, pod and split.

use std::{
    num::NonZeroU16,
    time::{Duration, Instant},
};

use super::{deployment, inbound, outbound, pod, report, requests, service, source};
use crate::{
    model::{PodRef, WorkloadKind, WorkloadRef},
    traffic::{EdgeKey, Source, SplitRef, Store},
};

#[test]
fn edges_and_own_rows() {
    let now = Instant::now();
    let store = Store::new();
    let other_port = EdgeKey { port: NonZeroU16::MAX, ..outbound("shop", Some("catalog")) };
    for (name, first, second, unknown) in [("web-0", 3, 4, 0), ("web-1", 10, 0, 5)] {
        let edges = [
            (inbound(), requests(100)),
            (outbound("catalog", Some("catalog")), requests(first)),
            (other_port.clone(), requests(second)),
            (outbound("catalog", None), requests(unknown)),
        ];
        store.record(&source("web", name), report("a", 5, edges), true, now).unwrap();
    }
    let view = store.view(now);

    let web = view.workload(&deployment("web")).unwrap();
    assert_eq!(web.received.totals.requests(), 200, "own row: what all pods received");
    assert_eq!(web.sent.totals.requests(), 22);
    let to: Vec<_> = web.to.iter().map(|(peer, flow)| (peer.name.as_str(), flow.totals.requests())).collect();
    assert_eq!(to, [("catalog", 17)], "one row for a peer, whatever root and port");
    let roots: Vec<_> = web.to[&deployment("catalog")].roots.iter().cloned().collect();
    assert_eq!(roots, [service("catalog"), service("shop")]);
    assert!(web.sent_to_unnamed());

    let catalog = view.workload(&deployment("catalog")).unwrap();
    assert_eq!(catalog.newest, None, "does not report itself");
    assert_eq!(catalog.from[&deployment("web")].totals.requests(), 17);
    assert_eq!(view.workloads(Some("demo")).count(), 1, "only what reports is listed");
    assert_eq!(view.workloads(Some("other")).count(), 0);

    let first = view.pod(&pod("web-0")).unwrap();
    assert_eq!(first.to.keys().map(|peer| peer.to_string()).collect::<Vec<_>>(), ["Pod demo/catalog-0"]);
    assert!(!first.sent_to_unnamed());
    let peer = view.pod(&pod("catalog-0")).unwrap();
    assert_eq!(peer.from.keys().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["web-0", "web-1"]);
}

#[test]
fn merged_latencies_are_not_averages() {
    let now = Instant::now();
    let store = Store::new();
    let mut slow = requests(0);
    let mut buckets = vec![0; crate::traffic::latency_bounds().len() + 1];
    buckets[100] = 1;
    slow.failure = 1;
    slow.latency = crate::traffic::Histogram::from_buckets(buckets).unwrap();
    store.record(&source("web", "web-0"), report("a", 5, [(inbound(), requests(999))]), true, now).unwrap();
    store.record(&source("web", "web-1"), report("a", 5, [(inbound(), slow)]), true, now).unwrap();
    let view = store.view(now);
    let received = &view.workload(&deployment("web")).unwrap().received.totals;
    assert!(received.latency.percentile(0.99).unwrap() < Duration::from_millis(1));
    assert!(received.latency.percentile(1.0).unwrap() > Duration::from_secs(1));
}

#[test]
fn a_bare_pod_is_its_own_workload_and_counts_once() {
    let now = Instant::now();
    let store = Store::new();
    let workload = WorkloadRef { namespace: "demo".into(), kind: WorkloadKind::Pod, name: "lone".into() };
    let lone = Source { pod: PodRef { namespace: "demo".into(), name: "lone".into() }, workload: workload.clone() };
    store.record(&lone, report("a", 5, [(inbound(), requests(3))]), true, now).unwrap();
    let view = store.view(now);
    assert_eq!(view.workload(&workload).unwrap().received.totals.requests(), 3);
    assert_eq!(view.pod(&lone.pod).unwrap().received.totals.requests(), 3);
}

#[test]
fn a_split_is_counted_by_backend() {
    let now = Instant::now();
    let store = Store::new();
    let canary = SplitRef { namespace: "demo".into(), name: "canary".into() };
    let by = |backend: &str| EdgeKey {
        split: Some(canary.clone()),
        backend: Some(service(backend)),
        ..outbound("catalog", Some(backend))
    };
    for name in ["web-0", "web-1"] {
        let edges = [(by("v1"), requests(9)), (by("v2"), requests(1)), (outbound("catalog", None), requests(5))];
        store.record(&source("web", name), report("a", 5, edges), true, now).unwrap();
    }
    let view = store.view(now);
    let rows: Vec<_> = view
        .split(&canary)
        .map(|(root, backend, flow)| (root.name.clone(), backend.name.clone(), flow.totals.requests()))
        .collect();
    assert_eq!(rows, [("catalog".into(), "v1".into(), 18), ("catalog".into(), "v2".into(), 2)]);
}
