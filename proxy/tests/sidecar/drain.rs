//! The end of a proxy.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::Instant,
};

use crate::support::{
    A_DAY, CLUSTER_IP, Client, Frames, Operator, PATIENCE, Proxy, Server, Suit, block, connect_tls, endpoint, frame,
    get, identity, service, target, text,
};

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

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_sidecar_are_told_that_the_pod_is_about_to_end() {
    let (server, go) = patient().await;
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, server.address, server.address, |_| {}).await.ready().await;
    let mesh = operator.issuer();
    let mut clients = Vec::new();
    for (http2, alpn) in [(false, "http/1.1"), (true, "h2")] {
        let stream = TcpStream::connect(proxy.inbound).await.unwrap();
        clients.push((http2, true, Client::on(stream, http2).await));
        let suit = Suit { certificate: Some(mesh.member(&identity("client"), A_DAY)), believes: &mesh, alpn };
        let stream = connect_tls(proxy.inbound, &identity("web").server_name(), suit).await.unwrap();
        clients.push((http2, false, Client::on(stream, http2).await));
    }
    let asked = clients.into_iter().map(|(http2, is_told, (mut client, ended))| {
        tokio::spawn(async move {
            let answer = client.send(get("/")).await;
            (http2, is_told, answer, client, ended)
        })
    });
    let asked: Vec<_> = asked.collect();
    in_flight(&proxy, 4).await;
    proxy.leave().await;
    assert_eq!(proxy.admin("/readyz").await.status, 200, "it goes on until the pod ends");
    // A client that comes now is served, and told as well.
    let late = Client::on(TcpStream::connect(proxy.inbound).await.unwrap(), true).await;
    let late = tokio::spawn(async move {
        let (mut client, ended) = late;
        (client.send(get("/")).await.body, tokio::time::timeout(PATIENCE, ended).await.is_ok())
    });
    in_flight(&proxy, 5).await;
    go.send_replace(true);
    assert_eq!(late.await.unwrap(), ("finished".to_owned(), true));
    for asked in asked {
        let (http2, is_told, answer, mut client, ended) = asked.await.unwrap();
        let name = format!("HTTP/2: {http2}, without a sidecar: {is_told}");
        assert_eq!((answer.status, answer.body.as_str()), (200, "finished"), "{name}");
        assert_eq!(answer.header("connection") == Some("close"), !http2 && is_told, "{name}");
        if is_told {
            assert!(tokio::time::timeout(PATIENCE, ended).await.expect("no end").unwrap().is_ok(), "{name}");
        } else {
            assert_eq!(client.send(get("/")).await.body, "finished", "{name}");
        }
    }
}

/// A client that were told before it has asked would connect again and again, while the application still serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_late_is_told_with_its_first_request() {
    let server = Server::named("application").await;
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, server.address, server.address, |_| {}).await.ready().await;
    proxy.leave().await;
    let mut late = Frames::to(proxy.inbound).await;
    let mut seen = Vec::new();
    // Twice there and back: whatever the sidecar had to say by itself has come before the second.
    for _ in 0..2 {
        late.0.write_all(&frame(6, 0, 0, &[0; 8])).await.unwrap();
        while seen.last() != Some(&(6, 1)) {
            let (kind, flags, ..) = tokio::time::timeout(PATIENCE, late.next()).await.expect("no answer").unwrap();
            seen.push((kind, flags));
        }
        seen.pop();
    }
    assert!(seen.iter().all(|(kind, _)| *kind != 7), "it is told to go before it has asked: {seen:?}");
    let fields = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "web")]);
    late.0.write_all(&frame(1, 5, 1, &fields)).await.unwrap();
    let mut told = false;
    let mut answered = false;
    while !(told && answered) {
        let (kind, _, stream, payload) =
            tokio::time::timeout(PATIENCE, late.next()).await.expect("no answer").expect("no end before the answer");
        told |= kind == 7;
        answered |= (kind, stream, payload.first()) == (1, 1, Some(&0x88));
    }
}
