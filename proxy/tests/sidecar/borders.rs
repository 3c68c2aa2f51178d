//! Where the mesh ends: applications' own TLS, pods without a sidecar, ports that are not looked at.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::support::{
    A_DAY, Authority, CLUSTER_IP, Client, Operator, Proxy, Server, Suit, connect_tls, connect_tls_on, endpoint, get,
    identity, meshed, request, service, target, tls_server,
};

/// Whether the proxy counted handshakes of the mesh.
async fn has_handshakes(proxy: &Proxy) -> bool {
    proxy.admin("/metrics").await.body.contains("weft_tls_handshakes_total{")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_tls_passes_untouched() {
    let plain = Server::named("application").await;
    let authority = Authority::new("the application's own");
    let application = tls_server(plain.address, &authority, "web.shop.svc").await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application, application, |_| {}).await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::start(&operator).await.ready().await;
    for (name, address, in_mesh) in
        [("from a pod without a sidecar", server.inbound, false), ("between two sidecars", client.outbound, true)]
    {
        for (alpn, http2) in [("http/1.1", false), ("h2", true)] {
            let suit = Suit { certificate: None, believes: &authority, alpn };
            let stream = connect_tls(address, "web.shop.svc", suit).await.unwrap();
            let (mut client, _ended) = Client::on(stream, http2).await;
            assert_eq!(client.send(request("POST", "/", "x")).await.body, "application", "{name}, {alpn}");
        }
        assert_eq!(has_handshakes(&server).await, in_mesh, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_gains_and_loses_its_sidecar_is_followed() {
    let application = Server::named("application").await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    let says = |endpoint| service(&[("web", 1, vec![endpoint])]);
    operator.say(target(CLUSTER_IP), says(endpoint(application.address)));
    let client = Proxy::start(&operator).await.ready().await;
    let mut clients = [Client::connect(client.outbound).await, Client::connect_http2(client.outbound).await];
    for (name, endpoint, in_mesh) in [
        ("without", endpoint(application.address), false),
        ("gained", meshed(server.inbound), true),
        ("lost", endpoint(application.address), true),
    ] {
        operator.say_and_hear(target(CLUSTER_IP), says(endpoint)).await;
        for client in &mut clients {
            for _ in 0..3 {
                assert_eq!(client.send(request("POST", "/", "x")).await.body, "application", "{name}");
            }
        }
        assert_eq!(has_handshakes(&server).await, in_mesh, "{name}");
    }
    let metrics = client.admin("/metrics").await.body;
    for (policy, want) in [("none", 12), ("mutual_tls", 6)] {
        let label = format!("connection_security_policy=\"{policy}\"");
        let counts = metrics.lines().filter(|line| line.starts_with("istio_requests_total{") && line.contains(&label));
        let sum: u64 = counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(sum, want, "{policy}: {metrics}");
    }
}

/// Says hello first, and then everything again.
async fn talkative() -> (SocketAddr, tokio::sync::watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connections) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            accepted.send_modify(|count| *count += 1);
            tokio::spawn(async move {
                stream.write_all(b"hello ").await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    (address, connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_opaque_port_sidecars_are_known_and_others_pass() {
    let (application, _connections) = talkative().await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application, application, |settings| {
        settings.opaque_ports.insert(application.port());
    });
    let server = server.await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, |settings| {
        settings.opaque_ports.insert(CLUSTER_IP.port());
    });
    let client = client.await.ready().await;
    for (name, address, in_mesh, waits) in [
        ("a client without a sidecar", server.inbound, false, true),
        ("a client with one", client.outbound, true, false),
    ] {
        // What comes first, the server's word or the client's, is the same to both.
        for speaks_first in [false, true] {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(address).await.unwrap();
            if speaks_first {
                stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            }
            let mut hello = [0; 6];
            stream.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"hello ", "{name}");
            let waited = begun.elapsed().as_millis() >= 300;
            assert!(!waits || speaks_first || waited, "{name}: a sidecar could not have been heard");
            stream.write_all(b"end\n").await.unwrap();
            let mut rest = vec![0; if speaks_first { 20 } else { 4 }];
            stream.read_exact(&mut rest).await.unwrap();
            assert!(rest.ends_with(b"end\n"), "{name}");
        }
        assert_eq!(has_handshakes(&server).await, in_mesh, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_is_slow_to_begin_is_one_still() {
    // Says nothing by itself.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let application = listener.local_addr().unwrap();
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application, application, |_| {}).await.ready().await;
    let stream = TcpStream::connect(server.inbound).await.unwrap();
    // The proxy has given up waiting once it connects to the application.
    let (_plain, _) = listener.accept().await.unwrap();
    let mesh = operator.issuer();
    let certificate = Some(mesh.member(&identity("client"), A_DAY));
    let suit = Suit { certificate, believes: &mesh, alpn: "weft-tcp" };
    let mut stream = connect_tls_on(stream, &identity("web").server_name(), suit).await.unwrap();
    stream.write_all(b"said").await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    let mut said = [0; 4];
    accepted.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"said");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_is_no_different() {
    let plain = Server::named("application").await;
    let own = IpAddr::V6(Ipv6Addr::LOCALHOST);
    // The application itself is at an address of IPv6.
    let listener = TcpListener::bind((own, 0)).await.unwrap();
    let application = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(plain.address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let operator = Operator::start().await;
    let server = Proxy::at(own, &operator, application, application, |_| {}).await.ready().await;
    let service_ip = SocketAddr::new("fd00::9".parse().unwrap(), 80);
    operator.say(target(service_ip), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::at(own, &operator, service_ip, service_ip, |_| {}).await.ready().await;
    for mut client in [Client::connect(client.outbound).await, Client::connect_http2(client.outbound).await] {
        assert_eq!(client.send(get("/")).await.body, "application");
    }
    assert!(has_handshakes(&server).await);
}
