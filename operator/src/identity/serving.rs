//! The certificate that the operator's servers show, renewed while they run, by whichever issuer signs.

use std::{error::Error, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{Authorities, Issuer, life};

/// Life of a serving certificate, if its issuer lives so long.
const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Time after which a failed renewal is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// Time between two looks at the clock: it may be set, and a machine may sleep.
const LOOK: Duration = Duration::from_secs(60 * 60);

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

/// Shows the newest serving certificate; none before the first issuer is known.
#[derive(Debug)]
pub struct Serving {
    names: Vec<String>,
    current: ArcSwapOption<CertifiedKey>,
}

impl Serving {
    /// For the DNS names of the Service `service` in `namespace`.
    #[must_use]
    pub fn new(service: &str, namespace: &str, domain: &str) -> Self {
        let name = format!("{service}.{namespace}");
        let names = vec![format!("{name}.svc"), format!("{name}.svc.{domain}"), name];
        Self { names, current: ArcSwapOption::empty() }
    }

    /// Whether there is a certificate to show: before that no client can connect.
    #[must_use]
    pub fn has_certificate(&self) -> bool {
        self.current.load().is_some()
    }

    /// Renews the certificate in time, and as soon as another issuer signs or has another way to its root, until `shutdown`.
    pub async fn run(&self, mut authorities: Authorities, shutdown: CancellationToken) {
        let mut shown: Option<(Arc<Issuer>, Timestamp)> = None;
        loop {
            let authority = authorities.borrow_and_update().clone();
            let mut pause = LOOK;
            if let Some(authority) = authority {
                let now = Timestamp::now();
                let is_good = |(by, until): &(Arc<Issuer>, Timestamp)| by.leads_like(&authority.issuer) && now < *until;
                if !shown.as_ref().is_some_and(is_good) {
                    match self.issue(&authority.issuer, now) {
                        Ok(renewal) => {
                            shown = Some((Arc::clone(&authority.issuer), renewal));
                            let issuer = authority.issuer.fingerprint();
                            tracing::info!(%issuer, %renewal, "Renewed the serving certificate");
                        }
                        Err(error) => {
                            pause = AGAIN;
                            tracing::error!(error = &error as &dyn Error, "Could not renew the serving certificate");
                        }
                    }
                }
                if let Some((_, renewal)) = &shown {
                    let left = Duration::try_from(renewal.duration_since(now)).unwrap_or_default();
                    pause = pause.min(left.max(Duration::from_secs(1)));
                }
            }
            tokio::select! {
                changed = authorities.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Shows a new certificate, and says when it is to be renewed.
    fn issue(&self, issuer: &Issuer, now: Timestamp) -> Result<Timestamp, ServingError> {
        let not_after = issuer.not_after().min(now + LIFE);
        let mut params = life::leaf_params(now, not_after);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in &self.names {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        let key = KeyPair::generate()?;
        let chain = issuer.sign(&params, &key)?;
        let provider = CryptoProvider::get_default().ok_or(ServingError::NoProvider)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        self.current.store(Some(Arc::new(CertifiedKey::from_der(chain, key, provider)?)));
        Ok(life::renewal(now, not_after))
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::made;

    #[test]
    fn is_signed_for_every_name_of_the_service_and_not_for_longer_than_the_issuer() {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let now = Timestamp::now();
        let issuer = Issuer::read(made::make(Duration::from_secs(900), now).unwrap(), now).unwrap();
        let serving = Serving::new("weft-operator", "weft-system", "cluster.local");
        assert!(!serving.has_certificate());
        let renewal = serving.issue(&issuer, now).unwrap();
        assert!(serving.has_certificate());
        let certified = serving.current.load_full().unwrap();
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
        let (_, root) = x509_parser::parse_x509_certificate(issuer.root()).unwrap();
        certificate.verify_signature(Some(root.public_key())).unwrap();
        assert_eq!(certificate.validity().not_after.timestamp(), issuer.not_after().as_second());
        assert!(renewal > now && renewal < issuer.not_after());
    }
}
