//! Configuration that one side refuses: the proxy keeps what it had, and everybody who looks can see why.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Image, TestNamespace, as_manifest, bare_pod, image},
    run,
};
use http::Method;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    ResourceExt,
    api::{DeleteParams, LogParams},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::WEB;

const LIMIT: Duration = Duration::from_secs(30);

/// The variables of the sidecar's container in an admitted pod.
fn sidecar_environment(pod: &mut Value) -> Result<&mut Vec<Value>> {
    let containers = pod["spec"]["initContainers"].as_array_mut().context("no init containers")?;
    let sidecar = containers.iter_mut().find(|container| container["name"] == "weft-proxy").context("no sidecar")?;
    sidecar["env"].as_array_mut().context("a sidecar without variables")
}

fn variable(environment: &[Value], name: &str) -> Result<String> {
    let found = environment.iter().find(|variable| variable["name"] == name);
    Ok(found.and_then(|variable| variable["value"].as_str()).with_context(|| format!("no {name}"))?.to_owned())
}

fn set(environment: &mut Vec<Value>, name: &str, value: &str) {
    environment.retain(|variable| variable["name"] != name);
    environment.push(json!({"name": name, "value": value}));
}

/// A root, and a certificate of it for `name` with its key, all as PEM text.
fn certificate(name: &str) -> Result<(String, String, String)> {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new([name.to_owned()])?.signed_by(&key, &root)?;
    Ok((root.pem(), leaf.pem(), key.serialize_pem()))
}

/// A pod of the impostor that is not in the mesh.
fn impostor(name: &str, arguments: &[&str], environment: Value) -> Value {
    let mut pod = bare_pod(
        name,
        json!({"containers": [{
            "name": "app",
            "image": image("impostor"),
            "imagePullPolicy": "IfNotPresent",
            "args": arguments,
            "env": environment,
        }]}),
    );
    pod["metadata"]["labels"]["weft.dev/inject"] = "disabled".into();
    pod
}

/// Has the impostor say that port 8080 is a Service with these endpoints; without any it is malformed.
async fn say(ns: &TestNamespace, operator: &Pod, endpoints: &[String]) -> Result<()> {
    let backends = if endpoints.is_empty() { json!([]) } else { json!([["v1", endpoints]]) };
    let script = json!({ "backends": backends }).to_string();
    ns.cluster.ask_pod(Method::POST, operator, 9000, "script", script).await?;
    Ok(())
}

/// Verdicts of the sidecar that match, the last one of which is returned.
async fn verdict(ns: &TestNamespace, operator: &Pod, what: &str, is_it: impl Fn(&str) -> bool) -> Result<Value> {
    eventually(LIMIT, what, async || {
        let verdicts = ns.cluster.ask_pod(Method::GET, operator, 9000, "verdicts", String::new()).await?;
        let verdicts: Vec<Value> = serde_json::from_str(&verdicts)?;
        let last = verdicts.last().context("no verdict")?;
        ensure!(is_it(last["refusal"].as_str().unwrap_or_default()), "the verdicts are {verdicts:?}");
        Ok(last.clone())
    })
    .await
}

