//! The containers and the volume that a pod gets.

use std::fmt::Display;

use serde_json::{Map, Value, json};
use weft_proxy_api::TOKEN_AUDIENCE;

use super::{
    IDENTITY_VOLUME, INIT_CONTAINER, PROXY_CONTAINER, PROXY_UID,
    wish::{Resource, Wishes},
};
use crate::admission::Settings;

/// Directory of the sidecar's token and roots.
const TOKEN_DIRECTORY: &str = "/var/run/secrets/weft.dev";
/// Name of the sidecar's token in its directory.
const TOKEN_FILE: &str = "token";
/// `ConfigMap` with the roots that are trusted, which the operator keeps in every namespace with a meshed pod.
const TRUST_BUNDLE: &str = "weft-trust-bundle";
/// Entry of the roots in it.
const TRUST_ENTRY: &str = "ca.crt";
/// Where they stand in the directory of the token.
const TRUST_FILE: &str = "trust/ca.crt";
/// Lifetime of a token in seconds; the kubelet renews it at 80 %. The least that Kubernetes allows is 600.
const TOKEN_SECONDS: u32 = 3600;
/// Name of the sidecar's admin port, at most 15 characters as for every port.
const ADMIN_PORT_NAME: &str = "weft-admin";
/// Times that a starting sidecar is asked, once a second, before it is started anew: long enough for an operator that starts too.
const STARTUP_ATTEMPTS: u32 = 120;

/// The volume with the token by which the operator knows the pod, and the roots by which the pod knows the operator. The roots are
/// optional: the first pod of a namespace starts before they are there, and has those of its making in its environment.
///
/// The sidecar, not root, can read the file in every pod: with an `fsGroup` the file is that group's, and every container is
/// in the group. Without one the kubelet gives it to a single user only where all containers run as that user, and here the
/// init container is root and the sidecar is not; else it is readable for all containers that mount it, which is the sidecar
/// alone (`pkg/volume/projected` and `FsUserFrom` in Kubernetes).
pub(super) fn identity_volume() -> Value {
    json!({
        "name": IDENTITY_VOLUME,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {
                    "serviceAccountToken": {
                        "audience": TOKEN_AUDIENCE,
                        "expirationSeconds": TOKEN_SECONDS,
                        "path": TOKEN_FILE,
                    },
                },
                {
                    "configMap": {
                        "items": [{"key": TRUST_ENTRY, "path": TRUST_FILE}],
                        "name": TRUST_BUNDLE,
                        "optional": true,
                    },
                },
            ],
        },
    })
}

/// The container that writes the redirect rules and ends.
pub(super) fn init_container(wishes: &Wishes, settings: &Settings) -> Value {
    let skip_inbound = [wishes.admin_port].into_iter().chain(wishes.skip_inbound_ports.iter().map(|port| port.get()));
    let mut arguments = vec![
        "init".to_owned(),
        format!("--outbound-port={}", wishes.outbound_port),
        format!("--inbound-port={}", wishes.inbound_port),
        format!("--proxy-uid={PROXY_UID}"),
        format!("--skip-inbound-ports={}", list(skip_inbound)),
    ];
    if !wishes.skip_outbound_ports.is_empty() {
        arguments.push(format!("--skip-outbound-ports={}", list(&wishes.skip_outbound_ports)));
    }
    if !wishes.skip_outbound_cidrs.is_empty() {
        arguments.push(format!("--skip-outbound-cidrs={}", list(&wishes.skip_outbound_cidrs)));
    }
    let mut container = container(INIT_CONTAINER, wishes, settings);
    container.insert("args".to_owned(), json!(arguments));
    container.insert(
        "securityContext".to_owned(),
        // The container's own say goes before the pod's, which may forbid root.
        json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": true,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        }),
    );
    Value::Object(container)
}

