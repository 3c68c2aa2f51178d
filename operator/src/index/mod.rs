//! From watches on the API server to a `Snapshot` that is always up to date. One file per watched kind.

mod access;
mod endpoint_slice;
mod http_route_group;
mod pod;
mod port_route;
mod said;
mod service;
mod smi;
mod stored;
mod traffic_split;
mod watch;

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::watch as channel;

use crate::model::Snapshot;

pub(crate) use http_route_group::conditions;
pub use said::{Concern, Said, Statuses, Unjudged};
pub use smi::{Smi, SmiObject};
pub use stored::{DecodeError, Stored};
pub use watch::{Kind, run};
#[cfg(test)]
pub(crate) use watch::{apply, remove};
pub use {endpoint_slice::EndpointSlices, pod::Pods, service::Services};

/// The observed cluster, shared by those who watch it and those who compile from it.
#[derive(Debug)]
pub struct Index {
    state: RwLock<State>,
    statuses: Statuses,
    /// Counts changes.
    revision: channel::Sender<u64>,
    /// How many kinds have been listed once.
    listed: channel::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    snapshot: Snapshot,
    dirty: BTreeSet<String>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            statuses: Statuses::default(),
            revision: channel::Sender::new(0),
            listed: channel::Sender::new(0),
        }
    }
}

impl Index {
    /// How many kinds are watched: all have to be listed before anything is compiled.
    pub const KINDS: usize = 9;

    /// Calls `read` with the cluster as it is now. Keep it short: changes wait for it.
    pub fn read<T>(&self, read: impl FnOnce(&Snapshot) -> T) -> T {
        read(&self.locked().snapshot)
    }

    /// Namespaces in which something changed since the last call.
    pub fn take_dirty(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.state.write().unwrap_or_else(PoisonError::into_inner).dirty)
    }

    /// A receiver that is notified of every change.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Every kind has been listed once.
    pub fn is_synced(&self) -> bool {
        *self.listed.borrow() >= Self::KINDS
    }

    /// Waits until every kind has been listed once.
    pub async fn synced(&self) {
        let mut listed = self.listed.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        let _listed = listed.wait_for(|listed| *listed >= Self::KINDS).await;
    }

    /// What is said of the SMI objects, and which of them have to be judged anew.
    pub fn statuses(&self) -> &Statuses {
        &self.statuses
    }

    /// Changes the snapshot in a namespace; `change` returns whether it did, in a way that is of `concern` to others.
    pub fn change(&self, namespace: &str, concerns: &[Concern], change: impl FnOnce(&mut Snapshot) -> bool) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if change(&mut state.snapshot) {
            if !state.dirty.contains(namespace) {
                state.dirty.insert(namespace.to_owned());
            }
            drop(state);
            self.statuses.concern(namespace, concerns);
            self.revision.send_modify(|revision| *revision += 1);
        }
    }

    fn note_listed(&self) {
        self.listed.send_modify(|listed| *listed += 1);
    }

    /// Makes the index one that has been read.
    #[cfg(test)]
    pub(crate) fn pretend_listed(&self) {
        (0..Self::KINDS).for_each(|_| self.note_listed());
    }

    // A panic while the lock was held left at worst one object half replaced; the next event of it mends that.
    fn locked(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}
