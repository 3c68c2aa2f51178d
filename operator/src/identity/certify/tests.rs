//! Requests that are signed and what comes out, and requests that are not.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, pem::PemObject};
use x509_parser::certificate::X509Certificate;

use super::*;
use crate::identity::{made, testing};

const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

fn web() -> SpiffeId {
    SpiffeId::new("cluster.local", "shop", "web").unwrap()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn request(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.serialize_request(key).unwrap().der().to_vec()
}

fn named(names: &[SanType]) -> Vec<u8> {
    request(&KeyPair::generate().unwrap(), |params| params.subject_alt_names = names.to_vec())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    names.value.general_names.iter().map(ToString::to_string).collect()
}

#[test]
fn signs_for_the_callers_identity_whatever_is_asked_for() {
    let authority = testing::authority(LIFE * 10);
    let own = web().to_string();
    let key = KeyPair::generate().unwrap();
    for (name, request) in [
        ("no name", request(&key, |_| {})),
        ("its own name", request(&key, |params| params.subject_alt_names = vec![uri(&own)])),
        (
            "a subject, which nobody reads",
            request(&key, |params| params.distinguished_name.push(rcgen::DnType::CommonName, "admin")),
        ),
        (
            "a usage that no workload gets",
            request(&key, |params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]),
        ),
    ] {
        let now = Timestamp::now();
        let chain = certify(&authority.issuer, &request, &web(), LIFE, now).unwrap();
        assert_eq!(chain.len(), 1, "{name}: the root is left out");
        let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
        assert_eq!(names(&leaf), [format!("URI({own})"), format!("DNSName({})", web().server_name())], "{name}");
        assert_eq!(leaf.public_key().subject_public_key.data, key.public_key_raw(), "{name}");
        assert_eq!(leaf.subject().iter().count(), 0, "{name}");
        let usage = leaf.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && !usage.key_cert_sign(), "{name}");
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth && !usage.any && usage.other.is_empty(), "{name}");
        assert!(!leaf.is_ca(), "{name}");
        let validity = leaf.validity();
        assert_eq!(validity.not_after.timestamp(), (now + LIFE).as_second(), "{name}");
        assert_eq!(validity.not_before.timestamp(), (now - Duration::from_secs(300)).as_second(), "{name}");
        let (_, root) = x509_parser::parse_x509_certificate(authority.issuer.root()).unwrap();
        leaf.verify_signature(Some(root.public_key())).unwrap();
    }
}

#[test]
fn a_leaf_does_not_outlive_its_issuer() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let issuer = Issuer::read(made::make(Duration::from_secs(3600), now).unwrap(), now).unwrap();
    let end = issuer.not_after();
    for (name, now, want) in [
        ("young", now, Some(now + Duration::from_secs(60))),
        ("old", end - Duration::from_secs(10), Some(end)),
        ("expired", end, None),
    ] {
        let chain = certify(&issuer, &named(&[]), &web(), Duration::from_secs(60), now);
        let until = chain.as_ref().ok().map(|chain| {
            let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
            leaf.validity().not_after.timestamp()
        });
        assert_eq!(until, want.map(Timestamp::as_second), "{name}: {chain:?}");
    }
}

#[test]
fn refuses_what_is_not_the_callers_own_request() {
    let authority = testing::authority(LIFE);
    let own = web().to_string();
    let other = "spiffe://cluster.local/ns/shop/sa/admin";
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let rsa = include_bytes!("../../../tests/inputs/keys/rsa-2048-pkcs1.pem");
    let rsa = PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from_pem_slice(rsa).unwrap());
    let rsa = crate::identity::issuer::pair(&rsa).unwrap();
    let mut forged = named(&[]);
    *forged.last_mut().unwrap() ^= 1;
    let mut trailing = named(&[]);
    trailing.push(0);
    let stolen = {
        // The key of another in a request that is signed with one's own: what the key stands for is not shown to be had.
        let (mut mine, theirs) = (named(&[]), KeyPair::generate().unwrap());
        let (_, csr) = X509CertificationRequest::from_der(&mine).unwrap();
        let point = csr.certification_request_info.subject_pki.subject_public_key.data.to_vec();
        let at = mine.windows(point.len()).position(|window| window == point).unwrap();
        mine.splice(at..at + point.len(), theirs.public_key_raw().iter().copied());
        mine
    };
    for (name, request, reason) in [
        ("nothing", Vec::new(), "csr"),
        ("no DER", b"-----BEGIN CERTIFICATE REQUEST-----".to_vec(), "csr"),
        ("a byte too many", trailing, "csr"),
        ("too long", vec![0x30; MAX_REQUEST_BYTES + 1], "csr"),
        ("a certificate", authority.issuer.root().to_vec(), "csr"),
        ("a forged signature", forged, "csr_signature"),
        ("another's key", stolen, "csr_signature"),
        ("P-384", request(&p384, |_| {}), "key"),
        ("Ed25519", request(&ed25519, |_| {}), "key"),
        ("RSA", request(&rsa, |_| {}), "key"),
        ("another account", named(&[uri(other)]), "name"),
        ("another account as well", named(&[uri(&own), uri(other)]), "name"),
        ("its own twice", named(&[uri(&own), uri(&own)]), "name"),
        ("another trust domain", named(&[uri("spiffe://other/ns/shop/sa/web")]), "name"),
        ("its own, and more", named(&[uri(&format!("{own}/x"))]), "name"),
        ("a host name", named(&[uri(&own), dns("web.shop.svc")]), "name"),
        ("the host name of another identity", named(&[dns(&other.parse::<SpiffeId>().unwrap().server_name())]), "name"),
        ("its own host name, which it gets unasked", named(&[dns(&web().server_name())]), "name"),
        ("an address", named(&[SanType::IpAddress("10.0.0.1".parse().unwrap())]), "name"),
        ("an address of mail", named(&[SanType::Rfc822Name("web@shop".try_into().unwrap())]), "name"),
        (
            "an authority",
            request(&KeyPair::generate().unwrap(), |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
            "extension",
        ),
        (
            "an extension that nobody knows",
            request(&KeyPair::generate().unwrap(), |params| {
                params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0])];
            }),
            "extension",
        ),
    ] {
        let refused = certify(&authority.issuer, &request, &web(), LIFE, Timestamp::now());
        let refused = refused.map(|_| ()).map_err(|error| error.reason());
        assert_eq!(refused, Err(reason), "{name}");
    }
}
