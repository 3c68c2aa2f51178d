//! Exchanges that are not simply one request and one answer, through two sidecars.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    CLUSTER_IP, Client, Mesh, Operator, PATIENCE, Proxy, Recorder, Server, Wire, endpoint, get, request, service,
    target, text,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn early_hints_come_before_the_answer() {
    let recorder = Recorder::answering(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let mesh = Mesh::of(recorder.address).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    for _ in 0..2 {
        wire.send(GET).await;
        let hints = wire.answer().await;
        assert!(hints.starts_with("HTTP/1.1 103 ") && hints.contains("link: </a.css>"), "{hints}");
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_have_none_whatever_they_say() {
    for (name, method, answer, want) in [
        ("HEAD", "HEAD", &b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"[..], "content-length: 1000"),
        ("204", "GET", b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", "x-a: 1"),
        ("304", "GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\netag: \"a\"\r\n\r\n", "etag: \"a\""),
    ] {
        let recorder = Recorder::answering(answer).await;
        let mesh = Mesh::of(recorder.address).await;
        let mut wire = Wire::to(mesh.client.outbound).await;
        for turn in 0..2 {
            wire.send(format!("{method} / HTTP/1.1\r\nHost: web\r\n\r\n").as_bytes()).await;
            let head = wire.until("\r\n\r\n").await;
            let status = &answer[..12];
            assert!(head.as_bytes().starts_with(status), "{name}, {turn}: {head}");
            assert!(head.to_ascii_lowercase().contains(want), "{name}, {turn}: {head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_may_be_on_their_way_at_once() {
    let server = Server::start(|request| {
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Full::from([path.as_bytes(), &body].concat()).boxed_unsync())
        })
    })
    .await;
    let mesh = Mesh::of(server.address).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    let mut all = String::new();
    for number in 0..30 {
        all += &match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: web\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\n\r\nab"),
            _ => format!(
                "POST /{number} HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            ),
        };
    }
    wire.send(all.as_bytes()).await;
    for number in 0..30 {
        let answer = wire.answer().await;
        let body = if number % 3 == 0 { "" } else { "ab" };
        assert!(answer.ends_with(&format!("\r\n\r\n/{number}{body}")), "{number}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_keeps_its_connection_only_when_it_says_so() {
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    for _ in 0..3 {
        wire.send(b"GET / HTTP/1.0\r\nHost: web\r\nConnection: keep-alive\r\n\r\n").await;
        let answer = wire.answer().await.to_ascii_lowercase();
        assert!(answer.contains("\r\nconnection: keep-alive\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    wire.send(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n").await;
    let answer = wire.rest().await.to_ascii_lowercase();
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_in_absolute_form_pass_as_they_are() {
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    wire.send(b"GET http://web:80/a?b HTTP/1.1\r\nHost: web:80\r\n\r\n").await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = recorder.take().remove(0);
    assert_eq!((seen.line(), seen.header("host")), ("GET http://web:80/a?b HTTP/1.1", vec!["web:80"]));
}

/// `CONNECT` is for a proxy that the application knows of: on the way to one without a sidecar its connection is one of bytes.
#[tokio::test(flavor = "multi_thread")]
async fn connect_is_bytes_on_the_way_out_and_refused_on_the_way_in() {
    let asked = "CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("proxy", 1, vec![endpoint(listener.local_addr().unwrap())])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let mut wire = Wire::to(proxy.outbound).await;
    wire.send(asked.as_bytes()).await;
    let (mut application, _) = listener.accept().await.unwrap();
    let mut seen = vec![0; asked.len()];
    application.read_exact(&mut seen).await.unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), asked);
    application.write_all(b"HTTP/1.1 200 OK\r\n\r\n\x00\x01").await.unwrap();
    drop(application);
    assert_eq!(wire.rest().await, "HTTP/1.1 200 OK\r\n\r\n\0\x01");

    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    for (name, via, before) in [
        ("first, from a client without a sidecar", mesh.server.inbound, false),
        ("first, through two sidecars", mesh.client.outbound, false),
        ("later", mesh.client.outbound, true),
    ] {
        let mut wire = Wire::to(via).await;
        if before {
            wire.send(GET).await;
            assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
        }
        wire.send(asked.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{name}: {answer}");
        assert_eq!(recorder.take().len(), usize::from(before), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_for_100_continue_is_sent_only_when_it_is_wanted() {
    let server = Server::start(|request| {
        Box::pin(async move {
            if request.uri().path() == "/no" {
                return text(417, "no");
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Full::from(body).boxed_unsync())
        })
    })
    .await;
    let mesh = Mesh::of(server.address).await;
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").into_bytes()
    };
    let mut wire = Wire::to(mesh.client.outbound).await;
    wire.send(&head("/")).await;
    assert_eq!(wire.answer().await, "HTTP/1.1 100 Continue\r\n\r\n");
    wire.send(b"late").await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("late"), "{answer}");
    let mut wire = Wire::to(mesh.client.outbound).await;
    wire.send(&head("/no")).await;
    let answer = wire.answer().await;
    assert!(answer.starts_with("HTTP/1.1 417 ") && answer.ends_with("no"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_protocol_begins_where_the_request_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mesh = Mesh::of(listener.local_addr().unwrap()).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    // Bytes of the new protocol that do not wait for the answer, and are no HTTP.
    wire.send(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n\x00hel").await;
    let (mut application, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(application.read_u8().await.unwrap());
    }
    application
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        .await
        .unwrap();
    let answer = wire.until("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    wire.send(b"lo\r\n\r\nGET ").await;
    let mut said = [0; 14];
    time::timeout(PATIENCE, application.read_exact(&mut said)).await.expect("the new protocol is held back").unwrap();
    assert_eq!(&said, b"\x00hello\r\n\r\nGET ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_was_declined_leaves_http() {
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    let ask = "GET /1 HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n";
    let next = "GET /2 HTTP/1.1\r\nHost: web\r\n\r\nGET /3 HTTP/1.1\nHost: web\r\n\r\n";
    wire.send([ask, next].concat().as_bytes()).await;
    for status in ["200", "200", "400"] {
        let answer = wire.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let lines: Vec<String> = recorder.take().iter().map(|request| request.line().to_owned()).collect();
    assert_eq!(lines, ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_answers_pass_over_http2_and_no_others_do() {
    let server = Server::start(|request| {
        Box::pin(async move {
            let collected = request.into_body().collect().await.unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("out"));
            // Those of requests end at the first sidecar, whatever the version.
            assert!(collected.trailers().is_none_or(HeaderMap::is_empty));
            let body =
                Full::new(collected.to_bytes()).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
            Response::builder().header("trailer", "x-sum").body(body.boxed_unsync()).unwrap()
        })
    })
    .await;
    let mesh = Mesh::of(server.address).await;
    let stream = TcpStream::connect(mesh.client.outbound).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("in"));
    let body = Full::new(Bytes::from("body")).with_trailers(async move { Some(Ok::<_, Infallible>(trailers)) });
    let call = Request::post("http://web/").header("te", "trailers").body(body.boxed_unsync()).unwrap();
    let answer = client.send_request(call).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-sum"], "out");
    assert_eq!(answer.to_bytes(), "body");

    let mut wire = Wire::to(mesh.client.outbound).await;
    wire.send(b"POST / HTTP/1.1\r\nHost: web\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    wire.send(b"4\r\nbody\r\n0\r\nx-sum: in\r\n\r\n").await;
    let answer = wire.until("0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("body") && !answer.contains("x-sum:"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_call_may_talk_at_once_for_as_long_as_they_like() {
    let server = Server::start(|request| {
        Box::pin(async move {
            let frames = request.into_body().into_data_stream();
            let echo = StreamBody::new(frames.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes.unwrap()))));
            Response::builder().header("content-type", "application/grpc").body(BodyExt::boxed_unsync(echo)).unwrap()
        })
    })
    .await;
    let mesh = Mesh::of(server.address).await;
    let stream = TcpStream::connect(mesh.client.outbound).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (say, said) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(ReceiverStream::new(said).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))));
    let call =
        Request::post("http://web/pkg.Service/Chat").header("content-type", "application/grpc").body(body).unwrap();
    let mut answer = client.send_request(call).await.unwrap().into_body();
    for turn in 0..50 {
        let word = Bytes::from(format!("word {turn}"));
        say.send(word.clone()).await.unwrap();
        let heard = time::timeout(PATIENCE, answer.frame()).await.expect("held back").unwrap().unwrap();
        assert_eq!(heard.into_data().unwrap(), word);
    }
    drop(say);
    let rest = time::timeout(PATIENCE, answer.collect()).await.expect("the end is held back").unwrap();
    assert!(rest.to_bytes().is_empty());
}

/// Longer than any time that the sidecar knows between two bytes of HTTP, were it to apply here.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_no_reason_to_end_an_answer() {
    let server = Server::start(|request| {
        let late_head = request.uri().path() == "/poll";
        Box::pin(async move {
            if late_head {
                time::sleep(Duration::from_secs(2)).await;
            }
            let first = futures::stream::iter(["data: 1\n\n"]);
            let second = futures::stream::once(async {
                time::sleep(Duration::from_secs(2)).await;
                "data: 2\n\n"
            });
            let events = first.chain(second).map(|event| Ok::<_, Infallible>(Frame::data(Bytes::from(event))));
            let reply = Response::builder().header("content-type", "text/event-stream");
            reply.body(BodyExt::boxed_unsync(StreamBody::new(events))).unwrap()
        })
    })
    .await;
    // Nothing but a head has a time.
    let mesh = Mesh::with(server.address, |settings| settings.limits.header_time = Duration::from_secs(1)).await;
    let (mut http1, mut http2) =
        (Client::connect(mesh.client.outbound).await, Client::connect_http2(mesh.client.outbound).await);
    let (events, poll) = tokio::join!(http1.send(get("/events")), http2.send(get("/poll")));
    assert_eq!((events.body.as_str(), poll.body.as_str()), ("data: 1\n\ndata: 2\n\n", "data: 1\n\ndata: 2\n\n"));
    assert_eq!(http1.send(get("/poll")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_heads_and_many_cookies_pass() {
    let server = Server::start(|request| {
        Box::pin(async move {
            let cookies: Vec<String> = request
                .headers()
                .get_all("cookie")
                .into_iter()
                .map(|cookie| cookie.to_str().unwrap().to_owned())
                .collect();
            let mut reply = Response::new(Full::from(cookies.join("; ")).boxed_unsync());
            reply.headers_mut().insert("x-long", HeaderValue::from_str(&"b".repeat(50_000)).unwrap());
            reply
        })
    })
    .await;
    let mesh = Mesh::of(server.address).await;
    let crumbs: Vec<String> = (0..200).map(|number| format!("c{number}={}", "x".repeat(200))).collect();
    for mut client in [Client::connect(mesh.client.outbound).await, Client::connect_http2(mesh.client.outbound).await] {
        let mut call = request("GET", "/", "");
        if let Client::Http2(_) = client {
            for crumb in &crumbs {
                call.headers_mut().append("cookie", crumb.parse().unwrap());
            }
        } else {
            call.headers_mut().insert("cookie", crumbs.join("; ").parse().unwrap());
            call.headers_mut().insert("x-long", "a".repeat(20_000).parse().unwrap());
        }
        let answer = client.send(call).await;
        assert_eq!((answer.status, answer.header("x-long").map(str::len)), (200, Some(50_000)));
        assert_eq!(answer.body, crumbs.join("; "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_may_end_in_one_direction_first_through_two_sidecars() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mesh = Mesh::of(listener.local_addr().unwrap()).await;
    let mut wire = Wire::to(mesh.client.outbound).await;
    wire.send(b"\x00question").await;
    wire.0.shutdown().await.unwrap();
    let (mut application, _) = listener.accept().await.unwrap();
    let mut question = Vec::new();
    application.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"\x00question");
    application.write_all(b"answer").await.unwrap();
    drop(application);
    assert_eq!(wire.rest().await, "answer");
}
