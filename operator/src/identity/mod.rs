//! Who the mesh believes: the issuer and its rotation, the certificates of workloads and of the operator itself, and the copies of
//! the bundle of roots. `docs/identity.md` has the whole of it.

mod bundle;
mod certify;
mod counts;
mod events;
mod issuer;
mod keeper;
pub mod life;
mod made;
mod namespaces;
mod record;
pub mod rotation;
mod serving;
mod slot;
mod store;

use std::sync::Arc;

use tokio::sync::watch;

pub use bundle::{Copied, publish};
pub use certify::{CertifyError, certify};
pub use counts::Counts;
pub use issuer::{Issuer, IssuerError, KeyError};
pub use keeper::{Keeper, Settings, Surroundings};
pub use namespaces::Namespaces;
pub use serving::{Serving, ServingError};

use crate::model::Trust;

/// Who signs, and who is trusted: one value, so that nobody sees half of a change.
pub struct Authority {
    /// Signs.
    pub issuer: Arc<Issuer>,
    /// What sidecars are told.
    pub trust: Arc<Trust>,
    /// The trusted roots in PEM.
    pub bundle: Arc<str>,
}

/// The newest authority; `None` until the first is known.
pub type Authorities = watch::Receiver<Option<Arc<Authority>>>;

#[cfg(test)]
pub(crate) mod testing {
    //! Authorities for the tests of those who ask one.

    use std::time::Duration;

    use jiff::Timestamp;

    use super::{Authority, Issuer, made};
    use crate::model::Trust;

    /// The authority of a mesh, made for the moment and for `life`.
    pub(crate) fn authority(life: Duration) -> Authority {
        let now = Timestamp::now();
        let issuer = Issuer::read(made::make(life, now).unwrap(), now).unwrap();
        let trust = Trust {
            trust_domain: "cluster.local".to_owned(),
            roots: vec![issuer.root().to_vec()],
            issuer: issuer.fingerprint(),
        };
        Authority { issuer: issuer.into(), trust: trust.into(), bundle: "".into() }
    }
}
