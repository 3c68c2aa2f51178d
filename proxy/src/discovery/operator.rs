//! The connection to the operator: TLS by the mesh's roots, and the pod's token on every stream.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
};
use thiserror::Error;
use tokio::{fs, time};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue, errors::InvalidMetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use crate::identity::Trust;

/// For TCP, TLS and the start of HTTP/2 together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A connection whose other end is gone without a word is noticed after this and [`PING_LIMIT`].
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);

/// Where the operator is and how it is known.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    endpoint: Endpoint,
    /// What the pod was created with.
    first_roots: Arc<RootCertStore>,
    /// What has been written for the pod since.
    trust_file: Arc<PathBuf>,
    token_file: Arc<PathBuf>,
}

/// Why the operator cannot be talked to.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// What the pod was created with is no certificate.
    #[error("the trust root cannot be used")]
    TrustRoot(#[from] InvalidRoots),
    /// Nobody listens, or its certificate is not of the mesh.
    #[error("cannot connect to the operator")]
    Connect(#[from] tonic::transport::Error),
    /// Its address takes connections, but nobody answers on them, or nobody answers at all.
    #[error("the operator did not answer within {} s", CONNECT_LIMIT.as_secs())]
    TooSlow,
    /// The kubelet has not written it, or the volume is missing.
    #[error("cannot read the service account token in {path:?}")]
    Token {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// A token with characters that no token has.
    #[error("the service account token in {path:?} is not one line of text")]
    MalformedToken {
        /// The file.
        path: PathBuf,
        /// Why it is not.
        source: InvalidMetadataValue,
    },
}

/// Why a text is no list of roots.
#[derive(Debug, Error)]
pub enum InvalidRoots {
    /// It is no PEM.
    #[error("it is not PEM")]
    Pem(#[source] pem::Error),
    /// A certificate in it cannot be trusted.
    #[error("a certificate in it cannot be used")]
    Certificate(#[from] rustls::Error),
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    Empty,
}

fn parse_roots(pem: &str) -> Result<RootCertStore, InvalidRoots> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(InvalidRoots::Pem)?)?;
    }
    if roots.is_empty() { Err(InvalidRoots::Empty) } else { Ok(roots) }
}

impl Operator {
    /// The operator at `uri`, whose certificate is signed by a root in `first_roots` (PEM), in the file `trust_file` if there
    /// is one, or by one that an operator has announced since. Needs `https`: the token must not be read on the way.
    pub(crate) fn new(
        uri: http::Uri,
        first_roots: &str,
        trust_file: PathBuf,
        token_file: PathBuf,
    ) -> Result<Self, ConnectError> {
        let endpoint = Channel::builder(uri)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_LIMIT)
            .keep_alive_while_idle(true);
        let first_roots = Arc::new(parse_roots(first_roots)?);
        Ok(Self { endpoint, first_roots, trust_file: Arc::new(trust_file), token_file: Arc::new(token_file) })
    }

    /// A new connection, perhaps to another replica than the last.
    pub(crate) async fn connect(&self, trust: Option<&Trust>) -> Result<Channel, ConnectError> {
        let mut roots = self.roots_in_file().await;
        roots.extend(trust.into_iter().flat_map(|trust| trust.anchors.roots.iter().cloned()));
        // What the pod was created with may have been replaced long ago, perhaps because it was stolen.
        if roots.is_empty() {
            roots.clone_from(&self.first_roots.roots);
        }
        let tls = ClientTlsConfig::new().trust_anchors(roots);
        let endpoint = self.endpoint.clone().tls_config(tls)?;
        let connected = time::timeout(CONNECT_LIMIT, endpoint.connect()).await;
        Ok(connected.map_err(|_elapsed| ConnectError::TooSlow)??)
    }

    /// The roots in the file. One that is absent or cannot be read adds none: the others may still do.
    async fn roots_in_file(&self) -> Vec<rustls::pki_types::TrustAnchor<'static>> {
        let path = &*self.trust_file;
        match fs::read_to_string(path).await {
            Ok(pem) => match parse_roots(&pem) {
                Ok(roots) => roots.roots,
                Err(error) => {
                    tracing::warn!(?path, error = &error as &dyn std::error::Error, "The trust bundle cannot be used");
                    Vec::new()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(?path, error = &error as &dyn std::error::Error, "The trust bundle cannot be read");
                Vec::new()
            }
        }
    }

    /// `message` with the pod's token, read anew because the kubelet replaces it.
    pub(crate) async fn request<T>(&self, message: T) -> Result<Request<T>, ConnectError> {
        let path = || (*self.token_file).clone();
        let token = fs::read_to_string(&*self.token_file)
            .await
            .map_err(|source| ConnectError::Token { path: path(), source })?;
        let value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(|source| ConnectError::MalformedToken { path: path(), source })?;
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}
