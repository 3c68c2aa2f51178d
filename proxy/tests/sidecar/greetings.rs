//! Servers that speak first: nobody claims anything in the shadow of their words.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use crate::support::{
    A_DAY, CLUSTER_IP, Client, Operator, PATIENCE, Proxy, Suit, block, connect_tls, frame, get, identity, meshed,
    service, target,
};

/// Who claims to be somebody else.
const CLAIM: &str = "GET / HTTP/1.1\r\nHost: web\r\nWeft-Client-Id: spiffe://cluster.local/ns/shop/sa/admin\r\n\r\n";
const ADMIN: &str = "spiffe://cluster.local/ns/shop/sa/admin";

/// Bytes both ways, whatever they go through.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The ways to an application, and who its client is there.
const WAYS: [(&str, &str); 3] =
    [("without a sidecar", ""), ("as bytes of a member", "client"), ("through two sidecars", "web")];

/// An application with its sidecar, and another's sidecar that sends to it.
struct Roads {
    operator: Operator,
    server: Proxy,
    client: Proxy,
}

impl Roads {
    async fn to(application: SocketAddr) -> Self {
        let operator = Operator::start().await;
        let server = Proxy::with(&operator, application, application, |_| {}).await.ready().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
        let client = Proxy::start(&operator).await.ready().await;
        Self { operator, server, client }
    }

    async fn connect(&self, way: &str) -> Box<dyn Stream> {
        match way {
            "as bytes of a member" => {
                let mesh = self.operator.issuer();
                let certificate = Some(mesh.member(&identity("client"), A_DAY));
                let suit = Suit { certificate, believes: &mesh, alpn: "weft-tcp" };
                Box::new(connect_tls(self.server.inbound, &identity("web").server_name(), suit).await.unwrap())
            }
            "through two sidecars" => Box::new(TcpStream::connect(self.client.outbound).await.unwrap()),
            _ => Box::new(TcpStream::connect(self.server.inbound).await.unwrap()),
        }
    }
}

/// Waits until `count` is reached.
async fn reached(counted: &watch::Receiver<u64>, count: u64) {
    let mut counted = counted.clone();
    let waiting = counted.wait_for(|so_far| *so_far >= count);
    let _ = timeout(PATIENCE, waiting).await.expect("it is not reached").unwrap();
}

/// An application of HTTP/2 alone, which says its settings before it has heard anything, and to how many it has. Answers with who
/// is said to ask.
async fn of_http2() -> (SocketAddr, watch::Receiver<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (greet, greeted) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let greet = greet.clone();
            tokio::spawn(async move {
                let who = service_fn(|request: Request<Incoming>| async move {
                    let all = request.headers().get_all("weft-client-id");
                    let said: Vec<_> = all.iter().map(|value| value.to_str().unwrap()).collect();
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(said.join(" "))))
                });
                let serving = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), who);
                let mut serving = std::pin::pin!(serving);
                // Its first step writes the settings and finds nothing to be read.
                assert!(futures::poll!(&mut serving).is_pending());
                greet.send_modify(|greeted| *greeted += 1);
                let _ = serving.await;
            });
        }
    });
    (address, greeted)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_server_that_speaks_first_learns_who_asks() {
    let (application, greeted) = of_http2().await;
    let roads = Roads::to(application).await;
    for (way, who) in WAYS {
        let before = *greeted.borrow();
        let stream = roads.connect(way).await;
        // The client is slow, and the sidecar has asked its server.
        reached(&greeted, before + 1).await;
        let (mut client, _) = Client::on(stream, true).await;
        let mut claim = get("/");
        claim.headers_mut().insert("weft-client-id", ADMIN.parse().unwrap());
        let answer = client.send(claim).await;
        let who = if who.is_empty() { String::new() } else { identity(who).to_string() };
        assert_eq!((answer.status, answer.body), (200, who), "{way}");
    }
}

/// An application that says the same to everybody who comes, may end its side then, and says everything again.
struct Greeter {
    address: SocketAddr,
    /// What each connection said, once it has ended.
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    greeted: watch::Receiver<u64>,
    ended: watch::Receiver<u64>,
}

impl Greeter {
    async fn start(greeting: &'static [u8], goes_on: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let ((greet, greeted), (end, ended)) = (watch::channel(0), watch::channel(0));
        let all = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (all, greet, end) = (all.clone(), greet.clone(), end.clone());
                tokio::spawn(async move {
                    stream.write_all(greeting).await.unwrap();
                    if !goes_on {
                        stream.shutdown().await.unwrap();
                    }
                    greet.send_modify(|greeted| *greeted += 1);
                    let heard = listen(stream, goes_on).await;
                    all.lock().unwrap().push(heard);
                    end.send_modify(|ended| *ended += 1);
                });
            }
        });
        Self { address, heard, greeted, ended }
    }
}

