//! Issuers as people bring them: the good ones in every shape, and each way to be wrong.

use std::time::Duration;

use rcgen::{
    BasicConstraints, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    KeyUsagePurpose, NameConstraints,
};

use super::*;

const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// An authority that a test can bring.
struct Authority {
    params: CertificateParams,
    key: String,
    pem: String,
}

/// What an authority is called, and what is special about it.
struct Wish {
    name: &'static str,
    change: fn(&mut CertificateParams),
}

fn plain(name: &'static str) -> Wish {
    Wish { name, change: |_| {} }
}

fn pair() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn authority(wish: &Wish, key: KeyPair, by: Option<&Authority>) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, wish.name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = offset(now() - LIFE);
    params.not_after = offset(now() + LIFE);
    (wish.change)(&mut params);
    let pem = match by {
        None => params.self_signed(&key).unwrap().pem(),
        Some(by) => {
            let signer = rcgen::Issuer::from_params(&by.params, KeyPair::from_pem(&by.key).unwrap());
            params.signed_by(&key, &signer).unwrap().pem()
        }
    };
    Authority { params, key: key.serialize_pem(), pem }
}

fn secret(certificate: &str, key: &str, root: &str) -> Entries {
    let entry = |name: &str, text: &str| (name.to_owned(), ByteString(text.as_bytes().to_vec()));
    [entry(CERTIFICATE, certificate), entry(KEY, key), entry(ROOT, root)].into()
}

fn read(entries: Entries) -> Result<usize, String> {
    Issuer::read(entries, now()).map(|issuer| issuer.chain.len()).map_err(|error| error.to_string())
}

#[test]
fn takes_what_leads_to_a_root() {
    let root = authority(&plain("root"), pair(), None);
    let other = authority(&plain("other"), pair(), None);
    let upper = authority(&plain("upper"), pair(), Some(&root));
    let lower = authority(&plain("lower"), pair(), Some(&upper));
    let no_usages = authority(&Wish { name: "root", change: |it| it.key_usages.clear() }, pair(), None);
    let narrow = Wish { name: "narrow", change: |it| it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)) };
    let narrow = authority(&narrow, pair(), Some(&root));
    for (name, certificate, key, roots, chain) in [
        ("a root", root.pem.clone(), &root.key, root.pem.clone(), 0),
        ("under a root", upper.pem.clone(), &upper.key, root.pem.clone(), 1),
        ("under an intermediate", [&*lower.pem, &*upper.pem].concat(), &lower.key, root.pem.clone(), 2),
        (
            "with the root in the chain",
            [&*lower.pem, &*upper.pem, &*root.pem].concat(),
            &lower.key,
            root.pem.clone(),
            2,
        ),
        ("one root of two", upper.pem.clone(), &upper.key, [&*other.pem, &*root.pem].concat(), 1),
        ("any usage", no_usages.pem.clone(), &no_usages.key, no_usages.pem.clone(), 0),
        ("a path of length 0", narrow.pem.clone(), &narrow.key, root.pem.clone(), 1),
    ] {
        let entries = secret(&certificate, key, &roots);
        assert_eq!(read(entries.clone()), Ok(chain), "{name}");
        // Read a day before the end, so that the end is known.
        let issuer = Issuer::read(entries, now()).unwrap();
        assert_eq!(issuer.not_after(), now() + LIFE, "{name}");
        let trusted = certificates(&secret("", "", &roots), ROOT).unwrap();
        let want = if name == "one root of two" { &trusted[1] } else { &trusted[0] };
        assert_eq!(issuer.root(), want, "{name}");
    }
}

