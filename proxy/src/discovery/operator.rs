//! The connection to the operator: TLS by the mesh's root, and the pod's token on every stream.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{fs, time};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue, errors::InvalidMetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

/// For TCP, TLS and the start of HTTP/2 together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A connection whose other end is gone without a word is noticed after this and [`PING_LIMIT`].
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);

/// Where the operator is and how it is known.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    endpoint: Endpoint,
    token_file: Arc<PathBuf>,
}

/// Why the operator cannot be talked to.
#[derive(Debug, Error)]
pub enum ConnectError {
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

impl Operator {
    /// The operator at `uri`, whose certificate is signed by `trust_root` (PEM). Needs `https`: the token must not be read on
    /// the way.
    pub(crate) fn new(uri: http::Uri, trust_root: &str, token_file: PathBuf) -> Result<Self, ConnectError> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(trust_root));
        let endpoint = Channel::builder(uri)
            .tls_config(tls)?
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_LIMIT)
            .keep_alive_while_idle(true);
        Ok(Self { endpoint, token_file: Arc::new(token_file) })
    }

    /// A new connection, perhaps to another replica than the last.
    pub(crate) async fn connect(&self) -> Result<Channel, ConnectError> {
        let connected = time::timeout(CONNECT_LIMIT, self.endpoint.connect()).await;
        Ok(connected.map_err(|_elapsed| ConnectError::TooSlow)??)
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
