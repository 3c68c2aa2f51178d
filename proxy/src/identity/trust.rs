//! Whom the mesh believes, as the operator says.

use std::{fmt, sync::Arc};

use rustls::{RootCertStore, pki_types::CertificateDer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use weft_policy::identity::{InvalidId, SpiffeId};
use weft_proxy_api::v1;
use x509_parser::{asn1_rs, certificate::X509Certificate, prelude::FromDer};

/// SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

/// The mesh's trust domain, its roots, and who signs now.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    pub(crate) trust_domain: String,
    /// At least one.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// The same roots, for verifiers.
    pub(crate) anchors: Arc<RootCertStore>,
    /// Whose certificate is signed by another has it renewed.
    pub(crate) issuer: Fingerprint,
}

/// Why a message about trust is refused.
#[derive(Debug, Error)]
pub(crate) enum InvalidTrust {
    #[error("the trust domain: {0}")]
    Domain(#[source] InvalidId),
    #[error("there are no roots")]
    NoRoots,
    #[error("root {position} is no certificate")]
    Root {
        position: usize,
        #[source]
        source: asn1_rs::Err<x509_parser::error::X509Error>,
    },
    #[error("root {position} may not sign certificates")]
    NoAuthority { position: usize },
    #[error("root {position} cannot be trusted")]
    Anchor {
        position: usize,
        #[source]
        source: rustls::Error,
    },
    #[error(transparent)]
    Issuer(#[from] InvalidFingerprint),
}

/// Bytes that are no fingerprint.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the issuer's fingerprint has {0} bytes, not 32")]
pub(crate) struct InvalidFingerprint(usize);

impl Fingerprint {
    /// Of a certificate in DER.
    pub(crate) fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl TryFrom<Vec<u8>> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(wire: Vec<u8>) -> Result<Self, InvalidFingerprint> {
        wire.try_into().map(Self).map_err(|wire: Vec<u8>| InvalidFingerprint(wire.len()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Trust {
    /// Whether whoever is believed by one is believed by the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.roots == other.roots && self.trust_domain == other.trust_domain
    }
}

impl TryFrom<v1::Trust> for Trust {
    type Error = InvalidTrust;

    fn try_from(wire: v1::Trust) -> Result<Self, InvalidTrust> {
        // A trust domain is good when identities can be made with it.
        SpiffeId::new(&wire.trust_domain, "namespace", "account").map_err(InvalidTrust::Domain)?;
        if wire.roots.is_empty() {
            return Err(InvalidTrust::NoRoots);
        }
        let mut anchors = RootCertStore::empty();
        let mut roots = Vec::with_capacity(wire.roots.len());
        for (position, root) in wire.roots.into_iter().enumerate() {
            let (_, parsed) =
                X509Certificate::from_der(&root).map_err(|source| InvalidTrust::Root { position, source })?;
            if !parsed.is_ca() {
                return Err(InvalidTrust::NoAuthority { position });
            }
            let root = CertificateDer::from(root);
            anchors.add(root.clone()).map_err(|source| InvalidTrust::Anchor { position, source })?;
            roots.push(root);
        }
        Ok(Self { trust_domain: wire.trust_domain, roots, anchors: Arc::new(anchors), issuer: wire.issuer.try_into()? })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn certificate(is_ca: IsCa) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn is_read_whole_or_not_at_all() {
        let root = certificate(IsCa::Ca(BasicConstraints::Unconstrained));
        let other = certificate(IsCa::Ca(BasicConstraints::Unconstrained));
        let leaf = certificate(IsCa::NoCa);
        let good = v1::Trust {
            version: 1,
            trust_domain: "cluster.local".to_owned(),
            roots: vec![root.clone()],
            issuer: vec![7; 32],
        };
        for (name, wire, want) in [
            ("one root", good.clone(), Ok(1)),
            ("two roots", v1::Trust { roots: vec![root.clone(), other], ..good.clone() }, Ok(2)),
            (
                "no trust domain",
                v1::Trust { trust_domain: String::new(), ..good.clone() },
                Err("the trust domain: \"\" is not a trust domain"),
            ),
            ("no roots", v1::Trust { roots: vec![], ..good.clone() }, Err("there are no roots")),
            (
                "one of two is no certificate",
                v1::Trust { roots: vec![root.clone(), vec![1, 2, 3]], ..good.clone() },
                Err("root 1 is no certificate"),
            ),
            (
                "one of two is no authority",
                v1::Trust { roots: vec![root, leaf], ..good.clone() },
                Err("root 1 may not sign certificates"),
            ),
            (
                "half a fingerprint",
                v1::Trust { issuer: vec![7; 16], ..good },
                Err("the issuer's fingerprint has 16 bytes, not 32"),
            ),
        ] {
            let read = Trust::try_from(wire).map(|trust| trust.roots.len()).map_err(|error| error.to_string());
            assert_eq!(read, want.map_err(str::to_owned), "{name}");
        }
    }
}
