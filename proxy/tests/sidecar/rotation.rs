//! Certificates, issuers and roots that change while traffic goes on.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use weft_proxy_api::v1;

use crate::support::{
    A_DAY, Authority, CLUSTER_IP, Client, Life, Operator, PATIENCE, Proxy, Server, Suit, connect_tls, get, identity,
    mesh_server, meshed, meshed_as, request, service, target, token_file,
};

/// Long enough for a renewal on a machine that has other things to do, short enough for a test.
const SHORT: Duration = Duration::from_secs(6);

/// Long enough to be used before it ends, which is up to a second earlier: certificates count whole ones.
const EXPIRING: Duration = Duration::from_secs(4);

/// Says everything again.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// Clients that never pause.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    fn on(http: SocketAddr, bytes: SocketAddr) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (stop.clone(), done.clone());
        let go_on = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            !stopped.load(Ordering::SeqCst)
        };
        let requests = |http2: bool, one_connection: bool| {
            let go_on = go_on.clone();
            tokio::spawn(async move {
                let connect =
                    || async { if http2 { Client::connect_http2(http).await } else { Client::connect(http).await } };
                let mut client = connect().await;
                while go_on() {
                    if !one_connection {
                        client = connect().await;
                    }
                    match client.try_send(request("POST", "/", "once")).await {
                        Ok(answer) if answer.status == 200 => {}
                        other => return Err(format!("HTTP/2 {http2}: {other:?}")),
                    }
                }
                Ok(())
            })
        };
        let mut clients = vec![requests(false, true), requests(true, true), requests(false, false)];
        let go_on = go_on.clone();
        clients.push(tokio::spawn(async move {
            while go_on() {
                let said = async {
                    let mut stream = TcpStream::connect(bytes).await?;
                    stream.write_all(b"\nbytes").await?;
                    stream.shutdown().await?;
                    let mut said = String::new();
                    stream.read_to_string(&mut said).await?;
                    Ok::<_, std::io::Error>(said)
                };
                match said.await {
                    Ok(said) if said == "\nbytes" => {}
                    other => return Err(format!("bytes: {other:?}")),
                }
            }
            Ok(())
        }));
        Self { stop, done, clients }
    }

    /// Waits for some more requests.
    async fn go_on(&self) {
        let until = self.done.load(Ordering::SeqCst) + 50;
        while self.done.load(Ordering::SeqCst) < until && self.clients.iter().all(|client| !client.is_finished()) {
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.unwrap().unwrap();
        }
        self.done.load(Ordering::SeqCst)
    }
}

/// Waits until all of the proxies have said that they took `version`.
async fn taken(operator: &Operator, version: u64, proxies: usize) {
    let by = |heard: &crate::support::Heard| {
        let verdicts = heard.trust_verdicts.iter();
        verdicts.filter(|verdict| verdict.version == version && verdict.refusal.is_empty()).count()
    };
    operator.heard(|heard| by(heard) == proxies).await;
}

