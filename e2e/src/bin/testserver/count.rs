//! Who asked for what, how often.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

/// Counts of requests since the start, without those that ask for the counts or for readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    /// Of all.
    pub(crate) total: u64,
    /// By path; the name of the protocol where there is none.
    pub(crate) by_path: BTreeMap<String, u64>,
    /// By what the header `x-caller` says, else by address.
    pub(crate) by_caller: BTreeMap<String, u64>,
}

/// The counts that all ports write to.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Totals>);

impl Counts {
    /// Notes one request.
    pub(crate) fn note(&self, path: &str, caller: &str) {
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.total += 1;
        *totals.by_path.entry(path.to_owned()).or_default() += 1;
        *totals.by_caller.entry(caller.to_owned()).or_default() += 1;
    }

    /// The counts as they are now.
    pub(crate) fn now(&self) -> Totals {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_path_and_by_caller() {
        let counts = Counts::default();
        for (path, caller) in [("/", "a"), ("/", "b"), ("/x", "a")] {
            counts.note(path, caller);
        }
        let count = |of: &BTreeMap<String, u64>, key: &str| of.get(key).copied();
        let totals = counts.now();
        assert_eq!(totals.total, 3);
        assert_eq!((count(&totals.by_path, "/"), count(&totals.by_path, "/x")), (Some(2), Some(1)));
        assert_eq!((count(&totals.by_caller, "a"), count(&totals.by_caller, "b")), (Some(2), Some(1)));
    }
}
