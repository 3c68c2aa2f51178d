//! Who gets a sidecar, what its pod then looks like, and what is refused.

mod annotations;
mod webhook;

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use json_patch::Patch;
use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use serde_json::{Value, json};

use super::{Namespace, Outcome, Skip, annotation::INJECT, inject};
use crate::admission::Settings;

const DEPLOYMENT_POD: &str = include_str!("../../../tests/inputs/admission/deployment-pod.json");
const JOB_POD: &str = include_str!("../../../tests/inputs/admission/job-pod.json");

fn settings() -> Settings {
    let trust_root = Arc::new(ArcSwap::from_pointee("-----BEGIN CERTIFICATE-----\n".to_owned()));
    Settings::new("localhost/weft-proxy:dev", "https://weft-operator.weft-system.svc:8443", "cluster.local", trust_root)
        .with_pull_policy("IfNotPresent")
        .with_version("0.0.0-test")
}

/// The outcome in a namespace with this label, or the text of the refusal.
fn outcome(pod: &Value, namespace: &str, label: Option<&str>) -> Result<Outcome, String> {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let labels: BTreeMap<_, _> = label.map(|value| (INJECT.to_owned(), value.to_owned())).into_iter().collect();
    inject(&pod, &Namespace { name: namespace, labels: &labels }, &settings()).map_err(|refusal| refusal.to_string())
}

fn patched(pod: &Value, patch: &Patch) -> Value {
    let mut pod = pod.clone();
    json_patch::patch(&mut pod, patch).unwrap();
    pod
}

/// The pod with its sidecar, in an enabled namespace.
fn injected(pod: &Value) -> Value {
    match outcome(pod, "shop", Some("enabled")).unwrap() {
        Outcome::Injected { patch, .. } => patched(pod, &patch),
        other => panic!("not injected: {other:?}"),
    }
}

fn pod(metadata: Value, spec: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}]},
    });
    json_patch::merge(&mut pod, &json!({"metadata": metadata, "spec": spec}));
    pod
}

fn annotated(name: &str, value: &str) -> Value {
    pod(json!({"annotations": {name: value}}), json!({}))
}

#[test]
fn pods_of_deployments_and_jobs_get_a_sidecar() {
    for (name, input) in [("deployment_pod", DEPLOYMENT_POD), ("job_pod", JOB_POD)] {
        let before: Value = serde_json::from_str(input).unwrap();
        insta::assert_json_snapshot!(name, injected(&before));
    }
}

#[test]
fn what_is_added_is_all_known_to_kubernetes() {
    let after = injected(&serde_json::from_str(DEPLOYMENT_POD).unwrap());
    for index in [0, 1] {
        let container = &after["spec"]["initContainers"][index];
        let typed: Container = serde_json::from_value(container.clone()).unwrap();
        assert_eq!(&serde_json::to_value(typed).unwrap(), container);
    }
    let volume = &after["spec"]["volumes"][1];
    let typed: Volume = serde_json::from_value(volume.clone()).unwrap();
    assert_eq!(&serde_json::to_value(typed).unwrap(), volume);
}

#[test]
fn injection_happens_once() {
    for (name, before) in [
        ("deployment", serde_json::from_str(DEPLOYMENT_POD).unwrap()),
        ("job", serde_json::from_str(JOB_POD).unwrap()),
        ("empty lists", pod(json!({"annotations": {}}), json!({"initContainers": [], "volumes": []}))),
        ("no lists", pod(json!({}), json!({}))),
        (
            "nulls",
            json!({
                "metadata": {"name": "web", "annotations": null},
                "spec": {"containers": [{"name": "web"}], "initContainers": null, "volumes": null},
            }),
        ),
    ] {
        let after = injected(&before);
        assert_eq!(outcome(&after, "shop", Some("enabled")), Ok(Outcome::AlreadyInjected), "{name}");
        let names =
            ["/spec/initContainers/0/name", "/spec/initContainers/1/name"].map(|path| after.pointer(path).cloned());
        assert_eq!(names, [Some(json!("weft-init")), Some(json!("weft-proxy"))], "{name}");
    }
}

