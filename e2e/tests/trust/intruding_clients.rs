//! Clients that claim to be sidecars: the sidecar refuses them, and its application does not hear of them.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use e2e::{
    harness::{Authority, Leaf, TestNamespace, addresses, identity},
    intrusion::{Approach, Credentials},
    run,
};
use k8s_openapi::api::core::v1::Pod;

use crate::asked_for;

/// The protocols of the mesh that an intruder tries, with the port and what is said, and what the application counts it as.
const PROTOCOLS: [(&str, u16, &str, &str); 2] = [
    ("http/1.1", 8080, "GET /intruder HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n", "/intruder"),
    ("weft-tcp", 9090, "intruder\n", "tcp"),
];

/// A server and where its protocols are.
struct Target {
    pod: Pod,
    server_name: String,
}

impl Target {
    fn approach(
        &self,
        (alpn, port, say, _): (&str, u16, &str, &str),
        credentials: Option<Credentials>,
        old: bool,
    ) -> Result<Approach> {
        let ip = *addresses(&self.pod)?.first().context("no address")?;
        Ok(Approach {
            address: SocketAddr::new(ip, port),
            server_name: self.server_name.clone(),
            alpn: alpn.to_owned(),
            credentials,
            old,
            say: say.to_owned(),
        })
    }
}

async fn refused(ns: &TestNamespace, pod: &Pod, reason: &str) -> Result<f64> {
    let reason = format!("reason=\"{reason}\"");
    Ok(ns.proxy_metrics(pod).await?.sum("weft_tls_handshakes_total", &["direction=\"inbound\"", &reason]))
}

#[test]
fn with_certificates_that_are_not_theirs_reach_no_application() {
    run("intruding-clients", async |ns| {
        ns.server("v1").apply().await?;
        let intruder = ns.intruder("intruder").await?;
        ns.rolled_out("v1").await?;
        let own = identity(&ns.name, "default")?;
        let target = Target { pod: ns.running_pod("v1").await?, server_name: own.server_name() };

        let mesh = Authority::of(&ns.cluster).await?;
        let stranger = Authority::root("weft")?;
        let other = identity(&ns.name, "other")?;
        let abroad = format!("spiffe://elsewhere.example/ns/{}/sa/other", ns.name);
        let mut keyless = mesh.sign(&Leaf::of(&other))?;
        keyless.key = mesh.sign(&Leaf::of(&other))?.key;
        let good = mesh.sign(&Leaf::of(&other))?;
        let below_leaf = Authority::below(&good, &Leaf::of(&own))?;

        for (name, credentials, old, reason) in [
            ("no certificate", None, false, "no-certificate"),
            ("a self-made authority", Some(stranger.sign(&Leaf::of(&other))?), false, "unknown-issuer"),
            ("a stolen certificate without its key", Some(keyless), false, "unknown-issuer"),
            ("signed with the key of a leaf", Some(below_leaf), false, "bad-certificate"),
            ("expired", Some(mesh.sign(&Leaf::of(&other).minutes(-60, -10))?), false, "expired"),
            ("not yet valid", Some(mesh.sign(&Leaf::of(&other).minutes(60, 120))?), false, "not-yet-valid"),
            ("no identity", Some(mesh.sign(&Leaf::of(&other).uris(&[]))?), false, "wrong-identity"),
            (
                "two identities",
                Some(mesh.sign(&Leaf::of(&other).uris(&[&own.to_string(), &other.to_string()]))?),
                false,
                "wrong-identity",
            ),
            ("another trust domain", Some(mesh.sign(&Leaf::of(&other).uris(&[&abroad]))?), false, "wrong-identity"),
            ("TLS 1.2", Some(good.clone()), true, "protocol"),
        ] {
            for protocol in PROTOCOLS {
                let what = format!("{name}, {}", protocol.0);
                let (heard, counted) =
                    (asked_for(ns, &target.pod, protocol.3).await?, refused(ns, &target.pod, reason).await?);
                let outcome = intruder.approach(&target.approach(protocol, credentials.clone(), old)?).await?;
                ensure!(outcome.answer.is_empty() && outcome.failure.is_some(), "{what}: {outcome:?}");
                ensure!(asked_for(ns, &target.pod, protocol.3).await? == heard, "{what} reached the application");
                let metrics = ns.proxy_metrics(&target.pod).await?.lines("weft_tls_handshakes_total");
                ensure!(
                    refused(ns, &target.pod, reason).await? > counted,
                    "{what}, not counted as {reason}: {metrics}"
                );
                let log = ns.log(&target.pod, "weft-proxy").await?;
                ensure!(log.contains(reason), "{what}: {reason} is not in the log: {log}");
            }
        }

        // Whoever has certificate and key is believed: all the others failed for the reason that they were meant to.
        for protocol in PROTOCOLS {
            let heard = asked_for(ns, &target.pod, protocol.3).await?;
            let outcome = intruder.approach(&target.approach(protocol, Some(good.clone()), false)?).await?;
            ensure!(outcome.answer.contains("v1"), "{}: {outcome:?}", protocol.0);
            ensure!(asked_for(ns, &target.pod, protocol.3).await? == heard + 1, "{}", protocol.0);
        }
        Ok(())
    });
}
