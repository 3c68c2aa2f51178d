//! The CustomResourceDefinitions of all kinds of this crate, each with every published version.

mod columns;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceConversion, CustomResourceDefinition, ValidationRule, WebhookClientConfig, WebhookConversion,
};
use kube::CustomResourceExt;

use crate::{access, specs, split};

/// The version in which objects are stored. Every other one is converted to it and from it.
pub const STORED: &str = "v1alpha4";

/// Refuses a route group that has its matches twice, or not at all.
const MATCHES_ONCE: [(&str, &str); 2] = [
    (
        "!(has(self.matches) && has(self.spec) && has(self.spec.matches))",
        "matches are given twice: keep those under spec",
    ),
    (
        "has(self.matches) || (has(self.spec) && has(self.spec.matches))",
        "spec.matches is missing: write the matches under spec, as in spec: {matches: [{name: api, pathRegex: /api}]}",
    ),
];

/// Every CustomResourceDefinition that SMI needs in a cluster, sorted by name, the same at each call.
///
/// All published versions are served and `v1alpha4` is stored, so kinds with more than one version need a webhook that
/// answers a `ConversionReview` of `apiextensions.k8s.io/v1` with what [`convert`](crate::convert()) gives; `webhook` is
/// where the API server finds it.
///
/// None has a `status`: that part belongs to the API server.
pub fn definitions(webhook: &WebhookClientConfig) -> Vec<CustomResourceDefinition> {
    // Newest first: the order in which the API server and kubectl prefer them.
    vec![
        with_rules(
            of_versions(
                [
                    specs::v1alpha4::HttpRouteGroup::crd(),
                    specs::v1alpha3::HttpRouteGroup::crd(),
                    specs::v1alpha2::HttpRouteGroup::crd(),
                    specs::v1alpha1::HttpRouteGroup::crd(),
                ],
                webhook,
            ),
            &["v1alpha4", "v1alpha3"],
            &MATCHES_ONCE,
        ),
        of_versions([access::v1alpha4::IdentityBinding::crd()], webhook),
        of_versions(
            [
                specs::v1alpha4::TcpRoute::crd(),
                specs::v1alpha3::TcpRoute::crd(),
                specs::v1alpha2::TcpRoute::crd(),
                specs::v1alpha1::TcpRoute::crd(),
            ],
            webhook,
        ),
        of_versions(
            [
                split::v1alpha4::TrafficSplit::crd(),
                split::v1alpha3::TrafficSplit::crd(),
                split::v1alpha2::TrafficSplit::crd(),
                split::v1alpha1::TrafficSplit::crd(),
            ],
            webhook,
        ),
        of_versions(
            [
                access::v1alpha4::TrafficTarget::crd(),
                access::v1alpha3::TrafficTarget::crd(),
                access::v1alpha2::TrafficTarget::crd(),
                access::v1alpha1::TrafficTarget::crd(),
            ],
            webhook,
        ),
        of_versions([specs::v1alpha4::UdpRoute::crd()], webhook),
    ]
}

/// One definition of all `versions` of a kind, in their order.
fn of_versions<const N: usize>(
    versions: [CustomResourceDefinition; N],
    webhook: &WebhookClientConfig,
) -> CustomResourceDefinition {
    let mut versions = versions.into_iter();
    let mut merged = versions.next().expect("a kind has a version");
    merged.spec.versions.extend(versions.flat_map(|version| version.spec.versions));
    for version in &mut merged.spec.versions {
        version.storage = version.name == STORED;
        version.additional_printer_columns = Some(columns::of(&merged.spec.names.kind, &version.name));
    }
    if N > 1 {
        merged.spec.conversion = Some(CustomResourceConversion {
            strategy: "Webhook".to_owned(),
            webhook: Some(WebhookConversion {
                client_config: Some(webhook.clone()),
                conversion_review_versions: vec!["v1".to_owned()],
            }),
        });
    }
    merged
}

/// Adds rules for whole objects to the schemas of some versions.
fn with_rules(
    mut definition: CustomResourceDefinition,
    versions: &[&str],
    rules: &[(&str, &str)],
) -> CustomResourceDefinition {
    let rules = rules.iter().map(|(rule, message)| ValidationRule {
        rule: (*rule).to_owned(),
        message: Some((*message).to_owned()),
        ..ValidationRule::default()
    });
    for version in definition.spec.versions.iter_mut().filter(|version| versions.contains(&&*version.name)) {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            schema.x_kubernetes_validations = Some(rules.clone().collect());
        }
    }
    definition
}