#[test]
fn says_what_is_wrong() {
    let root = authority(&plain("root"), pair(), None);
    let other = authority(&plain("other"), pair(), None);
    let upper = authority(&plain("upper"), pair(), Some(&root));
    let lower = authority(&plain("lower"), pair(), Some(&upper));
    let under = |name: &'static str, change: fn(&mut CertificateParams)| {
        let one = authority(&Wish { name, change }, pair(), Some(&root));
        secret(&one.pem, &one.key, &root.pem)
    };
    let rooted = |change: fn(&mut CertificateParams)| {
        let old = authority(&Wish { name: "root", change }, pair(), None);
        let one = authority(&plain("one"), pair(), Some(&old));
        secret(&one.pem, &one.key, &old.pem)
    };
    let without = |name: &str| {
        let mut entries = secret(&root.pem, &root.key, &root.pem);
        entries.remove(name);
        entries
    };
    let short = |it: &mut CertificateParams| it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let end = authority(&Wish { name: "end", change: short }, pair(), Some(&root));
    let beyond = authority(&plain("beyond"), pair(), Some(&end));
    let impostor = authority(&plain("root"), pair(), None);
    for (name, entries, want, reason) in [
        ("empty", Entries::new(), r#"it has no entry "tls.crt""#, "incomplete"),
        ("no key", without(KEY), r#"it has no entry "tls.key""#, "incomplete"),
        ("no root", without(ROOT), r#"it has no entry "ca.crt""#, "incomplete"),
        ("an empty entry", secret("", &root.key, &root.pem), r#"it has no entry "tls.crt""#, "incomplete"),
        ("no PEM", secret("x", &root.key, &root.pem), r#"entry "tls.crt" holds no certificate"#, "incomplete"),
        ("a key for a certificate", secret(&root.key, &root.key, &root.pem), "holds no certificate", "incomplete"),
        (
            "a certificate for a key",
            secret(&root.pem, &root.pem, &root.pem),
            r#"entry "tls.key" is not PEM"#,
            "unreadable",
        ),
        (
            "a broken certificate",
            secret("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &root.key, &root.pem),
            r#"certificate 1 of entry "tls.crt" cannot be read"#,
            "unreadable",
        ),
        ("another's key", secret(&root.pem, &other.key, &root.pem), "is not the key of \"CN=root\"", "key"),
        (
            "a workload's certificate",
            under("web", |it| it.is_ca = IsCa::ExplicitNoCa),
            "\"CN=web\" is not an authority",
            "not_authority",
        ),
        (
            "a certificate that says nothing",
            under("web", |it| it.is_ca = IsCa::NoCa),
            "\"CN=web\" is not an authority",
            "not_authority",
        ),
        (
            "an authority for lists only",
            under("lists", |it| it.key_usages = vec![KeyUsagePurpose::CrlSign]),
            "\"CN=lists\" may not sign certificates",
            "not_authority",
        ),
        (
            "expired",
            under("old", |it| it.not_after = offset(now())),
            "\"CN=old\" expired at 2026-01-01T00:00:00Z",
            "expired",
        ),
        (
            "not valid yet",
            under("young", |it| it.not_before = offset(now() + Duration::from_secs(1))),
            "\"CN=young\" is not valid before 2026-01-01T00:00:01Z",
            "not_yet_valid",
        ),
        ("under an expired root", rooted(|it| it.not_after = offset(now())), "\"CN=root\" expired", "expired"),
        (
            "under a root that is none",
            rooted(|it| it.is_ca = IsCa::NoCa),
            "\"CN=root\" is not an authority",
            "not_authority",
        ),
        (
            "another's root",
            secret(&upper.pem, &upper.key, &other.pem),
            "\"CN=upper\" is signed by no certificate of entry \"ca.crt\"",
            "chain",
        ),
        (
            "a root of the same name",
            secret(&upper.pem, &upper.key, &impostor.pem),
            "\"CN=upper\" is signed by no",
            "chain",
        ),
        ("a gap in the chain", secret(&lower.pem, &lower.key, &root.pem), "\"CN=lower\" is signed by no", "chain"),
        (
            "a chain in the wrong order",
            secret(&[&*lower.pem, &*root.pem, &*upper.pem].concat(), &lower.key, &root.pem),
            "\"CN=lower\" is not signed by \"CN=root\"",
            "chain",
        ),
        (
            "a longer path than allowed",
            secret(&[&*beyond.pem, &*end.pem].concat(), &beyond.key, &root.pem),
            "what it signs is not believed",
            "not_believed",
        ),
        (
            "limited to other names",
            under("limited", |it| {
                let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".to_owned())];
                it.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
            }),
            "what it signs is not believed",
            "not_believed",
        ),
        (
            "limited to servers",
            under("servers", |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "what it signs is not believed",
            "not_believed",
        ),
    ] {
        let error = Issuer::read(entries, now()).err();
        let text = error.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(text.contains(want), "{name}: {text}");
        assert_eq!(error.map(|error| error.reason()), Some(reason), "{name}");
    }
}

#[test]
fn reads_keys_as_authorities_write_them() {
    let generated = pair().serialize_pem();
    for (name, key, good) in [
        ("P-256, PKCS #8", &*generated, true),
        ("P-256, SEC 1", include_str!("../../../tests/inputs/keys/p256-sec1.pem"), true),
        ("P-384, SEC 1", include_str!("../../../tests/inputs/keys/p384-sec1.pem"), true),
        ("RSA of 2048 bits, PKCS #1", include_str!("../../../tests/inputs/keys/rsa-2048-pkcs1.pem"), true),
        ("Ed25519, PKCS #8", include_str!("../../../tests/inputs/keys/ed25519-pkcs8.pem"), true),
        ("P-521, SEC 1", include_str!("../../../tests/inputs/keys/p521-sec1.pem"), false),
        ("RSA of 1024 bits, PKCS #1", include_str!("../../../tests/inputs/keys/rsa-1024-pkcs1.pem"), false),
    ] {
        let pair = key::pair(&PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap());
        assert_eq!(pair.is_ok(), good, "{name}: {:?}", pair.err());
        if let Ok(pair) = pair {
            let root = authority(&plain("root"), pair, None);
            assert_eq!(read(secret(&root.pem, key, &root.pem)), Ok(0), "{name}");
        }
    }
}
