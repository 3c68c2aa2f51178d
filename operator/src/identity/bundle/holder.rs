//! The objects that tell the API server whom to trust as Weft, and where the bundle stands in each.

use std::fmt::Debug;

use json_patch::jsonptr::PointerBuf;
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::Resource;
use serde::de::DeserializeOwned;

/// Service of `config/operator`, which the conversion of every kind has to name: that of another mesh is left alone.
const SERVICE: &str = "weft-operator";

/// A kind of object that holds a bundle.
pub(super) trait Holder: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + 'static {
    /// Those of `config`.
    const NAMES: &'static [&'static str];

    /// Where a bundle belongs, and what stands there.
    fn bundles(&self) -> Vec<(PointerBuf, Option<&ByteString>)>;
}

impl Holder for MutatingWebhookConfiguration {
    const NAMES: &'static [&'static str] = &["weft-injector"];

    fn bundles(&self) -> Vec<(PointerBuf, Option<&ByteString>)> {
        of_webhooks(self.webhooks.iter().flatten().map(|webhook| &webhook.client_config))
    }
}

impl Holder for ValidatingWebhookConfiguration {
    const NAMES: &'static [&'static str] = &["weft-validator"];

    fn bundles(&self) -> Vec<(PointerBuf, Option<&ByteString>)> {
        of_webhooks(self.webhooks.iter().flatten().map(|webhook| &webhook.client_config))
    }
}

fn of_webhooks<'a>(
    webhooks: impl Iterator<Item = &'a WebhookClientConfig>,
) -> Vec<(PointerBuf, Option<&'a ByteString>)> {
    let path = |index: usize| PointerBuf::from_tokens(["webhooks", &index.to_string(), "clientConfig", "caBundle"]);
    webhooks.enumerate().map(|(index, config)| (path(index), config.ca_bundle.as_ref())).collect()
}

impl Holder for CustomResourceDefinition {
    const NAMES: &'static [&'static str] = &[
        "httproutegroups.specs.smi-spec.io",
        "identitybindings.access.smi-spec.io",
        "tcproutes.specs.smi-spec.io",
        "trafficsplits.split.smi-spec.io",
        "traffictargets.access.smi-spec.io",
        "udproutes.specs.smi-spec.io",
    ];

    fn bundles(&self) -> Vec<(PointerBuf, Option<&ByteString>)> {
        let conversion = self.spec.conversion.as_ref().and_then(|conversion| conversion.webhook.as_ref());
        let Some(config) = conversion.and_then(|webhook| webhook.client_config.as_ref()) else { return Vec::new() };
        if config.service.as_ref().is_none_or(|service| service.name != SERVICE) {
            return Vec::new();
        }
        let path = PointerBuf::from_tokens(["spec", "conversion", "webhook", "clientConfig", "caBundle"]);
        vec![(path, config.ca_bundle.as_ref())]
    }
}

impl Holder for APIService {
    const NAMES: &'static [&'static str] = &["v1alpha1.metrics.smi-spec.io", "v1alpha2.metrics.smi-spec.io"];

    fn bundles(&self) -> Vec<(PointerBuf, Option<&ByteString>)> {
        let known = self.spec.as_ref().and_then(|spec| spec.ca_bundle.as_ref());
        vec![(PointerBuf::from_tokens(["spec", "caBundle"]), known)]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_kind_of_smi_that_is_converted_has_its_bundle_kept() {
        let definitions = smi_crds::definitions(&Default::default()).into_iter();
        let names: Vec<String> = definitions.filter_map(|definition| definition.metadata.name).collect();
        assert_eq!(names, CustomResourceDefinition::NAMES);
    }

    #[test]
    fn a_bundle_belongs_only_where_weft_is_called() {
        let with = |conversion: Value| -> CustomResourceDefinition {
            serde_json::from_value(json!({
                "metadata": {"name": "trafficsplits.split.smi-spec.io"},
                "spec": {"group": "split.smi-spec.io", "names": {"kind": "TrafficSplit", "plural": "trafficsplits"},
                    "scope": "Namespaced", "versions": [], "conversion": conversion},
            }))
            .unwrap()
        };
        let webhook = |client_config: Value| {
            with(json!({"strategy": "Webhook",
                "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client_config}}))
        };
        let service = |name: &str| json!({"name": name, "namespace": "weft-system", "path": "/convert"});
        for (name, definition, want) in [
            ("no conversion", with(Value::Null), None),
            ("none", with(json!({"strategy": "None"})), None),
            ("by a URL", webhook(json!({"url": "https://example.org"})), None),
            ("by another mesh", webhook(json!({"service": service("osm-bootstrap")})), None),
            ("without a bundle", webhook(json!({"service": service("weft-operator")})), Some(None)),
            (
                "with a bundle",
                webhook(json!({"service": service("weft-operator"), "caBundle": "cm9vdA=="})),
                Some(Some(b"root".to_vec())),
            ),
        ] {
            let bundles = definition.bundles();
            let got = bundles.first().map(|(path, known)| {
                assert_eq!(path.to_string(), "/spec/conversion/webhook/clientConfig/caBundle", "{name}");
                known.map(|known| known.0.clone())
            });
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn every_webhook_of_a_configuration_has_one() {
        let configuration: ValidatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": "weft-validator"},
            "webhooks": (0..2).map(|index| json!({"name": format!("{index}.weft.dev"), "clientConfig": {},
                "admissionReviewVersions": ["v1"], "sideEffects": "None"})).collect::<Vec<_>>(),
        }))
        .unwrap();
        let paths: Vec<String> = configuration.bundles().iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["/webhooks/0/clientConfig/caBundle", "/webhooks/1/clientConfig/caBundle"]);
    }
}
