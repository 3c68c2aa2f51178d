//! Who is not believed: nothing of what they say arrives, and nothing is said to them.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    A_DAY, Authority, CLUSTER_IP, Client, Life, Operator, PATIENCE, Proxy, Recorder, Reply, Server, Suit, Tap,
    connect_tls, get, identity, mesh_server, meshed, request, service, target,
};

/// Bytes both ways, whatever they go through.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

const SECRET: &str = "what-nobody-else-may-read";
const EXPIRED: Life = Life { from: -7200, to: -3600 };
const NOT_YET: Life = Life { from: 3600, to: 7200 };

/// Waits until the proxy has counted as many failed handshakes as `want` says, by reason, and no others.
async fn failed(proxy: &Proxy, direction: &str, want: &[(&str, u64)]) {
    let own = format!(r#"weft_tls_handshakes_total{{direction="{direction}",result="failure",reason=""#);
    let counted = |metrics: &str| {
        let counts = metrics.lines().filter_map(|line| line.strip_prefix(&own)?.split_once("\"} "));
        counts.map(|(reason, count)| (reason.to_owned(), count.parse().unwrap())).collect::<Vec<(String, u64)>>()
    };
    let want: Vec<_> = want.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    let last = std::sync::Mutex::default();
    let right = proxy.admin_until("/metrics", |answer| {
        *last.lock().unwrap() = counted(&answer.body);
        counted(&answer.body) == want
    });
    if tokio::time::timeout(PATIENCE / 4, right).await.is_err() {
        panic!("{:?} instead of {want:?}", last.lock().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_serves_members_of_the_mesh_only() {
    let application = Server::named("application").await;
    let operator = Operator::start().await;
    let mesh = operator.issuer();
    // The same name: only the key tells.
    let self_made = Authority::new("first root");
    let client = identity("client");
    let elsewhere = weft_policy::identity::SpiffeId::new("evil.local", "shop", "client").unwrap();
    for (name, certificate, want) in [
        ("a member", Some(mesh.member(&client, A_DAY)), None),
        ("a self-made authority", Some(self_made.member(&client, A_DAY)), Some("unknown-issuer")),
        ("no certificate", None, Some("no-certificate")),
        ("expired", Some(mesh.member(&client, EXPIRED)), Some("expired")),
        ("not yet valid", Some(mesh.member(&client, NOT_YET)), Some("not-yet-valid")),
        ("another trust domain", Some(mesh.member(&elsewhere, A_DAY)), Some("wrong-identity")),
    ] {
        for alpn in ["http/1.1", "weft-tcp"] {
            let proxy = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
            let before = application.requests();
            let suit = Suit {
                certificate: certificate.as_ref().map(|(leaf, key)| (leaf.clone(), key.clone_key())),
                believes: &mesh,
                alpn,
            };
            let mut stream = connect_tls(proxy.inbound, &identity("web").server_name(), suit).await.unwrap();
            let answer = async {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await?;
                Ok::<_, std::io::Error>(answer)
            };
            let answer = tokio::time::timeout(PATIENCE, answer).await.expect("no end");
            match want {
                None => {
                    assert!(answer.unwrap().ends_with("application"), "{name}, {alpn}");
                    // With a ticket a session could be taken up again after its root is gone.
                    assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
                }
                Some(reason) => {
                    let error = answer.expect_err(name).to_string();
                    assert!(error.contains("fatal alert"), "{name}, {alpn}: {error}");
                    assert_eq!(application.requests(), before, "{name}, {alpn}");
                    failed(&proxy, "inbound", &[(reason, 1)]).await;
                }
            }
        }
    }
}

/// What the client's sidecar makes of an endpoint, by every protocol.
async fn answers(proxy: &Proxy) -> Vec<(&'static str, Result<String, String>)> {
    let of = |answer: crate::support::Answer| match answer.status {
        200 => Ok(answer.body),
        status => Err(format!("{status} {}", answer.header("weft-error").unwrap_or_default())),
    };
    let http1 = Client::connect(proxy.outbound).await.send(request("POST", "/", SECRET)).await;
    let http2 = Client::connect_http2(proxy.outbound).await.send(request("POST", "/", SECRET)).await;
    let mut upgrade = request("GET", "/", "");
    upgrade.headers_mut().insert("connection", "upgrade".parse().unwrap());
    upgrade.headers_mut().insert("upgrade", SECRET.parse().unwrap());
    let upgrade = Client::connect(proxy.outbound).await.send(upgrade).await;
    let bytes = async {
        let mut stream = TcpStream::connect(proxy.outbound).await?;
        // No HTTP, but what a server of HTTP answers.
        stream.write_all(format!("\nGET / HTTP/1.1\r\nHost: {SECRET}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
    };
    let bytes = bytes.await.map_err(|error| error.kind().to_string());
    vec![("HTTP/1.1", of(http1)), ("HTTP/2", of(http2)), ("an upgrade", of(upgrade)), ("bytes", bytes)]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_to_an_endpoint_that_is_not_who_it_should_be() {
    let operator = Operator::start().await;
    let mesh = operator.issuer();
    let self_made = Authority::new("first root");
    let web = identity("web");
    for (name, certificate, want) in [
        ("the right one", mesh.member(&web, A_DAY), None),
        ("the right certificate of another", mesh.member(&identity("other"), A_DAY), Some("wrong-identity")),
        ("a self-made authority", self_made.member(&web, A_DAY), Some("unknown-issuer")),
        ("expired", mesh.member(&web, EXPIRED), Some("expired")),
        ("not yet valid", mesh.member(&web, NOT_YET), Some("not-yet-valid")),
    ] {
        let application = Server::named("application").await;
        let suit = Suit { certificate: Some(certificate), believes: &mesh, alpn: "h2,http/1.1,weft-tcp" };
        let wire = Tap::on(mesh_server(application.address, suit).await).await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(wire.address)])]));
        let proxy = Proxy::start(&operator).await.ready().await;
        for (protocol, answer) in answers(&proxy).await {
            match want {
                None => assert_eq!(answer.as_deref(), Ok("application"), "{name}, {protocol}"),
                Some(_) if protocol == "bytes" => {
                    assert_eq!(answer, Err("connection reset".to_owned()), "{name}");
                }
                Some(_) => assert_eq!(answer, Err("502 tls".to_owned()), "{name}, {protocol}"),
            }
        }
        assert!(!wire.heard_in_the_clear(SECRET), "{name}");
        if let Some(reason) = want {
            assert_eq!(application.requests(), 0, "{name}");
            failed(&proxy, "outbound", &[(reason, 4)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_does_not_speak_tls_gets_no_plaintext() {
    let operator = Operator::start().await;
    let application = Server::named("application").await;
    let wire = Tap::on(application.address).await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(wire.address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    for (protocol, answer) in answers(&proxy).await {
        assert!(answer.is_err(), "{protocol}: {answer:?}");
    }
    assert!(!wire.heard_in_the_clear(SECRET));
    assert_eq!(application.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impostor_among_the_endpoints_costs_no_request() {
    let operator = Operator::start().await;
    let mesh = operator.issuer();
    let other = Authority::new("another root");
    for (name, certificate, believes) in [
        ("another identity", mesh.member(&identity("other"), A_DAY), &mesh),
        ("does not believe this proxy", mesh.member(&identity("web"), A_DAY), &std::sync::Arc::new(other)),
    ] {
        let (application, impostor) = (Server::named("application").await, Server::named("impostor").await);
        let suit = Suit { certificate: Some(certificate), believes, alpn: "h2,http/1.1,weft-tcp" };
        let wrong = mesh_server(impostor.address, suit).await;
        let right = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(wrong), meshed(right.inbound)])]));
        let proxy = Proxy::start(&operator).await.ready().await;
        for mut client in [Client::connect(proxy.outbound).await, Client::connect_http2(proxy.outbound).await] {
            for _ in 0..10 {
                let answer = client.send(request("POST", "/", "once")).await;
                assert_eq!((answer.status, answer.body.as_str()), (200, "application"), "{name}: {answer:?}");
            }
        }
        assert_eq!((application.requests(), impostor.requests()), (20, 0), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_only_what_needs_none_is_carried() {
    let operator = Operator::start().await;
    operator.refuse_certificates(Some(tonic::Status::permission_denied("not you")));
    let application = Server::named("application").await;
    let proxy = Proxy::with(&operator, CLUSTER_IP, application.address, |_| {}).await;
    operator.heard(|heard| !heard.certified.is_empty()).await;
    proxy.admin_until("/readyz", |answer| answer.body == "there is no certificate yet\n").await;
    proxy.admin_until("/config", |answer| answer.body.contains("not you")).await;

    let wire = Tap::on(application.address).await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(wire.address)])]));
    for (protocol, answer) in answers(&proxy).await {
        assert!(answer.is_err(), "{protocol}: {answer:?}");
    }
    assert!(wire.heard().is_empty());
    failed(&proxy, "outbound", &[("uncertified", 4)]).await;

    assert_eq!(Client::connect(proxy.inbound).await.send(get("/")).await.body, "application", "a plain client");
    let mesh = operator.issuer();
    let suit = Suit { certificate: Some(mesh.member(&identity("client"), A_DAY)), believes: &mesh, alpn: "h2" };
    assert!(connect_tls(proxy.inbound, &identity("web").server_name(), suit).await.is_err());

    operator.refuse_certificates(None);
    let proxy = proxy.ready().await;
    assert!(proxy.admin("/config").await.body.contains("\"succeeded\": 1"));
}

/// Answers with what the request says about its client.
async fn who() -> Server {
    Server::start(|request| {
        let named = |name| request.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
        let said: Vec<String> = named("weft-client-id").chain(named("weft_client_id")).collect();
        Box::pin(async move { Reply::new(Full::from(said.join(" ")).boxed_unsync()) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_says_themselves_who_they_are() {
    let application = who().await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::start(&operator).await.ready().await;
    let web = "spiffe://cluster.local/ns/shop/sa/web";
    for (name, claims) in [
        ("nothing claimed", &[][..]),
        ("claimed", &[("weft-client-id", "spiffe://cluster.local/ns/shop/sa/admin")]),
        ("claimed twice", &[("weft-client-id", "a"), ("weft-client-id", "b")]),
        ("claimed in CGI's way", &[("weft_client_id", "a")]),
    ] {
        for (hop, address, want) in [("without a sidecar", server.inbound, ""), ("with one", client.outbound, web)] {
            let mut call = get("/");
            for (header, value) in claims {
                call.headers_mut().append(*header, value.parse().unwrap());
            }
            let answer = Client::connect(address).await.send(call).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, want), "{name}, {hop}");
        }
    }
}

/// Connections to the application are kept and shared. Whoever asks is named for each request.
#[tokio::test(flavor = "multi_thread")]
async fn callers_that_share_a_connection_keep_their_names() {
    let application = Recorder::start().await;
    let operator = Operator::start().await;
    let proxy = Proxy::with(&operator, application.address, application.address, |settings| settings.workers = 1);
    let proxy = proxy.await.ready().await;
    let mesh = operator.issuer();
    for turn in 0..3 {
        for account in [None, Some("client"), Some("other")] {
            let name = format!("{account:?}, turn {turn}");
            let mut client = match account {
                None => Client::connect(proxy.inbound).await,
                Some(account) => {
                    let certificate = Some(mesh.member(&identity(account), A_DAY));
                    let suit = Suit { certificate, believes: &mesh, alpn: "http/1.1" };
                    let stream = connect_tls(proxy.inbound, &identity("web").server_name(), suit).await.unwrap();
                    Client::on(stream, false).await.0
                }
            };
            assert_eq!(client.send(get("/")).await.status, 200, "{name}");
            let seen = application.take().remove(0);
            let want: Vec<_> = account.iter().map(|account| identity(account).to_string()).collect();
            assert_eq!(seen.header("weft-client-id"), want, "{name}");
        }
    }
    assert!(application.connections() < 9, "no connection was shared");
}

/// However a connection begins, what it says in HTTP is read as such, and who it says it is is not believed.
#[tokio::test(flavor = "multi_thread")]
async fn no_beginning_of_a_connection_hides_a_claim() {
    const CLAIM: &str = "GET / HTTP/1.1\r\nHost: web\r\nWeft-Client-Id: spiffe://cluster.local/ns/shop/sa/admin\r\n\
                         Connection: close\r\n\r\n";
    let application = Recorder::start().await;
    let operator = Operator::start().await;
    let server = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
    let client = Proxy::start(&operator).await.ready().await;
    let mesh = operator.issuer();
    for (name, beginning, status) in [
        ("at once", "", "200"),
        ("after empty lines", "\r\n\r\n", "200"),
        ("after a bare line feed", "\n", "400"),
        ("after a space", " ", "400"),
    ] {
        for is_silent in [false, true] {
            for (way, who) in
                [("without a sidecar", &[][..]), ("through two", &["web"]), ("as bytes of a member", &["client"])]
            {
                let name = format!("{name}, {way}, silent before: {is_silent}");
                let before = application.connections();
                let address = if way == "through two" { client.outbound } else { server.inbound };
                let mut stream: Box<dyn Stream> = Box::new(TcpStream::connect(address).await.unwrap());
                if way == "as bytes of a member" {
                    let certificate = Some(mesh.member(&identity("client"), A_DAY));
                    let suit = Suit { certificate, believes: &mesh, alpn: "weft-tcp" };
                    let server_name = identity("web").server_name();
                    stream = Box::new(connect_tls(server.inbound, &server_name, suit).await.unwrap());
                }
                if is_silent {
                    // The sidecar believes that the server speaks first.
                    application.connected(before + 1).await;
                }
                stream.write_all(format!("{beginning}{CLAIM}").as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("no end").unwrap();
                let answer = String::from_utf8(answer).unwrap();
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
                let seen = application.take();
                assert_eq!(seen.len(), usize::from(status == "200"), "{name}: {seen:?}");
                let who: Vec<_> = who.iter().map(|account| identity(account).to_string()).collect();
                for request in seen {
                    assert_eq!(request.header("weft-client-id"), who, "{name}");
                }
            }
        }
    }
}

/// A server that takes connections and never says a word.
async fn silent() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (address, holding)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_ends_in_time() {
    let operator = Operator::start().await;
    let (address, holding) = silent().await;
    operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(address)])]));
    let proxy = Proxy::start(&operator).await.ready().await;
    let (mut http1, mut http2) = (Client::connect(proxy.outbound).await, Client::connect_http2(proxy.outbound).await);
    let begun = std::time::Instant::now();
    for answer in <[_; 2]>::from(tokio::join!(http1.send(get("/")), http2.send(get("/")))) {
        assert_eq!((answer.status, answer.header("weft-error")), (502, Some("tls")));
    }
    assert!((4..9).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    failed(&proxy, "outbound", &[("timeout", 2)]).await;
    holding.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_in_its_handshake_is_not_waited_for() {
    let operator = Operator::start().await;
    let application = Server::named("application").await;
    let proxy = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
    let config = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = rustls::pki_types::ServerName::try_from(identity("web").server_name()).unwrap();
    let mut hello = Vec::new();
    rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap().write_tls(&mut hello).unwrap();
    let mut stream = TcpStream::connect(proxy.inbound).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let begun = std::time::Instant::now();
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_end(&mut answer).await;
    assert!((4..9).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    failed(&proxy, "inbound", &[("timeout", 1)]).await;
}
