//! What the watches on the SMI kinds have in common.

use std::{fmt::Debug, marker::PhantomData};

use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Concern, DecodeError, Index, Kind, Said, Stored};
use crate::model::{ObjectRef, SmiKind, Snapshot, Unreadable};

/// How objects of one SMI kind stand in the snapshot.
pub trait SmiObject: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static {
    /// What the snapshot holds of an object.
    type Part;
    /// Which kind it is.
    const KIND: SmiKind;
    /// What may be judged otherwise when an object of this kind changes.
    const CONCERNS: &'static [Concern];

    /// Whether the snapshot holds this very object; `false` where that is not cheaper to tell than `part`.
    fn is_known(&self, _: &Snapshot, _: &ObjectRef) -> bool {
        false
    }
    /// What the snapshot holds of this object. This may take long.
    ///
    /// # Errors
    /// When the object cannot mean anything.
    fn part(&self) -> Result<Self::Part, DecodeError>;
    /// Puts what it holds of an object into the snapshot; `false` when that changed nothing.
    fn put(snapshot: &mut Snapshot, name: &ObjectRef, part: Self::Part) -> bool;
    /// Takes an object out of the snapshot; `false` when it was not there.
    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool;
    /// Names of this kind in the snapshot.
    fn names(snapshot: &Snapshot) -> Vec<ObjectRef>;
}

/// Objects of one SMI kind in all namespaces. One that cannot be read does not stop the others.
#[derive(Debug)]
pub struct Smi<K>(PhantomData<K>);

impl<K: SmiObject> Kind for Smi<K> {
    type Object = Stored<K>;
    type Key = ObjectRef;

    const CONCERNS: &'static [Concern] = K::CONCERNS;

    fn key(object: &Stored<K>) -> Option<ObjectRef> {
        Some(ObjectRef { kind: K::KIND, namespace: object.namespace()?, name: object.name_any() })
    }

    fn namespace(key: &ObjectRef) -> &str {
        &key.namespace
    }

    fn apply(snapshot: &mut Snapshot, key: &ObjectRef, stored: &Stored<K>) -> bool {
        !is_known(snapshot, key, stored) && settle(snapshot, key, stored, part(stored))
    }

    /// Writes of a status, Weft's own among them, change no part; and while a part is made nobody waits.
    fn bring(index: &Index, key: &ObjectRef, stored: &Stored<K>) {
        if index.read(|snapshot| is_known(snapshot, key, stored)) {
            return;
        }
        let part = part(stored);
        index.change(Self::namespace(key), Self::CONCERNS, |snapshot| settle(snapshot, key, stored, part));
    }

    fn remove(snapshot: &mut Snapshot, key: &ObjectRef) -> bool {
        let was_unreadable = snapshot.unreadable.remove(key).is_some();
        K::take(snapshot, key) || was_unreadable
    }

    fn keys(snapshot: &Snapshot) -> Vec<ObjectRef> {
        let mut names = K::names(snapshot);
        names.extend(snapshot.unreadable.keys().filter(|name| name.kind == K::KIND).cloned());
        names
    }

    fn object_ref(key: &ObjectRef) -> Option<ObjectRef> {
        Some(key.clone())
    }

    fn said(stored: &Stored<K>) -> Option<Said> {
        Some(Said {
            uid: stored.uid().unwrap_or_default(),
            version: stored.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default(),
            status: stored.status.clone(),
        })
    }
}

fn is_known<K: SmiObject>(snapshot: &Snapshot, key: &ObjectRef, stored: &Stored<K>) -> bool {
    stored.object.as_ref().is_ok_and(|object| object.is_known(snapshot, key))
}

fn part<K: SmiObject>(stored: &Stored<K>) -> Result<K::Part, DecodeError> {
    stored.object.as_ref().map_err(Clone::clone).and_then(K::part)
}

fn settle<K: SmiObject>(
    snapshot: &mut Snapshot,
    key: &ObjectRef,
    stored: &Stored<K>,
    part: Result<K::Part, DecodeError>,
) -> bool {
    match part {
        Ok(part) => {
            let was_unreadable = snapshot.unreadable.remove(key).is_some();
            K::put(snapshot, key, part) || was_unreadable
        }
        Err(error) => {
            let (uid, generation) = identity(stored);
            let unreadable = Unreadable { uid, generation, field: error.field.clone(), error: error.error.clone() };
            if snapshot.unreadable.get(key) == Some(&unreadable) {
                return false;
            }
            tracing::warn!(object = %key, error = &error as &dyn std::error::Error, "Ignored an object that cannot be read");
            K::take(snapshot, key);
            snapshot.unreadable.insert(key.clone(), unreadable);
            true
        }
    }
}

/// `metadata.uid` and `metadata.generation`.
pub(super) fn identity(object: &impl ResourceExt) -> (String, i64) {
    (object.uid().unwrap_or_default(), object.meta().generation.unwrap_or_default())
}

/// Puts `value` into one of the snapshot's maps; `false` when it was there already.
pub(super) fn put<V: PartialEq>(
    map: &mut std::collections::BTreeMap<ObjectRef, V>,
    name: &ObjectRef,
    value: V,
) -> bool {
    if map.get(name) == Some(&value) {
        return false;
    }
    map.insert(name.clone(), value);
    true
}
