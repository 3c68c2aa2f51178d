//! The certificate that the operator's servers show, renewed while they run.

use std::{error::Error, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::{
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Authority, authority::CLOCK_SKEW};

/// Life of a serving certificate.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Age at which it is renewed: two thirds of its life.
const RENEWAL: Duration = Duration::from_secs(20 * 24 * 60 * 60);

/// Time after which a failed renewal is tried again.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// Why there is no serving certificate.
#[derive(Debug, Error)]
pub enum ServingError {
    /// It could not be signed.
    #[error("cannot sign a serving certificate")]
    Sign(#[from] rcgen::Error),
    /// The TLS library does not take it.
    #[error("cannot use the serving certificate")]
    Use(#[from] rustls::Error),
    /// No cryptography was chosen when the process started.
    #[error("the process has no default cryptography provider")]
    NoProvider,
}

/// Shows the newest serving certificate.
#[derive(Debug)]
pub struct Serving {
    names: Vec<String>,
    current: ArcSwap<CertifiedKey>,
}

impl Serving {
    /// A certificate for the DNS names of the Service `service` in `namespace`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn new(authority: &Authority, service: &str, namespace: &str, domain: &str) -> Result<Self, ServingError> {
        let name = format!("{service}.{namespace}");
        let names = vec![format!("{name}.svc"), format!("{name}.svc.{domain}"), name];
        let current = ArcSwap::from_pointee(issue(authority, &names)?);
        Ok(Self { names, current })
    }

    /// Renews the certificate in time until `shutdown`.
    pub async fn run(&self, authority: &Authority, shutdown: CancellationToken) {
        let mut pause = RENEWAL;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
            match issue(authority, &self.names) {
                Ok(certificate) => {
                    self.current.store(Arc::new(certificate));
                    pause = RENEWAL;
                    tracing::info!("Renewed the serving certificate");
                }
                Err(error) => {
                    pause = AGAIN;
                    tracing::error!(error = &error as &dyn Error, "Could not renew the serving certificate");
                }
            }
        }
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn issue(authority: &Authority, names: &[String]) -> Result<CertifiedKey, ServingError> {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::new(names)?;
    if let Some(name) = names.first() {
        params.distinguished_name.push(DnType::CommonName, name.as_str());
    }
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + LIFE;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority.issuer())?;
    let provider = CryptoProvider::get_default().ok_or(ServingError::NoProvider)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(CertifiedKey::from_der(vec![certificate.der().clone()], key, provider)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_signed_for_every_name_of_the_service() {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::for_test();
        let serving = Serving::new(&authority, "weft-operator", "weft-system", "cluster.local").unwrap();
        let certified = serving.current.load();
        let (_, certificate) = x509_parser::parse_x509_certificate(&certified.cert[0]).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        let names: Vec<String> = names.value.general_names.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "DNSName(weft-operator.weft-system.svc)",
                "DNSName(weft-operator.weft-system.svc.cluster.local)",
                "DNSName(weft-operator.weft-system)",
            ]
        );
        let (_, pem) = x509_parser::pem::parse_x509_pem(authority.certificate().as_bytes()).unwrap();
        let root = pem.parse_x509().unwrap();
        certificate.verify_signature(Some(root.public_key())).unwrap();
    }
}
