//! Two sidecars on the way: what they encrypt, and that nothing else changes.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    CLUSTER_IP, Client, Operator, Proxy, Reply, Server, Tap, get, meshed, request, service, target, token_file,
};

/// What nobody but the two applications may read.
const SECRET: &str = "the-secret-of-the-two-applications";

/// A client's sidecar, a wire, and an application's sidecar.
struct Way {
    operator: Operator,
    client: Proxy,
    wire: Tap,
    server: Proxy,
}

impl Way {
    async fn to(application: SocketAddr) -> Self {
        let operator = Operator::start().await;
        let server = Proxy::with(&operator, application, application, |_| {}).await.ready().await;
        let wire = Tap::on(server.inbound).await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(wire.address)])]));
        let client = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, |settings| {
            settings.token_file = token_file("account-client");
        });
        let client = client.await.ready().await;
        Self { operator, client, wire, server }
    }

    /// Handshakes that one side counted.
    async fn handshakes(proxy: &Proxy, direction: &str) -> Vec<String> {
        let metrics = proxy.admin("/metrics").await.body;
        let own = format!("weft_tls_handshakes_total{{direction=\"{direction}\",");
        metrics.lines().filter_map(|line| line.strip_prefix(&own)).map(str::to_owned).collect()
    }
}

/// Answers with the body and, after a slash, who the client is.
async fn echo() -> Server {
    Server::start(|request| {
        Box::pin(async move {
            let client = request.headers().get("weft-client-id");
            let client = client.map_or("nobody", |client| client.to_str().unwrap()).to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = [&body[..], b"/", client.as_bytes()].concat();
            Reply::new(Full::from(body).boxed_unsync())
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn http_is_encrypted_and_keeps_its_version() {
    let application = echo().await;
    let way = Way::to(application.address).await;
    let want = format!("{SECRET}/spiffe://cluster.local/ns/shop/sa/client");
    for (name, mut client, version) in [
        ("HTTP/1.1", Client::connect(way.client.outbound).await, http::Version::HTTP_11),
        ("HTTP/2", Client::connect_http2(way.client.outbound).await, http::Version::HTTP_2),
    ] {
        for _ in 0..5 {
            let answer = client.send(request("POST", "/", SECRET)).await;
            assert_eq!((answer.status, answer.version, &answer.body), (200, version, &want), "{name}");
        }
    }
    assert!(!way.wire.heard_in_the_clear(SECRET));
    assert_eq!(way.wire.heard().len(), 4, "one connection for each version, both ways");
    for (proxy, direction) in [(&way.client, "outbound"), (&way.server, "inbound")] {
        assert_eq!(Way::handshakes(proxy, direction).await, [r#"result="success",reason=""} 2"#], "{direction}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_keeps_its_trailers() {
    let application = Server::start(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("5"));
            let body = Full::new(body).with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync();
            http::Response::builder().header("content-type", "application/grpc").body(body).unwrap()
        })
    })
    .await;
    let way = Way::to(application.address).await;
    let mut client = Client::connect_http2(way.client.outbound).await;
    for size in [0, 5, 300_000] {
        let mut call = request("POST", "/pkg.Service/Method", "x".repeat(size));
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = client.send(call).await;
        assert_eq!(
            (answer.status, answer.body.len(), &answer.trailers["grpc-status"]),
            (200, size, &"5".parse().unwrap())
        );
    }
}

/// Answers a request for the protocol `chat`, and says everything again in upper case.
async fn chat() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                let mut buffer = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    stream.write_all(&buffer[..read].to_ascii_uppercase()).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_change_its_protocol() {
    let way = Way::to(chat().await).await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(way.client.outbound).await.unwrap();
        let ask = "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        for word in [SECRET, "again"] {
            stream.write_all(word.as_bytes()).await.unwrap();
            let mut answer = vec![0; word.len()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, word.to_ascii_uppercase().as_bytes());
        }
    }
    assert!(!way.wire.heard_in_the_clear(SECRET) && !way.wire.heard_in_the_clear(&SECRET.to_ascii_uppercase()));
    assert_eq!(Way::handshakes(&way.client, "outbound").await, [r#"result="success",reason=""} 5"#]);
}

/// Says hello first, then echoes, and says goodbye once the client has ended its side.
async fn talkative() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(b"hello ").await.unwrap();
                let mut said = Vec::new();
                stream.read_to_end(&mut said).await.unwrap();
                stream.write_all(&said).await.unwrap();
                stream.write_all(b" goodbye").await.unwrap();
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_encrypted_and_may_end_one_side_first() {
    let way = Way::to(talkative().await).await;
    for (name, bytes) in [("something", SECRET), ("nothing", ""), ("the beginning of HTTP", "GET /")] {
        let mut stream = TcpStream::connect(way.client.outbound).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, format!("hello {bytes} goodbye"), "{name}");
    }
    assert!(!way.wire.heard_in_the_clear(SECRET) && !way.wire.heard_in_the_clear("hello"));
    assert_eq!(Way::handshakes(&way.server, "inbound").await, [r#"result="success",reason=""} 3"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_says_who_it_is_and_whom_it_believes() {
    let application = echo().await;
    let way = Way::to(application.address).await;
    let config: serde_json::Value = serde_json::from_str(&way.client.admin("/config").await.body).unwrap();
    let identity = &config["identity"];
    assert_eq!(identity["certificate"]["id"], "spiffe://cluster.local/ns/shop/sa/client");
    assert_eq!(identity["roots"], serde_json::json!([identity["certificate"]["issuer"]]));
    assert_eq!(identity["renewals"], serde_json::json!({ "succeeded": 1, "failed": 0, "last_error": null }));
    let metrics = way.client.admin("/metrics").await.body;
    let expiry = metrics.lines().find(|line| line.starts_with("weft_certificate_expiry_timestamp_seconds{"));
    assert!(expiry.is_some_and(|line| line.contains("sa/client")), "{metrics}");
    let answer = Client::connect(way.client.outbound).await.send(get("/")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    way.operator
        .heard(|heard| heard.trust_verdicts.iter().filter(|verdict| verdict.refusal.is_empty()).count() == 2)
        .await;
}
