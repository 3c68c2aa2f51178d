//! Events on the issuer's Secret: each step of a rotation, what is wrong with a Secret, what is about to expire.

use std::{error::Error, fmt};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::{
    Issuer,
    rotation::Step,
    store::{MANAGER, WANTED},
};
use crate::model::Fingerprint;

/// Time before the end of an issuer, in hours, at which its owner is told, the last first.
const NOTICES: [(i64, &str); 3] = [
    (24, "expires in less than a day"),
    (7 * 24, "expires in less than a week"),
    (30 * 24, "expires in less than a month"),
];

/// Publishes Events.
pub(super) struct Events {
    recorder: Recorder,
    namespace: String,
}

impl Events {
    pub(super) fn new(client: Client, namespace: &str, instance: String) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance) };
        Self { recorder: Recorder::new(client, reporter), namespace: namespace.to_owned() }
    }

    /// A step of a rotation.
    pub(super) async fn step(&self, secret: Option<&Secret>, step: &Step) {
        let (reason, about) = match step {
            Step::Introduced(link) => ("RootTrusted", link.issuer),
            Step::Withdrawn(link) => ("IssuerWithdrawn", link.issuer),
            Step::Switched { to, .. } => ("IssuerSwitched", to.issuer),
            Step::Retired(root) => ("RootRetired", *root),
        };
        let type_ = match step {
            Step::Switched { forced: true, .. } => EventType::Warning,
            _ => EventType::Normal,
        };
        self.publish(secret, type_, reason, Some(about), step.to_string()).await;
    }

    /// The operator made an issuer.
    pub(super) async fn made(&self, secret: Option<&Secret>, note: &str) {
        self.publish(secret, EventType::Normal, "IssuerMade", None, note.to_owned()).await;
    }

    /// The issuer has another way to its root than before, until `expires`.
    pub(super) async fn chain(&self, secret: Option<&Secret>, issuer: Fingerprint, expires: Timestamp) {
        let note = format!("Other certificates lead from issuer {issuer} to its root, until {expires}");
        self.publish(secret, EventType::Normal, "IssuerChainRenewed", Some(issuer), note).await;
    }

    /// What the Secret holds cannot be used.
    pub(super) async fn invalid(&self, secret: Option<&Secret>, note: String) {
        self.publish(secret, EventType::Warning, "IssuerInvalid", None, note).await;
    }

    /// An issuer ends soon that its owner has to replace.
    pub(super) async fn expires(&self, secret: Option<&Secret>, notice: &Notice) {
        // One that could not be replaced when it was said last is another matter than one that was not.
        let reason = if notice.complaint.is_some() { "IssuerExpiresUnreplaced" } else { "IssuerExpires" };
        self.publish(secret, EventType::Warning, reason, Some(notice.issuer), notice.to_string()).await;
    }

    /// Publishes an Event. One that cannot be published must not hold up a rotation.
    async fn publish(
        &self,
        secret: Option<&Secret>,
        type_: EventType,
        reason: &str,
        about: Option<Fingerprint>,
        note: String,
    ) {
        let regarding = ObjectReference {
            api_version: Some(Secret::api_version(&()).into_owned()),
            kind: Some(Secret::kind(&()).into_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(WANTED.to_owned()),
            uid: secret.and_then(|secret| secret.metadata.uid.clone()),
            ..ObjectReference::default()
        };
        // The recorder takes two Events for one unless they differ in more than their note.
        let secondary =
            about.map(|about| ObjectReference { field_path: Some(format!("data[{about}]")), ..regarding.clone() });
        let event =
            Event { type_, reason: reason.to_owned(), note: Some(note), action: "Rotate".to_owned(), secondary };
        if let Err(error) = self.recorder.publish(&event, &regarding).await {
            tracing::warn!(reason, error = &error as &dyn Error, "Could not publish an Event");
        }
    }
}

/// What its owner is told of an issuer that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    issuer: Fingerprint,
    expires: Timestamp,
    /// How near the end is.
    words: &'static str,
    /// Why the Secret, which should hold the next one, cannot be used.
    complaint: Option<String>,
}

impl Notice {
    /// `None` while the end is far.
    pub(super) fn of(issuer: &Issuer, complaint: Option<&str>, now: Timestamp) -> Option<Self> {
        let expires = issuer.not_after();
        let complaint = complaint.map(str::to_owned);
        Some(Self { issuer: issuer.fingerprint(), expires, words: words(expires, now)?, complaint })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuer {}, its root or one between them {}, at {}", self.issuer, self.words, self.expires)?;
        match &self.complaint {
            Some(complaint) => write!(f, "; nothing replaces it, because Secret {WANTED} cannot be used: {complaint}"),
            None => Ok(()),
        }
    }
}

/// In whose words the end is near; `None` while it is not.
fn words(expires: Timestamp, now: Timestamp) -> Option<&'static str> {
    if expires <= now {
        return Some("has expired");
    }
    let left = expires.duration_since(now).as_hours();
    NOTICES.iter().find(|(hours, _)| left < *hours).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_notice_as_the_end_comes_near() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (name, expires, want) in [
            ("a year", "2027-01-01T00:00:00Z", None),
            ("31 days", "2026-02-01T00:00:00Z", None),
            ("just below 30 days", "2026-01-30T23:59:59Z", Some("expires in less than a month")),
            ("7 days", "2026-01-08T00:00:00Z", Some("expires in less than a month")),
            ("below 7 days", "2026-01-07T23:59:59Z", Some("expires in less than a week")),
            ("below a day", "2026-01-01T23:00:00Z", Some("expires in less than a day")),
            ("over", "2026-01-01T00:00:00Z", Some("has expired")),
        ] {
            assert_eq!(words(expires.parse().unwrap(), now), want, "{name}");
        }
    }
}
