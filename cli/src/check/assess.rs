//! What an object that was read from the cluster, or its absence, says about the installation. Pure.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use super::{Check, INJECTOR, NAMESPACE, OPERATOR};
use crate::connection::cause;
use crate::outcome::Outcome;

/// What was read: the object, `None` when there is none, or why it could not be read.
pub(super) type Read<T> = Result<Option<T>, kube::Error>;

/// What was seen of an object that exists, with what to do when that is not well.
struct Seen {
    well: bool,
    found: String,
    advice: String,
}

/// Whether an object of this name is there and well by `see`; `remedy` makes one that is missing.
fn assess<T>(check: String, read: &Read<T>, remedy: &str, see: impl FnOnce(&T) -> Seen) -> Check {
    match read {
        Err(error) => unknown(check, error),
        Ok(None) => Check { check, state: Outcome::No, found: "does not exist".to_owned(), advice: remedy.to_owned() },
        Ok(Some(object)) => {
            let Seen { well, found, advice } = see(object);
            if well {
                Check { check, state: Outcome::Yes, found, advice: String::new() }
            } else {
                Check { check, state: Outcome::No, found, advice }
            }
        }
    }
}

/// A check that could not be made.
pub(super) fn unknown(check: String, error: &kube::Error) -> Check {
    let advice = match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => "use an account that may read this",
        _ => "try again",
    };
    Check { check, state: Outcome::Unknown, found: cause(error), advice: advice.to_owned() }
}

/// One version of a CustomResourceDefinition: served, and accepted by the API server.
pub(super) fn definition(name: &str, version: &str, read: &Read<CustomResourceDefinition>) -> Check {
    let remedy = "install the kinds: kubectl apply --server-side -k config/crds";
    assess(format!("CRD {name} {version}"), read, remedy, |definition| {
        let served = definition.spec.versions.iter().any(|v| v.name == version && v.served);
        let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let established = conditions.iter().any(|c| c.type_ == "Established" && c.status == "True");
        let refusal = conditions.iter().find(|c| c.type_ == "NamesAccepted" && c.status == "False");
        match (served, established) {
            (false, _) => {
                Seen { well: false, found: "the version is not served".to_owned(), advice: remedy.to_owned() }
            }
            (true, true) => Seen { well: true, found: "served".to_owned(), advice: String::new() },
            (true, false) => Seen {
                well: false,
                found: refusal
                    .and_then(|condition| condition.message.clone())
                    .unwrap_or_else(|| "not established".to_owned()),
                advice: format!("see: kubectl describe crd {name}"),
            },
        }
    })
}

/// The namespace of Weft's own parts.
pub(super) fn namespace(read: &Read<Namespace>) -> Check {
    assess(format!("namespace {NAMESPACE}"), read, "install Weft: make install", |namespace| {
        let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Active");
        Seen {
            well: phase == "Active",
            found: phase.to_owned(),
            advice: "wait until it is gone, then install Weft: make install".to_owned(),
        }
    })
}

/// The operator's deployment.
pub(super) fn operator(read: &Read<Deployment>) -> Check {
    assess(format!("deployment {OPERATOR} available"), read, "install Weft: make install", |deployment| {
        let status = deployment.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
        // The API server puts 1 where a manifest says nothing.
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        Seen {
            // A deployment scaled to 0 counts as available for Kubernetes, yet nothing works without an operator.
            well: ready > 0 && conditions.iter().any(|c| c.type_ == "Available" && c.status == "True"),
            found: format!("{ready} of {wanted} pods ready"),
            advice: format!("see: kubectl -n {NAMESPACE} describe pods -l app.kubernetes.io/name={OPERATOR}"),
        }
    })
}

/// The webhook that adds the sidecar: the API server calls it only when it can verify its certificate.
pub(super) fn injector(read: &Read<MutatingWebhookConfiguration>) -> Check {
    let check = format!("webhook {INJECTOR} has a CA bundle");
    assess(check, read, "install Weft: make install", |configuration| {
        let webhooks = configuration.webhooks.as_deref().unwrap_or_default();
        let lacking: Vec<&str> = webhooks
            .iter()
            .filter(|webhook| webhook.client_config.ca_bundle.as_ref().is_none_or(|bundle| bundle.0.is_empty()))
            .map(|webhook| webhook.name.as_str())
            .collect();
        let found = match (webhooks, &lacking[..]) {
            ([], _) => "it has no webhooks".to_owned(),
            (all, []) => format!("{} of {} webhooks", all.len(), all.len()),
            (_, lacking) => format!("none in {}", lacking.join(", ")),
        };
        Seen {
            well: !webhooks.is_empty() && lacking.is_empty(),
            found,
            advice: format!("see why the operator did not write it: kubectl -n {NAMESPACE} logs deploy/{OPERATOR}"),
        }
    })
}

/// A version of the TrafficMetrics API.
pub(super) fn api_service(name: &str, read: &Read<APIService>) -> Check {
    assess(format!("APIService {name} available"), read, "install Weft: make install", |service| {
        let conditions = service.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let available = conditions.iter().find(|condition| condition.type_ == "Available");
        let well = available.is_some_and(|condition| condition.status == "True");
        let found = match available {
            Some(_) if well => "available".to_owned(),
            Some(condition) => condition.message.clone().unwrap_or_else(|| "not available".to_owned()),
            None => "the API server has not looked at it yet".to_owned(),
        };
        Seen { well, found, advice: format!("see: kubectl -n {NAMESPACE} logs deploy/{OPERATOR}") }
    })
}
