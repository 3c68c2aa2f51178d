//! A certificate authority, as good or bad as a test wants it.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, string::Ia5String,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use weft_policy::identity::SpiffeId;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

/// From when to when a certificate is valid, as seconds from now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A day, and some clock skew.
pub(crate) const A_DAY: Life = Life { from: -60, to: 24 * 3600 };

impl Life {
    /// From now on.
    pub(crate) fn of(life: Duration) -> Self {
        Self { to: i64::try_from(life.as_secs()).unwrap(), ..A_DAY }
    }
}

/// The identity of a service account of the namespace `shop`.
pub(crate) fn identity(account: &str) -> SpiffeId {
    SpiffeId::new("cluster.local", "shop", account).unwrap()
}

/// What certificates of members of the mesh look like.
fn member(id: &SpiffeId, life: Life) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![
        SanType::URI(Ia5String::try_from(id.to_string()).unwrap()),
        SanType::DnsName(Ia5String::try_from(id.server_name()).unwrap()),
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = OffsetDateTime::now_utc() + time::Duration::seconds(life.from);
    params.not_after = OffsetDateTime::now_utc() + time::Duration::seconds(life.to);
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.distinguished_name = DistinguishedName::new();
        root.distinguished_name.push(DnType::CommonName, name);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = root.self_signed(&key).unwrap();
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), issuer: Issuer::new(root, key) }
    }

    /// A certificate for whoever made the request (PKCS #10).
    pub(crate) fn sign(&self, csr: &[u8], id: &SpiffeId, life: Life) -> Vec<u8> {
        let request = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
        self.certify(&request.public_key, id, life)
    }

    /// A certificate and its key.
    pub(crate) fn member(&self, id: &SpiffeId, life: Life) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        (self.certify(&key, id, life).into(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// SHA-256 of it, as `/config` shows it.
    pub(crate) fn fingerprint(&self) -> String {
        Sha256::digest(&self.der).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The operator's own certificate and key, as PEM.
    pub(crate) fn operator(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (leaf.pem(), key.serialize_pem())
    }

    /// A certificate for a host, and its key.
    pub(crate) fn server(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        (leaf.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn certify(&self, key: &impl PublicKeyData, id: &SpiffeId, life: Life) -> Vec<u8> {
        member(id, life).signed_by(key, &self.issuer).unwrap().der().to_vec()
    }
}
