//! Trust on a stream: the second message, every change, and what the sidecar says to it.

use weft_proxy_api::v1::{Trust, operator_message};

use super::*;

fn wire(version: u64, authority: &Authority) -> Trust {
    Trust {
        version,
        trust_domain: "cluster.local".to_owned(),
        roots: vec![authority.issuer.root().to_vec()],
        issuer: authority.issuer.fingerprint().as_bytes().to_vec(),
    }
}

#[tokio::test]
async fn is_said_second_and_on_every_change_and_the_answers_are_kept() {
    let operator = Operator::start(&["web-1", "web-2"]).await;
    let first = operator.authority.borrow().clone().unwrap();
    let ledger = Arc::clone(&operator.ledgers.trust);
    let waiting = |authority: &Authority| {
        let progress = ledger.progress(&authority.trust);
        progress.waiting.into_iter().map(|pod| pod.name).collect::<Vec<_>>().join(" ")
    };

    let mut one = Sidecar::connect(&operator, "web/web-1/uid-web-1").await;
    assert!(matches!(one.next().await, operator_message::Message::Bootstrap(_)));
    assert_eq!(one.trust().await, wire(1, &first));
    let mut two = Sidecar::connect(&operator, "web/web-2/uid-web-2").await;
    assert!(matches!(two.next().await, operator_message::Message::Bootstrap(_)));
    assert_eq!(two.trust().await, wire(1, &first));
    assert_eq!(waiting(&first), "web-1 web-2", "nobody has answered");

    one.answer(1, "").await;
    until(ledger.changes(), || waiting(&first) == "web-2").await;
    two.answer(1, "").await;
    until(ledger.changes(), || waiting(&first).is_empty()).await;

    let second = Arc::new(testing::authority(LIFE * 10));
    operator.authority.send_replace(Some(Arc::clone(&second)));
    assert_eq!(one.trust().await, wire(2, &second));
    assert_eq!(two.trust().await, wire(2, &second));
    one.answer(2, "").await;
    two.answer(2, "no root can be read").await;
    until(ledger.changes(), || waiting(&second) == "web-2").await;

    drop(two);
    until(ledger.changes(), || waiting(&second).is_empty()).await;
    drop(one);
    until(ledger.changes(), || ledger.progress(&second.trust).connected == 0).await;
    operator.end().await;
}
