//! The end of a proxy.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::Instant,
};

use crate::support::{CLUSTER_IP, Client, Operator, Proxy, Server, endpoint, get, service, target, text};

/// A server that answers once it is let to, and a way to see that it was asked.
async fn patient() -> (Server, watch::Sender<bool>) {
    let (go, gone) = watch::channel(false);
    let server = Server::start(move |_request| {
        let mut gone = gone.clone();
        Box::pin(async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            text(200, "finished")
        })
    })
    .await;
    (server, go)
}

async fn in_flight(proxy: &Proxy, requests: u64) {
    proxy
        .admin_until("/config", |answer| {
            let config: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            config["in_flight"] == requests
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finishes_what_is_in_flight() {
    let (server, go) = patient().await;
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(server.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut old = Client::connect(proxy.outbound).await;
    let mut http2 = Client::connect_http2(proxy.outbound).await;
    let old = tokio::spawn(async move { old.send(get("/")).await });
    let http2 = tokio::spawn(async move { http2.send(get("/")).await });
    in_flight(&proxy, 2).await;

    proxy.terminate();
    let answer = proxy.admin_until("/readyz", |answer| answer.status == 503).await;
    assert_eq!(answer.body, "draining\n");
    let outbound = proxy.outbound;
    let new = tokio::spawn(async move { Client::connect(outbound).await.send(get("/")).await });
    in_flight(&proxy, 3).await;
    go.send_replace(true);
    for (name, answer) in [("old", old.await.unwrap()), ("new", new.await.unwrap())] {
        assert_eq!((answer.status, answer.body.as_str()), (200, "finished"), "{name}");
        assert_eq!(answer.header("connection"), Some("close"), "{name}");
    }
    assert_eq!(http2.await.unwrap().body, "finished");
    proxy.ended().await;
    // All three went over one edge, whose totals only grow.
    operator
        .heard(|heard| heard.reports.concat().iter().flat_map(|report| &report.edges).any(|edge| edge.success == 3))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_it_up() {
    let server = Server::named("web").await;
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(server.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut http1 = Client::connect(proxy.outbound).await;
    let mut http2 = Client::connect_http2(proxy.outbound).await;
    assert_eq!((http1.send(get("/")).await.status, http2.send(get("/")).await.status), (200, 200));
    let begun = Instant::now();
    proxy.terminate();
    proxy.ended().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert!(http1.try_send(get("/")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_wait_longer_than_it_was_told_to() {
    let (server, _go) = patient().await;
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(server.address)])]));
    let limit = Duration::from_millis(200);
    let proxy = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, |settings| settings.drain = limit).await.ready().await;
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await.unwrap();
    in_flight(&proxy, 1).await;
    let begun = Instant::now();
    proxy.terminate();
    proxy.ended().await;
    assert!((limit..Duration::from_secs(10)).contains(&begun.elapsed()), "it took {:?}", begun.elapsed());
    drop(stream.read_u8().await);
}
