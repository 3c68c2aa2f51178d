//! Clients that are no members any more, and do not go of their own accord.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::support::{
    A_DAY, Authority, Client, Frames, Life, Operator, PATIENCE, Proxy, Server, Suit, block, connect_tls, frame, get,
    identity, text,
};

/// Time in which a connection must have ended whose client has no root any more, whatever it does.
const LIMIT: Duration = Duration::from_secs(15);

/// A client whose sidecar is believed by `operator`'s first root, and may lose it.
struct Outcast {
    operator: Operator,
    first: Arc<Authority>,
    second: Arc<Authority>,
    proxy: Proxy,
}

impl Outcast {
    async fn of(application: &Server) -> Self {
        let operator = Operator::start().await;
        let (first, second) = (operator.issuer(), Arc::new(Authority::new("second root")));
        operator.trust(&[&first, &second], &first);
        let proxy = Proxy::with(&operator, application.address, application.address, |_| {}).await.ready().await;
        Self { operator, first, second, proxy }
    }

    async fn connect(&self, alpn: &str, life: Life) -> TlsStream<TcpStream> {
        let certificate = Some(self.first.member(&identity("client"), life));
        let suit = Suit { certificate, believes: &self.first, alpn };
        connect_tls(self.proxy.inbound, &identity("web").server_name(), suit).await.unwrap()
    }

    /// Takes its root away, and waits until the application's sidecar knows.
    async fn is_cast_out(&self) {
        self.operator.trust(&[&self.second], &self.second);
        let fingerprint = self.first.fingerprint();
        self.proxy.admin_until("/config", |config| !config.body.contains(&fingerprint)).await;
    }
}

/// A client of HTTP/2 that asks without a pause and passes over all that it is told. Ends with its connection.
async fn asks_for_ever(stream: TlsStream<TcpStream>) -> Option<u32> {
    let mut frames = Frames::on(stream).await;
    let fields = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "web")]);
    for id in (1..).step_by(2) {
        frames.0.write_all(&frame(1, 5, id, &fields)).await.ok()?;
        loop {
            let (kind, flags, stream, _) = frames.next().await?;
            // The end of the answer, or of the stream.
            if stream == id && (kind == 3 || flags & 1 == 1) {
                break;
            }
        }
    }
    Some(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_its_root_is_not_served_any_more() {
    let application = Server::named("application").await;
    let outcast = Outcast::of(&application).await;
    let http1 = outcast.connect("http/1.1", A_DAY).await;
    let (mut http1, ended) = Client::on(http1, false).await;
    let stubborn = tokio::spawn(asks_for_ever(outcast.connect("h2", A_DAY).await));
    assert_eq!(http1.send(get("/")).await.body, "application");
    outcast.is_cast_out().await;

    let answer = http1.send(get("/")).await;
    assert_eq!((answer.status, answer.header("weft-error")), (502, Some("tls")), "HTTP/1");
    assert!(timeout(LIMIT, ended).await.is_ok(), "HTTP/1 has no end");
    let before = application.requests();
    assert!(timeout(LIMIT, stubborn).await.is_ok(), "HTTP/2 has no end");
    assert_eq!(application.requests(), before, "requests over HTTP/2");
    let counted = r#"weft_errors_total{direction="inbound",reason="tls"}"#;
    outcast.proxy.admin_until("/metrics", |metrics| metrics.body.contains(counted)).await;
}

/// What is in flight may finish, but not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_for_who_lost_its_root_has_its_time() {
    let application = Server::start(|request| {
        Box::pin(async move {
            if request.headers().contains_key("upgrade") {
                tokio::spawn(async move {
                    let upgraded = hyper::upgrade::on(request).await.unwrap();
                    let mut upgraded = hyper_util::rt::TokioIo::new(upgraded);
                    let _ = tokio::io::copy(&mut upgraded, &mut tokio::io::sink()).await;
                });
                let mut answer = text(101, "");
                answer.headers_mut().insert("connection", "upgrade".parse().unwrap());
                answer.headers_mut().insert("upgrade", "chat".parse().unwrap());
                return answer;
            }
            std::future::pending().await
        })
    })
    .await;
    let outcast = Outcast::of(&application).await;
    let mut upgraded = outcast.connect("http/1.1", A_DAY).await;
    upgraded.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, upgraded.read_u8()).await.expect("no answer").unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    let mut waiting = Vec::new();
    for (alpn, http2) in [("http/1.1", false), ("h2", true)] {
        let (mut client, _) = Client::on(outcast.connect(alpn, A_DAY).await, http2).await;
        waiting.push(tokio::spawn(async move { client.try_send(get("/")).await }));
    }
    outcast.proxy.admin_until("/config", |config| config.body.contains("\"in_flight\": 3")).await;
    outcast.is_cast_out().await;
    for (name, waiting) in ["HTTP/1", "HTTP/2"].into_iter().zip(waiting) {
        assert!(timeout(LIMIT, waiting).await.expect(name).unwrap().is_err(), "{name}");
    }
    // The end may be a reset.
    let _ = timeout(LIMIT, upgraded.read_to_end(&mut head)).await.expect("what was upgraded has no end");
    outcast.proxy.admin_until("/config", |config| config.body.contains("\"in_flight\": 0")).await;
}