fn issuer_of(config: &str) -> String {
    let config: serde_json::Value = serde_json::from_str(config).unwrap();
    config["identity"]["certificate"]["issuer"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_issuers_and_roots_change_without_a_failed_request() {
    let application = Server::start(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            http::Response::new(http_body_util::Full::new(body).boxed_unsync())
        })
    })
    .await;
    let bytes = echo().await;
    let operator = Operator::start().await;
    operator.sign_for(Life::of(SHORT));
    let of_http = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    let of_bytes = Proxy::with(&operator, bytes, bytes, |_| {}).await.ready().await;
    let other = SocketAddr::new(CLUSTER_IP.ip(), CLUSTER_IP.port() + 1);
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(of_http.inbound)])]));
    operator.say(target(other), service(&[("web", 1, vec![meshed(of_bytes.inbound)])]));
    let client = Proxy::start(&operator).await.ready().await;
    let client_of_bytes = Proxy::with(&operator, other, other, |_| {}).await.ready().await;
    let proxies = [&of_http, &of_bytes, &client, &client_of_bytes];

    let load = Load::on(client.outbound, client_of_bytes.outbound);
    let first = operator.issuer();
    let mut old = first.clone();
    for round in 0..3 {
        let new = Arc::new(Authority::new(&format!("root {round}")));
        taken(&operator, operator.trust(&[&old, &new], &old), proxies.len()).await;
        load.go_on().await;
        operator.trust(&[&old, &new], &new);
        for proxy in proxies {
            proxy.admin_until("/config", |config| issuer_of(&config.body) == new.fingerprint()).await;
        }
        load.go_on().await;
        taken(&operator, operator.trust(&[&new], &new), proxies.len()).await;
        load.go_on().await;
        old = new;
    }
    let done = load.end().await;
    assert!(done > 450, "{done} requests");
    let certified = operator.heard(|_| true).await.certified.len();
    assert!(certified >= 4 * proxies.len(), "{certified} certificates");

    let stolen = Suit { certificate: Some(first.member(&identity("web"), A_DAY)), believes: &old, alpn: "http/1.1" };
    let mut stream = connect_tls(of_http.inbound, &identity("web").server_name(), stolen).await.unwrap();
    let refusal = async {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await?;
        stream.read_u8().await
    };
    let refusal = refusal.await.unwrap_err().to_string();
    assert!(refusal.contains("fatal alert: UnknownCA"), "the old root as a client: {refusal}");

    let stolen = Suit { certificate: Some(first.member(&identity("web"), A_DAY)), believes: &old, alpn: "h2,http/1.1" };
    let impostor = mesh_server(application.address, stolen).await;
    operator.say_and_hear(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(impostor)])])).await;
    let answer = Client::connect(client.outbound).await.send(get("/")).await;
    assert_eq!((answer.status, answer.header("weft-error")), (502, Some("tls")), "the old root as a server");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_earlier_roots_are_not_used_for_new_requests() {
    let application = Server::named("application").await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::start(&operator).await.ready().await;
    let mut clients = [Client::connect(client.outbound).await, Client::connect_http2(client.outbound).await];
    let (first, second) = (operator.issuer(), Authority::new("second root"));
    for (name, roots, want) in [
        ("at first", &[&*first][..], 2),
        ("said again", &[&first], 2),
        ("one more", &[&first, &second], 4),
        ("one less", &[&first], 6),
    ] {
        taken(&operator, operator.trust(roots, &first), 2).await;
        for client in &mut clients {
            for _ in 0..3 {
                assert_eq!(client.send(get("/")).await.status, 200, "{name}");
            }
        }
        let count =
            format!("weft_tls_handshakes_total{{direction=\"outbound\",result=\"success\",reason=\"\"}} {want}\n");
        let metrics = client.admin("/metrics").await.body;
        assert!(metrics.contains(&count), "{name}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_ends_nothing_that_exists() {
    let bytes = echo().await;
    let mut operator = Operator::start().await;
    let server = Proxy::with(&operator, bytes, bytes, |_| {}).await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed_as("web", server.inbound)])]));
    operator.sign_for(Life::of(Duration::from_secs(3)));
    let client = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, |settings| {
        settings.token_file = token_file("account-client");
    });
    let client = client.await.ready().await;
    let mut open = TcpStream::connect(client.outbound).await.unwrap();
    let mut said = [0; 5];
    open.write_all(b"\nsaid").await.unwrap();
    open.read_exact(&mut said).await.unwrap();
    operator.vanish().await;

    let refused = async {
        loop {
            let mut stream = TcpStream::connect(client.outbound).await.unwrap();
            let answer = async {
                stream.write_all(b"\nsaid").await?;
                stream.read_exact(&mut [0; 5]).await
            };
            if answer.await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), refused).await.expect("is still believed");
    let metrics = client.admin("/metrics").await.body;
    assert!(metrics.contains(r#"result="failure",reason="own-certificate-expired""#), "{metrics}");
    open.write_all(b"again").await.unwrap();
    open.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"again", "a connection that was there");

    operator.sign_for(A_DAY);
    operator.come_back().await;
    client.admin_until("/metrics", |metrics| metrics.body.contains(r#"renewals_total{result="success"} 2"#)).await;
    let mut stream = TcpStream::connect(client.outbound).await.unwrap();
    stream.write_all(b"\nback").await.unwrap();
    stream.read_exact(&mut said).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_trusted_is_refused_and_the_last_good_kept() {
    let application = Server::named("application").await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::start(&operator).await.ready().await;
    let version = operator.say_trust(|version| v1::Trust {
        version,
        trust_domain: "cluster.local".to_owned(),
        roots: vec![vec![1, 2, 3]],
        issuer: vec![0; 32],
    });
    let heard =
        operator.heard(|heard| heard.trust_verdicts.iter().filter(|one| one.version == version).count() == 2).await;
    let refusals = heard.trust_verdicts.iter().filter(|one| one.version == version).map(|one| &one.refusal);
    assert!(
        refusals.clone().all(|refusal| refusal.starts_with("root 0 is no certificate")),
        "{:?}",
        heard.trust_verdicts
    );
    assert_eq!(Client::connect(client.outbound).await.send(get("/")).await.body, "application");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_be_signed_by_any_root_that_is_known() {
    for (name, in_file, received, reached) in [
        ("in the bundle that is mounted", true, false, true),
        ("received over the stream", false, true, true),
        ("not known", false, false, false),
    ] {
        let mut operator = Operator::start().await;
        let new = Arc::new(Authority::new("new root"));
        let bundle = token_file("not a bundle yet");
        let file = bundle.clone();
        let proxy = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, |settings| settings.trust_file = file);
        let proxy = proxy.await.ready().await;
        if received {
            let issuer = operator.issuer();
            taken(&operator, operator.trust(&[&issuer, &new], &issuer), 1).await;
        }
        if in_file {
            std::fs::write(&bundle, &new.pem).unwrap();
        }
        operator.vanish().await;
        proxy.admin_until("/config", |config| config.body.contains("\"connected\": false")).await;
        operator.show_certificate_of(&new);
        operator.come_back().await;
        if reached {
            proxy.admin_until("/config", |config| config.body.contains("\"connected\": true")).await;
        } else {
            proxy.admin_until("/config", |config| config.body.contains("UnknownIssuer")).await;
        }
        let health: serde_json::Value = serde_json::from_str(&proxy.admin("/config").await.body).unwrap();
        assert_eq!(health["operator"]["connected"], reached, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_not_believed_by_the_pods_first_root_once_there_are_newer_ones() {
    let mut operator = Operator::start().await;
    let new = Arc::new(Authority::new("new root"));
    let proxy = Proxy::start(&operator).await.ready().await;
    taken(&operator, operator.trust(&[&new], &new), 1).await;
    operator.vanish().await;
    operator.come_back().await;
    proxy.admin_until("/config", |config| config.body.contains("UnknownIssuer")).await;
    operator.vanish().await;
    operator.show_certificate_of(&new);
    operator.come_back().await;
    proxy.admin_until("/config", |config| config.body.contains("\"connected\": true")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_uses_end() {
    let application = Server::start(|request| {
        let slow = request.uri().path() == "/slow";
        Box::pin(async move {
            if slow {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            crate::support::text(200, "application")
        })
    })
    .await;
    let operator = Operator::start().await;
    let mesh = operator.issuer();
    let long = Duration::from_secs(600);
    for (name, idle_limit, life, path) in [
        ("idle", Duration::from_secs(1), A_DAY, "/"),
        ("idle after a slow answer", Duration::from_secs(1), A_DAY, "/slow"),
        ("the client's certificate has expired", long, Life::of(EXPIRING), "/"),
    ] {
        let proxy = Proxy::with(&operator, application.address, application.address, |settings| {
            settings.idle_limit = idle_limit;
        });
        let proxy = proxy.await.ready().await;
        for http2 in [false, true] {
            let certificate = Some(mesh.member(&identity("client"), life));
            let alpn = if http2 { "h2" } else { "http/1.1" };
            let suit = Suit { certificate, believes: &mesh, alpn };
            let stream = connect_tls(proxy.inbound, &identity("web").server_name(), suit).await.unwrap();
            let (mut client, ended) = Client::on(stream, http2).await;
            assert_eq!(client.send(get(path)).await.body, "application", "{name}");
            // Whether it ends in good order is not the question, but that it ends.
            assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok(), "{name}, HTTP/2 {http2}");
        }
    }
}

/// Who has proved to be a member is one for as long as the certificate is good and its root trusted: what is in flight ends, and then
/// the connection does.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_when_its_client_is_no_member_any_more() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let application = Server::start(move |_request| {
        let mut gone = gone.clone();
        Box::pin(async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            crate::support::text(200, "application")
        })
    })
    .await;
    let bytes = echo().await;
    for (name, life, root_stays, ends) in [
        ("a member still", A_DAY, true, false),
        ("its root is gone", A_DAY, false, true),
        ("its certificate has expired", Life::of(EXPIRING), true, true),
    ] {
        go.send_replace(false);
        let operator = Operator::start().await;
        let first = operator.issuer();
        let second = Arc::new(Authority::new("second root"));
        taken(&operator, operator.trust(&[&first, &second], &first), 0).await;
        let proxy = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
        let of_bytes = Proxy::with(&operator, bytes, bytes, |_| {}).await.ready().await;
        let connect = async |address, alpn| {
            let suit = Suit { certificate: Some(first.member(&identity("client"), life)), believes: &first, alpn };
            connect_tls(address, &identity("web").server_name(), suit).await.unwrap()
        };
        let mut raw = connect(of_bytes.inbound, "weft-tcp").await;
        raw.write_all(b"\x01said").await.unwrap();
        raw.read_exact(&mut [0; 5]).await.unwrap();
        let mut asked = Vec::new();
        for (alpn, http2) in [("http/1.1", false), ("h2", true)] {
            let (mut client, ended) = Client::on(connect(proxy.inbound, alpn).await, http2).await;
            asked.push(tokio::spawn(async move {
                let answer = client.send(get("/")).await;
                (http2, answer, client, ended)
            }));
        }
        let begun = tokio::time::Instant::now();
        proxy.admin_until("/config", |config| config.body.contains("\"in_flight\": 2")).await;
        if !root_stays {
            operator.trust(&[&second], &second);
            for proxy in [&proxy, &of_bytes] {
                proxy.admin_until("/config", |config| issuer_of(&config.body) == second.fingerprint()).await;
            }
        } else if ends {
            tokio::time::sleep_until(begun + EXPIRING + Duration::from_secs(1)).await;
        }
        go.send_replace(true);
        for asked in asked {
            let (http2, answer, mut client, ended) = asked.await.unwrap();
            let name = format!("{name}, HTTP/2: {http2}");
            assert_eq!((answer.status, answer.body.as_str()), (200, "application"), "{name}");
            assert_eq!(answer.header("connection") == Some("close"), ends && !http2, "{name}");
            if ends {
                let end = tokio::time::timeout(Duration::from_secs(3), ended).await.expect("no end");
                assert!(end.unwrap().is_ok(), "{name}");
            } else {
                assert_eq!(client.send(get("/")).await.status, 200, "{name}");
            }
        }
        // Bytes go on for a day after the end of a certificate, and not at all without its root.
        raw.write_all(b"again").await.ok();
        let again = tokio::time::timeout(Duration::from_secs(10), raw.read_exact(&mut [0; 5])).await.expect("no end");
        assert_eq!(again.is_ok(), root_stays, "{name}");
    }
}
