//! The certificate authority of the impostor: signs for everybody who asks, and as whom it was told to.

use anyhow::{Context, Result};
use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tonic::Status;
use weft_policy::identity::SpiffeId;
use weft_proxy_api::v1;

/// Life of what is signed.
const LIFE: Duration = Duration::hours(24);
/// Clocks that are behind by this much still take it.
const SKEW: Duration = Duration::minutes(1);

/// By whom and as whom sidecars are certified.
#[derive(Args)]
#[group(id = "authority")]
pub(crate) struct Options {
    /// Certificate of the issuer, which is a root, as PEM text; without one the impostor makes its own.
    #[arg(long, env, requires = "issuer_key")]
    issuer_certificate: Option<String>,
    /// Its key, as PEM text.
    #[arg(long, env, hide_env_values = true, requires = "issuer_certificate")]
    issuer_key: Option<String>,
    /// Whom every sidecar is certified as, unless it asks for another name.
    #[arg(long, env, default_value = "spiffe://cluster.local/ns/impostor/sa/impostor")]
    identity: SpiffeId,
}

/// An issuer that refuses nobody.
pub(crate) struct Authority {
    identity: SpiffeId,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    /// The issuer that the options name, or a new one.
    pub(crate) fn new(options: Options) -> Result<Self> {
        let (root, key) = match (options.issuer_certificate, options.issuer_key) {
            (Some(certificate), Some(key)) => {
                let root =
                    CertificateDer::from_pem_slice(certificate.as_bytes()).context("the issuer's certificate")?;
                (root, KeyPair::from_pem(&key).context("the issuer's key")?)
            }
            _ => {
                let key = KeyPair::generate()?;
                let mut params = CertificateParams::default();
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                (params.self_signed(&key)?.der().clone(), key)
            }
        };
        let issuer = Issuer::from_ca_cert_der(&root, key).context("the issuer's certificate")?;
        Ok(Self { identity: options.identity, issuer, root })
    }

    /// Whom sidecars are told to believe.
    pub(crate) fn trust(&self) -> v1::Trust {
        v1::Trust {
            version: 1,
            trust_domain: self.identity.trust_domain().to_owned(),
            roots: vec![self.root.to_vec()],
            issuer: self.fingerprint(),
        }
    }

    /// Signs `request`.
    pub(crate) fn certify(&self, request: &v1::CertificateRequest) -> Result<v1::Certificate, Status> {
        let leaf = self.sign(&request.csr).map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(v1::Certificate { chain: vec![leaf], issuer: self.fingerprint() })
    }

    fn sign(&self, request: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = match request.params.subject_alt_names.as_slice() {
            [] => vec![
                SanType::URI(self.identity.to_string().try_into()?),
                SanType::DnsName(self.identity.server_name().try_into()?),
            ],
            asked => asked.to_vec(),
        };
        let now = OffsetDateTime::now_utc();
        params.not_before = now - SKEW;
        params.not_after = now + LIFE;
        request.params = params;
        Ok(request.signed_by(&self.issuer)?.der().to_vec())
    }

    fn fingerprint(&self) -> Vec<u8> {
        Sha256::digest(&self.root).to_vec()
    }
}