#[test]
fn a_proxy_refuses_malformed_configuration_and_keeps_the_last_good_one() {
    run("malformed", async |ns| {
        ns.server("v1").rolled_out().await?;
        ns.service("web", json!({"app": "web"})).await?;

        // An operator of ours, with a certificate that only our sidecar trusts.
        let (root, certificate, key) = certificate(&format!("impostor.{}.svc", ns.name))?;
        let environment = json!([{"name": "CERTIFICATE", "value": certificate}, {"name": "KEY", "value": key}]);
        let operator = ns.started_pod(&impostor("impostor", &["operator"], environment)).await?;
        let port = json!([{"name": "discovery", "port": 15010, "targetPort": 15010}]);
        ns.apply::<Service>("impostor", json!({"spec": {"selector": {"name": "impostor"}, "ports": port}})).await?;

        // A client whose sidecar listens to it: what admission made of the pod, pointed elsewhere.
        let client = ns.client("client").template();
        let mut client = as_manifest(&ns.admitted(&named(client, "client")).await?);
        let environment = sidecar_environment(&mut client)?;
        set(environment, "WEFT_OPERATOR", &format!("https://impostor.{}.svc:15010", ns.name));
        set(environment, "WEFT_TRUST_ROOT", &root);
        // The namespace's bundle would be newer, and is the mesh's own.
        set(environment, "WEFT_TRUST_FILE", "/nowhere");
        ns.started_pod(&client).await?;
        let client = ns.test_client("client").await?;

        let server = ns.running_pod("v1").await?;
        let address = server.status.as_ref().and_then(|status| status.pod_ip.clone()).context("no address")?;
        say(ns, &operator, &[format!("{address}:8080")]).await?;
        client.reaches_only(WEB, &["v1"]).await?;
        let taken = verdict(ns, &operator, "a taken update", str::is_empty).await?;

        say(ns, &operator, &[]).await?;
        let refused = verdict(ns, &operator, "a refused update", |refusal| refusal.contains("backends")).await?;
        let reason = refused["refusal"].as_str().unwrap_or_default();
        let target = eventually(LIMIT, "the refusal in the proxy's configuration", async || {
            let config = ns.proxy_config(&client.pod).await?;
            let targets = config["targets"].as_object().context("no targets")?;
            let refusing = targets.values().find(|target| target["refusal"]["reason"] == reason);
            refusing.cloned().with_context(|| format!("{config:#}"))
        })
        .await?;
        ensure!(target["version"] == taken["version"], "the proxy does not keep the last good one: {target:#}");
        ensure!(target["refusal"]["version"] == refused["version"], "{target:#}");
        let log = LogParams { container: Some("weft-proxy".to_owned()), ..LogParams::default() };
        let log = ns.api::<Pod>().logs(&client.pod.name_any(), &log).await?;
        ensure!(log.contains(reason), "{reason:?} is not in the proxy's log: {log}");
        client.get(WEB, 50).await?;

        say(ns, &operator, &[format!("{address}:8080")]).await?;
        verdict(ns, &operator, "an update that is taken again", str::is_empty).await?;
        client.get(WEB, 50).await?;
        Ok(())
    });
}

/// A pod of a Deployment's template.
fn named(mut template: Value, name: &str) -> Value {
    template["metadata"]["name"] = name.into();
    template
}

#[test]
fn a_refusal_is_shown_in_the_status_of_the_split() {
    run("refused", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).programmed().await?;

        // A proxy of ours: it has the token of its pod, like every sidecar, and takes no update.
        let any = bare_pod("any", json!({"containers": [{"name": "app", "image": Image::Server.reference()}]}));
        let mut any = ns.admitted(&any).await?;
        let real = sidecar_environment(&mut any)?;
        let root = ns.api::<Service>().get("web").await?;
        let address = root.spec.and_then(|spec| spec.cluster_ip).context("web has no address")?;
        let environment = json!([
            {"name": "OPERATOR", "value": variable(real, "WEFT_OPERATOR")?},
            {"name": "TRUST_ROOT", "value": variable(real, "WEFT_TRUST_ROOT")?},
            {"name": "TOKEN_FILE", "value": "/token/token"},
            {"name": "DESTINATION", "value": format!("{address}:8080")},
            {"name": "REFUSAL", "value": "the impostor likes no weights"},
        ]);
        let mut pod = impostor("impostor", &["proxy"], environment);
        let token = json!({"serviceAccountToken": {"path": "token", "audience": weft_proxy_api::TOKEN_AUDIENCE}});
        pod["spec"]["volumes"] = json!([{"name": "token", "projected": {"sources": [token]}}]);
        pod["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "token", "mountPath": "/token"}]);
        let impostor = ns.started_pod(&pod).await?;

        ns.has_condition("web", "Programmed", "False", "Refused", &["impostor", "likes no weights"]).await?;
        ns.split("web", "web").backend("v2", 1).apply().await?;
        ns.has_condition("web", "Programmed", "False", "Refused", &["1 of 2", "likes no weights"]).await?;
        client.reaches_only(WEB, &["v2"]).await?;

        ns.cluster.ask_pod(Method::POST, &impostor, 9000, "accept", String::new()).await?;
        ns.programmed("web").await?;
        ns.api::<Pod>().delete("impostor", &DeleteParams::default().grace_period(0)).await?;
        ns.programmed("web").await?;
        Ok(())
    });
}
