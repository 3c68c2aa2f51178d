//! Somebody else who watches TrafficSplits: what the API server itself takes to tell of an edit.

use std::{collections::HashMap, time::Instant};

use anyhow::Result;
use futures::TryStreamExt;
use kube::{
    Api, ResourceExt,
    runtime::watcher::{self, Event, watcher},
};
use smi_crds::split::v1alpha4::TrafficSplit;
use tokio::sync::watch;

/// Namespace and name.
type Key = (String, String);
/// The weight of a split's first backend, and when it was heard of.
type Seen = (u32, Instant);

/// A watch over all TrafficSplits, until it is dropped.
pub(super) struct Bystander {
    seen: watch::Receiver<HashMap<Key, Seen>>,
    _watching: tokio_util::task::AbortOnDropHandle<watcher::Result<()>>,
}

impl Bystander {
    /// Starts to watch.
    pub(super) fn start(splits: Api<TrafficSplit>) -> Self {
        let (sender, seen) = watch::channel(HashMap::new());
        let watching = async move {
            watcher(splits, watcher::Config::default())
                .try_for_each(async |event| {
                    let (Event::Apply(split) | Event::InitApply(split)) = event else { return Ok(()) };
                    let weight = split.spec.backends.first().map_or(0, |backend| backend.weight);
                    let key = (split.namespace().unwrap_or_default(), split.name_any());
                    sender.send_modify(|seen| {
                        seen.insert(key, (weight, Instant::now()));
                    });
                    Ok(())
                })
                .await
        };
        Self { seen, _watching: tokio_util::task::AbortOnDropHandle::new(tokio::spawn(watching)) }
    }

    /// When it heard that the first backend has this weight.
    pub(super) async fn heard(&self, namespace: &str, name: &str, weight: u32) -> Result<Instant> {
        let key = (namespace.to_owned(), name.to_owned());
        let mut seen = self.seen.clone();
        let heard = |seen: &HashMap<Key, Seen>| seen.get(&key).filter(|seen| seen.0 == weight).map(|seen| seen.1);
        let seen = seen.wait_for(|seen| heard(seen).is_some()).await?;
        heard(&seen).ok_or_else(|| anyhow::anyhow!("{name} is gone"))
    }
}
