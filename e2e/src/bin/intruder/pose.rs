//! Answers in a sidecar's place, and tells what it was told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Json, extract::State};
use e2e::{
    app::{self, Lifecycle},
    intrusion::{Pose, Seen},
};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::{Refusal, approach::certified_key, refuse};

/// Time in which a handshake has to end and a client to say something.
const LIMIT: Duration = Duration::from_secs(8);
/// Bytes of each connection that are told.
const TOLD_BYTES: usize = 4096;
/// What everybody is answered.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"name\":\"intruder\"}";

/// The pose and what came to it.
pub(crate) struct Poser {
    provider: Arc<CryptoProvider>,
    state: Mutex<Posing>,
}

#[derive(Default)]
struct Posing {
    tls: Option<TlsAcceptor>,
    seen: Seen,
}

#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Takes a pose; what was seen before is forgotten.
pub(crate) async fn take(State(poser): State<Arc<Poser>>, Json(pose): Json<Pose>) -> Result<(), Refusal> {
    let tls = match &pose.credentials {
        None => None,
        Some(credentials) => {
            let shown = certified_key(credentials, &poser.provider).map_err(refuse)?;
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&poser.provider))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .map_err(refuse)?
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(Shown(shown)));
            config.alpn_protocols = ["http/1.1", "h2", "weft-tcp"].map(|name| name.as_bytes().to_vec()).to_vec();
            Some(TlsAcceptor::from(Arc::new(config)))
        }
    };
    *poser.locked() = Posing { tls, seen: Seen::default() };
    Ok(())
}

/// What has come since the pose was taken.
pub(crate) async fn look(State(poser): State<Arc<Poser>>) -> Json<Seen> {
    Json(poser.locked().seen.clone())
}

impl Poser {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Arc<Self> {
        Arc::new(Self { provider, state: Mutex::default() })
    }

    /// Answers on `port`, if there is one, until `lifecycle` ends.
    pub(crate) async fn serve(self: &Arc<Self>, port: Option<u16>, lifecycle: &Lifecycle) -> std::io::Result<()> {
        let Some(port) = port else { return Ok(()) };
        let listener = app::listen(port).await?;
        let connections = TaskTracker::new();
        loop {
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => accepted?,
                () = lifecycle.closing() => return Ok(()),
            };
            let poser = Arc::clone(self);
            connections.spawn(async move { poser.answer(stream, peer).await });
        }
    }

    async fn answer(&self, stream: TcpStream, peer: SocketAddr) {
        let tls = {
            let mut state = self.locked();
            state.seen.connections += 1;
            state.tls.clone()
        };
        let answered = async {
            match tls {
                None => self.converse(stream).await,
                Some(tls) => {
                    let stream = tls.accept(stream).await?;
                    self.locked().seen.handshakes += 1;
                    self.converse(stream).await
                }
            }
        };
        let failure = match timeout(LIMIT, answered).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("nothing came within {LIMIT:?}"),
        };
        tracing::info!(%peer, failure, "A connection failed");
        self.locked().seen.failures.push(failure);
    }

    async fn converse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut heard = vec![0; TOLD_BYTES];
        let length = stream.read(&mut heard).await?;
        if length == 0 {
            return Ok(());
        }
        self.locked().seen.heard.push(String::from_utf8_lossy(&heard[..length]).into_owned());
        stream.write_all(ANSWER.as_bytes()).await?;
        stream.shutdown().await
    }

    fn locked(&self) -> MutexGuard<'_, Posing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
