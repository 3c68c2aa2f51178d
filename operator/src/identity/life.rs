//! How long certificates live.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use super::issuer::offset;

/// Life of a workload's certificate unless the operator is told otherwise.
pub const CERTIFICATE: Duration = Duration::from_secs(24 * 60 * 60);
/// Life of an issuer that the operator makes unless it is told otherwise: ten years.
pub const ISSUER: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// Life of what an issuer signs to be tried out.
pub(super) const TRIAL: Duration = Duration::from_secs(60);
/// How far clocks may be apart.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// How far clocks may be apart for certificates that live for `life`: five minutes, but not a tenth of a short life, so that what
/// waits for the end of short lives need not wait much longer.
#[must_use]
pub fn skew(life: Duration) -> Duration {
    SKEW.min(life / 10)
}

/// The moment so long after another, or the last that there is.
#[must_use]
pub fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// When the last certificate has ended, also by a clock that is behind, if the last one that lives for `life` is signed `now`.
pub(super) fn end_of_all(now: Timestamp, life: Duration) -> Timestamp {
    after(now, life.saturating_add(skew(life)))
}

/// What all leaves have in common: a time, and that they serve both ends of a connection.
pub(super) fn leaf_params(now: Timestamp, not_after: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    // No subject: who is meant stands in the alternative names.
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.not_before = offset(now - skew(not_after.duration_since(now).unsigned_abs()));
    params.not_after = offset(not_after);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// The moment at two thirds of a life that ends at `end`.
#[must_use]
pub fn renewal(begin: Timestamp, end: Timestamp) -> Timestamp {
    begin + end.duration_since(begin) * 2 / 3
}
