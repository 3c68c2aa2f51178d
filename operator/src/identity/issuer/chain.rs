//! Whether certificates lead from an issuer to a root.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, error::X509Error};

use super::{CERTIFICATE, IssuerError, ROOT};

/// A chain that leads to a root.
pub(super) struct Checked {
    /// From the issuer up, without the root; empty when the issuer is the root.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) root: CertificateDer<'static>,
    /// The first moment at which one of them is not valid any more.
    pub(super) not_after: Timestamp,
}

/// Checks that each of `chain` is an authority that is valid `now` and signed by the next, the last by one of `roots`, and that
/// the first has this public key. Roots that have nothing to do with it are left out: nobody asked to trust them.
pub(super) fn check(
    mut chain: Vec<CertificateDer<'static>>,
    roots: &[CertificateDer<'static>],
    public_key: &[u8],
    now: Timestamp,
) -> Result<Checked, IssuerError> {
    let root = {
        let chain = parse(CERTIFICATE, &chain)?;
        for certificate in &chain {
            authority(certificate, now)?;
        }
        for (certificate, next) in chain.iter().zip(chain.iter().skip(1)) {
            if !is_signed(certificate, next) {
                return Err(IssuerError::Broken { subject: subject(certificate), next: subject(next) });
            }
        }
        if let Some(own) = chain.first().filter(|own| *own.public_key().subject_public_key.data != *public_key) {
            return Err(IssuerError::WrongKey { subject: subject(own) });
        }
        let candidates = parse(ROOT, roots)?;
        // A certificate that stands in both is its own root, even if a newer one has the same key.
        let last = chain.last();
        let same = |root: &&X509Certificate<'_>| last.is_some_and(|last| last.as_raw() == root.as_raw());
        let signer = |root: &&X509Certificate<'_>| last.is_some_and(|last| is_signed(last, root));
        let root = candidates.iter().find(same).or_else(|| candidates.iter().find(signer));
        let root = root.ok_or_else(|| IssuerError::NoRoot { subject: last.map(subject).unwrap_or_default() })?;
        authority(root, now)?;
        CertificateDer::from(root.as_raw().to_vec())
    };
    let mut not_after = Timestamp::MAX;
    for certificate in parse(CERTIFICATE, &chain)?.iter().chain(&parse(ROOT, std::slice::from_ref(&root))?) {
        not_after = not_after.min(moment(certificate.validity().not_after.timestamp()));
    }
    chain.retain(|certificate| *certificate != root);
    Ok(Checked { chain, root, not_after })
}

fn parse<'a>(
    entry: &'static str,
    certificates: &'a [CertificateDer<'_>],
) -> Result<Vec<X509Certificate<'a>>, IssuerError> {
    let one = |(index, certificate): (usize, &'a CertificateDer<'_>)| {
        let invalid = |source| IssuerError::Certificate { entry, position: index + 1, source };
        match x509_parser::parse_x509_certificate(certificate) {
            Ok(([], parsed)) => Ok(parsed),
            Ok(_) => Err(invalid(X509Error::InvalidCertificate)),
            Err(x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error)) => Err(invalid(error)),
            Err(x509_parser::nom::Err::Incomplete(_)) => Err(invalid(X509Error::InvalidCertificate)),
        }
    };
    certificates.iter().enumerate().map(one).collect()
}

fn authority(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), IssuerError> {
    if !certificate.is_ca() {
        return Err(IssuerError::NotAuthority { subject: subject(certificate) });
    }
    // Without the extension every usage is allowed (RFC 5280, section 4.2.1.3); two of it are none that can be read.
    let may_sign = match certificate.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
        Err(_twice) => false,
    };
    if !may_sign {
        return Err(IssuerError::MayNotSign { subject: subject(certificate) });
    }
    let validity = certificate.validity();
    let (from, until) = (moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()));
    if now < from {
        return Err(IssuerError::NotYetValid { subject: subject(certificate), from });
    }
    if now >= until {
        return Err(IssuerError::Expired { subject: subject(certificate), since: until });
    }
    Ok(())
}

fn is_signed(certificate: &X509Certificate<'_>, by: &X509Certificate<'_>) -> bool {
    certificate.issuer().as_raw() == by.subject().as_raw()
        && certificate.verify_signature(Some(by.public_key())).is_ok()
}

fn subject(certificate: &X509Certificate<'_>) -> String {
    certificate.subject().to_string()
}

/// A moment of a certificate; one beyond the calendar, such as the year 9999 that stands for "never", is the last there is.
pub(crate) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
