//! Certificates: the proxy's own, and what one says about whom it belongs to.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use weft_policy::identity::{InvalidId, SpiffeId};
use weft_proxy_api::v1;
use x509_parser::{asn1_rs, certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::trust::{Fingerprint, InvalidFingerprint};

/// A key and the certificates that say whose it is.
pub(crate) struct Certified {
    pub(crate) key: PrivatePkcs8KeyDer<'static>,
    /// The leaf first, without the root.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) id: SpiffeId,
    pub(crate) not_after: SystemTime,
    /// When this proxy got it; the operator may have backdated it.
    pub(crate) received: SystemTime,
    pub(crate) issuer: Fingerprint,
}

/// A key that is not certified yet.
pub(crate) struct Applicant {
    key: KeyPair,
    /// PKCS #10 in DER.
    pub(crate) csr: Vec<u8>,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InvalidCertificate {
    #[error("there is no certificate")]
    Missing,
    #[error("the certificate cannot be read")]
    Malformed(#[from] asn1_rs::Err<x509_parser::error::X509Error>),
    #[error("the names of the certificate cannot be read")]
    Names(#[from] x509_parser::error::X509Error),
    #[error("the certificate names {0} URIs, not one")]
    Uris(usize),
    #[error("the certificate's URI: {0}")]
    Id(#[from] InvalidId),
    #[error("{id} is not of the trust domain {trust_domain}")]
    TrustDomain { id: SpiffeId, trust_domain: String },
    #[error("the certificate's end is before 1970")]
    NotAfter,
    #[error(transparent)]
    Issuer(#[from] InvalidFingerprint),
    #[error("the certificate does not fit the key, the roots or the identity")]
    Tls(#[from] rustls::Error),
    #[error("the roots cannot be used")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("the server name cannot be used")]
    ServerName(#[from] rustls::pki_types::InvalidDnsNameError),
}

/// What a leaf says.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) id: SpiffeId,
    pub(crate) not_after: SystemTime,
}

impl Leaf {
    /// Reads the leaf of a member of `trust_domain`: exactly one URI, which is an identity of it.
    ///
    /// Source: X.509-SVID, section 2: an SVID has exactly one URI.
    pub(crate) fn read(der: &[u8], trust_domain: &str) -> Result<Self, InvalidCertificate> {
        let (_, leaf) = X509Certificate::from_der(der)?;
        let names = leaf.subject_alternative_name()?.map(|names| names.value.general_names.as_slice());
        let uris: Vec<&str> = names
            .unwrap_or_default()
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .collect();
        let [uri] = uris[..] else { return Err(InvalidCertificate::Uris(uris.len())) };
        let id: SpiffeId = uri.parse()?;
        if id.trust_domain() != trust_domain {
            return Err(InvalidCertificate::TrustDomain { id, trust_domain: trust_domain.to_owned() });
        }
        let seconds = u64::try_from(leaf.validity().not_after.timestamp());
        let not_after = seconds.map_err(|_negative| InvalidCertificate::NotAfter)?;
        Ok(Self { id, not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(not_after) })
    }
}

impl Applicant {
    /// A new key and the request to have it signed. It asks for no name: the operator knows who asks.
    ///
    /// # Errors
    /// When the system has no random numbers to give.
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&key)?.der().to_vec();
        Ok(Self { key, csr })
    }

    /// The key with the operator's answer.
    pub(crate) fn certified(
        self,
        wire: v1::Certificate,
        trust_domain: &str,
        received: SystemTime,
    ) -> Result<Certified, InvalidCertificate> {
        let leaf = Leaf::read(wire.chain.first().ok_or(InvalidCertificate::Missing)?, trust_domain)?;
        // The engine's TLS takes for granted that all of the chain can be read.
        for certificate in &wire.chain {
            X509Certificate::from_der(certificate)?;
        }
        Ok(Certified {
            key: self.key.serialize_der().into(),
            chain: wire.chain.into_iter().map(CertificateDer::from).collect(),
            id: leaf.id,
            not_after: leaf.not_after,
            received,
            issuer: wire.issuer.try_into()?,
        })
    }
}

impl Certified {
    /// The key, for TLS to keep.
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key().into()
    }

    /// Whether it says nothing any more.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        now > self.not_after
    }

    /// When two thirds of its life have passed, counted from when it came.
    pub(crate) fn renewal(&self) -> SystemTime {
        let life = self.not_after.duration_since(self.received).unwrap_or_default();
        self.received + life * 2 / 3
    }
}

impl std::fmt::Debug for Certified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certified").field("id", &self.id).field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{SanType, string::Ia5String};

    use super::*;

    fn uri(text: &str) -> SanType {
        SanType::URI(Ia5String::try_from(text).unwrap())
    }

    #[test]
    fn belongs_to_one_identity_of_the_trust_domain() {
        let dns = || SanType::DnsName(Ia5String::try_from("web").unwrap());
        let web = "spiffe://cluster.local/ns/shop/sa/web";
        for (name, names, want) in [
            ("one URI", vec![uri(web)], Ok(web)),
            ("a host name beside it", vec![dns(), uri(web)], Ok(web)),
            ("no names", vec![], Err("the certificate names 0 URIs, not one")),
            ("a host name only", vec![dns()], Err("the certificate names 0 URIs, not one")),
            (
                "two identities",
                vec![uri(web), uri("spiffe://cluster.local/ns/shop/sa/admin")],
                Err("the certificate names 2 URIs, not one"),
            ),
            (
                "another trust domain",
                vec![uri("spiffe://evil.local/ns/shop/sa/web")],
                Err("spiffe://evil.local/ns/shop/sa/web is not of the trust domain cluster.local"),
            ),
            (
                "no identity",
                vec![uri("https://cluster.local/ns/shop/sa/web")],
                Err("the certificate's URI: \"https://cluster.local/ns/shop/sa/web\" is not \
                     spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT"),
            ),
        ] {
            let mut params = CertificateParams::default();
            params.subject_alt_names = names;
            let leaf = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let read = Leaf::read(leaf.der(), "cluster.local");
            let read = read.map(|leaf| leaf.id.to_string()).map_err(|error| error.to_string());
            assert_eq!(read, want.map(str::to_owned).map_err(str::to_owned), "{name}");
        }
    }

    #[test]
    fn is_renewed_after_two_thirds_of_its_life() {
        let received = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let certified = Certified {
            key: Vec::new().into(),
            chain: Vec::new(),
            id: SpiffeId::new("cluster.local", "shop", "web").unwrap(),
            not_after: received + Duration::from_secs(24 * 3600),
            received,
            issuer: Fingerprint::of(b""),
        };
        assert_eq!(certified.renewal(), received + Duration::from_secs(16 * 3600));
        assert!(!certified.is_expired(certified.not_after));
        assert!(certified.is_expired(certified.not_after + Duration::from_secs(1)));
        let late = Certified { received: certified.not_after + Duration::from_secs(5), ..certified };
        assert_eq!(late.renewal(), late.received, "what came expired is renewed at once");
    }
}
