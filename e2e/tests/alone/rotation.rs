//! Certificates, issuers and roots are replaced under load.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Authority, Intruder, Leaf, Operator, TestClient, TestNamespace, addresses, identity},
    intrusion::{Approach, Credentials, Outcome},
    run_alone,
};
use k8s_openapi::api::core::v1::Pod;

use crate::{loads, more, stop};

/// Life of the sidecars' certificates in seconds: they are renewed after two thirds of it.
const LIFE: &str = "9";
/// Time for a new root to be everywhere, in seconds: nobody here comes back slowly, and there are seven rotations to wait for.
const SETTLE: &str = "6";
/// Time for a rotation: the new root settles, sidecars renew, the old root waits for the last certificate's end.
const LIMIT: Duration = Duration::from_secs(60);

/// What the sidecar of a pod says of its certificate and whom it trusts.
async fn identity_of(ns: &TestNamespace, pod: &Pod) -> Result<serde_json::Value> {
    let config = ns.proxy_config(pod).await?;
    ensure!(config["identity"]["certificate"].is_object(), "no certificate in {config:#}");
    Ok(config["identity"].clone())
}

/// Awaits that both sidecars have certificates of this issuer.
async fn signed_by(ns: &TestNamespace, pods: &[&Pod], issuer: &Authority) -> Result<()> {
    let fingerprint = issuer.fingerprint()?;
    for pod in pods {
        eventually(LIMIT, "a certificate of the new issuer", async || {
            let identity = identity_of(ns, pod).await?;
            ensure!(identity["certificate"]["issuer"] == fingerprint.as_str(), "not {fingerprint}: {identity:#}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Says something to the server by the mesh's protocol for bytes.
async fn say(intruder: &Intruder, server: &Pod, server_name: &str, credentials: &Credentials) -> Result<Outcome> {
    let ip = *addresses(server)?.first().context("no address")?;
    intruder
        .approach(&Approach {
            address: SocketAddr::new(ip, 9090),
            server_name: server_name.to_owned(),
            alpn: "weft-tcp".to_owned(),
            credentials: Some(credentials.clone()),
            old: false,
            say: "hello\n".to_owned(),
        })
        .await
}

async fn rotate(ns: &TestNamespace, client: &TestClient, intruder: &Intruder) -> Result<()> {
    let server = ns.running_pod("v1").await?;
    let pods = [&client.pod, &server];
    let own = identity(&ns.name, "default")?;
    let name = own.server_name();
    let loads = loads(client, 25.0).await?;

    // Renewals alone: several lives.
    let renewals = async || {
        let identity = identity_of(ns, &server).await?;
        identity["renewals"]["succeeded"].as_u64().with_context(|| format!("no count of renewals: {identity:#}"))
    };
    let first = renewals().await?;
    eventually(LIMIT, "three renewals", async || {
        let now = renewals().await?;
        ensure!(now >= first + 3, "{} until now", now - first);
        Ok(())
    })
    .await?;

    let (mut old, mut roots) = (None, Vec::new());
    for round in 1..=3 {
        let root = Authority::root(&format!("root {round}"))?;
        roots.push(root.root_fingerprint()?);
        for issuer in 1..=2 {
            let issuer = root.intermediate(&format!("issuer {issuer} of root {round}"))?;
            issuer.install(&ns.cluster).await?;
            signed_by(ns, &pods, &issuer).await?;
            more(&loads, 25).await?;
        }
        if round == 1 {
            let stolen = root.sign(&Leaf::of(&own))?;
            let outcome = say(intruder, &server, &name, &stolen).await?;
            ensure!(outcome.answer.contains("v1"), "the first root is not trusted while it is in use: {outcome:?}");
            old = Some(stolen);
        }
    }

    let old = old.context("no certificate of the first root")?;
    eventually(LIMIT, "the last root alone of the three being trusted", async || {
        let identity = identity_of(ns, &server).await?;
        let trusted = identity["roots"].as_array().context("no roots")?.clone();
        // The mesh's own, which was there before, has signed certificates that live for longer.
        let [first, second, last] = [0, 1, 2].map(|root| trusted.iter().any(|trusted| *trusted == *roots[root]));
        ensure!((first, second, last) == (false, false, true), "of {roots:?} are trusted {trusted:?}");
        Ok(())
    })
    .await?;
    // Still valid by its dates, and the first root is trusted by nobody.
    let outcome = say(intruder, &server, &name, &old).await?;
    ensure!(outcome.answer.is_empty() && outcome.failure.is_some(), "the old root is still trusted: {outcome:?}");
    let refused = ["direction=\"inbound\"", "reason=\"unknown-issuer\""];
    let metrics = ns.proxy_metrics(&server).await?;
    ensure!(metrics.sum("weft_tls_handshakes_total", &refused) > 0.0, "{}", metrics.lines("weft_tls"));
    more(&loads, 50).await?;
    let sent = stop(loads).await?;
    println!("{sent} requests during three roots and six issuers, and none failed");
    Ok(())
}

#[test]
fn of_leaf_issuer_and_root_fails_no_request_and_the_old_root_is_refused() {
    run_alone("rotation", async |ns| {
        let operator = Operator::of(&ns.cluster);
        operator
            .with_variables(&[("WEFT_CERTIFICATE_LIFE", LIFE), ("WEFT_ROTATION_SETTLE", SETTLE)], async || {
                let before = Authority::of(&ns.cluster).await?;
                let intruder = ns.intruder("intruder").await?;
                let client = ns.web(&["v1"]).await?;
                let done = Box::pin(rotate(ns, &client, &intruder)).await;
                // Everything that lives on trusts the issuer that was there before.
                before.install(&ns.cluster).await?;
                let back = signed_by(ns, &[&client.pod], &before).await;
                done.and(back)
            })
            .await
    });
}
