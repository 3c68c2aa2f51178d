//! Routes as others refer to them.

use crate::model::{ObjectRef, Snapshot};

/// What a reference to a route finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// There is none.
    Nothing,
    /// There is one that cannot be used.
    Refused,
    /// There is one with matches of these names.
    Matches(Vec<&'a str>),
}

/// The route of this name.
pub(super) fn find<'a>(snapshot: &'a Snapshot, name: &ObjectRef) -> Found<'a> {
    if let Some(route) = snapshot.port_routes.get(name) {
        return Found::Matches(route.name.as_deref().into_iter().collect());
    }
    if snapshot.unreadable.contains_key(name) { Found::Refused } else { Found::Nothing }
}
