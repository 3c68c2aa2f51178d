//! `IdentityBinding`: that it binds somebody, and that a certificate can name whom it binds.

use smi_crds::access::v1alpha4::IdentityBinding;
use thiserror::Error;

use super::{Refusal, Verdict, Warning};
use crate::compile::object_name;

/// Longest SPIFFE ID in bytes that anybody has to take (SPIFFE-ID, section 2.3).
const MAX_SPIFFE_ID: usize = 2048;
/// Longest trust domain in bytes (SPIFFE-ID, section 2.3).
const MAX_TRUST_DOMAIN: usize = 255;

/// Why a text is no SPIFFE ID. Those of other trust domains have paths of other forms than those of this mesh.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSpiffeId {
    /// It is too long.
    #[error("it has {0} bytes, and a SPIFFE ID at most {MAX_SPIFFE_ID}")]
    TooLong(usize),
    /// The trust domain cannot be one.
    #[error(
        "{0:?} is no trust domain: write lower-case letters, digits, dots, dashes and underscores, as in \
         cluster.local/ns/shop/sa/web"
    )]
    TrustDomain(String),
    /// Nothing follows the trust domain, so that it is everybody's.
    #[error("{0:?} names a whole trust domain: add a path, as in {0}/ns/shop/sa/web")]
    NoPath(String),
    /// A part of the path cannot be one.
    #[error("{0:?} cannot be a part of a SPIFFE ID's path: write letters, digits, dots, dashes and underscores")]
    Segment(String),
}

/// Judges a binding.
pub(super) fn judge(object: &IdentityBinding) -> Verdict {
    let mut verdict = Verdict::default();
    let schemes = &object.spec.schemes;
    let identities = schemes.spiffe_identities.as_deref().unwrap_or_default();
    if schemes.pod_label_selector.is_none() && schemes.service_account.is_none() && identities.is_empty() {
        verdict.refuse(Refusal::NoIdentity);
    }
    let account = schemes.service_account.as_deref().map_or(Ok(()), |name| object_name::check("ServiceAccount", name));
    if let Err(problem) = account {
        verdict.refuse(Refusal::ObjectName { path: "spec.schemes.serviceAccount".to_owned(), problem });
    }
    for (index, identity) in identities.iter().enumerate() {
        if let Err(problem) = read(identity) {
            verdict.refuse(Refusal::SpiffeId { index, problem });
        }
    }
    if let Some(selector) = &schemes.pod_label_selector {
        let requirements = selector.match_expressions.as_deref().unwrap_or_default();
        for (index, requirement) in requirements.iter().enumerate() {
            let operator = requirement.operator.clone();
            let compares = matches!(requirement.operator.as_str(), "In" | "NotIn");
            match (compares, requirement.values.as_ref().is_none_or(Vec::is_empty)) {
                (true, true) => verdict.refuse(Refusal::NoValues { index, operator }),
                (false, false) => verdict.refuse(Refusal::UnwantedValues { index, operator }),
                (true, false) | (false, true) => {}
            }
        }
        if requirements.is_empty() && selector.match_labels.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
            verdict.warn(Warning::EveryPod);
        }
    }
    verdict
}

/// Source: SPIFFE-ID, sections 2.1 to 2.3. The scheme may be left out, as the specification's example does.
fn read(identity: &str) -> Result<(), InvalidSpiffeId> {
    if identity.len() > MAX_SPIFFE_ID {
        return Err(InvalidSpiffeId::TooLong(identity.len()));
    }
    let identity = identity.strip_prefix("spiffe://").unwrap_or(identity);
    let (domain, path) = identity.split_once('/').map_or((identity, None), |(domain, path)| (domain, Some(path)));
    let of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if domain.is_empty() || domain.len() > MAX_TRUST_DOMAIN || !domain.bytes().all(of_domain) {
        return Err(InvalidSpiffeId::TrustDomain(domain.to_owned()));
    }
    let path = path.filter(|path| !path.is_empty()).ok_or_else(|| InvalidSpiffeId::NoPath(domain.to_owned()))?;
    let of_segment = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let bad = path
        .split('/')
        .find(|segment| segment.is_empty() || matches!(*segment, "." | "..") || !segment.bytes().all(of_segment));
    match bad {
        Some(segment) => Err(InvalidSpiffeId::Segment(segment.to_owned())),
        None => Ok(()),
    }
}