/// The sidecar: an init container that keeps running, started before and stopped after the pod's other containers.
pub(super) fn proxy_container(wishes: &Wishes, settings: &Settings) -> Value {
    let text = |name: &str, value: String| json!({"name": name, "value": value});
    let of_pod = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mut environment = vec![
        text("WEFT_OPERATOR", settings.operator.clone()),
        text("WEFT_TRUST_ROOT", settings.trust_root.load().to_string()),
        text("WEFT_TRUST_FILE", format!("{TOKEN_DIRECTORY}/{TRUST_FILE}")),
        text("WEFT_TOKEN_FILE", format!("{TOKEN_DIRECTORY}/{TOKEN_FILE}")),
        of_pod("WEFT_POD_NAME", "metadata.name"),
        of_pod("WEFT_POD_NAMESPACE", "metadata.namespace"),
        text("WEFT_OPAQUE_PORTS", list(&wishes.opaque_ports)),
        text("WEFT_OUTBOUND_PORT", wishes.outbound_port.to_string()),
        text("WEFT_INBOUND_PORT", wishes.inbound_port.to_string()),
        text("WEFT_ADMIN_PORT", wishes.admin_port.to_string()),
        text("WEFT_CLUSTER_DOMAIN", settings.cluster_domain.clone()),
    ];
    environment.extend(wishes.log_level.iter().map(|level| text("WEFT_LOG", level.clone())));
    environment.extend(wishes.drain_seconds.map(|seconds| text("WEFT_DRAIN_SECONDS", seconds.to_string())));
    let limits = wishes.limits;
    for (name, limit) in [
        ("WEFT_MAX_CONNECTIONS", limits.connections),
        ("WEFT_MAX_HEADER_BYTES", limits.header_bytes),
        ("WEFT_HEADER_SECONDS", limits.header_seconds),
        ("WEFT_MAX_STREAMS", limits.streams),
    ] {
        environment.extend(limit.map(|limit| text(name, limit.to_string())));
    }
    let probe = |path: &str, period_seconds: u32, failure_threshold: u32| {
        json!({
            "httpGet": {"path": path, "port": ADMIN_PORT_NAME},
            "periodSeconds": period_seconds,
            "failureThreshold": failure_threshold,
        })
    };
    let mut container = container(PROXY_CONTAINER, wishes, settings);
    for (field, value) in [
        ("args", json!(["run"])),
        ("env", Value::Array(environment)),
        ("ports", json!([{"containerPort": wishes.admin_port, "name": ADMIN_PORT_NAME, "protocol": "TCP"}])),
        // Runs when the pod begins to end, when the sidecar itself has long to go: it ends after the pod's other containers.
        ("lifecycle", json!({"preStop": {"exec": {"command": ["/weft-proxy", "leave"]}}})),
        ("restartPolicy", json!("Always")),
        ("startupProbe", probe("/readyz", 1, STARTUP_ATTEMPTS)),
        ("readinessProbe", probe("/readyz", 5, 3)),
        ("livenessProbe", probe("/healthz", 10, 3)),
        (
            "securityContext",
            json!({
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "privileged": false,
                "readOnlyRootFilesystem": true,
                "runAsGroup": PROXY_UID,
                "runAsNonRoot": true,
                "runAsUser": PROXY_UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            }),
        ),
        ("volumeMounts", json!([{"mountPath": TOKEN_DIRECTORY, "name": IDENTITY_VOLUME, "readOnly": true}])),
    ] {
        container.insert(field.to_owned(), value);
    }
    Value::Object(container)
}

/// What both containers have.
fn container(name: &str, wishes: &Wishes, settings: &Settings) -> Map<String, Value> {
    let mut container = Map::new();
    container.insert("name".to_owned(), json!(name));
    container.insert("image".to_owned(), json!(settings.image));
    if let Some(policy) = &settings.pull_policy {
        container.insert("imagePullPolicy".to_owned(), json!(policy));
    }
    // The same for both, because a pod is of the class Guaranteed only if each of its containers is.
    container.insert("resources".to_owned(), resources(&wishes.cpu, &wishes.memory));
    // Why a sidecar did not start is then seen in the pod's status.
    container.insert("terminationMessagePolicy".to_owned(), json!("FallbackToLogsOnError"));
    container
}

fn resources(cpu: &Resource, memory: &Resource) -> Value {
    let mut limits = Map::new();
    for (name, resource) in [("cpu", cpu), ("memory", memory)] {
        if let Some(limit) = &resource.limit {
            limits.insert(name.to_owned(), json!(limit));
        }
    }
    let mut resources = Map::new();
    resources.insert("requests".to_owned(), json!({"cpu": cpu.request, "memory": memory.request}));
    if !limits.is_empty() {
        resources.insert("limits".to_owned(), Value::Object(limits));
    }
    Value::Object(resources)
}

fn list(entries: impl IntoIterator<Item: Display>) -> String {
    entries.into_iter().map(|entry| entry.to_string()).collect::<Vec<_>>().join(",")
}
