//! What the operator's record says of the issuer, of the roots that the mesh trusts, and of a rotation.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Deserialize;

use super::assess::{Read, unknown};
use super::{Check, NAMESPACE, OPERATOR};
use crate::outcome::Outcome;

/// `ConfigMap` that the operator keeps its record in.
pub(super) const RECORD: &str = "weft-trust-bundle";

/// Entry of the record in it.
const ENTRY: &str = "rotation.json";

/// Secret of the issuer.
const SECRET: &str = "weft-ca";

/// Hours before the end of an issuer or root at which something should be done about it. Before that an Event says so.
const NEAR: i64 = 7 * 24;

/// Digits of a fingerprint that are shown: enough to tell a few certificates apart.
const SHOWN: usize = 12;

/// The part of the operator's record that is shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    active: Issuer,
    next: Option<Coming>,
    roots: Vec<Root>,
    sidecars: Option<Sidecars>,
}

#[derive(Debug, Deserialize)]
struct Issuer {
    issuer: String,
    root: String,
    expires: Option<Timestamp>,
    brought: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Coming {
    issuer: String,
    since: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Root {
    sha256: String,
    subject: String,
    expires: Timestamp,
    retires: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Sidecars {
    connected: usize,
    acknowledged: usize,
    #[serde(default)]
    waiting: Vec<String>,
}

/// A row for the issuer, one for each root, and one for the rotation.
pub(super) fn assess_record(read: &Read<ConfigMap>, now: Timestamp) -> Vec<Check> {
    let name = format!("ConfigMap {RECORD}");
    let map = match read {
        Ok(Some(map)) => map,
        Ok(None) => {
            return vec![Check {
                check: name,
                state: Outcome::No,
                found: "does not exist".to_owned(),
                advice: format!("see why the operator did not write it: kubectl -n {NAMESPACE} logs deploy/{OPERATOR}"),
            }];
        }
        Err(error) => return vec![unknown(name, error)],
    };
    let text = map.data.as_ref().and_then(|data| data.get(ENTRY)).map_or("", String::as_str);
    match serde_json::from_str::<Record>(text) {
        Ok(record) => {
            let roots = record.roots.iter().map(|root| self::root(root, &record, now));
            std::iter::once(issuer(&record.active, now)).chain(roots).chain([rotation(&record)]).collect()
        }
        Err(error) => vec![Check {
            check: name,
            state: Outcome::No,
            found: format!("its entry {ENTRY} cannot be read: {error}"),
            // Deleting it would lose the roots that still have to be trusted.
            advice: format!(
                "see why the operator does not write it anew: kubectl -n {NAMESPACE} logs deploy/{OPERATOR}"
            ),
        }],
    }
}

fn issuer(issuer: &Issuer, now: Timestamp) -> Check {
    let check = format!("issuer {}", short(&issuer.issuer));
    let Some(expires) = issuer.expires else {
        return Check {
            check,
            state: Outcome::No,
            found: "the operator does not have its key".to_owned(),
            advice: format!("see: kubectl -n {NAMESPACE} describe secret {SECRET}"),
        };
    };
    let (whose, advice) = if issuer.brought == Some(true) {
        ("brought", format!("write a new issuer into Secret {SECRET} in namespace {NAMESPACE}"))
    } else {
        ("made by the operator", format!("see why it was not renewed: kubectl -n {NAMESPACE} logs deploy/{OPERATOR}"))
    };
    dated(check, whose, expires, advice, now)
}

fn root(root: &Root, record: &Record, now: Timestamp) -> Check {
    let check = format!("root {}", short(&root.sha256));
    let advice = format!("write an issuer under another root into Secret {SECRET} in namespace {NAMESPACE}");
    match root.retires.filter(|_| root.sha256 != record.active.root) {
        // Whether it expires before is of no interest: everything under it does as well.
        Some(retires) => Check {
            check,
            state: Outcome::Yes,
            found: format!("{}, not trusted any more from {retires}", root.subject),
            advice: String::new(),
        },
        None => dated(check, &root.subject, root.expires, advice, now),
    }
}

fn dated(check: String, what: &str, expires: Timestamp, advice: String, now: Timestamp) -> Check {
    if expires <= now {
        return Check { check, state: Outcome::No, found: format!("{what}, expired at {expires}"), advice };
    }
    let near = expires.duration_since(now).as_hours() < NEAR;
    let (state, advice) = if near { (Outcome::No, advice) } else { (Outcome::Yes, String::new()) };
    Check { check, state, found: format!("{what}, expires at {expires}"), advice }
}

fn rotation(record: &Record) -> Check {
    let check = "rotation".to_owned();
    let waiting = record.sidecars.as_ref().map(|sidecars| &sidecars.waiting[..]).unwrap_or_default();
    let followed = record.sidecars.as_ref().map_or(String::new(), |sidecars| {
        format!("; {} of {} sidecars have followed", sidecars.acknowledged, sidecars.connected)
    });
    let retiring = record.roots.iter().filter(|root| root.retires.is_some()).count();
    let found = match &record.next {
        Some(next) => format!("to issuer {} since {}{followed}", short(&next.issuer), next.since),
        None if retiring > 0 => format!("{retiring} old root to retire{followed}"),
        None => "none under way".to_owned(),
    };
    match waiting {
        [] => Check { check, state: Outcome::Yes, found, advice: String::new() },
        waiting => Check {
            check,
            state: Outcome::No,
            found: format!("{found}; waiting for {}", waiting.join(", ")),
            advice: "it goes on by itself in seconds; restart a pod that holds it up for longer".to_owned(),
        },
    }
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..SHOWN).unwrap_or(fingerprint)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::{Value, json};

    use super::*;

    fn rows(record: &Value) -> Vec<String> {
        let map = serde_json::from_value(json!({"data": {ENTRY: record.to_string()}})).unwrap();
        let checks = assess_record(&Ok(Some(map)), "2026-01-01T00:00:00Z".parse().unwrap());
        checks
            .into_iter()
            .map(|row| format!("{} | {} | {} | {}", row.check, row.state, row.found, row.advice))
            .collect()
    }

    fn record(change: Value) -> Value {
        let mut record = json!({
            "active": {"issuer": "a".repeat(64), "root": "b".repeat(64), "expires": "2027-01-01T00:00:00Z", "brought": true},
            "roots": [{"sha256": "b".repeat(64), "subject": "CN=one", "expires": "2028-01-01T00:00:00Z"}],
            "longestCertificateLifeSeconds": 86400,
        });
        for (field, value) in change.as_object().unwrap() {
            record[field] = value.clone();
        }
        record
    }

    #[test]
    fn shows_who_signs_who_is_trusted_and_what_is_under_way() {
        let signs = "issuer aaaaaaaaaaaa | yes | brought, expires at 2027-01-01T00:00:00Z | ";
        let one = "root bbbbbbbbbbbb | yes | CN=one, expires at 2028-01-01T00:00:00Z | ";
        let two = json!([
            {"sha256": "b".repeat(64), "subject": "CN=one", "expires": "2028-01-01T00:00:00Z"},
            {"sha256": "c".repeat(64), "subject": "CN=two", "expires": "2025-01-01T00:00:00Z", "retires": "2026-01-02T00:00:00Z"},
        ]);
        let retired = "root cccccccccccc | yes | CN=two, not trusted any more from 2026-01-02T00:00:00Z | ";
        let quiet = "rotation | yes | none under way | ";
        for (name, change, want) in [
            ("quiet", json!({}), vec![signs, one, quiet]),
            (
                "an issuer near its end",
                json!({"active": {"issuer": "a".repeat(64), "root": "b".repeat(64), "expires": "2026-01-07T00:00:00Z", "brought": true}}),
                vec![
                    "issuer aaaaaaaaaaaa | no | brought, expires at 2026-01-07T00:00:00Z | write a new issuer into Secret weft-ca in namespace weft-system",
                    one,
                    quiet,
                ],
            ),
            (
                "an issuer of the operator that expired",
                json!({"active": {"issuer": "a".repeat(64), "root": "b".repeat(64), "expires": "2026-01-01T00:00:00Z", "brought": false}}),
                vec![
                    "issuer aaaaaaaaaaaa | no | made by the operator, expired at 2026-01-01T00:00:00Z | see why it was not renewed: kubectl -n weft-system logs deploy/weft-operator",
                    one,
                    quiet,
                ],
            ),
            (
                "an issuer that is lost",
                json!({"active": {"issuer": "a".repeat(64), "root": "b".repeat(64)}}),
                vec![
                    "issuer aaaaaaaaaaaa | no | the operator does not have its key | see: kubectl -n weft-system describe secret weft-ca",
                    one,
                    quiet,
                ],
            ),
            (
                "a rotation that waits",
                json!({
                    "next": {"issuer": "d".repeat(64), "root": "e".repeat(64), "since": "2025-12-31T23:59:00Z"},
                    "sidecars": {"connected": 2, "acknowledged": 1, "waiting": ["shop/web-1"]},
                }),
                vec![
                    signs,
                    one,
                    "rotation | no | to issuer dddddddddddd since 2025-12-31T23:59:00Z; 1 of 2 sidecars have followed; waiting for shop/web-1 | it goes on by itself in seconds; restart a pod that holds it up for longer",
                ],
            ),
            (
                "an old root to retire",
                json!({"roots": two, "sidecars": {"connected": 2, "acknowledged": 2}}),
                vec![signs, one, retired, "rotation | yes | 1 old root to retire; 2 of 2 sidecars have followed | "],
            ),
        ] {
            assert_eq!(rows(&record(change)), want, "{name}");
        }
    }

    #[test]
    fn says_when_there_is_nothing_to_show() {
        let refused = Status::failure("you may not", "Reason").with_code(403).boxed();
        let broken: ConfigMap = serde_json::from_value(json!({"data": {ENTRY: "{"}})).unwrap();
        for (name, read, state) in [
            ("none", Ok(None), Outcome::No),
            ("empty", Ok(Some(ConfigMap::default())), Outcome::No),
            ("broken", Ok(Some(broken)), Outcome::No),
            ("forbidden", Err(kube::Error::Api(refused)), Outcome::Unknown),
        ] {
            let checks = assess_record(&read, Timestamp::UNIX_EPOCH);
            let [check] = &checks[..] else { panic!("{name}: {checks:?}") };
            assert_eq!((check.state, check.advice.is_empty()), (state, false), "{name}");
        }
    }

    /// What the operator writes, from its own tests.
    #[test]
    fn reads_what_the_operator_writes() {
        let record: Value = serde_json::from_str(include_str!("../../../operator/tests/inputs/rotation.json")).unwrap();
        let rows = rows(&record);
        assert_eq!(rows.len(), 4, "an issuer, two roots, a rotation: {rows:?}");
        assert!(rows[3].contains("waiting for shop/web-1"), "{rows:?}");
    }
}
