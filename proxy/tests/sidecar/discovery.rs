//! What the proxy believes, and when it changes its mind.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use weft_proxy_api::v1;

use crate::support::{
    CLUSTER_IP, Client, Operator, PATIENCE, Proxy, Server, authority, endpoint, get, request, service, target,
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

#[tokio::test(flavor = "multi_thread")]
async fn passes_through_when_nobody_can_be_asked_and_follows_once_somebody_can() {
    let (original, chosen) = (Server::named("original").await, Server::named("chosen").await);
    let mut operator = Operator::start().await;
    operator.vanish().await;
    let proxy = Proxy::with(&operator, original.address, original.address, |_| {}).await;
    let mut client = Client::connect(proxy.outbound).await;
    let begun = Instant::now();
    assert_eq!(client.send(get("/")).await.body, "original");
    assert!(begun.elapsed() < Duration::from_secs(4), "waited {:?}", begun.elapsed());

    operator.say(target(original.address), service(&[("web", 1, vec![endpoint(chosen.address)])]));
    operator.come_back().await;
    let followed = async { while client.send(get("/")).await.body != "chosen" {} };
    assert!(timeout(PATIENCE, followed).await.is_ok(), "never, on the same connection");
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
