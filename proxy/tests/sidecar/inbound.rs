//! What arrives at the pod.

use tokio::net::TcpStream;

use crate::support::{Client, Operator, Proxy, Server, Wire, get, refusing, request, text};

#[tokio::test(flavor = "multi_thread")]
async fn requests_reach_the_application() {
    let application = Server::named("application").await;
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, application.address, application.address, |_| {}).await;
    let mut client = Client::connect(proxy.inbound).await;
    for _ in 0..3 {
        assert_eq!(client.send(get("/")).await.body, "application");
    }
    assert_eq!(Client::connect_http2(proxy.inbound).await.send(get("/")).await.body, "application");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_when_a_request_could_not_be_delivered() {
    let (dead, _keep) = refusing();
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, dead, dead, |_| {}).await;
    let answer = Client::connect(proxy.inbound).await.send(request("POST", "/", "x")).await;
    assert_eq!((answer.status, answer.header("weft-error")), (502, Some("connect")));
}

/// Requests that the proxy counted as received.
async fn received(proxy: &Proxy) -> Vec<String> {
    let metrics = proxy.admin("/metrics").await.body;
    let counters = metrics.lines().filter(|line| line.starts_with("istio_requests_total{reporter=\"destination\""));
    counters.filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_what_was_sent_to_the_application_and_no_probes() {
    let application = Server::named("application").await;
    let (dead, _keep) = refusing();
    for (name, address, agents, want) in [
        ("a request", application.address, &["curl/8"][..], &["1"][..]),
        ("a probe", application.address, &["kube-probe/1.33"], &[]),
        ("both", application.address, &["kube-probe/1.33", "curl/8"], &["1"]),
        ("a port that nobody listens on", dead, &["curl/8"], &[]),
    ] {
        let operator = Operator::start().await;
        let proxy = Proxy::with(&operator, address, address, |_| {}).await.ready().await;
        let mut client = Client::connect(proxy.inbound).await;
        for agent in agents {
            let mut request = get("/");
            request.headers_mut().insert("user-agent", agent.parse().unwrap());
            client.send(request).await;
        }
        // Counting comes after the answer, but before the next one on the same connection.
        let mut last = get("/");
        last.headers_mut().insert("user-agent", "kube-probe/1.33".parse().unwrap());
        if address == application.address {
            client.send(last).await;
        }
        assert_eq!(received(&proxy).await, want, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_cannot_speak_for_its_sidecar() {
    let application = Server::start(|_request| {
        Box::pin(async {
            let mut reply = text(503, "busy");
            reply.headers_mut().insert("weft-error", "connect".parse().unwrap());
            reply
        })
    })
    .await;
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, application.address, application.address, |_| {}).await;
    let answer = Client::connect(proxy.inbound).await.send(get("/")).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("weft-error")), (503, "busy", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_sidecar_is_told_that_the_application_leaves() {
    let application = Server::start(|_request| {
        Box::pin(async {
            let mut reply = text(200, "goodbye");
            reply.headers_mut().insert("connection", "close".parse().unwrap());
            reply
        })
    })
    .await;
    let (dead, _keep) = refusing();
    for (name, address, status) in [("about to leave", application.address, 200), ("gone", dead, 502)] {
        let operator = Operator::start().await;
        let proxy = Proxy::with(&operator, address, address, |_| {}).await;
        let answer = Client::connect(proxy.inbound).await.send(get("/")).await;
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_addressed_to_somebody_else_is_not_led_on() {
    let operator = Operator::start().await;
    // An address of examples, which nobody has.
    let elsewhere = "192.0.2.1:80".parse().unwrap();
    let proxy = Proxy::with(&operator, elsewhere, elsewhere, |_| {}).await.ready().await;
    // The reset may be there before the connection is known to be.
    if let Ok(stream) = TcpStream::connect(proxy.inbound).await {
        let mut wire = Wire(stream);
        wire.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await;
        assert_eq!(wire.rest().await, "");
    }
    let counted = "weft_errors_total{direction=\"inbound\",reason=\"not-own-address\"} 1";
    proxy.admin_until("/metrics", |answer| answer.body.contains(counted)).await;
}
