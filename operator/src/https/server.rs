//! The server: accepts, makes the handshake, answers, and ends every connection before it returns.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response};
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::{
    ServerConfig,
    pki_types::CertificateDer,
    server::{NoServerSessionStorage, ResolvesServerCert},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::ClientRoots;

/// Time that a client has for its handshake, and for the head of a request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that running requests have after the server was told to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two signs of life on an HTTP/2 connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Pause after a connection could not be accepted, which is a lack of descriptors or memory and not over at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What becomes of clients' certificates.
#[derive(Debug, Clone)]
pub enum Clients {
    /// They are not asked for.
    Anonymous,
    /// They are asked for; a client may have none, but what it presents must lead to these roots.
    Optional(Arc<ClientRoots>),
}

/// Who is at the other end of a connection; an extension of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it connects from.
    pub address: SocketAddr,
    /// Its certificate and those that lead to a root, verified at the handshake; empty when it presented none.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// Serves a router over TLS 1.2 and 1.3.
#[derive(Debug, Clone)]
pub struct Server {
    tls: Arc<ServerConfig>,
}

impl Server {
    /// Shows the certificate that the resolver has at the moment of a handshake.
    ///
    /// # Errors
    /// When the cryptography in use supports no version of TLS.
    pub fn new(certificate: Arc<dyn ResolvesServerCert>, clients: Clients) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut tls = match clients {
            Clients::Anonymous => versions.with_no_client_auth(),
            Clients::Optional(roots) => versions.with_client_cert_verifier(roots),
        }
        .with_cert_resolver(certificate);
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A resumed session would skip the look at the client's certificate.
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        Ok(Self { tls: Arc::new(tls) })
    }

    /// Serves until `stop` is cancelled, then lets running requests finish for ten seconds. Every task that it has started
    /// has ended when it returns.
    pub async fn serve(self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        // Requests of HTTP/2 are tasks of their own; what is left of them after the time for shutdown is dropped.
        let abort = CancellationToken::new();
        let connections = Connections { tls: TlsAcceptor::from(self.tls), router, stop: stop.clone(), abort, tasks };
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let connections = connections.clone();
                    connections.tasks.clone().spawn(async move { connections.run(stream, address).await });
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Could not accept a connection");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(listener);
        connections.tasks.close();
        if timeout(SHUTDOWN_TIMEOUT, connections.tasks.wait()).await.is_err() {
            tracing::warn!(connections = connections.tasks.len(), "Dropped connections that did not end in time");
            connections.abort.cancel();
            connections.tasks.wait().await;
        }
    }
}

#[derive(Clone)]
struct Connections {
    tls: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
}

impl Connections {
    async fn run(self, stream: TcpStream, address: SocketAddr) {
        // Answers are small and awaited.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, error = &error as &dyn std::error::Error, "Could not set TCP_NODELAY");
        }
        let handshake = timeout(HANDSHAKE_TIMEOUT, self.tls.accept(stream));
        let stream = tokio::select! {
            () = self.stop.cancelled() => return,
            handshake = handshake => match handshake {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(%address, error = &error as &dyn std::error::Error, "TLS handshake failed");
                    return;
                }
                Err(_elapsed) => {
                    tracing::debug!(%address, "TLS handshake took too long");
                    return;
                }
            },
        };
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let peer = Peer { address, certificates };

        let mut server = Builder::new(Tracked { tasks: self.tasks.clone(), abort: self.abort.clone() });
        server.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT);
        server.http2().timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE_INTERVAL);
        let router = self.router;
        let answer = service_fn(move |request| answer(router.clone(), peer.clone(), request));
        let connection = server.serve_connection(TokioIo::new(stream), answer);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = self.abort.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, error = &*error, "Connection failed");
        }
    }
}

async fn answer(router: Router, peer: Peer, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(peer);
    router.oneshot(request.map(Body::new)).await
}

/// Runs what hyper wants to run beside a connection, and knows when it has ended.
#[derive(Clone)]
struct Tracked {
    tasks: TaskTracker,
    abort: CancellationToken,
}

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.tasks.spawn(self.abort.clone().run_until_cancelled_owned(future));
    }
}
