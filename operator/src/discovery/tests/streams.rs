//! Whose streams begin, and when they end.

use tonic::Code;

use super::*;

#[tokio::test]
async fn a_stream_does_not_outlive_its_pod() {
    let ended = || {
        let mut ended = pod("web-1");
        ended["status"]["phase"] = json!("Failed");
        ended
    };
    let replaced = || {
        let mut replaced = pod("web-1");
        replaced["metadata"]["uid"] = json!("uid-next");
        replaced
    };
    for (name, object) in [("it ended", ended()), ("another has its name", replaced())] {
        let operator = Operator::start(&["web-1", "web-2"]).await;
        let ledger = Arc::clone(&operator.ledgers.trust);
        let trust = Arc::clone(&operator.authority.borrow().as_ref().unwrap().trust);
        let waiting = || ledger.progress(&trust).waiting.into_iter().map(|pod| pod.name).collect::<Vec<_>>().join(" ");
        let one = Sidecar::connect(&operator, "web/web-1/uid-web-1").await;
        let _two = Sidecar::connect(&operator, "web/web-2/uid-web-2").await;
        until(ledger.changes(), || waiting() == "web-1 web-2").await;
        operator.change(object);
        // Its connection is still open, but no rotation waits for it.
        until(ledger.changes(), || waiting() == "web-2").await;
        assert_eq!(one.end().await.code(), Code::NotFound, "{name}");
        operator.end().await;
    }
}

#[tokio::test]
async fn a_token_of_an_earlier_pod_begins_none() {
    let operator = Operator::start(&["web-1"]).await;
    let status = Sidecar::refused(&operator, "web/web-1/uid-old").await;
    assert_eq!(status.code(), Code::Unavailable, "the watch may lag: {status}");
    assert!(status.message().contains("uid-old"), "{status}");
    operator.end().await;
}
