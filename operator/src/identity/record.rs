//! The rotation's state as it stands in the ConfigMap `weft-trust-bundle` of the operator's namespace: for the operator that is
//! started next, for the other replicas, and for whoever wants to know.

use std::{collections::BTreeMap, error::Error, time::Duration};

use jiff::Timestamp;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem, pem::PemObject},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    issuer::{chain::moment, fingerprint},
    life,
    rotation::{Link, Next, Offer, Root, State},
};
use crate::{
    model::{Fingerprint, NotAFingerprint},
    publish::TrustProgress,
};

/// Entry with the roots in PEM; the name that everything which reads such ConfigMaps expects.
pub(super) const BUNDLE: &str = "ca.crt";
/// Entry with everything else, in JSON.
const RECORD: &str = "rotation.json";
/// How many of the sidecars that are waited for are named.
const NAMED: usize = 10;

/// Why the ConfigMap does not say what was.
#[derive(Debug, Error)]
pub(super) enum RecordError {
    #[error("it has no entry {0:?}")]
    Missing(&'static str),
    #[error("its entry {RECORD:?} cannot be read")]
    Json(#[from] serde_json::Error),
    #[error("its entry {RECORD:?}: {0}")]
    Fingerprint(#[from] NotAFingerprint),
    #[error("its entry {BUNDLE:?} is not PEM")]
    Pem(#[from] pem::Error),
    #[error("its entry {BUNDLE:?} lacks the root {0}")]
    RootMissing(Fingerprint),
    #[error("its entry {BUNDLE:?} has a certificate that cannot be trusted")]
    NotARoot(#[from] rustls::Error),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    active: Named,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Coming>,
    roots: Vec<Trusted>,
    longest_certificate_life_seconds: u64,
    /// While something is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sidecars: Option<Followers>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    issuer: String,
    root: String,
    /// Absent where the issuer could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    /// Who renews it: the operator itself, or whoever brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    brought: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Coming {
    issuer: String,
    root: String,
    since: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Trusted {
    sha256: String,
    subject: String,
    expires: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retires: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Followers {
    connected: usize,
    acknowledged: usize,
    /// Pods of those that have not, some of them if there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<String>,
}

/// What is known of the active issuer beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Active {
    pub(super) expires: Timestamp,
    pub(super) brought: bool,
}

/// The entries of the ConfigMap.
pub(super) fn write(
    state: &State,
    active: Option<Active>,
    progress: &TrustProgress,
) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let record = Record {
        active: Named {
            issuer: state.active.issuer.to_string(),
            root: state.active.root.to_string(),
            expires: active.map(|active| active.expires),
            brought: active.map(|active| active.brought),
        },
        next: state.next.map(|next| Coming {
            issuer: next.link.issuer.to_string(),
            root: next.link.root.to_string(),
            since: next.since,
        }),
        roots: state.roots.iter().map(trusted).collect(),
        longest_certificate_life_seconds: state.longest_life.as_secs(),
        sidecars: state.is_rotating().then(|| Followers {
            connected: progress.connected,
            acknowledged: progress.acknowledged,
            waiting: progress.waiting.iter().take(NAMED).map(ToString::to_string).collect(),
        }),
    };
    Ok([(BUNDLE.to_owned(), bundle(state)), (RECORD.to_owned(), serde_json::to_string_pretty(&record)?)].into())
}

/// The state that the entries of the ConfigMap say.
pub(super) fn read(entries: &BTreeMap<String, String>) -> Result<State, RecordError> {
    let entry = |name| entries.get(name).ok_or(RecordError::Missing(name));
    let record: Record = serde_json::from_str(entry(RECORD)?)?;
    let retires: BTreeMap<Fingerprint, Option<Timestamp>> = record
        .roots
        .iter()
        .map(|root| Ok((root.sha256.parse()?, root.retires)))
        .collect::<Result<_, NotAFingerprint>>()?;
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(entry(BUNDLE)?.as_bytes()) {
        let certificate = certificate?.to_vec();
        // A certificate that somebody added by hand is not of the mesh.
        if let Some(retires) = retires.get(&fingerprint(&certificate)) {
            roots.push(Root { certificate, retires: *retires });
        }
    }
    if let Some(missing) = retires.keys().find(|known| !roots.iter().any(|root| root.fingerprint() == **known)) {
        return Err(RecordError::RootMissing(*missing));
    }
    let link = |issuer: &str, root: &str| -> Result<Link, RecordError> {
        let link = Link { issuer: issuer.parse()?, root: root.parse()? };
        if retires.contains_key(&link.root) { Ok(link) } else { Err(RecordError::RootMissing(link.root)) }
    };
    let next = match &record.next {
        Some(next) => Some(Next { link: link(&next.issuer, &next.root)?, since: next.since }),
        None => None,
    };
    Ok(State {
        active: link(&record.active.issuer, &record.active.root)?,
        next,
        roots,
        longest_life: Duration::from_secs(record.longest_certificate_life_seconds),
    })
}

/// The state of a mesh whose record cannot be read, with the issuer that is at hand. Every root of the bundle stays trusted until
/// the last certificate that may have been signed under it has ended, the longest of which lives for `life`.
pub(super) fn recover(entries: &BTreeMap<String, String>, active: &Offer, life: Duration, now: Timestamp) -> State {
    let mut state = State::new(active, life);
    let bundle = entries.get(BUNDLE).map(String::as_bytes).unwrap_or_default();
    let mut roots: Vec<Root> = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        // A sidecar refuses the whole bundle for one root that it cannot read.
        let usable = certificate.map_err(RecordError::from).and_then(|certificate| {
            RootCertStore::empty().add(certificate.clone())?;
            Ok(certificate.to_vec())
        });
        match usable {
            Ok(certificate) if roots.iter().chain(&state.roots).any(|root| root.certificate == certificate) => {}
            Ok(certificate) => roots.push(Root { certificate, retires: Some(life::end_of_all(now, life)) }),
            Err(error) => tracing::error!(error = &error as &dyn Error, "Left a root of the trust bundle out"),
        }
    }
    state.roots.splice(..0, roots);
    state
}

/// The roots of a state in PEM, each under the name of its subject.
pub(super) fn bundle(state: &State) -> String {
    state.roots.iter().map(|root| pem(&root.certificate)).collect()
}

fn trusted(root: &Root) -> Trusted {
    let parsed = x509_parser::parse_x509_certificate(&root.certificate).ok();
    let (subject, expires) = parsed.map_or((String::new(), Timestamp::MAX), |(_, parsed)| {
        (parsed.subject().to_string(), moment(parsed.validity().not_after.timestamp()))
    });
    Trusted { sha256: root.fingerprint().to_string(), subject, expires, retires: root.retires }
}

/// Source: RFC 7468 section 2: lines of 64 characters.
fn pem(certificate: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let encoded = STANDARD.encode(certificate);
    for (index, character) in encoded.char_indices() {
        text.push(character);
        if index % 64 == 63 {
            text.push('\n');
        }
    }
    if !encoded.len().is_multiple_of(64) {
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PodRef;

    /// Two roots.
    const ROOTS: &str = include_str!("../../tests/inputs/roots.pem");
    /// What is written about them; the CLI reads it as well.
    const WRITTEN: &str = include_str!("../../tests/inputs/rotation.json");

    fn state() -> State {
        let certificates = CertificateDer::pem_slice_iter(ROOTS.as_bytes());
        let mut roots: Vec<Root> =
            certificates.map(|root| Root { certificate: root.unwrap().to_vec(), retires: None }).collect();
        roots[1].retires = Some("2026-01-02T00:00:00Z".parse().unwrap());
        let link = |issuer: u8| Link { issuer: Fingerprint::new([issuer; 32]), root: roots[0].fingerprint() };
        let next = Next { link: link(8), since: "2026-01-01T00:00:00Z".parse().unwrap() };
        State { active: link(7), next: Some(next), roots, longest_life: Duration::from_secs(60) }
    }

    fn entries(active: Option<Active>) -> BTreeMap<String, String> {
        let pod = PodRef { namespace: "shop".to_owned(), name: "web-1".to_owned() };
        let progress = TrustProgress { connected: 3, acknowledged: 2, waiting: [pod].into() };
        write(&state(), active, &progress).unwrap()
    }

    #[test]
    fn writes_what_others_read() {
        let active = Active { expires: "2100-01-01T00:00:00Z".parse().unwrap(), brought: true };
        let entries = entries(Some(active));
        assert_eq!(entries[RECORD], WRITTEN.trim_end());
        assert_eq!(entries[BUNDLE], ROOTS);
    }

    #[test]
    fn reads_what_it_writes() {
        let active = Active { expires: Timestamp::UNIX_EPOCH, brought: true };
        for (name, active) in [("known issuer", Some(active)), ("unknown issuer", None)] {
            assert_eq!(read(&entries(active)).unwrap(), state(), "{name}");
        }
    }

    #[test]
    fn keeps_every_root_of_a_bundle_whose_record_is_lost() {
        let known = state();
        let offer = Offer { link: known.active, root: known.roots[0].certificate.clone() };
        let (now, life) = ("2026-01-01T00:00:00Z".parse().unwrap(), Duration::from_secs(60));
        let second = ROOTS.match_indices("-----BEGIN").nth(1).unwrap().0;
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = ROOTS[..second].replacen("-----END", "---", 1);
        for (name, bundle, want) in [
            ("both", ROOTS.to_owned(), 2),
            ("twice", [ROOTS, ROOTS].concat(), 2),
            ("with one that is none", [garbage, ROOTS].concat(), 2),
            ("the other alone", ROOTS[second..].to_owned(), 2),
            ("the active alone", ROOTS[..second].to_owned(), 1),
            ("one that is cut off", [&ROOTS[second..], &*cut].concat(), 2),
            ("nothing", String::new(), 1),
        ] {
            let state = recover(&[(BUNDLE.to_owned(), bundle)].into(), &offer, life, now);
            assert_eq!(state.roots.len(), want, "{name}");
            assert_eq!((state.active, state.next), (offer.link, None), "{name}");
            let (active, old) = state.roots.split_last().unwrap();
            assert_eq!((&active.certificate, active.retires), (&offer.root, None), "{name}");
            // What was signed a moment ago lives for a minute, and a tenth more by a clock that is behind.
            assert!(old.iter().all(|root| root.retires == Some(now + Duration::from_secs(66))), "{name}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let good = entries(None);
        let change = |name: &str, change: &dyn Fn(&str) -> String| {
            let mut entries = good.clone();
            let entry = entries.get_mut(name).unwrap();
            *entry = change(entry);
            entries
        };
        let second = ROOTS.match_indices("-----BEGIN").nth(1).unwrap().0;
        for (name, entries, want) in [
            ("empty", BTreeMap::new(), r#"it has no entry "rotation.json""#),
            ("no JSON", change(RECORD, &|_| "{".to_owned()), r#"its entry "rotation.json" cannot be read"#),
            (
                "a fingerprint cut short",
                change(RECORD, &|text| text.replace(&"07".repeat(32), "07")),
                r#"its entry "rotation.json": "07" is not 64 hexadecimal digits"#,
            ),
            ("a root lost", change(BUNDLE, &|text| text[second..].to_owned()), "lacks the root"),
            ("no PEM", change(BUNDLE, &|text| text.replacen("-----END", "---", 1)), r#"its entry "ca.crt" is not PEM"#),
        ] {
            let error = read(&entries).unwrap_err().to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
    }
}
