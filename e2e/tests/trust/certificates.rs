//! The operator signs for whom it knows, for his own identity, and for keys that are worth it; for nobody else.

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Operator, TestNamespace, bare_pod, identity, image},
    intrusion::Petition,
    run,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DeleteParams};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SignatureAlgorithm};
use serde_json::json;
use std::time::Duration;
use weft_proxy_api::TOKEN_AUDIENCE;

/// A request for a certificate that names these identities.
fn request(algorithm: &'static SignatureAlgorithm, names: &[&str]) -> Result<Vec<u8>> {
    let mut parameters = CertificateParams::default();
    for name in names {
        parameters.subject_alt_names.push(SanType::URI((*name).try_into()?));
    }
    Ok(parameters.serialize_request(&KeyPair::generate_for(algorithm)?)?.der().to_vec())
}

/// Like [`request`], changed after it was signed.
fn forged() -> Result<Vec<u8>> {
    let mut request = request(&rcgen::PKCS_ECDSA_P256_SHA256, &[])?;
    // The signature is what comes last; this is still DER.
    let last = request.last_mut().context("an empty request")?;
    *last ^= 1;
    Ok(request)
}

/// Where the operator is and whom to believe there, as every sidecar of the namespace is told.
async fn operator(ns: &TestNamespace) -> Result<(String, String)> {
    let any = bare_pod("any", json!({"containers": [{"name": "app", "image": image("testserver")}]}));
    let pod: Pod = serde_json::from_value(ns.admitted(&any).await?)?;
    let containers = pod.spec.and_then(|spec| spec.init_containers).context("no init containers")?;
    let sidecar = containers.into_iter().find(|container| container.name == "weft-proxy").context("no sidecar")?;
    let environment = sidecar.env.context("a sidecar without variables")?;
    let value = |name: &str| {
        let found = environment.iter().find(|variable| variable.name == name);
        found.and_then(|variable| variable.value.clone()).with_context(|| format!("no {name}"))
    };
    Ok((value("WEFT_OPERATOR")?, value("WEFT_TRUST_ROOT")?))
}

#[test]
fn are_refused_with_a_reason_that_is_logged_and_counted() {
    run("certificates", async |ns| {
        let (clerk, leaver) = tokio::try_join!(ns.intruder("clerk"), ns.intruder("leaver"))?;
        ns.service_account("other").await?;
        let (address, trust_roots) = operator(ns).await?;
        let own = identity(&ns.name, "default")?.to_string();
        let other = identity(&ns.name, "other")?.to_string();
        let abroad = identity("kube-system", "default")?.to_string();
        let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;

        let good = ns.token("default", TOKEN_AUDIENCE, Some(&clerk.pod)).await?;
        let other_audience = ns.token("default", "somebody-else", Some(&clerk.pod)).await?;
        let unbound = ns.token("default", TOKEN_AUDIENCE, None).await?;
        let replayed = ns.token("default", TOKEN_AUDIENCE, Some(&leaver.pod)).await?;
        let forged_token = format!("{}x", good);
        ns.api::<Pod>().delete(&leaver.pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        eventually(Duration::from_secs(30), "the end of the pod", async || {
            ensure!(ns.api::<Pod>().get_opt(&leaver.pod.name_any()).await?.is_none(), "it is still there");
            Ok(())
        })
        .await?;

        let operator = Operator::of(&ns.cluster);
        let petition = async |token: &str, csr: Vec<u8>| {
            let (operator, trust_roots) = (address.clone(), trust_roots.clone());
            clerk.petition(&Petition { operator, trust_roots, token: token.to_owned(), csr }).await
        };
        for (name, names) in [("without a name", vec![]), ("by the own name", vec![own.as_str()])] {
            let ruling = petition(&good, request(p256, &names)?).await?;
            ensure!(ruling.code == "Ok" && !ruling.certificates.is_empty(), "{name}: {ruling:?}");
        }
        for (name, token, csr, code, words, reason) in [
            ("no token", "", request(p256, &[])?, "Unauthenticated", "", "token"),
            ("a token that nobody signed", &*forged_token, request(p256, &[])?, "Unauthenticated", "", "token"),
            ("a token for another audience", &*other_audience, request(p256, &[])?, "Unauthenticated", "", "token"),
            ("a token of no pod", &*unbound, request(p256, &[])?, "Unauthenticated", "not bound to a pod", "token"),
            ("the token of a deleted pod", &*replayed, request(p256, &[])?, "Unauthenticated", "", "token"),
            ("another service account", &*good, request(p256, &[&other])?, "PermissionDenied", &*other, "name"),
            ("another namespace", &*good, request(p256, &[&abroad])?, "PermissionDenied", &*abroad, "name"),
            ("two names", &*good, request(p256, &[&own, &other])?, "PermissionDenied", &*other, "name"),
            ("a key on P-224", &*good, include_bytes!("inputs/p224.csr").to_vec(), "InvalidArgument", "P-256", "key"),
            (
                "RSA of 1024 bits",
                &*good,
                include_bytes!("inputs/rsa1024.csr").to_vec(),
                "InvalidArgument",
                "P-256",
                "key",
            ),
            ("a key on P-384", &*good, request(&PKCS_ECDSA_P384_SHA384, &[])?, "InvalidArgument", "P-256", "key"),
            ("a key on Ed25519", &*good, request(&PKCS_ED25519, &[])?, "InvalidArgument", "P-256", "key"),
            ("somebody else's key", &*good, forged()?, "InvalidArgument", "not signed", "csr_signature"),
            ("no request", &*good, b"hello".to_vec(), "InvalidArgument", "PKCS #10", "csr"),
        ] {
            let label = format!("reason=\"{reason}\"");
            let refused = ["result=\"refused\"", label.as_str()];
            let before = operator.metrics().await?.sum("weft_certificates_total", &refused);
            let ruling = petition(token, csr).await?;
            ensure!(ruling.code == code && ruling.message.contains(words), "{name}: {ruling:?}");
            ensure!(ruling.certificates.is_empty(), "{name}: {ruling:?}");
            let metrics = operator.metrics().await?;
            // Others may be refused at the same time.
            let after = metrics.sum("weft_certificates_total", &refused);
            ensure!(after > before, "{name} is not counted as {reason}: {}", metrics.lines("weft_certificates_total"));
            let log = operator.log().await?;
            ensure!(ruling.message.is_empty() || log.contains(&ruling.message), "{name} is not in the log: {ruling:?}");
        }
        Ok(())
    });
}
