//! How often a status was written, for Prometheus.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
};

use crate::model::SmiKind;

/// Counts since the process started.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<SmiKind, u64>>);

impl Counts {
    /// The status of an object of this kind was written.
    pub(super) fn wrote(&self, kind: SmiKind) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = "# HELP weft_status_writes_total Writes of statuses of SMI objects.\n\
                        # TYPE weft_status_writes_total counter\n"
            .to_owned();
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in SmiKind::ALL {
            let count = counts.get(&kind).copied().unwrap_or_default();
            // Writing to a String does not fail.
            let _ = writeln!(text, "weft_status_writes_total{{kind=\"{kind}\"}} {count}");
        }
        text
    }
}
