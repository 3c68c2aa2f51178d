//! Weights, exactly, whatever else happens.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use tokio::sync::watch;

use crate::support::{CLUSTER_IP, Client, Operator, Proxy, Server, endpoint, get, service, target};

async fn count(proxy: &Proxy, connections: usize, requests: usize) -> BTreeMap<String, usize> {
    let client = |_| async {
        let mut client = Client::connect(proxy.outbound).await;
        let mut bodies = Vec::new();
        for _ in 0..requests / connections {
            let answer = client.send(get("/")).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            bodies.push(answer.body);
        }
        bodies
    };
    let mut counts = BTreeMap::new();
    for body in join_all((0..connections).map(client)).await.into_iter().flatten() {
        *counts.entry(body).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_at_900_to_100_are_900_and_100() {
    let (v1, v2) = (Server::named("v1").await, Server::named("v2").await);
    let operator = Operator::start().await;
    let weights = [("v1", 900, vec![endpoint(v1.address)]), ("v2", 100, vec![endpoint(v2.address)])];
    operator.say(target(CLUSTER_IP), service(&weights));
    let proxy = Proxy::start(&operator).await.ready().await;
    let want = BTreeMap::from([("v1".to_owned(), 900), ("v2".to_owned(), 100)]);
    assert_eq!(count(&proxy, 8, 1000).await, want);
    assert_eq!(count(&proxy, 1, 1000).await, want, "once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_endpoints_do_not_start_the_count_again() {
    let (v1, v2, v3) = (Server::named("v1").await, Server::named("v2").await, Server::named("v2").await);
    let operator = Operator::start().await;
    let weights =
        |canary: &Server| service(&[("v1", 3, vec![endpoint(v1.address)]), ("v2", 1, vec![endpoint(canary.address)])]);
    operator.say(target(CLUSTER_IP), weights(&v2));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut counts = count(&proxy, 1, 2).await;
    operator.say_and_hear(target(CLUSTER_IP), weights(&v3)).await;
    for (name, more) in count(&proxy, 1, 2).await {
        *counts.entry(name).or_default() += more;
    }
    assert_eq!(counts, BTreeMap::from([("v1".to_owned(), 3), ("v2".to_owned(), 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn shifts_weight_under_load_without_a_failed_request() {
    let (v1, v2) = (Server::named("v1").await, Server::named("v2").await);
    let operator = Operator::start().await;
    let weights =
        |a: u64, b: u64| service(&[("v1", a, vec![endpoint(v1.address)]), ("v2", b, vec![endpoint(v2.address)])]);
    operator.say(target(CLUSTER_IP), weights(100, 0));
    let proxy = Arc::new(Proxy::start(&operator).await.ready().await);
    let (stop, stopped) = watch::channel(false);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (proxy, stopped) = (proxy.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(proxy.outbound).await;
                let mut requests = 0;
                while !*stopped.borrow() {
                    assert_eq!(client.send(get("/")).await.status, 200);
                    requests += 1;
                }
                requests
            })
        })
        .collect();
    for share in (0..=100).step_by(5) {
        let verdict = operator.say_and_hear(target(CLUSTER_IP), weights(100 - share, share)).await;
        assert_eq!(verdict.refusal, "");
    }
    // Everything that was decided before the last update is over, so v1 gets nothing more.
    stop.send_replace(true);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    assert!(v2.requests() > 0);
    let before = v1.requests();
    assert_eq!(count(&proxy, 1, 20).await, BTreeMap::from([("v2".to_owned(), 20)]));
    assert_eq!(v1.requests(), before);
}
