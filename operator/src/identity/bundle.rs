//! Hands the bundle of roots to the API server: webhooks and aggregated APIs are called only by whom trusts them.

use std::{error::Error, sync::Arc, time::Duration};

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

use super::{Authorities, Authority};

/// The webhook configuration of `config/webhook`.
const INJECTOR: &str = "weft-injector";
/// The aggregated APIs of `config/apiservice`.
const API_SERVICES: [&str; 2] = ["v1alpha1.metrics.smi-spec.io", "v1alpha2.metrics.smi-spec.io"];
/// Time after which a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Where it is said which bundle all copies have.
pub type Copied = watch::Sender<Option<Arc<str>>>;

/// When there is a bundle to write: while this replica leads.
pub(super) struct Turns {
    authorities: Authorities,
    leads: watch::Receiver<bool>,
}

impl Turns {
    pub(super) fn new(authorities: Authorities, leads: watch::Receiver<bool>) -> Self {
        Self { authorities, leads }
    }

    /// Waits for a turn. `None`: there will be no more.
    pub(super) async fn begin(&mut self, copied: &Copied) -> Option<Arc<str>> {
        loop {
            let known = self.authorities.borrow_and_update().as_ref().map(|authority| Arc::clone(&authority.bundle));
            if let Some(bundle) = known.filter(|_| *self.leads.borrow_and_update()) {
                return Some(bundle);
            }
            // Another replica leads, and may write something else.
            copied.send_replace(None);
            tokio::select! {
                changed = self.authorities.changed() => changed.ok()?,
                changed = self.leads.changed() => changed.ok()?,
            }
        }
    }

    /// Waits until the turn with `bundle` is over.
    pub(super) async fn end(&mut self, bundle: &Arc<str>) {
        let is_other = |newest: &Option<Arc<Authority>>| newest.as_ref().is_some_and(|it| it.bundle != *bundle);
        // Those who send are gone only when everything ends.
        tokio::select! {
            _ = self.authorities.wait_for(is_other) => {}
            _ = self.leads.wait_for(|leads| !*leads) => {}
        }
    }
}

/// Keeps the bundle of `config`'s webhook and APIServices equal to the newest while this replica leads, and says in `copied` when
/// they are.
pub async fn publish(
    client: Client,
    authorities: Authorities,
    leads: watch::Receiver<bool>,
    copied: Copied,
    shutdown: CancellationToken,
) {
    let mut turns = Turns::new(authorities, leads);
    let run = async {
        while let Some(bundle) = turns.begin(&copied).await {
            tokio::select! {
                () = follow(&client, &bundle, &copied) => {}
                () = turns.end(&bundle) => {}
            }
        }
    };
    tokio::select! {
        () = run => {}
        () = shutdown.cancelled() => {}
    }
}

/// Mends what is stale until something cannot be mended; then it waits, and the caller begins anew.
async fn follow(client: &Client, bundle: &Arc<str>, copied: &Copied) {
    let encoded = STANDARD.encode(bundle.as_bytes());
    match everywhere(client, &encoded).await {
        Ok(()) => {
            copied.send_replace(Some(Arc::clone(bundle)));
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "Could not write the certificate bundle");
            tokio::time::sleep(AGAIN).await;
            return;
        }
    }
    let mut seen = std::pin::pin!(seen(client.clone(), &encoded));
    while let Some(stale) = seen.next().await {
        let name = stale.name.clone();
        if let Err(error) = mend(client, stale, &encoded).await {
            tracing::warn!(name, error = &error as &dyn Error, "Could not write the certificate bundle");
            break;
        }
    }
    tokio::time::sleep(AGAIN).await;
}

/// Looks at each object once. One that does not exist needs no bundle.
async fn everywhere(client: &Client, bundle: &str) -> kube::Result<()> {
    if let Some(webhook) = Api::<MutatingWebhookConfiguration>::all(client.clone()).get_opt(INJECTOR).await? {
        mend(client, Stale::of_webhook(&webhook, bundle), bundle).await?;
    }
    for name in API_SERVICES {
        if let Some(service) = Api::<APIService>::all(client.clone()).get_opt(name).await? {
            mend(client, Stale::of_service(&service, bundle), bundle).await?;
        }
    }
    Ok(())
}

/// An object, and where it has another bundle.
struct Stale {
    kind: StaleKind,
    name: String,
    paths: Vec<PointerBuf>,
}

enum StaleKind {
    Webhook,
    ApiService,
}

impl Stale {
    fn of_webhook(object: &MutatingWebhookConfiguration, bundle: &str) -> Self {
        let webhooks = object.webhooks.iter().flatten().enumerate();
        let paths = webhooks
            .filter(|(_, webhook)| differs(webhook.client_config.ca_bundle.as_ref(), bundle))
            .map(|(index, _)| PointerBuf::from_tokens(["webhooks", &index.to_string(), "clientConfig", "caBundle"]))
            .collect();
        Self { kind: StaleKind::Webhook, name: object.name_any(), paths }
    }

    fn of_service(object: &APIService, bundle: &str) -> Self {
        let stale = differs(object.spec.as_ref().and_then(|spec| spec.ca_bundle.as_ref()), bundle);
        let paths = stale.then(|| PointerBuf::from_tokens(["spec", "caBundle"])).into_iter().collect();
        Self { kind: StaleKind::ApiService, name: object.name_any(), paths }
    }
}

fn differs(known: Option<&ByteString>, bundle: &str) -> bool {
    known.is_none_or(|known| STANDARD.encode(&known.0) != bundle)
}

/// Every object, whenever one is seen.
fn seen<'a>(client: Client, bundle: &'a str) -> impl Stream<Item = Stale> + 'a {
    let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let webhooks = watcher(Api::<MutatingWebhookConfiguration>::all(client.clone()), named(INJECTOR))
        .default_backoff()
        .applied_objects()
        .map_ok(move |object| Stale::of_webhook(&object, bundle))
        .boxed();
    let services = stream::select_all(API_SERVICES.map(|name| {
        watcher(Api::<APIService>::all(client.clone()), named(name)).default_backoff().applied_objects().boxed()
    }))
    .map_ok(move |object| Stale::of_service(&object, bundle))
    .boxed();
    stream::select(webhooks, services).filter_map(async |event| match event {
        Ok(stale) => Some(stale),
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "Watch of a bundle failed, will be tried again");
            None
        }
    })
}

async fn mend(client: &Client, stale: Stale, bundle: &str) -> kube::Result<()> {
    if stale.paths.is_empty() {
        return Ok(());
    }
    let add = |path| PatchOperation::Add(AddOperation { path, value: bundle.into() });
    let patch = Patch::<()>::Json(JsonPatch(stale.paths.into_iter().map(add).collect()));
    let (name, params) = (&stale.name, PatchParams::default());
    match stale.kind {
        StaleKind::Webhook => {
            Api::<MutatingWebhookConfiguration>::all(client.clone()).patch(name, &params, &patch).await.map(drop)?;
        }
        StaleKind::ApiService => {
            Api::<APIService>::all(client.clone()).patch(name, &params, &patch).await.map(drop)?;
        }
    }
    tracing::info!(name, "Wrote the certificate bundle");
    Ok(())
}
