//! What is said when there is no answer, and which endpoints are left alone after that.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::{
    failover::sidecar,
    support::{
        CLUSTER_IP, Client, Mesh, Operator, Proxy, Recorder, Server, endpoint, get, meshed, refusing, request, service,
        target, text,
    },
};

/// Takes connections, reads a little and breaks off.
async fn breaking() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read_u8().await;
            stream.set_zero_linger().unwrap();
        }
    });
    address
}

/// An address whose queue of connections is full, so that no more are made: `TcpStream`s and listener must be kept.
async fn deaf() -> (SocketAddr, Vec<tokio::task::JoinHandle<()>>, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let fill = |_| {
        tokio::spawn(async move {
            let stream = tokio::net::TcpStream::connect(address).await;
            std::future::pending::<()>().await;
            drop(stream);
        })
    };
    (address, (0..4).map(fill).collect(), socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_has_its_status_and_is_counted() {
    let (dead, _keep) = refusing();
    let (deaf, _filled, _listening) = deaf().await;
    let broken = breaking().await;
    for (reason, endpoints, status, grpc) in [
        ("no-endpoints", vec![], 503, "14"),
        ("connect", vec![dead], 502, "14"),
        ("connect-timeout", vec![deaf], 504, "4"),
        ("reset", vec![broken], 502, "14"),
    ] {
        let operator = Operator::start().await;
        let endpoints = endpoints.into_iter().map(endpoint).collect();
        operator.say(target(CLUSTER_IP), service(&[("web", 1, endpoints)]));
        let proxy = Proxy::start(&operator).await.ready().await;
        for mut client in [Client::connect(proxy.outbound).await, Client::connect_http2(proxy.outbound).await] {
            let answer = client.send(request("POST", "/", "x")).await;
            assert_eq!((answer.status, answer.header("weft-error")), (status, Some(reason)));
        }
        let mut call = request("POST", "/pkg.Service/Method", "");
        call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let answer = Client::connect_http2(proxy.outbound).await.send(call).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, Some(grpc)), "{reason}");
        assert_eq!(answer.header("weft-error"), Some(reason));
        let want = format!("weft_errors_total{{direction=\"outbound\",reason=\"{reason}\"}} 3\n");
        let metrics = proxy.admin("/metrics").await.body;
        assert!(metrics.contains(&want), "{reason}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_applications_sidecar_says_it_as_well() {
    let (dead, _keep) = refusing();
    for (name, application, status, reason) in
        [("refused", dead, 502, "connect"), ("broken off", breaking().await, 502, "reset")]
    {
        let mesh = Mesh::of(application).await;
        for via in [mesh.server.inbound, mesh.client.outbound] {
            let answer = Client::connect(via).await.send(request("POST", "/", "x")).await;
            assert_eq!((answer.status, answer.header("weft-error")), (status, Some(reason)), "{name}");
        }
        let metrics = mesh.server.admin("/metrics").await.body;
        let want = format!("weft_errors_total{{direction=\"inbound\",reason=\"{reason}\"}} 2\n");
        assert!(metrics.contains(&want), "{name}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_again_and_again_is_left_alone_and_then_tried_once() {
    let well = Arc::new(AtomicBool::new(false));
    let failing = || {
        let well = well.clone();
        async move {
            Server::start(move |_request| {
                let well = well.load(Ordering::SeqCst);
                Box::pin(async move {
                    if well {
                        return text(200, "well");
                    }
                    let mut reply = text(502, "broken");
                    reply.headers_mut().insert("weft-error", "reset".parse().unwrap());
                    reply
                })
            })
            .await
        }
    };
    for (name, ejected) in [("a sidecar", true), ("an application", false)] {
        well.store(false, Ordering::SeqCst);
        let (bad, good) = (failing().await, Server::named("good").await);
        let operator = Operator::start().await;
        let mut endpoints = Vec::new();
        for server in [&bad, &good] {
            endpoints.push(match ejected {
                true => meshed(sidecar(&operator, server).await),
                false => endpoint(server.address),
            });
        }
        operator.say(target(CLUSTER_IP), service(&[("web", 1, endpoints)]));
        let proxy = Proxy::start(&operator).await.ready().await;
        let mut client = Client::connect(proxy.outbound).await;
        let mut failed = 0;
        for _ in 0..100 {
            failed += u32::from(client.send(request("POST", "/", "x")).await.status == 502);
        }
        assert_eq!(failed == 5, ejected, "{name}: {failed} failed");
        if !ejected {
            continue;
        }
        // Its time is over after five seconds. Before that nobody asks it; then one request does, and finds it well.
        well.store(true, Ordering::SeqCst);
        let begun = std::time::Instant::now();
        while client.send(get("/")).await.body != "well" {
            assert!(begun.elapsed() < crate::support::PATIENCE, "{name}: is never asked again");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(begun.elapsed() > std::time::Duration::from_secs(4), "{name}: after {:?}", begun.elapsed());
        let before = bad.requests();
        for _ in 0..40 {
            client.send(get("/")).await;
        }
        assert!(bad.requests() > before, "{name}: is not asked like any other again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_endpoints_are_asked_however_they_fail() {
    let mut broken = Vec::new();
    for _ in 0..4 {
        broken.push(endpoint(breaking().await));
    }
    let operator = Operator::start().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, broken)]));
    let proxy = Proxy::start(&operator).await.ready().await;
    for _ in 0..60 {
        let answer = Client::connect(proxy.outbound).await.send(request("POST", "/", "x")).await;
        assert_eq!((answer.status, answer.header("weft-error")), (502, Some("reset")));
    }
    let recorder = Recorder::start().await;
    operator.say_and_hear(target(CLUSTER_IP), service(&[("web", 1, vec![endpoint(recorder.address)])])).await;
    assert_eq!(Client::connect(proxy.outbound).await.send(get("/")).await.status, 200);
}
