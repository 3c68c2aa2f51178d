//! What the operator did with issuers and certificates, for Prometheus.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Authority;

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By result and reason.
    certificates: BTreeMap<(&'static str, &'static str), u64>,
    /// By reason.
    issuers_refused: BTreeMap<&'static str, u64>,
    /// Whether the Secret holds an issuer that can be used; `None` before it was looked at.
    issuer_usable: Option<bool>,
}

impl Counts {
    /// A certificate was signed.
    pub fn signed(&self) {
        self.certificate("signed", "");
    }

    /// A certificate was refused.
    pub fn refused(&self, reason: &'static str) {
        self.certificate("refused", reason);
    }

    /// A certificate could not be signed now, whatever the request.
    pub fn failed(&self, reason: &'static str) {
        self.certificate("failed", reason);
    }

    /// A Secret held no issuer that could be used.
    pub fn issuer_refused(&self, reason: &'static str) {
        *self.locked().issuers_refused.entry(reason).or_default() += 1;
    }

    /// The Secret holds an issuer that can be used, or does not.
    pub fn issuer_usable(&self, usable: bool) {
        self.locked().issuer_usable = Some(usable);
    }

    fn certificate(&self, result: &'static str, reason: &'static str) {
        *self.locked().certificates.entry((result, reason)).or_default() += 1;
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self, authority: Option<&Authority>) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let counts = self.locked();
        let certificates = counts.certificates.iter().map(|((result, reason), count)| {
            (format!("{{result=\"{result}\",reason=\"{reason}\"}}"), count.to_string())
        });
        family(
            "weft_certificates_total",
            "counter",
            "Requests of sidecars for a certificate, by what became of them.",
            certificates.collect(),
        );
        let refused = counts
            .issuers_refused
            .iter()
            .map(|(reason, count)| (format!("{{reason=\"{reason}\"}}"), count.to_string()));
        family(
            "weft_issuers_refused_total",
            "counter",
            "Contents of the Secret weft-ca that could not be used, by reason.",
            refused.collect(),
        );
        if let Some(usable) = counts.issuer_usable {
            family(
                "weft_issuer_secret_usable",
                "gauge",
                "Whether the Secret weft-ca holds an issuer that can be used; while it does not, the last good one goes on.",
                vec![(String::new(), u8::from(usable).to_string())],
            );
        }
        if let Some(authority) = authority {
            let expiry = authority.issuer.not_after().as_second().to_string();
            family(
                "weft_issuer_expiry_timestamp_seconds",
                "gauge",
                "When the issuer that signs expires, in seconds since 1970.",
                vec![(String::new(), expiry)],
            );
            family(
                "weft_trust_roots",
                "gauge",
                "Roots that are trusted; more than one while a root is replaced.",
                vec![(String::new(), authority.trust.roots.len().to_string())],
            );
        }
        text
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_counted() {
        let counts = Counts::default();
        counts.signed();
        counts.signed();
        counts.refused("name");
        counts.issuer_refused("expired");
        let text = counts.render(None);
        for line in [
            "# TYPE weft_certificates_total counter",
            "weft_certificates_total{result=\"signed\",reason=\"\"} 2",
            "weft_certificates_total{result=\"refused\",reason=\"name\"} 1",
            "weft_issuers_refused_total{reason=\"expired\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
