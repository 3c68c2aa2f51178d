//! Decides whether a pod gets a sidecar, and writes the JSON Patch that gives it one. Pure: no client, no clock.

pub mod annotation;
mod conflict;
mod container;
mod patch;
mod quantity;
#[cfg(test)]
mod tests;
mod value;
mod wish;

use std::{collections::BTreeMap, fmt};

use json_patch::Patch;
use k8s_openapi::api::core::v1::Pod;
use thiserror::Error;

use self::{
    annotation::{INJECT, INJECTED},
    wish::Wishes,
};
use super::Settings;

pub use self::value::ValueError;

/// Name of the init container that writes the redirect rules.
pub const INIT_CONTAINER: &str = "weft-init";
/// Name of the sidecar's container.
pub const PROXY_CONTAINER: &str = "weft-proxy";
/// Name of the volume with the sidecar's token.
pub const IDENTITY_VOLUME: &str = "weft-identity";
/// User id of the sidecar, whose connections the redirect rules leave alone.
pub const PROXY_UID: i64 = 1337;
/// Namespaces whose pods never get a sidecar: Weft depends on them, or is in them.
pub const SYSTEM_NAMESPACES: [&str; 4] = ["kube-node-lease", "kube-public", "kube-system", "weft-system"];

/// Annotation by which the kubelet marks its static pods; they are started without the API server being asked.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Node label, and thereby node selector, of the operating system.
const OS_LABEL: &str = "kubernetes.io/os";

/// The namespace that a pod is created in.
#[derive(Debug, Clone, Copy)]
pub struct Namespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
}

/// What becomes of a pod that is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It gets a sidecar.
    Injected {
        /// Makes the pod have one.
        patch: Patch,
        /// What its author should know: settings that were not understood.
        warnings: Vec<String>,
    },
    /// It has a sidecar already, and stays as it is.
    AlreadyInjected,
    /// It gets none.
    Skipped {
        /// Why.
        reason: Skip,
        /// Writes the reason into the pod; empty where it is there already, or nobody asked for a sidecar.
        patch: Patch,
    },
}

/// Why a pod gets no sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Neither the pod nor its namespace asks for one.
    NotAsked,
    /// The pod, or its namespace, declines it.
    Disabled,
    /// The namespace is one of [`SYSTEM_NAMESPACES`].
    SystemNamespace,
    /// The pod shares the node's network, whose rules are not Weft's.
    HostNetwork,
    /// There is no sidecar for Windows.
    Windows,
    /// The pod is the image of a static pod, which runs already.
    Mirror,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "neither the pod nor its namespace asks for a sidecar",
            Self::Disabled => "weft.dev/inject is disabled",
            Self::SystemNamespace => "pods of a system namespace get no sidecar",
            Self::HostNetwork => "spec.hostNetwork is true: the network of a node is not redirected",
            Self::Windows => "the pod is for Windows",
            Self::Mirror => "a static pod runs before it can get a sidecar",
        })
    }
}

/// Why a pod that asks for a sidecar cannot be created. The text names the pod, the field and the fix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A label or annotation cannot be read.
    #[error("{object}: {name} is {value:?}: {error}")]
    Value {
        /// The pod or namespace.
        object: String,
        /// Name of the label or annotation.
        name: &'static str,
        /// What it is.
        value: String,
        /// What is wrong with it, and what to write instead.
        error: ValueError,
    },
    /// Two of the sidecar's ports are the same.
    #[error("{pod}: {first} and {second} are both {port}: give each a port of its own")]
    SamePort {
        /// The pod.
        pod: String,
        /// Annotation of the one.
        first: &'static str,
        /// Annotation of the other.
        second: &'static str,
        /// The port.
        port: u16,
    },
    /// A limit is below its request.
    #[error(
        "{pod}: {request} is {request_value} and {limit} is {limit_value}: write a limit that is not below the request"
    )]
    LimitBelowRequest {
        /// The pod.
        pod: String,
        /// Annotation of the request.
        request: &'static str,
        /// The request.
        request_value: String,
        /// Annotation of the limit.
        limit: &'static str,
        /// The limit.
        limit_value: String,
    },
    /// The pod has something under a name that Weft gives.
    #[error("{pod}: {field} is {name:?}, a name that Weft gives: choose another, or set weft.dev/inject to disabled")]
    ReservedName {
        /// The pod.
        pod: String,
        /// Path of the name.
        field: String,
        /// The name.
        name: String,
    },
    /// The pod uses a port that the sidecar listens on.
    #[error(
        "{pod}: {field} is {port}, which the sidecar listens on: change it, or give the sidecar another by {annotation}"
    )]
    ReservedPort {
        /// The pod.
        pod: String,
        /// Path of the port.
        field: String,
        /// The port.
        port: u16,
        /// Annotation that moves the sidecar's port.
        annotation: &'static str,
    },
    /// The pod runs as the sidecar's user, so that its traffic would go past the sidecar.
    #[error("{pod}: {field} is {PROXY_UID}, whose traffic is taken for the sidecar's own: choose another user")]
    ReservedUser {
        /// The pod.
        pod: String,
        /// Path of the user id.
        field: String,
    },
}

