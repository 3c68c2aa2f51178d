//! The webhook in `config/webhook` calls for the pods that injection is made for, and for no others.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::admissionregistration::v1::MutatingWebhookConfiguration, apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use crate::admission::inject::{SYSTEM_NAMESPACES, annotation::INJECT};

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

fn configuration() -> MutatingWebhookConfiguration {
    serde_norway::from_str(include_str!("../../../../../config/webhook/webhook.yaml")).unwrap()
}

fn selects(selector: Option<&LabelSelector>, labels: &[(&str, Option<&str>)]) -> bool {
    let labels: BTreeMap<_, _> = labels.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    // A selector without requirements selects everything, and so does none.
    let mut requirements = selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    requirements.all(|requirement| {
        let value = labels.get(requirement.key.as_str());
        let listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|known| known == value));
        match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            other => panic!("{other}"),
        }
    })
}

#[test]
fn each_pod_is_reviewed_by_at_most_one_webhook() {
    let configuration = configuration();
    let (enabled, disabled) = (Some("enabled"), Some("disabled"));
    for (name, namespace, namespace_label, pod_label, want) in [
        ("nobody asks", "shop", None, None, None),
        ("the namespace asks", "shop", enabled, None, Some("inject-namespace.weft.dev")),
        ("both ask", "shop", enabled, enabled, Some("inject-namespace.weft.dev")),
        ("the pod declines", "shop", enabled, disabled, Some("inject-namespace.weft.dev")),
        ("the pod asks", "shop", None, enabled, Some("inject-pod.weft.dev")),
        ("the pod asks against its namespace", "shop", disabled, enabled, Some("inject-pod.weft.dev")),
        ("unreadable on the pod", "shop", enabled, Some("on"), Some("inject-namespace.weft.dev")),
        ("unreadable on the pod alone", "shop", None, Some("on"), Some("inject-pod.weft.dev")),
        ("the pod declines alone", "shop", None, disabled, None),
        ("kube-system", "kube-system", enabled, enabled, None),
        ("weft-system", "weft-system", None, enabled, None),
    ] {
        let namespace_labels = [(NAMESPACE_NAME, Some(namespace)), (INJECT, namespace_label)];
        let called: Vec<_> = configuration
            .webhooks
            .iter()
            .flatten()
            .filter(|webhook| selects(webhook.namespace_selector.as_ref(), &namespace_labels))
            .filter(|webhook| selects(webhook.object_selector.as_ref(), &[(INJECT, pod_label)]))
            .map(|webhook| webhook.name.as_str())
            .collect();
        assert_eq!(called, Vec::from_iter(want), "{name}");
    }
}

#[test]
fn system_namespaces_are_left_out_and_the_bundle_is_not_ours_to_write() {
    for webhook in configuration().webhooks.iter().flatten() {
        let requirements = webhook.namespace_selector.as_ref().and_then(|selector| selector.match_expressions.as_ref());
        let named = requirements.unwrap().iter().find(|requirement| requirement.key == NAMESPACE_NAME).unwrap();
        assert_eq!(named.values.as_deref().unwrap(), SYSTEM_NAMESPACES, "{}", webhook.name);
        assert_eq!(webhook.client_config.ca_bundle, None, "{}", webhook.name);
        assert_eq!(webhook.failure_policy.as_deref(), Some("Fail"), "{}", webhook.name);
    }
}
