//! Routes as others refer to them.

use crate::model::{GroupRef, ObjectRef, SmiKind, Snapshot};

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
    let group = GroupRef { namespace: name.namespace.clone(), name: name.name.clone() };
    if let Some(group) = snapshot.route_groups.get(&group).filter(|_| name.kind == SmiKind::HttpRouteGroup) {
        return group.matches().map_or(Found::Refused, |matches| {
            Found::Matches(matches.iter().map(|known| known.name.as_str()).collect())
        });
    }
    if snapshot.unreadable.contains_key(name) { Found::Refused } else { Found::Nothing }
}
