//! What a Secret was last found to hold.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use super::{Issuer, IssuerError, issuer::Entries};

/// A Secret's content and what became of it.
#[derive(Default)]
pub(super) struct Slot {
    entries: Option<Entries>,
    issuer: Option<Arc<Issuer>>,
    complaint: Option<String>,
}

impl Slot {
    /// The issuer, if it can be used.
    pub(super) fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.issuer.as_ref()
    }

    /// What is wrong with the Secret, if there is one.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Looks at the Secret, again if it has changed, or could not be used, or has expired since. Gives what is wrong with it if
    /// that has not been said yet.
    pub(super) fn look(&mut self, secret: Option<&Secret>, now: Timestamp) -> Option<IssuerError> {
        let entries = secret.map(|secret| secret.data.clone().unwrap_or_default());
        let usable = self.issuer.as_ref().is_some_and(|issuer| now < issuer.not_after());
        if entries == self.entries && (usable || entries.is_none()) {
            return None;
        }
        let changed = std::mem::replace(&mut self.entries, entries.clone()) != entries;
        self.issuer = None;
        if changed {
            self.complaint = None;
        }
        match Issuer::read(entries?, now) {
            Ok(issuer) => {
                self.issuer = Some(Arc::new(issuer));
                self.complaint = None;
                None
            }
            Err(error) => {
                let complaint = Some(error.to_string());
                let new = complaint != self.complaint;
                self.complaint = complaint;
                new.then_some(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::made;

    #[test]
    fn complains_once_and_forgets_what_cannot_be_used_any_more() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let secret = |data: Entries| Secret { data: Some(data), ..Secret::default() };
        let good = secret(made::make(Duration::from_secs(900), now).unwrap());
        let empty = secret(Entries::new());
        let mut slot = Slot::default();
        for (name, secret, seconds, complains, usable) in [
            ("none yet", None, 0, false, false),
            ("good", Some(&good), 0, false, true),
            ("still good", Some(&good), 1, false, true),
            ("expired", Some(&good), 900, true, false),
            ("still expired", Some(&good), 901, false, false),
            ("emptied", Some(&empty), 902, true, false),
            ("still empty", Some(&empty), 903, false, false),
            ("deleted", None, 904, false, false),
            ("empty again", Some(&empty), 905, true, false),
        ] {
            let complaint = slot.look(secret, now + Duration::from_secs(seconds));
            assert_eq!(complaint.is_some(), complains, "{name}: {complaint:?}");
            assert_eq!(slot.issuer().is_some(), usable, "{name}");
        }
    }
}
