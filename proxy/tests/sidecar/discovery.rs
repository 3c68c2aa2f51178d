//! What the proxy believes, and when it changes its mind.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use weft_proxy_api::v1;

use crate::support::{
    CLUSTER_IP, Client, Operator, PATIENCE, Proxy, Server, Tap, authority, endpoint, get, request, service, target,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_cannot_be_read_changes_nothing() {
    let web = Server::named("web").await;
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(web.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    assert_eq!(client.send(get("/")).await.body, "web");

    let verdict = operator.say_and_hear(target(CLUSTER_IP), service(&[("web", 0, vec![])])).await;
    assert_eq!(verdict.refusal, "service: no backend of the split has a weight above 0");
    assert_eq!(client.send(get("/")).await.body, "web");
    let config: serde_json::Value = serde_json::from_str(&proxy.admin("/config").await.body).unwrap();
    let believed = &config["targets"][CLUSTER_IP.to_string()];
    assert_eq!(believed["refusal"]["reason"], verdict.refusal, "{config:#}");
    assert_eq!(believed["refusal"]["version"], verdict.version);
    assert_eq!(believed["version"], verdict.version - 1);
    assert_eq!(believed["destination"]["service"]["backends"][0]["weight"], 1);

    let taken = operator.say_and_hear(target(CLUSTER_IP), service(&[("web", 2, vec![endpoint(web.address)])])).await;
    assert_eq!(taken.refusal, "");
    let config: serde_json::Value = serde_json::from_str(&proxy.admin("/config").await.body).unwrap();
    assert_eq!(config["targets"][CLUSTER_IP.to_string()]["refusal"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn serves_from_what_it_knows_while_the_operator_is_gone() {
    let (before, after) = (Server::named("before").await, Server::named("after").await);
    let mut operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(before.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    assert_eq!(client.send(get("/")).await.body, "before");

    operator.vanish().await;
    proxy.admin_until("/metrics", |answer| answer.body.contains("weft_operator_connected 0")).await;
    assert_eq!(client.send(get("/")).await.body, "before");
    assert_eq!(Client::connect(proxy.outbound).await.send(get("/")).await.body, "before", "on a new connection");
    assert_eq!(proxy.admin("/readyz").await.status, 200, "still as good as it was");

    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(after.address)])]));
    operator.come_back().await;
    let heard = operator.heard(|heard| heard.verdicts.len() >= 2).await;
    assert_eq!(heard.tokens.last().map(String::as_str), Some("Bearer a-token"));
    assert_eq!(client.send(get("/")).await.body, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_not_ready_until_the_operator_was_reached() {
    let mut operator = Operator::start().await;
    operator.vanish().await;
    let proxy = Proxy::start(&operator).await;
    let answer = proxy.admin("/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "the operator has not been reached yet\n"));
    assert_eq!(proxy.admin("/healthz").await.status, 200);
    operator.come_back().await;
    proxy.ready().await;
}

/// What `bytes` of no HTTP are answered with, or how the connection ends.
async fn bytes(proxy: &Proxy) -> Result<String, std::io::ErrorKind> {
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    let said = async {
        stream.write_all(b"PING\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    timeout(PATIENCE, said).await.expect("no end").map_err(|error| error.kind())
}

/// Asserts that every protocol is refused for `reason`, and nothing was said to the server.
async fn nothing_is_sent(proxy: &Proxy, original: &Tap, reason: &str) {
    let call = || {
        let mut call = request("POST", "/", "x");
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        call
    };
    let (outbound, sum) = (proxy.outbound, format!("direction=\"outbound\",reason=\"{reason}\"}} 4"));
    let answers = tokio::join!(
        async { Client::connect(outbound).await.send(get("/")).await },
        async { Client::connect_http2(outbound).await.send(get("/")).await },
        async { Client::connect_http2(outbound).await.send(call()).await },
        bytes(proxy),
    );
    for answer in [answers.0, answers.1] {
        assert_eq!((answer.status, answer.header("weft-error")), (503, Some(reason)));
    }
    assert_eq!((answers.2.status, answers.2.header("grpc-status")), (200, Some("14")), "{reason}");
    assert_eq!(answers.3, Err(std::io::ErrorKind::ConnectionReset), "{reason}");
    assert_eq!(original.heard(), Vec::<Vec<u8>>::new(), "{reason}");
    proxy.admin_until("/metrics", |answer| answer.body.contains(&sum)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_nothing_where_nobody_can_be_asked() {
    let original = Server::named("original").await;
    let original = Tap::on(original.address).await;
    let mut operator = Operator::start().await;
    operator.vanish().await;
    let proxy = Proxy::with(&operator, original.address, original.address, |_| {}).await;
    let begun = Instant::now();
    nothing_is_sent(&proxy, &original, "no-configuration").await;
    assert!((4..9).contains(&begun.elapsed().as_secs()), "waited {:?}", begun.elapsed());
}

/// Begins at once: the wait for an answer is over some time after the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_until_somebody_can_be_asked() {
    let (original, chosen) = (Server::named("original").await, Server::named("chosen").await);
    let mut operator = Operator::start().await;
    operator.vanish().await;
    let proxy = Proxy::with(&operator, original.address, original.address, |_| {}).await;
    let mut waiting = Client::connect(proxy.outbound).await;
    operator.say(target(original.address), service(&[("web", 1, vec![endpoint(chosen.address)])]));
    let (answer, ()) = tokio::join!(waiting.send(get("/")), operator.come_back());
    assert_eq!((answer.status, answer.body.as_str()), (200, "chosen"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_nothing_where_the_first_answer_cannot_be_read() {
    let (original, chosen) = (Server::named("original").await, Server::named("chosen").await);
    let original = Tap::on(original.address).await;
    let operator = Operator::start().await;
    operator.say(target(original.address), service(&[("web", 0, vec![])]));
    let proxy = Proxy::with(&operator, original.address, original.address, |_| {}).await.ready().await;
    let begun = Instant::now();
    nothing_is_sent(&proxy, &original, "refused-configuration").await;
    assert!(begun.elapsed() < Duration::from_secs(4), "waited {:?}", begun.elapsed());

    let said = service(&[("web", 1, vec![endpoint(chosen.address)])]);
    assert_eq!(operator.say_and_hear(target(original.address), said).await.refusal, "");
    assert_eq!(Client::connect(proxy.outbound).await.send(get("/")).await.body, "chosen");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_destinations_are_left_alone() {
    let original = Server::named("original").await;
    let operator = Operator::start().await;
    operator.say(target(original.address), v1::update::Destination::Unknown(v1::Unknown {}));
    let proxy = Proxy::with(&operator, original.address, original.address, |_| {}).await.ready().await;
    assert_eq!(Client::connect(proxy.outbound).await.send(get("/")).await.body, "original");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgets_what_nobody_uses_and_asks_again() {
    let web = Server::named("web").await;
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(web.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    assert_eq!(client.send(get("/")).await.body, "web");
    operator.heard(|heard| heard.unsubscribed == [target(CLUSTER_IP)]).await;
    assert_eq!(client.send(get("/")).await.body, "web", "the connection still knows where it goes");
    operator.heard(|heard| heard.subscribed.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_says_which_service_is_meant_where_an_address_does_not() {
    let (pod, split) = (Server::named("pod").await, Server::named("split").await);
    let operator = Operator::start().await;
    let pod_port = v1::PodPort { endpoint: Some(endpoint(pod.address)), opaque: false, by_authority: true };
    operator.say(target(pod.address), v1::update::Destination::Pod(pod_port));
    operator.say(authority("web.shop.svc", 8080), service(&[("web", 1, vec![endpoint(split.address)])]));
    operator.say(authority("other", 80), v1::update::Destination::Unknown(v1::Unknown {}));
    let proxy = Proxy::with(&operator, pod.address, pod.address, |_| {}).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    for (host, want) in [
        ("Web.shop.svc.:8080", "split"),
        ("other:80", "pod"),
        ("example.org.uk", "pod"),
        ("127.0.0.1:8080", "pod"),
        ("web-0.web.shop.svc", "pod"),
    ] {
        let mut request = request("GET", "/", "");
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(client.send(request).await.body, want, "{host}");
    }
    let heard = operator.heard(|_| true).await;
    assert_eq!(heard.subscribed[..3], [target(pod.address), authority("web.shop.svc", 8080), authority("other", 80)]);
}
