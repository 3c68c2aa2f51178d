//! What is tried again, and what is not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use weft_proxy_api::v1;

use crate::support::{
    A_DAY, CLUSTER_IP, Client, Operator, Proxy, Server, Suit, endpoint, get, identity, mesh_server, meshed, refusing,
    request, service, target, text,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_goes_to_another_endpoint() {
    let alive = Server::named("alive").await;
    let ((dead, _keep), (gone, _hold)) = (refusing(), refusing());
    let operator = Operator::start().await;
    let endpoints = vec![endpoint(dead), endpoint(alive.address), endpoint(gone)];
    operator.say(target(CLUSTER_IP), service(&[("web", 1, endpoints)]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut client = Client::connect(proxy.outbound).await;
    for _ in 0..20 {
        let answer = client.send(request("POST", "/", "once")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "alive"));
    }
    assert_eq!(alive.requests(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_why_there_is_no_answer() {
    let (dead, _keep) = refusing();
    for (name, endpoints, status, want) in
        [("no endpoints", vec![], 503, "no-endpoints"), ("dead", vec![endpoint(dead)], 502, "connect")]
    {
        let operator = Operator::start().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, endpoints)]));
        let proxy = Proxy::start(&operator).await.ready().await;
        let answer = Client::connect(proxy.outbound).await.send(get("/")).await;
        assert_eq!((answer.status, answer.header("weft-error")), (status, Some(want)), "{name}");

        let mut call = request("POST", "/pkg.Service/Method", "");
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = Client::connect_http2(proxy.outbound).await.send(call).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("14")), "{name}");
        assert!(answer.header("grpc-message").is_some(), "{name}");
    }
}

/// Something that speaks with sidecars as a sidecar does, and says what `server` says.
pub(crate) async fn sidecar(operator: &Operator, server: &Server) -> SocketAddr {
    let issuer = operator.issuer();
    let certificate = Some(issuer.member(&identity("web"), A_DAY));
    mesh_server(server.address, Suit { certificate, believes: &issuer, alpn: "h2,http/1.1" }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_could_not_deliver_is_believed_and_an_application_is_not() {
    let undelivered = || {
        Server::start(|_request| {
            Box::pin(async {
                let mut reply = text(503, "no");
                reply.headers_mut().insert("weft-error", "connect".parse().unwrap());
                reply
            })
        })
    };
    type Make = fn(SocketAddr) -> v1::Endpoint;
    let own_pod: Make = |address| v1::Endpoint { pod: "client-1".to_owned(), ..meshed(address) };
    for (name, endpoint, in_mesh, retried) in [
        ("a sidecar", meshed as Make, true, true),
        ("an application", endpoint, false, false),
        ("the pod's own application", own_pod, false, false),
    ] {
        let (bad, good) = (undelivered().await, Server::named("good").await);
        let operator = Operator::start().await;
        let addresses = match in_mesh {
            true => [sidecar(&operator, &bad).await, sidecar(&operator, &good).await],
            false => [bad.address, good.address],
        };
        operator.say(target(CLUSTER_IP), service(&[("web", 1, addresses.map(endpoint).to_vec())]));
        let proxy = Proxy::start(&operator).await.ready().await;
        let mut client = Client::connect(proxy.outbound).await;
        let mut failed = 0;
        for _ in 0..40 {
            let answer = client.send(request("POST", "/", "once")).await;
            failed += u32::from(answer.status == 503);
        }
        assert!(bad.requests() > 0, "{name}: was never asked");
        assert_eq!(failed == 0, retried, "{name}: {failed} failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_sidecars_word_reaches_the_client() {
    let operator = Operator::start().await;
    let bad = Server::start(|_request| {
        Box::pin(async {
            let mut reply = text(503, "no");
            reply.headers_mut().insert("weft-error", "connect".parse().unwrap());
            reply
        })
    })
    .await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(sidecar(&operator, &bad).await)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let answer = Client::connect(proxy.outbound).await.send(get("/")).await;
    assert_eq!((answer.status, answer.header("weft-error")), (503, Some("connect")));
    assert_eq!(bad.requests(), 1);
}

/// Answers the first request of each connection and breaks the connection on the second, when it has read it.
async fn forgetful() -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    let seen = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                for turn in 0..2 {
                    if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                        return;
                    }
                    seen.fetch_add(1, Ordering::SeqCst);
                    if turn == 0 {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                    }
                }
            });
        }
    });
    (address, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_may_be_done_twice_is_sent_twice() {
    for (method, status, arrived) in [("GET", 200, 3), ("PUT", 200, 3), ("POST", 502, 2), ("PATCH", 502, 2)] {
        let (address, requests) = forgetful().await;
        let operator = Operator::start().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(address)])]));
        let proxy = Proxy::start(&operator).await.ready().await;
        let mut client = Client::connect(proxy.outbound).await;
        assert_eq!(client.send(get("/")).await.status, 200);
        let answer = client.send(request(method, "/", "")).await;
        assert_eq!(answer.status, status, "{method}: {answer:?}");
        assert_eq!(requests.load(Ordering::SeqCst), arrived, "{method}");
        if status == 502 {
            assert_eq!(answer.header("weft-error"), Some("reset"), "{method}");
        }
    }
}

