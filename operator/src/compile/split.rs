//! `TrafficSplit`: which ones are in force for a root, what their backends get, and what is wrong with them.

mod finding;

use std::num::NonZeroU16;

use weft_policy::{http::Conditions, root};

use super::{Mesh, endpoint};
use crate::model::{
    AppliedGroup, AppliedSplit, Backend, ConditionalSplit, GroupProblem, GroupRef, ObjectRef, RouteGroup, Service,
    ServiceRef, SmiKind, Snapshot, Split, SplitBackend, SplitRef,
};

pub use finding::{Finding, Share};

/// What there is to say about a `TrafficSplit`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Its root; `None` when `spec.service` names none.
    pub root: Option<ServiceRef>,
    /// What sidecars are told, and have to acknowledge; `None` when the split is not in force.
    pub applied: Option<AppliedSplit>,
    /// Everything that its author has to know, in the order of `spec`.
    pub findings: Vec<Finding>,
}

/// The splits that are in force for a root.
#[derive(Debug, Default)]
pub(super) struct InForce<'a> {
    /// Those with matches, the oldest first: a request goes by the first that it matches.
    pub(super) conditional: Vec<(&'a SplitRef, &'a Split)>,
    /// The oldest without matches, which has what is left.
    pub(super) rest: Option<(&'a SplitRef, &'a Split)>,
}

/// The splits that decide for a root. Of two that were made in the same second the first by name is the older.
pub(super) fn in_force<'a>(snapshot: &'a Snapshot, mesh: &Mesh, root: &ServiceRef) -> InForce<'a> {
    let mut splits: Vec<_> = of_root(snapshot, mesh, root).collect();
    splits.sort_by_key(|(name, split)| (split.created, *name));
    let (conditional, rest): (Vec<_>, Vec<_>) = splits.into_iter().partition(|(_, split)| !split.matches.is_empty());
    InForce { conditional, rest: rest.into_iter().next() }
}

fn of_root<'a>(
    snapshot: &'a Snapshot,
    mesh: &Mesh,
    root: &ServiceRef,
) -> impl Iterator<Item = (&'a SplitRef, &'a Split)> {
    snapshot.splits.of_root(root).filter(move |(_, split)| names(split, root, mesh))
}

fn names(split: &Split, root: &ServiceRef, mesh: &Mesh) -> bool {
    root::parse(&split.service, &root.namespace, &mesh.cluster_domain).is_ok_and(|name| name == root.name)
}

/// The root of a split and everything its author has to know about it.
#[must_use]
pub fn judge(snapshot: &Snapshot, mesh: &Mesh, name: &SplitRef) -> Judgement {
    let Some(split) = snapshot.splits.get(name) else {
        return Judgement::default();
    };
    let root = match root::parse(&split.service, &name.namespace, &mesh.cluster_domain) {
        Ok(root) => ServiceRef { namespace: name.namespace.clone(), name: root },
        Err(error) => return Judgement { findings: vec![Finding::InvalidRoot(error)], ..Judgement::default() },
    };
    let service = snapshot.services.get(&root);
    let rejection = if service.is_some_and(|service| service.external) {
        Some(Finding::ExternalRoot { root: root.name.clone() })
    } else if split.matches.is_empty() {
        let winner = in_force(snapshot, mesh, &root).rest.filter(|(winner, _)| *winner != name);
        winner.map(|(winner, _)| Finding::Conflicted { root: root.name.clone(), winner: winner.name.clone() })
    } else {
        None
    };
    if let Some(finding) = rejection {
        return Judgement { root: Some(root), applied: None, findings: vec![finding] };
    }
    let mut findings = Vec::new();
    match service {
        None => findings.push(Finding::RootNotFound { root: root.name.clone(), namespace: root.namespace.clone() }),
        Some(service) => findings.extend(of_backends(snapshot, mesh, &root, service, split)),
    }
    if split.backends.iter().all(|backend| backend.weight == 0) {
        findings.push(Finding::ZeroWeight { root: root.name.clone() });
    }
    findings.extend(split.matches.iter().filter_map(|group| routes(snapshot, name, group).err()));
    Judgement { root: Some(root), applied: Some(applied(snapshot, name, split)), findings }
}

/// What is wrong with the backends, in their order, each with what becomes of its share.
fn of_backends(snapshot: &Snapshot, mesh: &Mesh, root: &ServiceRef, service: &Service, split: &Split) -> Vec<Finding> {
    let ipv6 = service.cluster_ips.first().is_some_and(|ip| ip.is_ipv6());
    let reached = |backend: &SplitBackend| -> Vec<Result<u64, Finding>> {
        let ports = service.ports.iter();
        ports.map(|port| reach(snapshot, mesh, root, backend, port.port, ipv6).map(|able| able.weight)).collect()
    };
    let reached: Vec<_> = split.backends.iter().map(reached).collect();
    let is_served = |at: usize| reached.iter().any(|ports| ports[at].as_ref().is_ok_and(|weight| *weight > 0));
    let served: Vec<bool> = (0..service.ports.len()).map(is_served).collect();
    let mut findings = Vec::new();
    for (backend, ports) in split.backends.iter().zip(reached) {
        for (finding, here) in ports.into_iter().zip(&served).filter_map(|(port, here)| Some((port.err()?, *here))) {
            let is_of_port = finding.backend().is_some_and(|(_, port)| port.is_some());
            let has_others = if is_of_port { here } else { served.contains(&true) };
            let share = match (backend.weight, has_others) {
                (0, _) => Share::Zero,
                (_, true) => Share::OfOthers,
                (_, false) => Share::OfNobody,
            };
            findings.push(finding.with_share(share));
        }
    }
    // A missing Service is missing for every port.
    findings.dedup();
    findings
}

