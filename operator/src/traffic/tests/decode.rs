//! What of the wire is taken and what refuses a report.

use futures::stream;
use tokio_util::sync::CancellationToken;
use weft_proxy_api::v1;

use super::{pod, source};
use crate::traffic::{Ingest, IngestError, InvalidEdge, InvalidReport, Store, decode, latency_bounds};

fn workload(kind: &str) -> v1::Workload {
    v1::Workload { namespace: "demo".into(), kind: kind.into(), name: "catalog".into() }
}

fn edge() -> v1::EdgeTotals {
    let name = |name: &str| Some(v1::ServiceName { namespace: "demo".into(), name: name.into() });
    v1::EdgeTotals {
        direction: v1::Direction::Outbound.into(),
        root: name("catalog"),
        split: Some(v1::Split { namespace: "demo".into(), name: "canary".into(), generation: 0 }),
        backend: name("catalog-v1"),
        peer: Some(workload("Deployment")),
        peer_pod: "catalog-0".into(),
        port: 80,
        success: 3,
        failure: 1,
        status_classes: [(2, 3), (0, 1)].into(),
        latency_buckets: vec![0; latency_bounds().len() + 1],
        latency_sum_microseconds: 1500,
        ..v1::EdgeTotals::default()
    }
}

fn report(edges: Vec<v1::EdgeTotals>) -> v1::TrafficReport {
    v1::TrafficReport { instance: "a".into(), uptime_milliseconds: 5000, edges }
}

#[test]
fn a_whole_edge_is_read() {
    let report = decode(report(vec![edge()])).unwrap();
    let (key, totals) = report.edges.iter().next().unwrap();
    assert_eq!(key.backend.as_ref().unwrap().name, "catalog-v1");
    assert_eq!(key.split.as_ref().unwrap().name, "canary");
    assert_eq!(key.peer.as_ref().unwrap().to_string(), "Deployment demo/catalog");
    assert_eq!(key.port.get(), 80);
    assert_eq!((totals.success, totals.failure, totals.status_classes), (3, 1, [1, 0, 3, 0, 0, 0]));
    assert_eq!(totals.latency_sum.as_micros(), 1500);
}

#[test]
fn one_part_that_cannot_be_read_refuses_the_report() {
    type Change = fn(&mut v1::EdgeTotals);
    type Expected = fn(&InvalidEdge) -> bool;
    let table: [(&str, Change, Expected); 9] = [
        ("no direction", |edge| edge.direction = 0, |e| matches!(e, InvalidEdge::Direction(0))),
        ("unknown direction", |edge| edge.direction = 7, |e| matches!(e, InvalidEdge::Direction(7))),
        ("port zero", |edge| edge.port = 0, |e| matches!(e, InvalidEdge::Port(0))),
        ("port too large", |edge| edge.port = 65_536, |e| matches!(e, InvalidEdge::Port(65_536))),
        ("unknown kind", |edge| edge.peer = Some(workload("CronJob")), |e| matches!(e, InvalidEdge::Peer(_))),
        ("pod without peer", |edge| edge.peer = None, |e| matches!(e, InvalidEdge::PodWithoutPeer(_))),
        (
            "empty name",
            |edge| edge.root = Some(v1::ServiceName::default()),
            |e| matches!(e, InvalidEdge::Name { field: "root", bytes: 0 }),
        ),
        ("status class", |edge| edge.status_classes = [(6, 1)].into(), |e| matches!(e, InvalidEdge::StatusClass(6))),
        ("buckets", |edge| edge.latency_buckets = vec![1], |e| matches!(e, InvalidEdge::Buckets(1))),
    ];
    for (name, change, expected) in table {
        let mut broken = edge();
        change(&mut broken);
        let mut good = edge();
        good.port = 81;
        match decode(report(vec![good, broken])) {
            Err(InvalidReport::Edge { index: 1, source }) => assert!(expected(&source), "{name}: {source}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(decode(report(vec![edge(), edge()])), Err(InvalidReport::DuplicateEdge(1)));
    assert_eq!(
        decode(v1::TrafficReport { instance: String::new(), ..report(vec![]) }),
        Err(InvalidReport::Instance(0))
    );
    let many = vec![v1::EdgeTotals::default(); 16_385];
    assert_eq!(decode(report(many)), Err(InvalidReport::TooManyEdges(16_385)));
}

#[tokio::test]
async fn a_stream_is_recorded_until_it_ends() {
    let store = Store::new();
    let ingest = Ingest::new(store.clone(), CancellationToken::new());
    let reports = stream::iter([Ok(report(vec![edge()])), Ok(report(vec![]))]);
    ingest.accept(source("web", "web-0"), reports).await.unwrap();
    assert_eq!((store.recorded(), store.refused()), (2, 0));
    let view = store.view(std::time::Instant::now());
    assert_eq!(view.pod(&pod("web-0")).unwrap().sent.totals.requests(), 4);
}

#[tokio::test]
async fn an_invalid_report_is_counted_and_ends_the_stream() {
    let store = Store::new();
    let ingest = Ingest::new(store.clone(), CancellationToken::new());
    let bad = v1::EdgeTotals { port: 0, ..edge() };
    let reports = stream::iter([Ok(report(vec![bad])), Ok(report(vec![edge()]))]);
    let ended = ingest.accept(source("web", "web-0"), reports).await;
    assert!(matches!(ended, Err(IngestError::Invalid(_))), "{ended:?}");
    assert_eq!((store.recorded(), store.refused()), (0, 1));
}

#[tokio::test]
async fn a_stream_stops_with_the_operator() {
    let stop = CancellationToken::new();
    let ingest = Ingest::new(Store::new(), stop.clone());
    stop.cancel();
    let ended = ingest.accept(source("web", "web-0"), stream::pending()).await;
    assert!(matches!(ended, Err(IngestError::Stopping)), "{ended:?}");
}
