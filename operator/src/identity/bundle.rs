//! Hands the authority's certificate to the API server: webhooks and aggregated APIs are called only by whom trusts them.

use std::{error::Error, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use json_patch::{AddOperation, Patch as JsonPatch, PatchOperation, jsonptr::PointerBuf};
use k8s_openapi::{
    ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The webhook configuration of `config/webhook`.
const INJECTOR: &str = "weft-injector";
/// The aggregated APIs of `config/apiservice`.
const API_SERVICES: [&str; 2] = ["v1alpha1.metrics.smi-spec.io", "v1alpha2.metrics.smi-spec.io"];
/// Time after which a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Keeps the bundle of `config`'s webhook and APIServices equal to `certificate` (PEM) while this replica leads.
pub async fn publish(client: Client, certificate: &str, mut leads: watch::Receiver<bool>, shutdown: CancellationToken) {
    let bundle = STANDARD.encode(certificate);
    loop {
        tokio::select! {
            waited = leads.wait_for(|leads| *leads) => if waited.is_err() { return },
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = follow(&client, &bundle) => {}
            waited = leads.wait_for(|leads| !*leads) => if waited.is_err() { return },
            () = shutdown.cancelled() => return,
        }
    }
}

/// Mends what is stale until something cannot be mended; then it waits, and the caller begins anew.
async fn follow(client: &Client, bundle: &str) {
    let mut stale = std::pin::pin!(stale(client.clone(), bundle));
    while let Some(stale) = stale.next().await {
        let name = stale.name.clone();
        match mend(client, stale, bundle).await {
            Ok(()) => tracing::info!(name, "Wrote the certificate bundle"),
            Err(error) => {
                tracing::warn!(name, error = &error as &dyn Error, "Could not write the certificate bundle");
                break;
            }
        }
    }
    tokio::time::sleep(AGAIN).await;
}

/// An object with another bundle, and where it has to stand.
struct Stale {
    kind: StaleKind,
    name: String,
    paths: Vec<PointerBuf>,
}

enum StaleKind {
    Webhook,
    ApiService,
}

/// Every object whose bundle is not `bundle`, whenever one is seen.
fn stale<'a>(client: Client, bundle: &'a str) -> impl Stream<Item = Stale> + 'a {
    let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let differs = move |known: Option<&ByteString>| known.is_none_or(|known| STANDARD.encode(&known.0) != bundle);
    let webhooks = watcher(Api::<MutatingWebhookConfiguration>::all(client.clone()), named(INJECTOR))
        .default_backoff()
        .applied_objects()
        .map_ok(move |object| Stale {
            kind: StaleKind::Webhook,
            name: object.name_any(),
            paths: object
                .webhooks
                .iter()
                .flatten()
                .enumerate()
                .filter(|(_, webhook)| differs(webhook.client_config.ca_bundle.as_ref()))
                .map(|(index, _)| PointerBuf::from_tokens(["webhooks", &index.to_string(), "clientConfig", "caBundle"]))
                .collect(),
        })
        .boxed();
    let services = stream::select_all(API_SERVICES.map(|name| {
        watcher(Api::<APIService>::all(client.clone()), named(name)).default_backoff().applied_objects().boxed()
    }))
    .map_ok(move |object| {
        let stale = differs(object.spec.as_ref().and_then(|spec| spec.ca_bundle.as_ref()));
        Stale {
            kind: StaleKind::ApiService,
            name: object.name_any(),
            paths: stale.then(|| PointerBuf::from_tokens(["spec", "caBundle"])).into_iter().collect(),
        }
    })
    .boxed();
    stream::select(webhooks, services).filter_map(async |event| match event {
        Ok(stale) => (!stale.paths.is_empty()).then_some(stale),
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "Watch of a bundle failed, will be tried again");
            None
        }
    })
}

async fn mend(client: &Client, stale: Stale, bundle: &str) -> kube::Result<()> {
    let add = |path| PatchOperation::Add(AddOperation { path, value: bundle.into() });
    let patch = Patch::<()>::Json(JsonPatch(stale.paths.into_iter().map(add).collect()));
    let (name, params) = (&stale.name, PatchParams::default());
    match stale.kind {
        StaleKind::Webhook => {
            Api::<MutatingWebhookConfiguration>::all(client.clone()).patch(name, &params, &patch).await.map(drop)
        }
        StaleKind::ApiService => Api::<APIService>::all(client.clone()).patch(name, &params, &patch).await.map(drop),
    }
}