/// What identifies the split as it is now.
pub(super) fn applied(snapshot: &Snapshot, name: &SplitRef, split: &Split) -> AppliedSplit {
    let groups = split.matches.iter().filter_map(|group| group_of(snapshot, name, group));
    let groups =
        groups.map(|(group, known)| AppliedGroup { group, uid: known.uid.clone(), generation: known.generation });
    AppliedSplit { split: name.clone(), uid: split.uid.clone(), generation: split.generation, groups: groups.collect() }
}

/// A split with matches, for one port of its root.
pub(super) fn conditional(
    snapshot: &Snapshot,
    mesh: &Mesh,
    (name, split): (&SplitRef, &Split),
    port: NonZeroU16,
    ipv6: bool,
    root: &dyn Fn() -> Backend,
) -> ConditionalSplit {
    let usable = split.matches.iter().filter_map(|group| routes(snapshot, name, group).ok());
    ConditionalSplit {
        split: applied(snapshot, name, split),
        matches: usable.flatten().cloned().collect(),
        backends: backends(snapshot, mesh, (name, split), port, ipv6).unwrap_or_else(|| vec![root()]),
    }
}

fn group_of<'a>(snapshot: &'a Snapshot, split: &SplitRef, group: &str) -> Option<(GroupRef, &'a RouteGroup)> {
    let name = GroupRef { namespace: split.namespace.clone(), name: group.to_owned() };
    let known = snapshot.route_groups.get(&name)?;
    Some((name, known))
}

/// The matches of a route group that a split names, or why it has none.
fn routes<'a>(snapshot: &'a Snapshot, split: &SplitRef, group: &str) -> Result<&'a [Conditions], Finding> {
    let Some((_, known)) = group_of(snapshot, split, group) else {
        let name = ObjectRef::new(SmiKind::HttpRouteGroup, &split.namespace, group);
        return Err(match snapshot.unreadable.get(&name) {
            Some(unreadable) => {
                let problem = Box::new(GroupProblem::Unreadable(Box::new(unreadable.clone())));
                Finding::GroupNotAccepted { group: group.to_owned(), problem }
            }
            None => Finding::GroupNotFound { group: group.to_owned(), namespace: split.namespace.clone() },
        });
    };
    known
        .matches()
        .map_err(|problem| Finding::GroupNotAccepted { group: group.to_owned(), problem: Box::new(problem.clone()) })
}

/// The backends of a split for one port of its root. `None` when all weights are 0.
///
/// A backend that cannot serve is left out as long as another can. Where none can, those with a weight stay, so that a request
/// fails instead of going where nobody sent it.
pub(super) fn backends(
    snapshot: &Snapshot,
    mesh: &Mesh,
    (name, split): (&SplitRef, &Split),
    port: NonZeroU16,
    ipv6: bool,
) -> Option<Vec<Backend>> {
    let root = ServiceRef {
        namespace: name.namespace.clone(),
        name: root::parse(&split.service, &name.namespace, &mesh.cluster_domain).ok()?,
    };
    let weighted = || split.backends.iter().filter(|backend| backend.weight > 0);
    let able: Vec<Backend> =
        weighted().filter_map(|backend| reach(snapshot, mesh, &root, backend, port, ipv6).ok()).collect();
    if !able.is_empty() {
        return Some(able);
    }
    let unable: Vec<Backend> = weighted()
        .map(|backend| Backend {
            service: ServiceRef { namespace: name.namespace.clone(), name: backend.service.clone() },
            weight: backend.weight,
            endpoints: Vec::new(),
        })
        .collect();
    (!unable.is_empty()).then_some(unable)
}

/// A backend with its endpoints for `port` of the root, or why it gets no traffic. One of weight 0 needs no endpoints. What becomes
/// of its share is not known here.
fn reach(
    snapshot: &Snapshot,
    mesh: &Mesh,
    root: &ServiceRef,
    backend: &SplitBackend,
    port: NonZeroU16,
    ipv6: bool,
) -> Result<Backend, Finding> {
    let share = if backend.weight == 0 { Share::Zero } else { Share::OfOthers };
    let name = root::parse(&backend.service, &root.namespace, &mesh.cluster_domain).map_err(Finding::InvalidBackend)?;
    let name = ServiceRef { namespace: root.namespace.clone(), name };
    let service: &Service = snapshot.services.get(&name).ok_or_else(|| Finding::BackendNotFound {
        backend: name.name.clone(),
        namespace: root.namespace.clone(),
        share,
    })?;
    if service.external {
        return Err(Finding::ExternalBackend { backend: name.name, share });
    }
    let own = service.ports.iter().find(|own| own.port == port).ok_or_else(|| Finding::PortNotFound {
        backend: name.name.clone(),
        port,
        root: root.name.clone(),
        share,
    })?;
    let endpoints = endpoint::of_port(snapshot, mesh, &name, &own.name, ipv6);
    if endpoints.is_empty() && backend.weight > 0 {
        return Err(Finding::NoReadyEndpoints { backend: name.name, port, share });
    }
    Ok(Backend { service: name, weight: backend.weight, endpoints })
}
