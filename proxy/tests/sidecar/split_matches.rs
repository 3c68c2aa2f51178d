//! Which split a request goes by, by what it is.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weft_proxy_api::v1;

use crate::support::{
    CLUSTER_IP, Client, Operator, Proxy, Server, authority, endpoint, get, request, service, service_name, target,
};

type Backends<'a> = &'a [(&'a str, u64, Vec<v1::Endpoint>)];

/// The Service `web`: `conditional` splits in their order, and the rest by `rest`.
fn split(conditional: &[(&str, &[v1::HttpMatch], Backends)], rest: Backends) -> v1::update::Destination {
    let v1::update::Destination::Service(mut web) = service(rest) else { unreachable!("a service is one") };
    for (name, matches, backends) in conditional {
        let v1::update::Destination::Service(of_split) = service(backends) else { unreachable!("a service is one") };
        web.conditional.push(v1::ConditionalSplit {
            split: Some(v1::Split { namespace: "shop".to_owned(), name: (*name).to_owned(), generation: 1 }),
            matches: matches.to_vec(),
            backends: of_split.backends,
        });
    }
    v1::update::Destination::Service(web)
}

fn on_path(regex: &str) -> v1::HttpMatch {
    v1::HttpMatch { name: "path".to_owned(), path_regex: Some(regex.to_owned()), ..v1::HttpMatch::default() }
}

fn on_method(method: &str) -> v1::HttpMatch {
    v1::HttpMatch { name: "method".to_owned(), methods: vec![method.to_owned()], ..v1::HttpMatch::default() }
}

fn on_header(name: &str, regex: &str) -> v1::HttpMatch {
    let header = v1::HeaderMatch { name: name.to_owned(), regex: regex.to_owned() };
    v1::HttpMatch { name: "header".to_owned(), headers: vec![header], ..v1::HttpMatch::default() }
}

fn with(mut request: Request<Full<Bytes>>, headers: &[(&'static str, &'static str)]) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        if *name == "host" {
            request.headers_mut().insert(*name, value.parse().unwrap());
        } else {
            request.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        }
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_by_the_first_split_that_it_matches() {
    let (a, b, rest) = (Server::named("a").await, Server::named("b").await, Server::named("rest").await);
    let operator = Operator::start().await;
    let first = [on_header("cookie", "(.*; )?type=insider(; .*)?"), on_path("/beta/")];
    let second = [on_path("/b"), on_method("DELETE"), on_header("host", "canary")];
    let conditional: [(&str, &[v1::HttpMatch], Backends); 3] = [
        ("none", &[], &[("rest", 1, vec![endpoint(rest.address)])]),
        ("first", &first, &[("a", 1, vec![endpoint(a.address)])]),
        ("second", &second, &[("b", 1, vec![endpoint(b.address)])]),
    ];
    operator.say(target(CLUSTER_IP), split(&conditional, &[("rest", 1, vec![endpoint(rest.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    for http2 in [false, true] {
        let mut client = match http2 {
            true => Client::connect_http2(proxy.outbound).await,
            false => Client::connect(proxy.outbound).await,
        };
        for (name, request, want) in [
            ("nothing is met", get("/"), "rest"),
            ("header", with(get("/"), &[("cookie", "type=insider")]), "a"),
            ("header in two lines", with(get("/"), &[("cookie", "x=y"), ("cookie", "type=insider")]), "a"),
            ("another value", with(get("/"), &[("cookie", "type=outsider")]), "rest"),
            ("both splits", get("/beta/x"), "a"),
            ("path", get("/b?c=/beta/"), "b"),
            ("path that is written in another way", get("/x/..//%62eta/%7Eme"), "a"),
            ("path that leads elsewhere", get("/beta/../x"), "rest"),
            ("path that servers do not agree on", get("/beta/%2e%2e%2fx"), "rest"),
            ("method", request("DELETE", "/x", ""), "b"),
            (
                "method, and the first by its header",
                with(request("DELETE", "/x", ""), &[("cookie", "type=insider")]),
                "a",
            ),
        ] {
            assert_eq!(client.send(request).await.body, want, "{name}, http2: {http2}");
        }
    }
    let mut client = Client::connect(proxy.outbound).await;
    for (host, want) in [("canary", "b"), ("Canary:9", "b"), ("canary.shop", "rest")] {
        assert_eq!(client.send(with(get("/"), &[("host", host)])).await.body, want, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_split_takes_turns_of_its_own() {
    let (v1, v2, v3) = (Server::named("v1").await, Server::named("v2").await, Server::named("v3").await);
    let operator = Operator::start().await;
    let insiders = [on_header("cookie", "insider")];
    let conditional: [(&str, &[v1::HttpMatch], Backends); 1] =
        [("insiders", &insiders, &[("v2", 1, vec![endpoint(v2.address)]), ("v3", 3, vec![endpoint(v3.address)])])];
    let rest = [("v1", 9, vec![endpoint(v1.address)]), ("v2", 1, vec![endpoint(v2.address)])];
    operator.say(target(CLUSTER_IP), split(&conditional, &rest));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    let mut counts: BTreeMap<(bool, String), u32> = BTreeMap::new();
    let mut ask = async |number: u32| {
        // Two of each fourteen are insiders, out of step with both periods.
        let insider = number % 7 == 3;
        let request = if insider { with(get("/"), &[("cookie", "insider")]) } else { get("/") };
        *counts.entry((insider, client.send(request).await.body)).or_default() += 1;
    };
    for number in 0..140 {
        ask(number).await;
        if number == 69 {
            // Another match of the same split, and other endpoints, are no reason to count anew.
            let wider = [on_header("cookie", "insider"), on_header("cookie", "nobody")];
            let conditional: [(&str, &[v1::HttpMatch], Backends); 1] = [(
                "insiders",
                &wider,
                &[("v2", 1, vec![endpoint(v2.address)]), ("v3", 3, vec![endpoint(v3.address), endpoint(v3.address)])],
            )];
            operator.say_and_hear(target(CLUSTER_IP), split(&conditional, &rest)).await;
        }
    }
    let want = [((false, "v1"), 108), ((false, "v2"), 12), ((true, "v2"), 5), ((true, "v3"), 15)];
    let want: BTreeMap<_, _> = want.map(|((insider, name), count)| ((insider, name.to_owned()), count)).into();
    assert_eq!(counts, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_cannot_be_compiled_refuses_the_update() {
    let (old, new) = (Server::named("old").await, Server::named("new").await);
    let operator = Operator::start().await;
    let say = |regex: &str, server: &Server| {
        let matches = [on_path(regex)];
        split(
            &[("s", &matches, &[("a", 1, vec![endpoint(server.address)])])],
            &[("web", 1, vec![endpoint(old.address)])],
        )
    };
    operator.say(target(CLUSTER_IP), say("/a", &old));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    assert_eq!(client.send(get("/a")).await.body, "old");
    let verdict = operator.say_and_hear(target(CLUSTER_IP), say("/a(", &new)).await;
    let want = "service: conditional split 0: match \"path\": pathRegex: \"/a(\" is no regular expression in RE2 syntax: \
                unclosed group, at character 3";
    assert_eq!(verdict.refusal, want);
    assert_eq!(client.send(get("/a")).await.body, "old", "the last good one holds");
    assert_eq!(operator.say_and_hear(target(CLUSTER_IP), say("/a", &new)).await.refusal, "");
    assert_eq!(client.send(get("/a")).await.body, "new");
    let config: serde_json::Value = serde_json::from_str(&proxy.admin("/config").await.body).unwrap();
    let believed = &config["targets"][CLUSTER_IP.to_string()]["destination"]["service"]["conditional"][0];
    assert_eq!((&believed["matches"][0], &believed["split"]["name"]), (&"path".into(), &"s".into()), "{config:#}");
}

/// A server that says who it is once it has heard something, at the address that is returned.
async fn tcp_server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = [0; 16];
            if stream.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_with_matches_leaves_connections_that_are_not_http_alone() {
    let (canary, rest) = (tcp_server("canary").await, tcp_server("rest").await);
    let operator = Operator::start().await;
    let matches = [v1::HttpMatch { name: "everything".to_owned(), ..v1::HttpMatch::default() }];
    for opaque in [false, true] {
        let v1::update::Destination::Service(mut web) =
            split(&[("s", &matches, &[("canary", 1, vec![endpoint(canary)])])], &[("web", 1, vec![endpoint(rest)])])
        else {
            unreachable!("a service is one")
        };
        web.opaque = opaque;
        operator.say(target(CLUSTER_IP), v1::update::Destination::Service(web));
        let proxy = Proxy::start(&operator).await.ready().await;
        let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
        stream.write_all(b"\x00\x01\x02\x03 no HTTP").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "rest", "opaque: {opaque}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_name_the_split_and_the_backend_that_a_request_went_by() {
    let (canary, rest) = (Server::named("canary").await, Server::named("rest").await);
    let operator = Operator::start().await;
    let matches = [on_path("/canary")];
    let conditional: [(&str, &[v1::HttpMatch], Backends); 1] =
        [("limited", &matches, &[("web-canary", 1, vec![endpoint(canary.address)])])];
    operator.say(target(CLUSTER_IP), split(&conditional, &[("web", 1, vec![endpoint(rest.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    for (path, want) in [("/canary", "canary"), ("/canary/2", "canary"), ("/", "rest")] {
        assert_eq!(client.send(get(path)).await.body, want);
    }
    let counted = |edge: &v1::EdgeTotals, split: &str, backend: &str, requests: u64| {
        edge.split.as_ref().is_some_and(|known| known.name == split)
            && edge.root == Some(service_name("web"))
            && edge.backend == Some(service_name(backend))
            && edge.success == requests
    };
    operator
        .heard(|heard| {
            let edges: Vec<_> = heard.reports.concat().into_iter().flat_map(|report| report.edges).collect();
            edges.iter().any(|edge| counted(edge, "limited", "web-canary", 2))
                && edges.iter().any(|edge| counted(edge, "canary", "web", 1))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_headless_root_is_named_with_or_without_its_port() {
    let (pod, split_to) = (Server::named("pod").await, Server::named("split").await);
    let operator = Operator::start().await;
    let pod_port = v1::PodPort { endpoint: Some(endpoint(pod.address)), opaque: false, by_authority: true };
    operator.say(target(pod.address), v1::update::Destination::Pod(pod_port));
    let port = u32::from(pod.address.port());
    for name in ["web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local"] {
        let matches = [on_path("/a")];
        let conditional: [(&str, &[v1::HttpMatch], Backends); 1] =
            [("s", &matches, &[("v2", 1, vec![endpoint(split_to.address)])])];
        operator.say(authority(name, port), split(&conditional, &[("web", 1, vec![endpoint(pod.address)])]));
    }
    let proxy = Proxy::with(&operator, pod.address, pod.address, |_| {}).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    for name in ["web", "web.", "WEB.shop", "web.shop.svc", "web.shop.svc.cluster.local", "web.shop.svc.cluster.local."]
    {
        for host in [name.to_owned(), format!("{name}:{port}")] {
            for (path, want) in [("/a", "split"), ("/", "pod")] {
                let mut request = get(path);
                request.headers_mut().insert("host", host.parse().unwrap());
                assert_eq!(client.send(request).await.body, want, "{host}{path}");
            }
        }
    }
}
