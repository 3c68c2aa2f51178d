//! Everything that is spoken through the proxy.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Version};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    Body, CLUSTER_IP, Client, Operator, PATIENCE, Proxy, Reply, Server, endpoint, get, request, service, target, text,
};

async fn proxy_to(address: std::net::SocketAddr) -> (Operator, Proxy) {
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    (operator, proxy)
}

/// All that is answered to `bytes`, after which the client ends its side.
async fn raw(proxy: &Proxy, bytes: &str) -> String {
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn reply_with_trailers(body: Bytes, status: &'static str) -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body: Body = Full::new(body).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) }).boxed_unsync();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_keeps_its_version_and_its_trailers() {
    let server = Server::start(|request| {
        Box::pin(async move {
            assert_eq!(request.version(), Version::HTTP_2);
            let body = request.into_body().collect().await.unwrap().to_bytes();
            reply_with_trailers(body, "5")
        })
    })
    .await;
    let (_operator, proxy) = proxy_to(server.address).await;
    let mut client = Client::connect_http2(proxy.outbound).await;
    for size in [0, 5, 300_000] {
        let mut call = request("POST", "/pkg.Service/Method", "x".repeat(size));
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = client.send(call).await;
        assert_eq!((answer.status, answer.version, answer.body.len()), (200, Version::HTTP_2, size));
        assert_eq!(answer.trailers["grpc-status"], "5");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_at_once_than_one_connection_may_have() {
    let server = Server::named("web").await;
    let (_operator, proxy) = proxy_to(server.address).await;
    let client = std::sync::Arc::new(tokio::sync::Mutex::new(Client::connect_http2(proxy.outbound).await));
    let calls = (0..300).map(|_| {
        let client = client.clone();
        async move {
            let Client::Http2(mut client) = (match &*client.lock().await {
                Client::Http2(client) => Client::Http2(client.clone()),
                Client::Http1(_) => unreachable!(),
            }) else {
                unreachable!()
            };
            let mut call = get("/");
            *call.uri_mut() = "http://web/".parse().unwrap();
            client.send_request(call).await.unwrap().status().as_u16()
        }
    });
    let statuses = futures::future::join_all(calls).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_pass_both_ways() {
    let server = Server::start(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Full::new(body).boxed_unsync())
        })
    })
    .await;
    let (_operator, proxy) = proxy_to(server.address).await;
    let mut client = Client::connect(proxy.outbound).await;
    for size in [0, 1, 8 * 1024 - 200, 8 * 1024, 70_000, 5_000_000] {
        let body: String = (0..size).map(|index| char::from(b'a' + u8::try_from(index % 26).unwrap())).collect();
        let answer = client.send(request("POST", "/", body.clone())).await;
        assert!(answer.body == body, "{size} bytes came back as {}", answer.body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_changes_its_protocol_is_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.contains("upgrade: chat") && head.contains("connection: upgrade"), "{head}");
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n")
            .await
            .unwrap();
        let mut buffer = [0; 64];
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            if read == 0 {
                return;
            }
            stream.write_all(&buffer[..read].to_ascii_uppercase()).await.unwrap();
        }
    });
    let (_operator, proxy) = proxy_to(address).await;
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    let ask = "GET /chat HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    for word in ["hello", "world"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, word.to_ascii_uppercase().as_bytes());
    }
}

