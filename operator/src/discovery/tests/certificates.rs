//! Who gets a certificate, and who does not.

use rcgen::{CertificateParams, KeyPair, SanType};
use tonic::Code;
use weft_policy::identity::SpiffeId;
use weft_proxy_api::v1::{CertificateRequest, identity_client::IdentityClient};

use super::*;

pub(super) fn csr(name: Option<&str>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names.extend(name.map(|name| SanType::URI(name.try_into().unwrap())));
    params.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[tokio::test]
async fn signs_for_the_pod_of_the_token() {
    let operator = Operator::start(&["web-1", "again"]).await;
    let mut client = IdentityClient::new(operator.connect().await);
    for (name, token) in [
        ("seen", "web/web-1/uid-web-1"),
        ("not seen by the watch yet", "web/late/uid-late"),
        ("the watch still has the one before it", "web/again/uid-second"),
    ] {
        let request = with_token(Some(token), CertificateRequest { csr: csr(None) });
        let answer = client.certify(request).await.unwrap().into_inner();
        let authority = operator.authority.borrow().clone().unwrap();
        assert_eq!(answer.issuer, authority.issuer.fingerprint().as_bytes(), "{name}");
        let (_, leaf) = x509_parser::parse_x509_certificate(&answer.chain[0]).unwrap();
        let names = leaf.subject_alternative_name().unwrap().unwrap().value;
        let names: Vec<String> = names.general_names.iter().map(ToString::to_string).collect();
        let id = SpiffeId::new("cluster.local", "shop", "web").unwrap();
        assert_eq!(names, [format!("URI({id})"), format!("DNSName({})", id.server_name())], "{name}");
    }
    assert_eq!(certificates(&operator), [r#"{result="signed",reason=""} 3"#]);
    operator.end().await;
}

#[tokio::test]
async fn refuses_everybody_else_with_a_reason() {
    let own = "web/web-1/uid-web-1";
    let other = "spiffe://cluster.local/ns/shop/sa/admin";
    let foreign = "spiffe://cluster.local/ns/other/sa/web";
    for (name, token, csr, code, result, reason) in [
        ("no token", None, csr(None), Code::Unauthenticated, "refused", "token"),
        ("a forged token", Some("forged"), csr(None), Code::Unauthenticated, "refused", "token"),
        ("a token for somebody else", Some("foreign"), csr(None), Code::Unauthenticated, "refused", "token"),
        ("a token that nobody can review", Some("broken"), csr(None), Code::Unavailable, "failed", "token_review"),
        ("a pod that is gone", Some("web/gone/uid-gone"), csr(None), Code::PermissionDenied, "refused", "no_pod"),
        ("a pod that has ended", Some("web/ended/uid-ended"), csr(None), Code::PermissionDenied, "refused", "no_pod"),
        ("an earlier pod", Some("web/web-1/uid-old"), csr(None), Code::PermissionDenied, "refused", "earlier_pod"),
        (
            "an earlier pod that no watch knows",
            Some("web/late/uid-old"),
            csr(None),
            Code::PermissionDenied,
            "refused",
            "earlier_pod",
        ),
        (
            "another account",
            Some("admin/web-1/uid-web-1"),
            csr(None),
            Code::PermissionDenied,
            "refused",
            "service_account",
        ),
        ("another identity", Some(own), csr(Some(other)), Code::PermissionDenied, "refused", "name"),
        ("a foreign namespace", Some(own), csr(Some(foreign)), Code::PermissionDenied, "refused", "name"),
        ("no request", Some(own), Vec::new(), Code::InvalidArgument, "refused", "csr"),
    ] {
        let operator = Operator::start(&["web-1"]).await;
        let mut client = IdentityClient::new(operator.connect().await);
        let status = client.certify(with_token(token, CertificateRequest { csr })).await.unwrap_err();
        assert_eq!(status.code(), code, "{name}: {status}");
        assert!(!status.message().is_empty(), "{name}");
        let want = format!("{{result=\"{result}\",reason=\"{reason}\"}} 1");
        assert_eq!(certificates(&operator), [want], "{name}");
        operator.end().await;
    }
}

#[tokio::test]
async fn asks_to_come_again_while_there_is_no_issuer() {
    let operator = Operator::start(&["web-1"]).await;
    operator.authority.send_replace(None);
    let mut client = IdentityClient::new(operator.connect().await);
    let request = with_token(Some("web/web-1/uid-web-1"), CertificateRequest { csr: csr(None) });
    assert_eq!(client.certify(request).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(certificates(&operator), [r#"{result="failed",reason="starting"} 1"#]);
    operator.end().await;
}
