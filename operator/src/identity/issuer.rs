//! An issuer: a certificate of an authority with its key and the way to a root, read from a Secret and not believed before it has
//! been looked at from all sides.

pub(super) mod chain;
mod error;
mod key;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, SanType};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub use error::IssuerError;
pub use key::KeyError;
#[cfg(test)]
pub(super) use key::pair;

use super::life;
use crate::model::Fingerprint;

/// The entries of a Secret in cert-manager's layout.
pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";
pub(super) const ROOT: &str = "ca.crt";

/// The host name of what an issuer signs to be tried out. No certificate of it ever leaves the process.
const TRIAL: &str = "trial.id.weft";

/// What a Secret holds, by entry.
pub(super) type Entries = BTreeMap<String, ByteString>;

/// Signs certificates, and is known to be believed by whom trusts its root.
pub struct Issuer {
    /// As it was found, so that it can be stored elsewhere.
    entries: Entries,
    own: CertificateDer<'static>,
    /// From the issuer up, without the root: what goes with everything that is signed.
    chain: Vec<CertificateDer<'static>>,
    root: CertificateDer<'static>,
    not_after: Timestamp,
    signer: rcgen::Issuer<'static, KeyPair>,
}

impl Issuer {
    /// The issuer of a Secret with the entries `tls.crt` (its certificate, and those between it and the root), `tls.key` and
    /// `ca.crt` (the root).
    ///
    /// # Errors
    /// When something is missing, does not belong together, is not valid at `now`, or when what it signs would not be believed.
    pub fn read(entries: Entries, now: Timestamp) -> Result<Self, IssuerError> {
        let chain = certificates(&entries, CERTIFICATE)?;
        let roots = certificates(&entries, ROOT)?;
        let key = PrivateKeyDer::from_pem_slice(entry(&entries, KEY)?)
            .map_err(|source| IssuerError::Pem { entry: KEY, source })?;
        let key = key::pair(&key)?;
        let chain::Checked { chain, root, not_after } = chain::check(chain, &roots, key.public_key_raw(), now)?;
        // The root alone is a way to itself.
        let own = chain.first().unwrap_or(&root).clone();
        let signer = rcgen::Issuer::from_ca_cert_der(&own, key)?;
        let issuer = Self { entries, own, chain, root, not_after, signer };
        issuer.try_out(now)?;
        Ok(issuer)
    }

    /// Names the issuer.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.own)
    }

    /// The root that its certificates lead to.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// When it, its root, or one between them expires, whichever is first. Nothing that it signs is valid for longer.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it is the same issuer, and the same certificates lead from it to the same root: one between them may be renewed
    /// while the issuer stays.
    pub(super) fn leads_like(&self, other: &Self) -> bool {
        // An issuer that is its own root has no chain.
        self.chain == other.chain && self.root == other.root
    }

    /// What the Secret held.
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Signs, and adds what leads to the root: the leaf first, without the root.
    pub(super) fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Vec<CertificateDer<'static>>, rcgen::Error> {
        let leaf = params.signed_by(key, &self.signer)?;
        Ok(std::iter::once(leaf.into()).chain(self.chain.iter().cloned()).collect())
    }

    /// Signs a certificate and verifies it as the sidecars do. It finds what no rule above knows: limits on the length of the
    /// path, on names and on usages, weak keys, weak signatures.
    fn try_out(&self, now: Timestamp) -> Result<(), IssuerError> {
        let trial = KeyPair::generate()?;
        let mut params = life::leaf_params(now, self.not_after.min(now + life::TRIAL));
        params.subject_alt_names = vec![SanType::DnsName(TRIAL.try_into()?)];
        let chain = self.sign(&params, &trial)?;
        let Some((leaf, rest)) = chain.split_first() else { return Ok(()) };

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let roots = Arc::new(roots);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_second().unsigned_abs()));
        let name = ServerName::try_from(TRIAL)?;
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()?
            .verify_server_cert(leaf, rest, &name, &[], time)?;
        WebPkiClientVerifier::builder_with_provider(roots, provider).build()?.verify_client_cert(leaf, rest, time)?;
        Ok(())
    }
}

/// The certificates of an entry, at least one.
fn certificates(entries: &Entries, name: &'static str) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
    let found = CertificateDer::pem_slice_iter(entry(entries, name)?)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|source| IssuerError::Pem { entry: name, source })?;
    if found.is_empty() { Err(IssuerError::NoCertificate(name)) } else { Ok(found) }
}

fn entry<'a>(entries: &'a Entries, name: &'static str) -> Result<&'a [u8], IssuerError> {
    entries.get(name).map(|value| &*value.0).filter(|value| !value.is_empty()).ok_or(IssuerError::Missing(name))
}

/// What names a certificate (DER).
pub(super) fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Fingerprint::new(Sha256::digest(certificate).into())
}

/// The fingerprint of the first certificate of `tls.crt`, whether or not anything can be signed with it.
pub(super) fn claimed(entries: &Entries) -> Option<CertificateDer<'static>> {
    certificates(entries, CERTIFICATE).ok()?.into_iter().next()
}

/// For rcgen, which counts time by another library.
pub(super) fn offset(moment: Timestamp) -> OffsetDateTime {
    // What jiff can say lies within what `time` can say.
    OffsetDateTime::from_unix_timestamp(moment.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
