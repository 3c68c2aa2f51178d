//! Issuers that the operator makes itself, and how they are told from those that somebody brought.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};

use super::{
    issuer::{CERTIFICATE, Entries, KEY, ROOT, chain::moment, claimed, fingerprint, offset},
    life,
};

/// Annotation of a Secret with the fingerprint of the issuer that the operator made for it. Whoever replaces the content leaves
/// the annotation behind, or not; neither makes a brought issuer the operator's own.
const MADE: &str = "weft.dev/made-issuer";

/// A new root that signs for itself, for `life` from `now`.
pub(super) fn make(life: Duration, now: Timestamp) -> Result<Entries, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // A name of its own for each, lest one is taken for another.
    params.distinguished_name.push(DnType::CommonName, format!("Weft issuer {now:.0}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = offset(now - life::skew(life));
    params.not_after = offset(now + life);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let entry = |name: &str, text: &str| (name.to_owned(), ByteString(text.as_bytes().to_vec()));
    Ok([entry(CERTIFICATE, &certificate), entry(KEY, &key.serialize_pem()), entry(ROOT, &certificate)].into())
}

/// The annotation that says so.
pub(super) fn mark(entries: &Entries) -> BTreeMap<String, String> {
    claimed(entries).map(|own| (MADE.to_owned(), fingerprint(&own).to_string())).into_iter().collect()
}

/// When the operator has to make another issuer in place of the Secret's: at two thirds of its life. `None` for one that
/// somebody brought, which is theirs to renew.
pub(super) fn renewal(secret: &Secret) -> Option<Timestamp> {
    let own = claimed(secret.data.as_ref()?)?;
    let marked = secret.metadata.annotations.as_ref()?.get(MADE)?;
    if *marked != fingerprint(&own).to_string() {
        return None;
    }
    let (_, parsed) = x509_parser::parse_x509_certificate(&own).ok()?;
    let validity = parsed.validity();
    Some(life::renewal(moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp())))
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::*;

    #[test]
    fn only_its_own_issuer_is_renewed() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let made = make(Duration::from_secs(900), now).unwrap();
        let other = make(Duration::from_secs(900), now).unwrap();
        let secret = |entries: &Entries, annotations: Option<BTreeMap<String, String>>| Secret {
            metadata: ObjectMeta { annotations, ..ObjectMeta::default() },
            data: Some(entries.clone()),
            ..Secret::default()
        };
        // It began 90 seconds before it was made, for clocks that are behind.
        let want = Some(now + Duration::from_secs(570));
        for (name, secret, want) in [
            ("its own", secret(&made, Some(mark(&made))), want),
            ("brought", secret(&made, None), None),
            ("brought into a Secret that it made", secret(&other, Some(mark(&made))), None),
            ("empty", Secret::default(), None),
        ] {
            assert_eq!(renewal(&secret), want, "{name}");
        }
    }
}
