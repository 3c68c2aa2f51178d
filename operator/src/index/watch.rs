//! One watch: follows a kind and keeps its part of the snapshot equal to what the API server has.

use std::{collections::BTreeSet, error::Error, fmt::Debug};

use futures::TryStreamExt;
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{Concern, Index, Said};
use crate::model::{ObjectRef, Snapshot};

/// How objects of one kind stand in the snapshot.
pub trait Kind: Send + 'static {
    /// The Kubernetes type.
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static;
    /// What names an object in the snapshot.
    type Key: Ord + Clone + Send;
    /// What may be judged otherwise when an object of this kind changes.
    const CONCERNS: &'static [Concern];

    /// The key of an object; `None` for one that the mesh has no use for.
    fn key(object: &Self::Object) -> Option<Self::Key>;
    /// Namespace of a key.
    fn namespace(key: &Self::Key) -> &str;
    /// Puts an object into the snapshot; `false` when that changed nothing.
    fn apply(snapshot: &mut Snapshot, key: &Self::Key, object: &Self::Object) -> bool;
    /// Takes an object out of the snapshot; `false` when it was not there.
    fn remove(snapshot: &mut Snapshot, key: &Self::Key) -> bool;
    /// Keys of this kind in the snapshot.
    fn keys(snapshot: &Snapshot) -> Vec<Self::Key>;

    /// Puts an object into the index.
    fn bring(index: &Index, key: &Self::Key, object: &Self::Object) {
        index.change(Self::namespace(key), Self::CONCERNS, |snapshot| Self::apply(snapshot, key, object));
    }

    /// The SMI object that a key names; `None` for every other kind.
    fn object_ref(_: &Self::Key) -> Option<ObjectRef> {
        None
    }

    /// What the status of an SMI object says; `None` for every other kind.
    fn said(_: &Self::Object) -> Option<Said> {
        None
    }
}

/// Follows `K` until `shutdown`. While the API server is away the snapshot stays as it is; once it is back, what is gone is
/// taken out only after the whole new list has been read.
pub async fn run<K: Kind>(client: Client, index: &Index, shutdown: CancellationToken) {
    let kind = K::Object::kind(&());
    let events = watcher(Api::<K::Object>::all(client), watcher::Config::default()).default_backoff();
    tokio::pin!(events);
    let mut listing: BTreeSet<K::Key> = BTreeSet::new();
    let mut listed = false;
    loop {
        let event = tokio::select! {
            event = events.try_next() => event,
            () = shutdown.cancelled() => return,
        };
        match event {
            Ok(Some(Event::Init)) => listing.clear(),
            Ok(Some(Event::InitApply(object))) => listing.extend(apply::<K>(index, &object)),
            Ok(Some(Event::InitDone)) => {
                for key in index.read(K::keys) {
                    if !listing.contains(&key) {
                        remove::<K>(index, &key);
                    }
                }
                listing.clear();
                if !listed {
                    listed = true;
                    index.note_listed();
                    tracing::info!(%kind, "Listed");
                }
            }
            Ok(Some(Event::Apply(object))) => {
                apply::<K>(index, &object);
            }
            Ok(Some(Event::Delete(object))) => {
                if let Some(key) = K::key(&object) {
                    remove::<K>(index, &key);
                }
            }
            Ok(None) => return,
            Err(error) => tracing::warn!(%kind, error = &error as &dyn Error, "Watch failed, will be tried again"),
        }
    }
}

/// An object is as it is here.
pub(crate) fn apply<K: Kind>(index: &Index, object: &K::Object) -> Option<K::Key> {
    let key = K::key(object)?;
    if let (Some(name), Some(said)) = (K::object_ref(&key), K::said(object)) {
        index.statuses().note(name, said);
    }
    K::bring(index, &key, object);
    Some(key)
}

/// An object is gone.
pub(crate) fn remove<K: Kind>(index: &Index, key: &K::Key) {
    index.change(K::namespace(key), K::CONCERNS, |snapshot| K::remove(snapshot, key));
    if let Some(name) = K::object_ref(key) {
        index.statuses().forget(&name);
    }
}
