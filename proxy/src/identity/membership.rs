//! How long somebody who has proved to be a member of the mesh is believed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::danger::ClientCertVerifier,
};
use tokio::{sync::watch, time};
use weft_policy::identity::SpiffeId;

use super::{
    certificate::{InvalidCertificate, Leaf},
    trust::Trust,
    verifier::MemberVerifier,
};

/// The clock is looked at again after at most this: it may be set, and the machine may sleep.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Why somebody is believed no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The certificate has expired.
    Expired,
    /// None of the roots that are trusted now has signed it.
    Distrusted,
}

/// Somebody who has proved to be a member of the mesh.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) id: SpiffeId,
    chain: Vec<CertificateDer<'static>>,
    not_after: SystemTime,
    /// By whose roots the chain was verified last.
    verified_by: Arc<Trust>,
    trust: watch::Receiver<Option<Arc<Trust>>>,
}

impl Membership {
    /// Of whom `chain` belongs to, who was verified by the roots of `trust`.
    ///
    /// # Errors
    /// When the chain does not say to which member.
    pub(super) fn new(
        chain: &[CertificateDer<'static>],
        verified_by: Arc<Trust>,
        trust: watch::Receiver<Option<Arc<Trust>>>,
    ) -> Result<Self, InvalidCertificate> {
        let leaf = Leaf::read(chain.first().ok_or(InvalidCertificate::Missing)?, &verified_by.trust_domain)?;
        Ok(Self { id: leaf.id, not_after: leaf.not_after, chain: chain.to_vec(), verified_by, trust })
    }

    /// Waits until the certificate has expired for longer than `grace`, or its root is not trusted any more.
    pub(crate) async fn lapse(mut self, grace: Duration) -> Lapse {
        let end = self.not_after + grace;
        loop {
            let current = self.trust.borrow_and_update().clone();
            if current.is_some_and(|current| !self.is_verified_by(current)) {
                return Lapse::Distrusted;
            }
            let Ok(left) = end.duration_since(SystemTime::now()) else { return Lapse::Expired };
            // A little more, because what passes at a time has passed only after it.
            let left = left.saturating_add(Duration::from_millis(1));
            tokio::select! {
                () = time::sleep(left.min(LOOK_AGAIN)) => {}
                Ok(()) = self.trust.changed() => {}
            }
        }
    }

    /// Whether the roots of `trust` are good for the chain, were it not expired.
    fn is_verified_by(&mut self, trust: Arc<Trust>) -> bool {
        if trust.is_same(&self.verified_by) {
            return true;
        }
        let time = SystemTime::now().min(self.not_after);
        let time = UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        let is_verified = self.chain.split_first().is_some_and(|(leaf, intermediates)| {
            MemberVerifier::of(&trust)
                .is_ok_and(|verifier| verifier.verify_client_cert(leaf, intermediates, time).is_ok())
        });
        if is_verified {
            self.verified_by = trust;
        }
        is_verified
    }
}

/// Time for which bytes go on between two sidecars though a certificate has expired. Who carries them knows no better moment to end
/// them than any other, and a database's connection may be older than a certificate's life.
const GRACE_OF_BYTES: Duration = Duration::from_secs(24 * 3600);

/// Waits until bytes with this `peer` must end; for ever if it is nobody of the mesh.
pub(crate) async fn lapse_of_bytes(peer: Option<Membership>) -> Lapse {
    match peer {
        Some(peer) => peer.lapse(GRACE_OF_BYTES).await,
        None => std::future::pending().await,
    }
}
