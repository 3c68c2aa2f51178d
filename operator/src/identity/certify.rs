//! Signs a workload's key for the workload's own identity. Pure but for the key and serial numbers.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{SanType, SubjectPublicKeyInfo};
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use weft_policy::identity::SpiffeId;
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension},
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY},
    prelude::FromDer,
    x509::SubjectPublicKeyInfo as PublicKey,
};

use super::{Issuer, life};

/// The longest request that is looked at, in bytes: several times what a key on P-256 with the longest SPIFFE ID takes.
const MAX_REQUEST_BYTES: usize = 8 * 1024;
/// Length of a point on P-256 in bytes as TLS writes it: both coordinates, and one byte that says so.
const POINT_BYTES: usize = 65;
/// The byte that says so.
const UNCOMPRESSED: u8 = 4;

/// Why a request is not signed.
#[derive(Debug, Error)]
pub enum CertifyError {
    /// It is no PKCS #10 in DER, or longer than any has to be.
    #[error("the request is no certificate signing request (PKCS #10, DER)")]
    Unreadable,
    /// Whoever sent it does not have the key.
    #[error("the request is not signed with the key that it is for")]
    Signature,
    /// The key is not ECDSA on P-256.
    #[error("the key must be ECDSA on the curve P-256")]
    Key,
    /// It asks for another name.
    #[error("the request asks for {asked}; the caller is {identity}")]
    Name {
        /// What it asks for.
        asked: String,
        /// What it may ask for.
        identity: SpiffeId,
    },
    /// It asks for more than names.
    #[error("the request asks for an extension that no workload gets: {0}")]
    Extension(String),
    /// The issuer is not valid any more.
    #[error("the issuer expired at {0}")]
    IssuerExpired(Timestamp),
    /// The issuer could not sign.
    #[error("the issuer cannot sign")]
    Sign(#[from] rcgen::Error),
}

impl CertifyError {
    /// One word for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable => "csr",
            Self::Signature => "csr_signature",
            Self::Key => "key",
            Self::Name { .. } => "name",
            Self::Extension(_) => "extension",
            Self::IssuerExpired(_) => "issuer_expired",
            Self::Sign(_) => "issuer",
        }
    }
}

/// Signs the key of `request` (PKCS #10, DER) for `identity`, for `life` from `now` or as long as the issuer is valid. The leaf
/// comes first, the root is left out.
///
/// # Errors
/// When the request is not exactly what a sidecar of that identity sends, or the issuer cannot sign.
pub fn certify(
    issuer: &Issuer,
    request: &[u8],
    identity: &SpiffeId,
    life: Duration,
    now: Timestamp,
) -> Result<Vec<CertificateDer<'static>>, CertifyError> {
    let key = read(request, identity)?;
    if issuer.not_after() <= now {
        return Err(CertifyError::IssuerExpired(issuer.not_after()));
    }
    let mut params = life::leaf_params(now, issuer.not_after().min(now + life));
    params.subject_alt_names = vec![
        SanType::URI(identity.to_string().as_str().try_into()?),
        SanType::DnsName(identity.server_name().as_str().try_into()?),
    ];
    Ok(issuer.sign(&params, &key)?)
}

/// The key of a request that may be signed.
fn read(request: &[u8], identity: &SpiffeId) -> Result<SubjectPublicKeyInfo, CertifyError> {
    if request.len() > MAX_REQUEST_BYTES {
        return Err(CertifyError::Unreadable);
    }
    let Ok(([], csr)) = X509CertificationRequest::from_der(request) else {
        return Err(CertifyError::Unreadable);
    };
    let key = &csr.certification_request_info.subject_pki;
    if !is_p256(key) {
        return Err(CertifyError::Key);
    }
    // Also refuses a point that is not on the curve.
    csr.verify_signature().map_err(|_broken| CertifyError::Signature)?;
    for extension in csr.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => own_names(&names.general_names, identity)?,
            // Every certificate has the same usages, whatever is asked for.
            ParsedExtension::KeyUsage(_) | ParsedExtension::ExtendedKeyUsage(_) => {}
            other => return Err(CertifyError::Extension(format!("{other:?}"))),
        }
    }
    Ok(SubjectPublicKeyInfo::from_der(key.raw)?)
}

fn is_p256(key: &PublicKey<'_>) -> bool {
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let point = &key.subject_public_key.data;
    key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve.is_some_and(|curve| curve == OID_EC_P256)
        && point.len() == POINT_BYTES
        && point.first() == Some(&UNCOMPRESSED)
}

/// No name, or the identity itself once.
fn own_names(names: &[GeneralName<'_>], identity: &SpiffeId) -> Result<(), CertifyError> {
    let own = identity.to_string();
    match names {
        [] => Ok(()),
        [GeneralName::URI(name)] if *name == own => Ok(()),
        names => {
            let asked: Vec<String> = names.iter().map(ToString::to_string).collect();
            Err(CertifyError::Name { asked: asked.join(", "), identity: identity.clone() })
        }
    }
}