/// Refuses the first `refusals` streams without looking at them.
async fn reluctant(refusals: u64) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let streams = Arc::new(AtomicU64::new(0));
    let seen = streams.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    if seen.fetch_add(1, Ordering::SeqCst) < refusals {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                        continue;
                    }
                    tokio::spawn(async move {
                        let mut body = request.into_body();
                        while body.data().await.is_some() {}
                        respond.send_response(http::Response::new(()), true).unwrap();
                    });
                }
            });
        }
    });
    (address, streams)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_stream_is_sent_again_whatever_it_is() {
    // An attempt whose body was on its way when the refusal came does not say why it failed, and is the last.
    for (name, refusals, status, arrived) in [("once", 1, 200, 2..=2), ("always", 9, 502, 2..=3)] {
        let (address, streams) = reluctant(refusals).await;
        let operator = Operator::start().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(address)])]));
        let proxy = Proxy::start(&operator).await.ready().await;
        let answer = Client::connect_http2(proxy.outbound).await.send(request("POST", "/", "x")).await;
        let streams = streams.load(Ordering::SeqCst);
        assert!(answer.status == status && arrived.contains(&streams), "{name}: {} after {streams}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sidecars_find_the_pod_whose_application_lives() {
    let alive = Server::named("alive").await;
    let (dead, _keep) = refusing();
    let operator = Operator::start().await;
    let server_side = |application: SocketAddr| Proxy::with(&operator, application, application, |_| {});
    let (of_alive, of_dead) = (server_side(alive.address).await.ready().await, server_side(dead).await.ready().await);
    let endpoints = vec![meshed(of_alive.inbound), meshed(of_dead.inbound)];
    operator.say(target(CLUSTER_IP), service(&[("web", 1, endpoints)]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut http1 = Client::connect(proxy.outbound).await;
    let mut http2 = Client::connect_http2(proxy.outbound).await;
    for _ in 0..20 {
        for client in [&mut http1, &mut http2] {
            let mut call = request("POST", "/", "once");
            call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            let answer = client.send(call).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "alive"), "{answer:?}");
        }
    }
    assert_eq!(alive.requests(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_goes_to_another_endpoint_and_is_reset_when_there_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let alive = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"alive").await.unwrap();
        }
    });
    let (dead, _keep) = refusing();
    for (name, endpoints, want) in [
        ("one is alive", vec![endpoint(dead), endpoint(alive)], Ok("alive".to_owned())),
        ("none is alive", vec![endpoint(dead)], Err(std::io::ErrorKind::ConnectionReset)),
        ("there is none", vec![], Err(std::io::ErrorKind::ConnectionReset)),
    ] {
        let operator = Operator::start().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, endpoints)]));
        let opaque = |settings: &mut weft_proxy::Settings| {
            settings.opaque_ports.insert(CLUSTER_IP.port());
        };
        let proxy = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, opaque).await.ready().await;
        for _ in 0..5 {
            let said = async {
                let mut said = String::new();
                tokio::net::TcpStream::connect(proxy.outbound).await?.read_to_string(&mut said).await?;
                Ok(said)
            };
            let said = said.await.map_err(|error: std::io::Error| error.kind());
            assert_eq!(said, want, "{name}");
        }
    }
}
