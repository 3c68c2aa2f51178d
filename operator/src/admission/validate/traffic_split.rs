//! `TrafficSplit`: names, shares, and how it stands to other splits.

use std::collections::BTreeMap;

use smi_crds::split::v1alpha4::TrafficSplit;
use weft_policy::root;

use super::{Refusal, Verdict, Warning};
use crate::{
    compile::{Mesh, Share, object_name},
    model::{GroupRef, ServiceRef, Snapshot, Split},
};

/// Judges a split of `namespace`. `snapshot` is `None` as long as the cluster has not been read.
pub(super) fn judge(object: &TrafficSplit, namespace: &str, mesh: &Mesh, snapshot: Option<&Snapshot>) -> Verdict {
    let mut verdict = Verdict::default();
    let spec = &object.spec;
    let root = root::parse(&spec.service, namespace, &mesh.cluster_domain);
    if let Err(problem) = &root {
        verdict.refuse(Refusal::Root(problem.clone()));
    }
    let mut services: BTreeMap<String, usize> = BTreeMap::new();
    for (index, backend) in spec.backends.iter().enumerate() {
        match root::parse(&backend.service, namespace, &mesh.cluster_domain) {
            Err(problem) => verdict.refuse(Refusal::Backend { index, problem }),
            Ok(service) => match services.get(&service) {
                Some(&first) => verdict.refuse(Refusal::BackendTwice { index, first, service }),
                None => {
                    services.insert(service, index);
                }
            },
        }
    }
    let groups = spec.matches.as_deref().unwrap_or_default();
    for (index, group) in groups.iter().enumerate() {
        if let Err(problem) = object_name::check("HTTPRouteGroup", &group.name) {
            verdict.refuse(Refusal::ObjectName { path: format!("spec.matches[{index}].name"), problem });
        }
        if groups[..index].iter().any(|earlier| earlier.name == group.name) {
            verdict.refuse(Refusal::GroupTwice { index, group: group.name.clone() });
        }
    }
    let Ok(root) = root else { return verdict };
    if verdict.refusals.is_empty() {
        verdict.warnings = warnings(object, namespace, &root, &services, mesh, snapshot);
    }
    verdict
}

fn warnings(
    object: &TrafficSplit,
    namespace: &str,
    root: &str,
    services: &BTreeMap<String, usize>,
    mesh: &Mesh,
    snapshot: Option<&Snapshot>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let spec = &object.spec;
    if spec.backends.iter().all(|backend| backend.weight == 0) {
        warnings.push(Warning::ZeroWeight(root.to_owned()));
    }
    if let Some(&index) = services.get(root) {
        warnings.push(Warning::BackendIsRoot { index, service: root.to_owned() });
    }
    let Some(snapshot) = snapshot else { return warnings };
    let service =
        |name: &str| snapshot.services.get(&ServiceRef { namespace: namespace.to_owned(), name: name.to_owned() });
    match service(root) {
        None => warnings.push(Warning::NoRoot(root.to_owned())),
        Some(service) if service.external => warnings.push(Warning::ExternalRoot(root.to_owned())),
        Some(_) => {}
    }
    let can_serve = |(name, index): (&String, &usize)| {
        spec.backends[*index].weight > 0 && service(name).is_some_and(|service| !service.external)
    };
    let has_others = services.iter().any(can_serve);
    let share = |index: usize| match (spec.backends[index].weight, has_others) {
        (0, _) => Share::Zero,
        (_, true) => Share::OfOthers,
        (_, false) => Share::OfNobody,
    };
    let mut backends: Vec<(usize, &String)> = services.iter().map(|(name, &index)| (index, name)).collect();
    backends.sort_unstable();
    warnings.extend(backends.into_iter().filter_map(|(index, name)| match service(name) {
        None => Some(Warning::NoBackend { index, service: name.clone(), share: share(index) }),
        Some(service) if service.external => Some(Warning::ExternalBackend { index, service: name.clone() }),
        Some(_) => None,
    }));
    for (index, group) in spec.matches.iter().flatten().enumerate() {
        let name = GroupRef { namespace: namespace.to_owned(), name: group.name.clone() };
        if !snapshot.route_groups.contains_key(&name) {
            warnings.push(Warning::NoGroup { index, group: name.name });
        }
    }
    let own = object.metadata.name.as_deref().unwrap_or_default();
    warnings.extend(among(&others(snapshot, namespace, own, mesh), object, root, services));
    warnings
}

/// Another split of the namespace.
struct Other<'a> {
    name: &'a str,
    split: &'a Split,
    root: String,
    backends: Vec<String>,
}

/// The splits of the namespace but for `own`, those with a root that can be told, by name.
fn others<'a>(snapshot: &'a Snapshot, namespace: &str, own: &str, mesh: &Mesh) -> Vec<Other<'a>> {
    let parse = |name: &str| root::parse(name, namespace, &mesh.cluster_domain).ok();
    let of_namespace = snapshot.splits.iter().filter(|(name, _)| name.namespace == namespace && name.name != own);
    of_namespace
        .filter_map(|(name, split)| {
            let backends = split.backends.iter().filter_map(|backend| parse(&backend.service)).collect();
            Some(Other { name: &name.name, split, root: parse(&split.service)?, backends })
        })
        .collect()
}

/// How a split stands to others.
fn among(others: &[Other<'_>], object: &TrafficSplit, root: &str, services: &BTreeMap<String, usize>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    let older = |other: &&Other<'_>| created.is_none_or(|created| other.split.created < created);
    let decides = |other: &&Other<'_>| other.root == root && other.split.matches.is_empty();
    if object.spec.matches.as_ref().is_none_or(Vec::is_empty)
        && let Some(other) =
            others.iter().filter(decides).filter(older).min_by_key(|other| (other.split.created, other.name))
    {
        warnings.push(Warning::Conflict { root: root.to_owned(), older: other.name.to_owned() });
    }
    if let Some(cycle) = services.keys().find_map(|service| path(others, service, root)) {
        warnings.push(Warning::Cycle([root, &cycle.join(" -> ")].join(" -> ")));
        return warnings;
    }
    for (service, &index) in services.iter().filter(|(service, _)| *service != root) {
        if let Some(other) = others.iter().find(|other| other.root == *service) {
            let (service, split) = (service.clone(), other.name.to_owned());
            warnings.push(Warning::BackendIsSplit { index, service, split });
        }
    }
    warnings
}

/// The services on a way from `from` to `to` by the others' splits, both included. `None` when there is no way, or no other split
/// on it.
fn path(others: &[Other<'_>], from: &str, to: &str) -> Option<Vec<String>> {
    if from == to {
        return None;
    }
    // Each service with the one that led to it.
    let mut reached: Vec<(&str, usize)> = vec![(from, 0)];
    let mut next = 0;
    while let Some(&(service, _)) = reached.get(next) {
        if service == to {
            let mut way = vec![to.to_owned()];
            let mut at = next;
            while at != 0 {
                at = reached[at].1;
                way.push(reached[at].0.to_owned());
            }
            way.reverse();
            return Some(way);
        }
        for backend in others.iter().filter(|other| other.root == service).flat_map(|other| &other.backends) {
            if reached.iter().all(|(known, _)| known != backend) {
                reached.push((backend, next));
            }
        }
        next += 1;
    }
    None
}
