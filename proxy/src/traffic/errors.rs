//! How often the proxy answered in place of a server, or refused, and why.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::Direction;

/// Totals by direction and reason. Behind a lock, which only what goes wrong takes.
#[derive(Debug, Default)]
pub(crate) struct Errors(Mutex<BTreeMap<(Direction, &'static str), u64>>);

impl Errors {
    /// One more for this `reason`, which is what the header says.
    pub(crate) fn count(&self, direction: Direction, reason: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((direction, reason)).or_default() += 1;
    }

    /// All totals, ordered.
    pub(crate) fn totals(&self) -> Vec<((Direction, &'static str), u64)> {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        totals.iter().map(|(key, total)| (*key, *total)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_direction_and_reason() {
        let errors = Errors::default();
        for (direction, reason) in
            [(Direction::Inbound, "reset"), (Direction::Outbound, "reset"), (Direction::Inbound, "reset")]
        {
            errors.count(direction, reason);
        }
        assert_eq!(errors.totals(), [((Direction::Outbound, "reset"), 1), ((Direction::Inbound, "reset"), 2)]);
    }
}
