//! `weft check`: is Weft installed, and does it work?

mod assess;
mod identity;
mod sidecars;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::Result;
use futures::future::{BoxFuture, FutureExt, join_all};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, WebhookClientConfig,
};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{Api, Client};
use serde::Serialize;

use crate::arguments::Cluster;
use crate::connection::connect;
use crate::outcome::Outcome;
use crate::output::{Format, Row, render};

/// Namespace of Weft's own parts.
pub(crate) const NAMESPACE: &str = "weft-system";

/// Deployment of the operator, in [`NAMESPACE`].
pub(crate) const OPERATOR: &str = "weft-operator";

/// Configuration of the webhook that adds the sidecar to pods.
const INJECTOR: &str = "weft-injector";

/// The TrafficMetrics APIs that the operator serves.
const API_SERVICES: [&str; 2] = ["v1alpha1.metrics.smi-spec.io", "v1alpha2.metrics.smi-spec.io"];

/// One thing that was checked.
#[derive(Debug, PartialEq, Serialize)]
struct Check {
    /// What should be so.
    check: String,
    /// Whether it is so.
    state: Outcome,
    /// What was seen.
    found: String,
    /// What to do about it; empty when there is nothing to do.
    advice: String,
}

impl Row for Check {
    const HEADINGS: &'static [&'static str] = &["CHECK", "STATE", "FOUND", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        vec![self.check.clone(), self.state.to_string(), self.found.clone(), self.advice.clone()]
    }
}

/// What to print, and whether all is well.
///
/// Fails when there is no cluster to look at.
pub(crate) async fn check(cluster: &Cluster, format: Format) -> Result<(String, Outcome)> {
    let (client, server) = connect(cluster).await?;
    let mut checks = vec![Check {
        check: "API server reachable".to_owned(),
        state: Outcome::Yes,
        found: format!("Kubernetes {}", server.git_version),
        advice: String::new(),
    }];
    checks.extend(join_all(installation(&client)).await.into_iter().flatten());
    let outcome = Outcome::all(checks.iter().map(|check| check.state));
    Ok((render(&checks, format)?, outcome))
}

/// All questions about the installation, each of which gives one row or more, in the order of the table.
fn installation(client: &Client) -> Vec<BoxFuture<'static, Vec<Check>>> {
    let mut questions = Vec::new();
    for definition in smi_crds::definitions(&WebhookClientConfig::default()) {
        let name = definition.metadata.name.unwrap_or_default();
        let versions: BTreeSet<String> = definition.spec.versions.into_iter().map(|version| version.name).collect();
        let api: Api<CustomResourceDefinition> = Api::all(client.clone());
        questions.push(
            async move {
                let installed = api.get_opt(&name).await;
                versions.iter().map(|version| assess::definition(&name, version, &installed)).collect()
            }
            .boxed(),
        );
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    questions.push(async move { vec![assess::namespace(&namespaces.get_opt(NAMESPACE).await)] }.boxed());

    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    questions.push(async move { vec![assess::operator(&deployments.get_opt(OPERATOR).await)] }.boxed());

    let webhooks: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    questions.push(async move { vec![assess::injector(&webhooks.get_opt(INJECTOR).await)] }.boxed());

    for name in API_SERVICES {
        let services: Api<APIService> = Api::all(client.clone());
        questions.push(async move { vec![assess::api_service(name, &services.get_opt(name).await)] }.boxed());
    }
    let records: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    questions.push(
        async move { identity::assess_record(&records.get_opt(identity::RECORD).await, Timestamp::now()) }.boxed(),
    );
    let pods = Api::all(client.clone());
    questions.push(async move { vec![sidecars::assess(&sidecars::count(&pods).await)] }.boxed());
    questions
}
