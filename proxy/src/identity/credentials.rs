//! What the process has of keys, certificates and roots now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use tokio::sync::watch;

use super::{
    certificate::{Certified, InvalidCertificate},
    handshake::{Handshakes, Reason},
    material::Material,
    membership::Membership,
    trust::Trust,
};

/// What the process has of keys, certificates and roots now. Connections read without a lock; the control thread alone writes.
#[derive(Debug)]
pub(crate) struct Credentials {
    material: ArcSwapOption<Material>,
    trust: watch::Sender<Option<Arc<Trust>>>,
    renewals: Mutex<Renewals>,
    pub(crate) handshakes: Handshakes,
}

/// How having certificates signed went since the process started.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Renewals {
    /// Certificates that came into use, the first included.
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Why the last attempt failed, until one succeeds.
    pub(crate) last_error: Option<String>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            material: ArcSwapOption::empty(),
            trust: watch::Sender::new(None),
            renewals: Mutex::default(),
            handshakes: Handshakes::default(),
        }
    }
}

impl Credentials {
    /// What there is, expired or not.
    pub(crate) fn material(&self) -> Option<Arc<Material>> {
        self.material.load_full()
    }

    /// What a connection of the mesh can be made with.
    ///
    /// # Errors
    /// When there is no certificate, or it has expired: then there are no connections of the mesh, and none that are less.
    pub(crate) fn usable(&self) -> Result<Arc<Material>, Reason> {
        let material = self.material().ok_or(Reason::Uncertified)?;
        if material.certified.is_expired(SystemTime::now()) {
            return Err(Reason::OwnExpired);
        }
        Ok(material)
    }

    /// Whom the operator last said to believe.
    pub(crate) fn trust(&self) -> Option<Arc<Trust>> {
        self.trust.borrow().clone()
    }

    /// For whom `chain` belongs to, who was verified by `material`.
    ///
    /// # Errors
    /// When the chain does not say to which member.
    pub(crate) fn membership(
        &self,
        chain: &[CertificateDer<'static>],
        material: &Material,
    ) -> Result<Membership, InvalidCertificate> {
        Membership::new(chain, material.trust.clone(), self.watch_trust())
    }

    /// Turns when the operator says something else.
    pub(crate) fn watch_trust(&self) -> watch::Receiver<Option<Arc<Trust>>> {
        self.trust.subscribe()
    }

    /// From now on `trust` is in force.
    ///
    /// # Errors
    /// When no connection could be made by it; then all stays as it was.
    pub(crate) fn set_trust(&self, trust: Trust) -> Result<(), InvalidCertificate> {
        let trust = Arc::new(trust);
        // Every stream says it anew. What did not change must not have connections made anew.
        let same = self.trust().is_some_and(|current| current.is_same(&trust));
        if !same && let Some(material) = self.material() {
            let next = Material::new(material.certified.clone(), trust.clone(), material.generation + 1)?;
            self.material.store(Some(Arc::new(next)));
        }
        if !same {
            let roots = trust.roots.len();
            tracing::info!(trust_domain = trust.trust_domain, roots, "Trusting other roots");
        }
        self.trust.send_replace(Some(trust));
        Ok(())
    }

    /// From now on `certified` is shown to others.
    ///
    /// # Errors
    /// When others would not believe it; then all stays as it was.
    pub(crate) fn set_certified(&self, certified: Certified, trust: &Arc<Trust>) -> Result<(), InvalidCertificate> {
        let generation = self.material().map_or(0, |material| material.generation) + 1;
        let material = Material::new(Arc::new(certified), trust.clone(), generation)?;
        material.verify()?;
        self.material.store(Some(Arc::new(material)));
        self.count_renewals(|renewals| {
            renewals.succeeded += 1;
            renewals.last_error = None;
        });
        Ok(())
    }

    /// An attempt to get a certificate failed.
    pub(crate) fn renewal_failed(&self, reason: String) {
        self.count_renewals(|renewals| {
            renewals.failed += 1;
            renewals.last_error = Some(reason);
        });
    }

    /// How having certificates signed went.
    pub(crate) fn renewals(&self) -> Renewals {
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_renewals(&self, count: impl FnOnce(&mut Renewals)) {
        count(&mut self.renewals.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