#[test]
fn a_marker_without_a_sidecar_is_not_believed() {
    let mut copied =
        pod(json!({"annotations": {"weft.dev/injected": "0.0.1", "weft.dev/inject-skipped": "old"}}), json!({}));
    copied = injected(&copied);
    assert_eq!(copied["metadata"]["annotations"]["weft.dev/injected"], "0.0.0-test");
    assert_eq!(copied["metadata"]["annotations"].get("weft.dev/inject-skipped"), None);
}

#[test]
fn the_current_trust_root_is_written() {
    let settings = settings();
    let pod: Pod = serde_json::from_value(pod(json!({}), json!({}))).unwrap();
    let labels = BTreeMap::from([(INJECT.to_owned(), "enabled".to_owned())]);
    let namespace = Namespace { name: "shop", labels: &labels };
    let patches = ["first", "second"].map(|root| {
        settings.trust_root.store(Arc::new(root.to_owned()));
        format!("{:?}", inject(&pod, &namespace, &settings))
    });
    assert!(patches[0].contains("\"first\"") && patches[1].contains("\"second\""), "{patches:?}");
}

#[test]
fn who_gets_a_sidecar() {
    let labelled = |value: &str| pod(json!({"labels": {INJECT: value}}), json!({}));
    let plain = pod(json!({}), json!({}));
    let both = pod(json!({"labels": {INJECT: "disabled"}, "annotations": {INJECT: "enabled"}}), json!({}));
    let host = pod(json!({}), json!({"hostNetwork": true}));
    let not_host = pod(json!({}), json!({"hostNetwork": false}));
    let windows = pod(json!({}), json!({"os": {"name": "windows"}}));
    let windows_node = pod(json!({}), json!({"nodeSelector": {"kubernetes.io/os": "windows"}}));
    let linux = pod(json!({}), json!({"os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}}));
    let mirror = pod(json!({"annotations": {"kubernetes.io/config.mirror": "abc"}}), json!({}));
    let (enabled, disabled) = (Some("enabled"), Some("disabled"));
    for (name, pod, namespace, label, want) in [
        ("nobody asks", &plain, "shop", None, Some(Skip::NotAsked)),
        ("the namespace asks", &plain, "shop", enabled, None),
        ("the namespace declines", &plain, "shop", disabled, Some(Skip::Disabled)),
        ("the pod asks", &labelled("enabled"), "shop", None, None),
        ("the pod asks against its namespace", &labelled("enabled"), "shop", disabled, None),
        ("the pod declines", &labelled("disabled"), "shop", enabled, Some(Skip::Disabled)),
        ("the annotation asks", &annotated(INJECT, "enabled"), "shop", None, None),
        ("the annotation declines", &annotated(INJECT, "disabled"), "shop", enabled, Some(Skip::Disabled)),
        ("label before annotation", &both, "shop", enabled, Some(Skip::Disabled)),
        ("host network", &host, "shop", enabled, Some(Skip::HostNetwork)),
        ("no host network", &not_host, "shop", enabled, None),
        ("Windows", &windows, "shop", enabled, Some(Skip::Windows)),
        ("node of Windows", &windows_node, "shop", enabled, Some(Skip::Windows)),
        ("Linux", &linux, "shop", enabled, None),
        ("static pod", &mirror, "shop", enabled, Some(Skip::Mirror)),
        ("system namespace", &labelled("enabled"), "kube-system", None, Some(Skip::SystemNamespace)),
        ("host network, not asked", &host, "shop", None, Some(Skip::NotAsked)),
    ] {
        let (skip, annotation) = match outcome(pod, namespace, label) {
            Ok(Outcome::Injected { .. }) => (None, None),
            Ok(Outcome::Skipped { reason, patch }) => {
                let after = patched(pod, &patch);
                // Said once: the API server may ask again.
                let Ok(Outcome::Skipped { patch, .. }) = outcome(&after, namespace, label) else {
                    panic!("{name}: changed its mind");
                };
                assert_eq!(patch, Patch(Vec::new()), "{name}");
                (Some(reason), after["metadata"]["annotations"].get("weft.dev/inject-skipped").cloned())
            }
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(skip, want, "{name}");
        let said = want.filter(|skip| *skip != Skip::NotAsked).map(|skip| json!(skip.to_string()));
        assert_eq!(annotation, said, "{name}");
    }
}

#[test]
fn a_bad_label_is_refused_by_the_name_of_its_object() {
    let labelled = pod(json!({"name": null, "generateName": "web-", "labels": {INJECT: "true"}}), json!({}));
    let refusal = outcome(&labelled, "shop", Some("enabled")).unwrap_err();
    assert_eq!(refusal, r#"pod shop/web-*: weft.dev/inject is "true": write enabled or disabled"#);
    let refusal = outcome(&pod(json!({}), json!({})), "shop", Some("on")).unwrap_err();
    assert_eq!(refusal, r#"namespace shop: weft.dev/inject is "on": write enabled or disabled"#);
}

#[test]
fn what_cannot_live_beside_a_sidecar_is_refused() {
    let annotations = |values: Value| pod(json!({"annotations": values}), json!({}));
    let containers = |containers: Value| pod(json!({}), json!({"containers": containers}));
    for (name, pod, want) in [
        (
            "ports of one value",
            annotations(json!({"weft.dev/admin-port": "15001"})),
            "weft.dev/outbound-port and weft.dev/admin-port are both 15001: give each a port of its own",
        ),
        (
            "limit below request",
            annotations(json!({"weft.dev/proxy-cpu-request": "1", "weft.dev/proxy-cpu-limit": "900m"})),
            "weft.dev/proxy-cpu-request is 1 and weft.dev/proxy-cpu-limit is 900m: write a limit",
        ),
        (
            "name of a container",
            containers(json!([{"name": "a"}, {"name": "weft-proxy"}])),
            r#"spec.containers[1].name is "weft-proxy", a name that Weft gives: choose another"#,
        ),
        (
            "name of an init container",
            pod(json!({}), json!({"initContainers": [{"name": "weft-init"}]})),
            r#"spec.initContainers[0].name is "weft-init", a name that Weft gives"#,
        ),
        (
            "a sidecar of somebody else's",
            pod(json!({}), json!({"initContainers": [{"name": "weft-proxy", "restartPolicy": "Always"}]})),
            r#"spec.initContainers[0].name is "weft-proxy", a name that Weft gives"#,
        ),
        (
            "name of a volume",
            pod(json!({}), json!({"volumes": [{"name": "weft-identity", "emptyDir": {}}]})),
            r#"spec.volumes[0].name is "weft-identity", a name that Weft gives"#,
        ),
        (
            "port",
            containers(json!([{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 15020}]}])),
            "spec.containers[0].ports[1].containerPort is 15020, which the sidecar listens on: change it, or give the \
             sidecar another by weft.dev/admin-port",
        ),
        (
            "user of the pod",
            pod(json!({}), json!({"securityContext": {"runAsUser": 1337}})),
            "spec.securityContext.runAsUser is 1337, whose traffic is taken for the sidecar's own",
        ),
        (
            "user of a container",
            containers(json!([{"name": "a", "securityContext": {"runAsUser": 1337}}])),
            "spec.containers[0].securityContext.runAsUser is 1337",
        ),
    ] {
        let refusal = outcome(&pod, "shop", Some("enabled")).unwrap_err();
        assert!(refusal.starts_with("pod shop/web: ") && refusal.contains(want), "{name}: {refusal}");
        assert!(
            matches!(outcome(&pod, "shop", Some("disabled")), Ok(Outcome::Skipped { .. })),
            "{name}: refused without being asked"
        );
    }
}

#[test]
fn what_only_resembles_a_conflict_is_injected() {
    let ports = |port: Value| pod(json!({}), json!({"containers": [{"name": "a", "ports": [port]}]}));
    for (name, pod) in [
        ("UDP", ports(json!({"containerPort": 15001, "protocol": "UDP"}))),
        ("a host's port", ports(json!({"containerPort": 80, "hostPort": 15001}))),
        ("a moved port", {
            let mut pod = ports(json!({"containerPort": 15001, "protocol": "TCP"}));
            json_patch::merge(&mut pod, &json!({"metadata": {"annotations": {"weft.dev/outbound-port": "16001"}}}));
            pod
        }),
    ] {
        assert!(matches!(outcome(&pod, "shop", Some("enabled")), Ok(Outcome::Injected { .. })), "{name}");
    }
}
