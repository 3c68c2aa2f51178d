//! What the status of each SMI object says, and which objects have to be judged anew.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use smi_crds::SmiStatus;
use tokio::sync::watch;

use crate::model::{ObjectRef, SmiKind};

/// The status of an object, as the API server has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// `metadata.uid` of the object.
    pub uid: String,
    /// `metadata.resourceVersion`: of two states of an object the newer has the greater one.
    pub version: u64,
    /// What it says.
    pub status: SmiStatus,
}

/// Objects that may be judged otherwise when another changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Those of a kind in the changed object's namespace.
    Here(SmiKind),
    /// Those of a kind in every namespace.
    Everywhere(SmiKind),
}

/// Objects that have to be judged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unjudged {
    /// All of a kind in a namespace, or in every namespace.
    pub all_of: BTreeSet<(SmiKind, Option<String>)>,
    /// Single ones: somebody changed their status.
    pub objects: BTreeSet<ObjectRef>,
}

impl Unjudged {
    /// Nothing has to be judged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all_of.is_empty() && self.objects.is_empty()
    }
}

/// The statuses of all SMI objects.
#[derive(Debug, Default)]
pub struct Statuses {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    said: HashMap<ObjectRef, Said>,
    unjudged: Unjudged,
}

impl Statuses {
    /// A receiver that is notified when something has to be judged.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// What has to be judged since the last call.
    pub fn take_unjudged(&self) -> Unjudged {
        std::mem::take(&mut self.locked().unjudged)
    }

    /// What an object's status says.
    pub fn said(&self, name: &ObjectRef) -> Option<Said> {
        self.locked().said.get(name).cloned()
    }

    /// Something changed that concerns objects.
    pub(super) fn concern(&self, namespace: &str, concerns: &[Concern]) {
        let scopes = concerns.iter().map(|concern| match concern {
            Concern::Here(kind) => (*kind, Some(namespace.to_owned())),
            Concern::Everywhere(kind) => (*kind, None),
        });
        self.locked().unjudged.all_of.extend(scopes);
        self.notify();
    }

    /// An object has this status.
    pub(super) fn note(&self, name: ObjectRef, said: Said) {
        let mut state = self.locked();
        let new = state.said.get(&name).is_none_or(|known| known.status != said.status || known.uid != said.uid);
        if new {
            state.unjudged.objects.insert(name.clone());
        }
        state.said.insert(name, said);
        drop(state);
        if new {
            self.notify();
        }
    }

    /// An object is gone.
    pub(super) fn forget(&self, name: &ObjectRef) {
        let mut state = self.locked();
        state.said.remove(name);
        // Where nobody judges, as in a replica that never leads, nobody else takes it out.
        state.unjudged.objects.remove(name);
    }

    fn notify(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_says_the_same_is_nothing_to_judge() {
        let statuses = Statuses::default();
        let name = ObjectRef::new(SmiKind::TcpRoute, "shop", "db");
        let said = |version, generation| Said {
            uid: "1".to_owned(),
            version,
            status: SmiStatus { observed_generation: Some(generation), ..SmiStatus::default() },
        };
        for (case, next, want) in
            [("new", said(1, 1), true), ("the same, later", said(2, 1), false), ("another", said(3, 2), true)]
        {
            statuses.note(name.clone(), next);
            assert_eq!(!statuses.take_unjudged().is_empty(), want, "{case}");
        }
        assert_eq!(statuses.said(&name).map(|said| said.version), Some(3));
        statuses.note(name.clone(), said(4, 3));
        statuses.forget(&name);
        assert_eq!(statuses.said(&name), None);
        assert_eq!(statuses.take_unjudged(), Unjudged::default(), "nothing is left of what is gone, judged or not");
    }
}
