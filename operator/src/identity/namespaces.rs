//! Copies the bundle of roots into every namespace with a meshed pod, where a sidecar that starts or connects again reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::Arc,
    time::Duration,
};

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Authorities, Copied,
    bundle::Turns,
    record,
    store::{self, BUNDLE},
};
use crate::index::Index;

/// Time in which changes are gathered.
const GATHER: Duration = Duration::from_millis(100);
/// Time after which a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Time after which everything is looked at even if nothing seems to have changed.
const IDLE: Duration = Duration::from_secs(60);

/// Keeps the copies.
pub struct Namespaces {
    client: Client,
    index: Arc<Index>,
    /// The operator's own, whose ConfigMap holds more than the bundle and is somebody else's.
    own: String,
}

/// The copies that there are: the bundle by namespace.
#[derive(Debug, Default)]
struct Copies {
    known: BTreeMap<String, String>,
    /// While a list is read: what it has had so far.
    listing: BTreeSet<String>,
    listed: bool,
}

impl Copies {
    fn apply(&mut self, event: Event<ConfigMap>) {
        let entry = |map: ConfigMap| {
            let bundle = map.data.as_ref().and_then(|data| data.get(record::BUNDLE)).cloned();
            (map.namespace().unwrap_or_default(), bundle.unwrap_or_default())
        };
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(map) => {
                let (namespace, bundle) = entry(map);
                self.listing.insert(namespace.clone());
                self.known.insert(namespace, bundle);
            }
            Event::InitDone => {
                let listing = std::mem::take(&mut self.listing);
                self.known.retain(|namespace, _| listing.contains(namespace));
                self.listed = true;
            }
            Event::Apply(map) => {
                let (namespace, bundle) = entry(map);
                self.known.insert(namespace, bundle);
            }
            Event::Delete(map) => {
                self.known.remove(&entry(map).0);
            }
        }
    }

    /// Namespaces whose copy is not `bundle`: those with a meshed pod, and those that once had one.
    fn stale(&self, meshed: BTreeSet<String>, own: &str, bundle: &str) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = meshed;
        all.extend(self.known.keys().cloned());
        all.retain(|namespace| namespace != own && self.known.get(namespace).is_none_or(|known| known != bundle));
        all
    }
}

impl Namespaces {
    /// Copies for those whom `index` has seen, but not into the namespace `own`.
    #[must_use]
    pub fn new(client: Client, index: Arc<Index>, own: String) -> Self {
        Self { client, index, own }
    }

    /// Keeps every copy equal to the newest bundle while this replica leads, until `shutdown`, and says in `copied` when all are.
    pub async fn run(
        self,
        authorities: Authorities,
        leads: watch::Receiver<bool>,
        copied: Copied,
        shutdown: CancellationToken,
    ) {
        let mut turns = Turns::new(authorities, leads);
        let run = async {
            while let Some(bundle) = turns.begin(&copied).await {
                tokio::select! {
                    () = self.follow(&bundle, &copied) => {}
                    () = turns.end(&bundle) => {}
                }
            }
        };
        tokio::select! {
            () = run => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn follow(&self, bundle: &Arc<str>, copied: &Copied) {
        let named = watcher::Config::default().fields(&format!("metadata.name={BUNDLE}"));
        let mut events = std::pin::pin!(watcher(Api::<ConfigMap>::all(self.client.clone()), named).default_backoff());
        let mut pods = self.index.changes();
        self.index.synced().await;
        let mut copies = Copies::default();
        let mut wake = tokio::time::Instant::now() + GATHER;
        loop {
            tokio::select! {
                event = events.try_next() => match event {
                    Ok(Some(event)) => {
                        copies.apply(event);
                        wake = wake.min(tokio::time::Instant::now() + GATHER);
                    }
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn Error, "Watch of the trust bundles failed, will be tried again");
                    }
                },
                changed = pods.changed() => {
                    if changed.is_err() { return }
                    wake = wake.min(tokio::time::Instant::now() + GATHER);
                }
                () = tokio::time::sleep_until(wake) => {
                    let done = copies.listed && self.copy(&mut copies, bundle).await;
                    if done {
                        copied.send_replace(Some(Arc::clone(bundle)));
                    }
                    wake = tokio::time::Instant::now() + if done { IDLE } else { AGAIN };
                }
            }
        }
    }

    /// Writes what is stale; `false` when something has to be tried again.
    async fn copy(&self, copies: &mut Copies, bundle: &str) -> bool {
        let meshed = self.index.read(|snapshot| {
            snapshot.pods.iter().filter(|(_, pod)| pod.meshed).map(|(name, _)| name.namespace.clone()).collect()
        });
        let data = BTreeMap::from([(record::BUNDLE.to_owned(), bundle.to_owned())]);
        let mut all = true;
        for namespace in copies.stale(meshed, &self.own, bundle) {
            let maps = Api::<ConfigMap>::namespaced(self.client.clone(), &namespace);
            match store::apply_map(&maps, &data).await {
                Ok(()) => {
                    tracing::info!(namespace, "Wrote the trust bundle");
                    copies.known.insert(namespace, bundle.to_owned());
                }
                // A namespace on its way out takes nothing new, one that is gone needs nothing, and in one where somebody made the
                // map immutable nobody can help: none of them may hold up a rotation. It is asked again with the next change.
                Err(kube::Error::Api(status)) if is_refusal(status.code) => {
                    tracing::warn!(namespace, error = %status.message, "A namespace does not take the trust bundle");
                }
                Err(error) => {
                    all = false;
                    tracing::warn!(namespace, error = &error as &dyn Error, "Could not write the trust bundle");
                }
            }
        }
        all
    }
}

/// Whether the API server would say the same again: 4xx, but for those that ask to come again.
fn is_refusal(code: u16) -> bool {
    (400..500).contains(&code) && !matches!(code, 401 | 408 | 409 | 429)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(namespace: &str, bundle: &str) -> ConfigMap {
        serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": namespace, "name": BUNDLE}, "data": {record::BUNDLE: bundle},
        }))
        .unwrap()
    }

    #[test]
    fn every_namespace_that_has_or_needs_a_copy_is_kept_up_to_date() {
        let mut copies = Copies::default();
        let stale = |copies: &Copies, meshed: &[&str]| {
            let meshed = meshed.iter().map(|namespace| (*namespace).to_owned()).collect();
            copies.stale(meshed, "weft-system", "new").into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(stale(&copies, &["shop", "weft-system"]), "shop", "not its own");
        copies.apply(Event::InitApply(map("shop", "new")));
        copies.apply(Event::InitApply(map("left", "old")));
        copies.apply(Event::InitApply(map("weft-system", "old")));
        copies.apply(Event::InitDone);
        assert_eq!(stale(&copies, &["shop"]), "left", "one that has no meshed pod any more as well");
        copies.apply(Event::Apply(map("shop", "changed by hand")));
        assert_eq!(stale(&copies, &["shop"]), "left shop");
        copies.apply(Event::Delete(map("shop", "")));
        copies.apply(Event::Delete(map("left", "")));
        assert_eq!(stale(&copies, &["shop"]), "shop", "one that was deleted comes back where it is needed");
        copies.apply(Event::Init);
        copies.apply(Event::InitApply(map("shop", "new")));
        copies.apply(Event::InitDone);
        assert_eq!(stale(&copies, &["shop"]), "");
    }
}