/// Decides on a pod that is about to be created.
///
/// Whether a sidecar is asked for is said by `weft.dev/inject` on the pod, as a label or else as an annotation, and if the pod
/// does not say, by that label of its namespace.
///
/// # Errors
///
/// When a sidecar is asked for and cannot be given: the pod must not run without one then.
pub fn inject(pod: &Pod, namespace: &Namespace<'_>, settings: &Settings) -> Result<Outcome, Refusal> {
    let reason = match asked(pod, namespace)? {
        None => Some(Skip::NotAsked),
        Some(false) => Some(Skip::Disabled),
        Some(true) => unfit(pod, namespace),
    };
    if let Some(reason) = reason {
        return Ok(Outcome::Skipped { reason, patch: patch::skipped(pod, reason) });
    }
    if is_injected(pod) {
        return Ok(Outcome::AlreadyInjected);
    }
    let name = display_name(pod, namespace);
    let wishes = Wishes::read(&name, pod)?;
    conflict::check(&name, pod, &wishes)?;
    let warnings = annotation::warnings(pod).chain(wishes.warnings(pod)).collect();
    Ok(Outcome::Injected { patch: patch::injected(pod, &wishes, settings), warnings })
}

/// Whether the pod or its namespace asks for a sidecar, declines it, or says nothing.
fn asked(pod: &Pod, namespace: &Namespace<'_>) -> Result<Option<bool>, Refusal> {
    let pod_says =
        |values: &Option<BTreeMap<String, String>>| values.as_ref().and_then(|values| values.get(INJECT)).cloned();
    let said = pod_says(&pod.metadata.labels)
        .or_else(|| pod_says(&pod.metadata.annotations))
        .map(|value| (display_name(pod, namespace), value))
        .or_else(|| Some((format!("namespace {}", namespace.name), namespace.labels.get(INJECT)?.clone())));
    let Some((object, value)) = said else { return Ok(None) };
    match value.as_str() {
        "enabled" => Ok(Some(true)),
        "disabled" => Ok(Some(false)),
        _ => Err(Refusal::Value { object, name: INJECT, value, error: ValueError::Inject }),
    }
}

/// Why a pod cannot have a sidecar, whatever it asks for.
fn unfit(pod: &Pod, namespace: &Namespace<'_>) -> Option<Skip> {
    let spec = pod.spec.as_ref()?;
    let windows = spec.os.as_ref().is_some_and(|os| os.name == "windows")
        || spec.node_selector.as_ref().and_then(|labels| labels.get(OS_LABEL)).is_some_and(|os| os == "windows");
    let annotations = pod.metadata.annotations.as_ref();
    if SYSTEM_NAMESPACES.contains(&namespace.name) {
        Some(Skip::SystemNamespace)
    } else if spec.host_network == Some(true) {
        Some(Skip::HostNetwork)
    } else if windows {
        Some(Skip::Windows)
    } else if annotations.is_some_and(|annotations| annotations.contains_key(MIRROR)) {
        Some(Skip::Mirror)
    } else {
        None
    }
}

/// The marker alone is not enough: it may have been copied from another pod without the sidecar.
fn is_injected(pod: &Pod) -> bool {
    let marked = pod.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(INJECTED));
    let mut containers = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    marked && containers.any(|container| container.name == PROXY_CONTAINER)
}

/// The pod's name in messages; a pod of a controller has none yet but its beginning.
fn display_name(pod: &Pod, namespace: &Namespace<'_>) -> String {
    let name = match (&pod.metadata.name, &pod.metadata.generate_name) {
        (Some(name), _) if !name.is_empty() => name.clone(),
        (_, Some(beginning)) => format!("{beginning}*"),
        (_, None) => "without a name".to_owned(),
    };
    format!("pod {}/{name}", namespace.name)
}
