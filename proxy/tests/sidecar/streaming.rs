//! Bodies of any size pass through a little memory, and nobody is sent more than it takes.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::watch, time};

use crate::support::{Body, Memory, Mesh, PATIENCE, Server, is_alone};

const MB: u64 = 1024 * 1024;
const CHUNK: u64 = 64 * 1024;
/// What two sidecars, the client and the server of this test may hold of 100 MB together.
const BOUND: u64 = 20 * MB;

/// A body of `length`, which counts what was taken of it.
fn body(length: u64, taken: &Arc<AtomicU64>) -> Body {
    let taken = taken.clone();
    let zeros = Bytes::from_static(&[0; CHUNK as usize]);
    let frames = futures::stream::iter(0..length / CHUNK).map(move |_| {
        taken.fetch_add(CHUNK, Ordering::Relaxed);
        Ok::<_, Infallible>(Frame::data(zeros.clone()))
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn length(mut body: Incoming) -> u64 {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    length
}

/// Takes what it is sent only once it may, and then sends as much back as `/N` says.
async fn server(go: watch::Receiver<bool>, sent: Arc<AtomicU64>) -> Server {
    Server::start(move |request| {
        let (mut go, sent) = (go.clone(), sent.clone());
        Box::pin(async move {
            go.wait_for(|go| *go).await.unwrap();
            let back = request.uri().path()[1..].parse().unwrap();
            let got = length(request.into_body()).await;
            Response::builder().header("x-got", got).body(body(back, &sent)).unwrap()
        })
    })
    .await
}

async fn send(mesh: &Mesh, http2: bool, request: Request<Body>) -> Response<Incoming> {
    let stream = TokioIo::new(TcpStream::connect(mesh.client.outbound).await.unwrap());
    if http2 {
        let (mut client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    } else {
        let (mut client, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client.send_request(request).await.unwrap()
    }
}

/// Waits until `count` has not changed for a while, and returns it.
async fn standing(count: &AtomicU64) -> u64 {
    let mut seen = u64::MAX;
    loop {
        let now = count.load(Ordering::Relaxed);
        if now == seen && now > 0 {
            return now;
        }
        seen = now;
        time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_megabytes_pass_through_twenty() {
    if !is_alone("streaming::a_hundred_megabytes_pass_through_twenty") {
        return;
    }
    let (go, gone) = watch::channel(true);
    let sent = Arc::new(AtomicU64::new(0));
    let server = server(gone, sent.clone()).await;
    let mesh = Mesh::of(server.address).await;
    for http2 in [false, true] {
        let (up, down) = (Arc::new(AtomicU64::new(0)), 100 * MB);
        // Warm: what is allocated once is not what grows.
        let warm = Request::post(format!("http://web/{CHUNK}")).header("host", "web");
        length(send(&mesh, http2, warm.body(body(CHUNK, &up)).unwrap()).await.into_body()).await;
        let before = Memory::now();

        go.send_replace(false);
        up.store(0, Ordering::Relaxed);
        let request = Request::post(format!("http://web/{down}")).header("host", "web");
        let request = request.body(body(100 * MB, &up)).unwrap();
        let exchange = send(&mesh, http2, request);
        let mut exchange = std::pin::pin!(time::timeout(PATIENCE, exchange));
        // The server takes nothing: the client is stopped as well, long before it has sent everything.
        let stopped = tokio::select! {
            answer = &mut exchange => panic!("answered too early: {answer:?}"),
            stopped = time::timeout(PATIENCE, standing(&up)) => stopped.unwrap(),
        };
        assert!(stopped < 60 * MB, "HTTP/2 {http2}: {stopped} bytes were taken from the client, by nobody");
        go.send_replace(true);
        let answer = exchange.await.unwrap();
        assert_eq!(answer.headers()["x-got"], (100 * MB).to_string(), "HTTP/2 {http2}");

        // The client takes nothing: the server is stopped.
        sent.store(0, Ordering::Relaxed);
        let stopped = time::timeout(PATIENCE, standing(&sent)).await.unwrap();
        assert!(stopped < 60 * MB, "HTTP/2 {http2}: {stopped} bytes were taken from the server, by nobody");
        assert_eq!(time::timeout(PATIENCE, length(answer.into_body())).await.unwrap(), down, "HTTP/2 {http2}");
        let grown = before.grown();
        println!("HTTP/2 {http2}: {} KiB more", grown / 1024);
        assert!(grown < BOUND, "HTTP/2 {http2}: {} MiB more", grown / MB);
    }
}
