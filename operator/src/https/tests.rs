//! Tests over loopback: certificates that come and go, both versions of HTTP, the end.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router, routing::get};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{ClientRoots, Clients, Peer, Server};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn sign(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

struct Running {
    address: std::net::SocketAddr,
    authority: Authority,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(clients: Clients) -> Self {
        let authority = Authority::new();
        let (chain, key) = authority.sign("operator");
        let certificate = Fixed(Arc::new(CertifiedKey::new(chain, any_supported_type(&key).unwrap())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|Extension(peer): Extension<Peer>| async move { peer.certificates.len().to_string() }));
        let stop = CancellationToken::new();
        let server = Server::new(Arc::new(certificate), clients).unwrap();
        let task = tokio::spawn(server.serve(listener, router, stop.clone()));
        Self { address, authority, stop, task }
    }

    async fn connect(&self, client: Option<&Authority>, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match client {
            Some(authority) => {
                let (chain, key) = authority.sign("client");
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("operator").unwrap(), stream).await
    }

    /// Number of certificates that the handler saw; `None` when the connection failed.
    async fn certificates(&self, client: Option<&Authority>, version: Version) -> Option<String> {
        let request = Request::get("http://operator/").version(version).body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = if version == Version::HTTP_2 {
            let io = TokioIo::new(self.connect(client, b"h2").await.ok()?);
            let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.ok()?;
            tokio::spawn(connection);
            send.send_request(request).await.ok()?
        } else {
            let io = TokioIo::new(self.connect(client, b"http/1.1").await.ok()?);
            let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.ok()?;
            tokio::spawn(connection);
            send.send_request(request).await.ok()?
        };
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some(String::from_utf8(body.to_vec()).unwrap())
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn clients_certificates() {
    let (right, wrong) = (Authority::new(), Authority::new());
    let known = ClientRoots::new();
    known.replace([right.certificate.clone()]).unwrap();
    let unknown = ClientRoots::new();
    let table = [
        ("anonymous server, no certificate", Clients::Anonymous, None, Some("0")),
        ("anonymous server does not ask", Clients::Anonymous, Some(&right), Some("0")),
        ("no certificate", Clients::Optional(known.clone()), None, Some("0")),
        ("right authority", Clients::Optional(known.clone()), Some(&right), Some("1")),
        ("wrong authority", Clients::Optional(known.clone()), Some(&wrong), None),
        ("no roots yet, no certificate", Clients::Optional(unknown.clone()), None, Some("0")),
        ("no roots yet", Clients::Optional(unknown.clone()), Some(&right), None),
    ];
    for (name, clients, client, want) in table {
        let running = Running::start(clients).await;
        for version in [Version::HTTP_11, Version::HTTP_2] {
            assert_eq!(running.certificates(client, version).await.as_deref(), want, "{name}, {version:?}");
        }
        running.end().await;
    }
}

#[tokio::test]
async fn roots_are_replaced_while_serving() {
    let (old, new) = (Authority::new(), Authority::new());
    let roots = ClientRoots::new();
    roots.replace([old.certificate.clone()]).unwrap();
    let running = Running::start(Clients::Optional(roots.clone())).await;
    assert!(running.certificates(Some(&old), Version::HTTP_11).await.is_some());
    roots.replace([new.certificate.clone()]).unwrap();
    assert!(running.certificates(Some(&old), Version::HTTP_11).await.is_none());
    assert!(running.certificates(Some(&new), Version::HTTP_11).await.is_some());
    assert!(roots.replace([]).is_err(), "no roots are refused");
    assert!(running.certificates(Some(&new), Version::HTTP_11).await.is_some());
    running.end().await;
}

#[tokio::test]
async fn the_end_closes_idle_connections() {
    let running = Running::start(Clients::Anonymous).await;
    let io = TokioIo::new(running.connect(None, b"http/1.1").await.unwrap());
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("/").body(Empty::<bytes::Bytes>::new()).unwrap();
    send.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    // Another has not even begun its handshake.
    let _silent = TcpStream::connect(running.address).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), running.end()).await.expect("ends at once");
    connection.await.unwrap().ok();
}