async fn listen(mut stream: TcpStream, echoes: bool) -> Vec<u8> {
    let (mut heard, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        heard.extend_from_slice(&chunk[..read]);
        if echoes && stream.write_all(&chunk[..read]).await.is_err() {
            break;
        }
    }
    heard
}

/// A request over HTTP/2 with a claim, and all before it.
fn http2() -> Vec<u8> {
    let fields = block(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "web"),
        ("weft-client-id", ADMIN),
    ]);
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..], &frame(1, 5, 1, &fields)].concat()
}

/// Whether `heard` is enough for any server to act on.
fn is_request(heard: &[u8]) -> bool {
    let has = |words: &[u8]| heard.windows(words.len()).any(|window| window == words);
    has(ADMIN.as_bytes()) || has(b"HTTP/1.1\r\n") || has(b"SM\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_passes_behind_a_greeting_and_bytes_do() {
    /// A frame of settings with two of them.
    const SETTINGS: &[u8] = b"\0\0\x0c\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x01\0\0";
    let (http1, http2) = (CLAIM.as_bytes().to_vec(), http2());
    for (name, greeting, goes_on, says, passes) in [
        ("a word", &b"220 web ready\r\n"[..], true, [&b"EHLO"[..], b" client\r\n"], true),
        ("a word, and bytes", b"220 web ready\r\n", true, [b"\x01", b"GET / HTTP/1.1\r\n"], true),
        ("half of settings", b"\0\0\x0c\x04", true, [b"\x01", b"said"], true),
        ("a number that begins like settings", b"\0\0\0\x04\0\0\0\x01", true, [b"\x01", b"said"], true),
        ("a word, and HTTP/1", b"220 web ready\r\n", true, [b"", &http1], false),
        ("a word, and HTTP/1 in pieces", b"220 web ready\r\n", true, [&http1[..9], &http1[9..]], false),
        ("a word, and HTTP/1 behind white space", b"220 web ready\r\n", true, [b"\r\n ", &http1], false),
        ("a word, and HTTP/2", b"220 web ready\r\n", true, [b"", &http2], false),
        ("a word, and HTTP/2 in pieces", b"220 web ready\r\n", true, [&http2[..20], &http2[20..]], false),
        ("half of settings, and HTTP/2", &SETTINGS[..8], true, [b"", &http2], false),
        ("an answer to nobody", b"HTTP/1.1 408 Request Timeout\r\n\r\n", true, [b"", &http1], false),
        ("the end of its side", b"", false, [b"", &http1], false),
    ] {
        let application = Greeter::start(greeting, goes_on).await;
        let roads = Roads::to(application.address).await;
        let all = WAYS.map(async |(way, _)| {
            let name = format!("{name}, {way}");
            let mut stream = roads.connect(way).await;
            let mut heard = vec![0; greeting.len()];
            timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("no greeting").unwrap();
            assert_eq!(heard, greeting, "{name}");
            if !goes_on {
                assert_eq!(timeout(PATIENCE, stream.read(&mut [0])).await.expect("no end").unwrap(), 0, "{name}");
            }
            for (said, is_heard) in says.into_iter().zip([goes_on, goes_on && passes]) {
                stream.write_all(said).await.unwrap();
                if is_heard {
                    let mut echo = vec![0; said.len()];
                    timeout(PATIENCE, stream.read_exact(&mut echo)).await.expect("no echo").unwrap();
                    assert_eq!(echo, said, "{name}");
                }
            }
            if !passes {
                // The end may be a reset.
                let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("no end");
            }
        });
        futures::future::join_all(all).await;
        reached(&application.ended, 3).await;
        for heard in std::mem::take(&mut *application.heard.lock().unwrap()) {
            if passes {
                assert_eq!(heard, says.concat(), "{name}");
            } else {
                assert!(!is_request(&heard), "{name}: {}", String::from_utf8_lossy(&heard));
            }
        }
        if !passes {
            let counted = r#"weft_errors_total{direction="inbound",reason="late-request"} 3"#;
            roads.server.admin_until("/metrics", |metrics| metrics.body.contains(counted)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_settings_are_bytes() {
    let greeting = b"\0\0\0\x04\0\0\0\0\0";
    let application = Greeter::start(greeting, true).await;
    let roads = Roads::to(application.address).await;
    for (way, _) in WAYS {
        let before = *application.greeted.borrow();
        let mut stream = roads.connect(way).await;
        reached(&application.greeted, before + 1).await;
        stream.write_all(b"\x01said").await.unwrap();
        let mut answer = [0; 14];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("no answer").unwrap();
        assert_eq!(&answer, b"\0\0\0\x04\0\0\0\0\0\x01said", "{way}");
    }
}
