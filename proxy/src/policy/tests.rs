//! Turns that go on across updates, versions that never go back, targets that are forgotten.

use std::{net::SocketAddr, num::NonZeroU16, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::*;

const STREAM: u64 = 1;

fn name(name: &str) -> ServiceName {
    ServiceName { namespace: "shop".into(), name: name.into() }
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint { address: address.parse().unwrap(), workload: None, pod: "".into(), identity: None }
}

fn service(backends: &[(&str, u64, &[&str])]) -> Destination {
    let backends = backends.iter().map(|(backend, weight, endpoints)| Backend {
        name: name(backend),
        weight: *weight,
        endpoints: endpoints.iter().map(|address| endpoint(address)).collect(),
    });
    Destination::Service(Service {
        name: name("web"),
        port: NonZeroU16::new(80).unwrap(),
        opaque: false,
        conditional: Vec::new(),
        split: None,
        backends: backends.collect(),
    })
}

fn store() -> (Store, mpsc::UnboundedReceiver<Target>, watch::Sender<Stream>) {
    let (wanted, requests) = mpsc::unbounded_channel();
    let (connected, stream) = watch::channel(Stream::Connected);
    (Store::new(wanted, stream), requests, connected)
}

fn target() -> Target {
    Target::Address(SocketAddr::from(([10, 0, 0, 1], 80)))
}

fn in_force(store: &Store) -> Arc<ServicePolicy> {
    match store.entry(&target()).policy() {
        Some(Policy::Service(service)) => service,
        other => panic!("not a service: {other:?}"),
    }
}

#[test]
fn turns_go_on_unless_names_or_weights_change() {
    let before = [("v1", 3, &["10.1.0.1:8080"][..]), ("v2", 1, &["10.1.0.2:8080"])];
    for (case, after, want) in [
        ("the same", before, 2),
        ("other endpoints", [("v1", 3, &["10.1.0.9:8080"][..]), ("v2", 1, &[])], 2),
        ("other weights", [("v1", 1, &["10.1.0.1:8080"][..]), ("v2", 3, &["10.1.0.2:8080"])], 0),
        ("other names", [("v1", 3, &["10.1.0.1:8080"][..]), ("v3", 1, &["10.1.0.2:8080"])], 0),
    ] {
        let (store, _requests, _connected) = store();
        store.entry(&target());
        store.apply(STREAM, 1, &target(), service(&before)).unwrap();
        in_force(&store).rest.take_turn();
        in_force(&store).rest.take_turn();
        store.apply(STREAM, 2, &target(), service(&after)).unwrap();
        assert_eq!(in_force(&store).rest.turns(), want, "{case}");
    }
}

#[test]
fn proxies_start_at_different_turns_and_each_follows_the_weights() {
    let backends = [("v1", 9, &["10.1.0.1:80"][..]), ("v2", 1, &["10.1.0.2:80"])];
    let mut first_turns = [0; 2];
    for _ in 0..300 {
        let (store, _requests, _connected) = store();
        store.entry(&target());
        store.apply(STREAM, 1, &target(), service(&backends)).unwrap();
        let service = in_force(&store);
        let turns: Vec<usize> = (0..10).map(|_| service.rest.take_turn()).collect();
        assert_eq!(turns.iter().filter(|backend| **backend == 1).count(), 1, "{turns:?}");
        first_turns[turns[0]] += 1;
    }
    assert!(first_turns.iter().all(|count| *count > 0), "{first_turns:?}");
}

#[test]
fn load_stays_with_its_endpoint() {
    let (store, _requests, _connected) = store();
    store.entry(&target());
    store.apply(STREAM, 1, &target(), service(&[("v1", 1, &["10.1.0.1:80", "10.1.0.2:80"])])).unwrap();
    let busy = in_force(&store).rest.backends[0].seats[1].load.occupy();
    store.apply(STREAM, 2, &target(), service(&[("v2", 1, &["10.1.0.2:80", "10.1.0.3:80"])])).unwrap();
    let loads = |service: &ServicePolicy| -> Vec<u32> {
        service.rest.backends[0].seats.iter().map(|seat| seat.load.get()).collect()
    };
    assert_eq!(loads(&in_force(&store)), [1, 0]);
    drop(busy);
    assert_eq!(loads(&in_force(&store)), [0, 0]);
}

#[test]
fn versions_never_go_back_on_one_stream() {
    for (case, first, second, want) in [
        ("later", (1, 1), (1, 2), Applied::Taken),
        ("the same", (1, 2), (1, 2), Applied::Outdated),
        ("earlier", (1, 2), (1, 1), Applied::Outdated),
        ("earlier, of a new stream", (1, 9), (2, 1), Applied::Taken),
        ("later, of an old stream", (2, 1), (1, 9), Applied::Outdated),
    ] {
        let (store, _requests, _connected) = store();
        store.entry(&target());
        store.apply(first.0, first.1, &target(), service(&[("v1", 1, &[])])).unwrap();
        let got = store.apply(second.0, second.1, &target(), service(&[("v2", 1, &[])])).unwrap();
        let serving = in_force(&store).rest.backends[0].name.name.to_string();
        assert_eq!(serving, if want == Applied::Taken { "v2" } else { "v1" }, "{case}");
        assert_eq!(got, want, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_is_asked_for_once_and_again_after_it_was_forgotten() {
    let idle = Duration::from_secs(60);
    let (store, mut requests, _connected) = store();
    let entry = store.entry(&target());
    store.entry(&target());
    assert_eq!(requests.try_recv(), Ok(target()));
    assert!(requests.try_recv().is_err(), "asked twice");

    tokio::time::advance(idle).await;
    assert!(store.renew(&entry).is_none(), "still in the store");
    tokio::time::advance(idle).await;
    assert_eq!(store.expire(idle), [], "used a moment ago");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(store.expire(idle), [target()]);

    assert!(store.renew(&entry).is_some_and(|new| !Arc::ptr_eq(&new, &entry)));
    assert_eq!(requests.try_recv(), Ok(target()), "asked again");
}

#[test]
fn an_update_that_nobody_asked_for_is_not_kept() {
    let (store, _requests, _connected) = store();
    assert_eq!(store.apply(STREAM, 1, &target(), Destination::Unknown), Ok(Applied::Unwanted));
    assert!(store.entries().is_empty());
}

#[test]
fn a_refusal_is_remembered_until_an_update_is_taken() {
    let (store, _requests, _connected) = store();
    let entry = store.entry(&target());
    let refusal = Refusal { version: 4, reason: "no".to_owned() };
    store.refuse(&target(), refusal.clone());
    assert_eq!(entry.refusal(), Some(refusal.clone()));
    assert!(matches!(entry.policy(), Some(Policy::Refused)), "nothing was known before");
    store.apply(STREAM, 5, &target(), Destination::Unknown).unwrap();
    assert_eq!(entry.refusal(), None);
    assert!(matches!(entry.policy(), Some(Policy::Unknown)));
    store.refuse(&target(), refusal);
    assert!(matches!(entry.policy(), Some(Policy::Unknown)), "what was known holds");
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_first_answer_no_longer_than_it_should() {
    tokio::time::advance(Duration::from_secs(60)).await;
    for (case, lost, want) in [
        ("connected", None, 5),
        ("just lost", Some(0), 5),
        ("lost for a while", Some(8), 2),
        ("lost long ago", Some(30), 0),
    ] {
        let (store, _requests, connected) = store();
        connected.send_replace(lost.map_or(Stream::Connected, |seconds| Stream::Disconnected {
            since: tokio::time::Instant::now() - Duration::from_secs(seconds),
        }));
        let entry = store.entry(&target());
        let begun = tokio::time::Instant::now();
        assert!(store.first_answer(&entry).await.is_none(), "{case}");
        assert_eq!(begun.elapsed().as_secs(), want, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_ends_the_wait() {
    let (store, _requests, _connected) = store();
    let entry = store.entry(&target());
    let (answer, applied) =
        tokio::join!(store.first_answer(&entry), async { store.apply(STREAM, 1, &target(), Destination::Unknown) });
    assert_eq!(applied, Ok(Applied::Taken));
    assert!(matches!(answer, Some(Policy::Unknown)));
}

#[tokio::test(start_paused = true)]
async fn a_first_answer_that_is_refused_ends_the_wait() {
    let (store, _requests, _connected) = store();
    let entry = store.entry(&target());
    let begun = tokio::time::Instant::now();
    let refusal = Refusal { version: 1, reason: "no".to_owned() };
    let (answer, ()) = tokio::join!(store.first_answer(&entry), async { store.refuse(&target(), refusal) });
    assert!(matches!(answer, Some(Policy::Refused)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[test]
fn an_authority_names_a_host_and_a_port() {
    for (authority, want) in [
        ("web", Some("web:8000")),
        ("web:8080", Some("web:8080")),
        ("Web.Shop.", Some("web.shop:8000")),
        ("web.shop.svc:1", Some("web.shop.svc:1")),
        ("10.0.0.1", None),
        ("10.0.0.1:80", None),
        ("[::1]:80", None),
        ("[::1]", None),
        ("web:0", None),
        ("web:http", None),
        ("user@web", None),
        ("", None),
        (":80", None),
    ] {
        let got = Target::of_authority(authority, NonZeroU16::new(8000).unwrap()).map(|target| target.to_string());
        assert_eq!(got.as_deref(), want, "{authority:?}");
    }
}
