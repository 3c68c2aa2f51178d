//! Hands the bundle of roots to the API server: webhooks, conversion and aggregated APIs are called only by whom trusts them.

mod holder;

use std::{error::Error, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use json_patch::{AddOperation, Patch as JsonPatch, PatchOperation, jsonptr::PointerBuf};
use k8s_openapi::{
    api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Authorities, Authority};
use holder::Holder;

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

/// Keeps the bundle of `config`'s webhooks, CustomResourceDefinitions and APIServices equal to the newest while this replica leads, and says in `copied` when
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

/// Looks at each object once.
async fn everywhere(client: &Client, bundle: &str) -> kube::Result<()> {
    each::<MutatingWebhookConfiguration>(client, bundle).await?;
    each::<ValidatingWebhookConfiguration>(client, bundle).await?;
    each::<CustomResourceDefinition>(client, bundle).await?;
    each::<APIService>(client, bundle).await
}

/// One that does not exist needs no bundle.
async fn each<K: Holder>(client: &Client, bundle: &str) -> kube::Result<()> {
    for name in K::NAMES {
        if let Some(object) = Api::<K>::all(client.clone()).get_opt(name).await? {
            mend(client, Stale::of(&object, bundle), bundle).await?;
        }
    }
    Ok(())
}

/// An object, and where it has another bundle.
struct Stale {
    resource: ApiResource,
    name: String,
    paths: Vec<PointerBuf>,
}

impl Stale {
    fn of<K: Holder>(object: &K, bundle: &str) -> Self {
        let is_stale =
            |known: Option<&k8s_openapi::ByteString>| known.is_none_or(|known| STANDARD.encode(&known.0) != bundle);
        let stale = object.bundles().into_iter().filter(|(_, known)| is_stale(*known));
        let paths = stale.map(|(path, _)| path).collect();
        Self { resource: ApiResource::erase::<K>(&()), name: object.name_any(), paths }
    }
}

/// Every object, whenever one is seen.
fn seen<'a>(client: Client, bundle: &'a str) -> impl Stream<Item = Stale> + 'a {
    let kinds = [
        watched::<MutatingWebhookConfiguration>(&client, bundle),
        watched::<ValidatingWebhookConfiguration>(&client, bundle),
        watched::<CustomResourceDefinition>(&client, bundle),
        watched::<APIService>(&client, bundle),
    ];
    stream::select_all(kinds).filter_map(async |event| match event {
        Ok(stale) => Some(stale),
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "Watch of a bundle failed, will be tried again");
            None
        }
    })
}

/// One watch for each name: no other object of the kind is anybody's business here.
fn watched<'a, K: Holder>(client: &Client, bundle: &'a str) -> BoxStream<'a, watcher::Result<Stale>> {
    let watches = K::NAMES.iter().map(|name| {
        let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
        watcher(Api::<K>::all(client.clone()), named).default_backoff().applied_objects().boxed()
    });
    stream::select_all(watches).map_ok(move |object| Stale::of(&object, bundle)).boxed()
}

async fn mend(client: &Client, stale: Stale, bundle: &str) -> kube::Result<()> {
    let Stale { resource, name, paths } = stale;
    if paths.is_empty() {
        return Ok(());
    }
    // `add` replaces what is there; where a parent is missing it fails, and the object is looked at again.
    let add = |path| PatchOperation::Add(AddOperation { path, value: bundle.into() });
    let patch = Patch::<()>::Json(JsonPatch(paths.into_iter().map(add).collect()));
    let objects = Api::<DynamicObject>::all_with(client.clone(), &resource);
    objects.patch(&name, &PatchParams::default(), &patch).await?;
    tracing::info!(kind = resource.kind, name, "Wrote the certificate bundle");
    Ok(())
}