/// Says hello first, then echoes, and says goodbye once the client has ended its side.
async fn talkative() -> std::net::SocketAddr {
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
async fn tcp_passes_with_half_closed_connections() {
    let (_operator, proxy) = proxy_to(talkative().await).await;
    for (name, bytes, want) in [
        ("something", "PING\r\n", "hello PING\r\n goodbye"),
        ("nothing", "", "hello  goodbye"),
        ("the beginning of HTTP", "GET /", "hello GET / goodbye"),
    ] {
        assert_eq!(raw(&proxy, bytes).await, want, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_speak_first() {
    let (_operator, proxy) = proxy_to(talkative().await).await;
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    let mut hello = [0; 6];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello ");
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "GET / HTTP/1.1\r\n goodbye", "what is said late is not looked into");
}

#[tokio::test(flavor = "multi_thread")]
async fn tcp_is_split_by_connection() {
    let mut backends = Vec::new();
    for name in ["v1", "v2"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        backends.push((name, 1, vec![endpoint(listener.local_addr().unwrap())]));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(name.as_bytes()).await.unwrap();
            }
        });
    }
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&backends));
    let proxy = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, |settings| {
        settings.opaque_ports.insert(CLUSTER_IP.port());
    })
    .await
    .ready()
    .await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(raw(&proxy, "").await);
    }
    answers.sort_unstable();
    assert_eq!(answers, [["v1"; 5], ["v2"; 5]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_two_could_read_differently_are_refused() {
    let server = Server::named("web").await;
    let (_operator, proxy) = proxy_to(server.address).await;
    for (name, bytes) in [
        (
            "two lengths",
            "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nHost: web\r\nHost: other\r\n\r\n"),
        ("two content lengths", "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ] {
        let answer = raw(&proxy, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_gets_an_answer_without_chunks() {
    let server = Server::start(|_request| {
        Box::pin(async {
            let chunks = ["one ", "two"].map(|chunk| Ok::<_, Infallible>(hyper::body::Frame::data(Bytes::from(chunk))));
            let body = http_body_util::StreamBody::new(futures::stream::iter(chunks));
            Response::new(BodyExt::boxed_unsync(body))
        })
    })
    .await;
    let (_operator, proxy) = proxy_to(server.address).await;
    let answer = raw(&proxy, "GET / HTTP/1.0\r\nHost: web\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\none two"), "{answer}");
    let answer = raw(&proxy, "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await;
    assert!(
        answer.ends_with("4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n") || answer.ends_with("7\r\none two\r\n0\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_be_sent_before_the_answers_are_read() {
    let server = Server::start(|request| {
        let path = request.uri().path().to_owned();
        Box::pin(async move { Response::new(Full::from(path).boxed_unsync()) })
    })
    .await;
    let (_operator, proxy) = proxy_to(server.address).await;
    let two = "GET /one HTTP/1.1\r\nHost: web\r\n\r\nGET /two HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    stream.write_all(two.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert!(answer.contains("\r\n\r\n/oneHTTP/1.1") && answer.ends_with("\r\n\r\n/two"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_gets_it_from_the_server() {
    let server = Server::start(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if body == "late" { text(200, "got it") } else { text(400, "?") }
        })
    })
    .await;
    let (_operator, proxy) = proxy_to(server.address).await;
    let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"late").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("got it"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_goes_on_slowly_is_not_held_back() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let server = Server::start(move |request| {
        let with_length = request.uri().path() == "/with-length";
        let mut gone = gone.clone();
        Box::pin(async move {
            let first = futures::stream::iter([Bytes::from("first")]);
            let second = futures::stream::once(async move {
                gone.wait_for(|gone| *gone).await.unwrap();
                Bytes::from("second")
            });
            let frames = futures::StreamExt::map(futures::StreamExt::chain(first, second), |bytes| {
                Ok::<_, Infallible>(hyper::body::Frame::data(bytes))
            });
            let mut reply = Response::new(BodyExt::boxed_unsync(http_body_util::StreamBody::new(frames)));
            if with_length {
                reply.headers_mut().insert("content-length", HeaderValue::from_static("11"));
            }
            reply
        })
    })
    .await;
    let (_operator, proxy) = proxy_to(server.address).await;
    for path in ["/with-length", "/without-length"] {
        go.send_replace(false);
        let mut stream = TcpStream::connect(proxy.outbound).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let first = async {
            while !answer.windows(5).any(|window| window == b"first") {
                answer.push(stream.read_u8().await.unwrap());
            }
        };
        assert!(tokio::time::timeout(PATIENCE, first).await.is_ok(), "{path}: held back");
        go.send_replace(true);
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8(answer).unwrap().contains("second"), "{path}");
    }
}

/// Pingora's timer, once started, wakes the process 100 times a second for ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_engines_own_timer_is_never_started() {
    let server = Server::named("web").await;
    let (_operator, proxy) = proxy_to(server.address).await;
    for mut client in [Client::connect(proxy.outbound).await, Client::connect_http2(proxy.outbound).await] {
        for body in ["", "a body"] {
            assert_eq!(client.send(request("POST", "/", body)).await.status, 200);
        }
    }
    let threads: Vec<String> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .collect();
    assert!(threads.iter().any(|name| name == "weft-control\n"), "{threads:?}");
    assert!(!threads.iter().any(|name| name == "Timer thread\n"), "{threads:?}");
}
