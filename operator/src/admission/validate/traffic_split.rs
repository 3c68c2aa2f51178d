//! `TrafficSplit`: names, shares, and how it stands to other splits.

use std::collections::{BTreeMap, HashSet};

use smi_crds::split::v1alpha4::TrafficSplit;
use weft_policy::root;

use super::{Refusal, Verdict, Warning};
use crate::{
    compile::{Mesh, Share, object_name},
    model::{GroupRef, ServiceRef, Snapshot, Split},
};

/// How many backends of other splits are looked at for a cycle, which takes some milliseconds: the snapshot is locked meanwhile.
/// More than that are not meant to be read by people, and a warning is for them.
const MAX_SEARCHED: usize = 65_536;

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
    let mut named = HashSet::new();
    for (index, group) in groups.iter().enumerate() {
        if let Err(problem) = object_name::check("HTTPRouteGroup", &group.name) {
            verdict.refuse(Refusal::ObjectName { path: format!("spec.matches[{index}].name"), problem });
        }
        if !named.insert(group.name.as_str()) {
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
    warnings.extend(among(&Others { snapshot, namespace, own, mesh }, object, root, services));
    warnings
}

/// How a split stands to others.
fn among(others: &Others<'_>, object: &TrafficSplit, root: &str, services: &BTreeMap<String, usize>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    let older = |split: &Split| created.is_none_or(|created| split.created < created);
    if object.spec.matches.as_ref().is_none_or(Vec::is_empty)
        && let Some((name, _)) = others
            .of_root(root)
            .filter(|(_, split)| split.matches.is_empty() && older(split))
            .min_by_key(|(name, split)| (split.created, *name))
    {
        warnings.push(Warning::Conflict { root: root.to_owned(), older: name.to_owned() });
    }
    if let Some(cycle) = others.way(services.keys(), root) {
        warnings.push(Warning::Cycle([root, &cycle.join(" -> ")].join(" -> ")));
        return warnings;
    }
    for (service, &index) in services.iter().filter(|(service, _)| *service != root) {
        if let Some((name, _)) = others.of_root(service).next() {
            let (service, split) = (service.clone(), name.to_owned());
            warnings.push(Warning::BackendIsSplit { index, service, split });
        }
    }
    warnings
}

/// The splits of a namespace but for one.
struct Others<'a> {
    snapshot: &'a Snapshot,
    namespace: &'a str,
    own: &'a str,
    mesh: &'a Mesh,
}

impl<'a> Others<'a> {
    /// Those of a root, by their names.
    fn of_root(&self, root: &str) -> impl Iterator<Item = (&'a str, &'a Split)> {
        let service = ServiceRef { namespace: self.namespace.to_owned(), name: root.to_owned() };
        let others = self.snapshot.splits.of_root(&service).filter(|(name, _)| name.name != self.own);
        others
            .filter(move |(_, split)| self.service(&split.service).as_deref() == Some(service.name.as_str()))
            .map(|(name, split)| (name.name.as_str(), split))
    }

    /// The Service that is written as `name`.
    fn service(&self, name: &str) -> Option<String> {
        root::parse(name, self.namespace, &self.mesh.cluster_domain).ok()
    }

    /// The services on a shortest way from one of `from`, which is not `to`, to `to` by the splits, both included. `None` when
    /// there is none, or it is farther than is searched.
    fn way<'s>(&self, from: impl Iterator<Item = &'s String>, to: &str) -> Option<Vec<String>> {
        // Each service with the one that led to it.
        let mut reached: Vec<(String, Option<usize>)> =
            from.filter(|service| *service != to).map(|service| (service.clone(), None)).collect();
        let mut known: HashSet<String> = reached.iter().map(|(service, _)| service.clone()).collect();
        let (mut at, mut searched) = (0, 0);
        while let Some(service) = reached.get(at).map(|(service, _)| service.clone()) {
            for backend in self.of_root(&service).flat_map(|(_, split)| &split.backends) {
                searched += 1;
                if searched > MAX_SEARCHED {
                    return None;
                }
                let Some(backend) = self.service(&backend.service) else { continue };
                if backend == to {
                    let before = std::iter::successors(Some(at), |at| reached[*at].1);
                    let mut way: Vec<String> = before.map(|at| reached[at].0.clone()).collect();
                    way.reverse();
                    way.push(backend);
                    return Some(way);
                }
                if known.insert(backend.clone()) {
                    reached.push((backend, Some(at)));
                }
            }
            at += 1;
        }
        None
    }
}
