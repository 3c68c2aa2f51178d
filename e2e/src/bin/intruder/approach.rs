//! Connects to a sidecar as if it were one, and tells how far it came.

use std::{sync::Arc, time::Duration};

use axum::Json;
use e2e::intrusion::{Approach, Credentials, Outcome};
use rustls::{
    ClientConfig, SignatureScheme,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{Refusal, refuse, verifier::Credulous};

/// Time in which a sidecar has to answer or to end the connection.
const LIMIT: Duration = Duration::from_secs(8);
/// Bytes of an answer that are told.
const TOLD_BYTES: usize = 2048;

/// Why a certificate and key cannot be shown.
#[derive(Debug, Error)]
pub(crate) enum UnusableCredentials {
    #[error("they are not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("the key is of no use")]
    Key(#[from] rustls::Error),
}

/// Certificate and key as rustls wants them; it does not ask whether they belong together.
pub(crate) fn certified_key(
    credentials: &Credentials,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, UnusableCredentials> {
    let chain = CertificateDer::pem_slice_iter(credentials.chain.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes())?;
    Ok(Arc::new(CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?)))
}

/// Shows the same to every server.
#[derive(Debug)]
struct Shown(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// Follows one approach to its end.
pub(crate) async fn run(wish: Approach, provider: Arc<CryptoProvider>) -> Result<Json<Outcome>, Refusal> {
    let shown = wish.credentials.as_ref().map(|shown| certified_key(shown, &provider)).transpose().map_err(refuse)?;
    let versions = if wish.old { &[&rustls::version::TLS12][..] } else { &[&rustls::version::TLS13] };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(refuse)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)))
        .with_client_cert_resolver(Arc::new(Shown(shown)));
    config.alpn_protocols = vec![wish.alpn.clone().into_bytes()];
    let name = ServerName::try_from(wish.server_name.clone()).map_err(refuse)?;
    let mut answer = Vec::new();
    let talked = timeout(LIMIT, talk(&wish, name, config, &mut answer)).await;
    let failure = match talked {
        Ok(Ok(())) if answer.is_empty() => Some("closed without an answer".to_owned()),
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_elapsed) if answer.is_empty() => Some(format!("neither answered nor ended within {LIMIT:?}")),
        Err(_elapsed) => None,
    };
    Ok(Json(Outcome { answer: String::from_utf8_lossy(&answer).into_owned(), failure }))
}

async fn talk(
    wish: &Approach,
    name: ServerName<'static>,
    config: ClientConfig,
    answer: &mut Vec<u8>,
) -> std::io::Result<()> {
    let stream = TcpStream::connect(wish.address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(wish.say.as_bytes()).await?;
    stream.flush().await?;
    // With TLS 1.3 the client is done before the server has looked at its certificate: only an answer tells.
    while answer.len() < TOLD_BYTES {
        if stream.read_buf(answer).await? == 0 {
            break;
        }
    }
    Ok(())
}
