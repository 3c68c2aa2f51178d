//! A pod that asks for more than the API server is to be asked.

use futures::{StreamExt, stream::FuturesUnordered};
use tonic::Code;
use weft_proxy_api::v1::{CertificateRequest, identity_client::IdentityClient};

use super::*;

#[tokio::test]
async fn of_one_pod_leaves_the_others_their_certificates() {
    let operator = Operator::start(&["web-1"]).await;
    let flooding = operator.connect_from([127, 0, 0, 2]).await;
    let ask = |channel: Channel, token: &'static str, csr: Vec<u8>| async move {
        IdentityClient::new(channel).certify(with_token(Some(token), CertificateRequest { csr })).await
    };
    let mut flood: FuturesUnordered<_> =
        (0..150).map(|_| ask(flooding.clone(), "slow/web-1/uid-web-1", Vec::new())).collect();
    // Those that were first still wait for their reviews, and those that wait for them are as many as may.
    let first = flood.next().await.unwrap().unwrap_err();
    assert_eq!(first.code(), Code::Unavailable, "{first}");

    let other = operator.connect_from([127, 0, 0, 3]).await;
    let signed = ask(other, "web/web-1/uid-web-1", certificates::csr(None)).await;
    assert!(signed.is_ok(), "{signed:?}");
    let busy = r#"{result="failed",reason="busy"} "#;
    let counted = super::certificates(&operator);
    assert!(counted.iter().any(|line| line.starts_with(busy)), "{counted:?}");

    operator.reviews.send_replace(true);
    let last = flood.map(|answer| answer.unwrap_err().code()).collect::<Vec<_>>().await;
    assert!(last.contains(&Code::PermissionDenied), "reviewed in the end: {last:?}");
    operator.end().await;
}
