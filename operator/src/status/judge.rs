//! From an object's name to what is to be said about it.

use std::collections::BTreeMap;

use smi_crds::condition::{ACCEPTED, PROGRAMMED, RESOLVED_REFS};

use super::{
    access, group, split,
    verdict::{FALSE, Judgement, Notice, UNKNOWN, Verdict},
};
use crate::{
    compile::{self, Finding, Mesh, identity_binding, traffic_target},
    index::Index,
    model::{
        AppliedSplit, GroupProblem, GroupRef, GroupRemark, ObjectRef, ServiceRef, SmiKind, Snapshot, Split, SplitRef,
        Unreadable,
    },
    publish::{Ledger, Progress},
};

/// What is to be said about an object; `None` when there is none of this name.
pub(super) fn judge(index: &Index, ledger: &Ledger, mesh: &Mesh, name: &ObjectRef) -> Option<Verdict> {
    // What sidecars said is counted after the index is free again: its watches need it.
    match index.read(|snapshot| look(snapshot, mesh, name))? {
        Seen::Judged(verdict) => Some(verdict),
        Seen::Split { uid, generation, in_force, findings } => {
            let progress = ledger.progress(&in_force);
            Some(of_split(uid, generation, &findings, &progress))
        }
        Seen::Group { uid, generation, in_force, problems, remarks } => {
            let progress = (!in_force.is_empty()).then(|| ledger.progress(&in_force));
            Some(of_group(uid, generation, (&problems, &remarks), progress.as_ref()))
        }
    }
}

/// The objects of a kind, in one namespace or in all.
pub(super) fn names(snapshot: &Snapshot, kind: SmiKind, namespace: Option<&str>) -> Vec<ObjectRef> {
    let mut names = match kind {
        SmiKind::TrafficSplit => {
            let first = SplitRef { namespace: namespace.unwrap_or_default().to_owned(), name: String::new() };
            let of_namespace = snapshot
                .splits
                .range(first..)
                .map(|(name, _)| name)
                .take_while(|name| namespace.is_none_or(|namespace| namespace == name.namespace));
            of_namespace.map(|name| ObjectRef::new(kind, &name.namespace, &name.name)).collect()
        }
        SmiKind::TrafficTarget => of_map(&snapshot.targets, kind, namespace),
        SmiKind::IdentityBinding => of_map(&snapshot.bindings, kind, namespace),
        SmiKind::TcpRoute | SmiKind::UdpRoute => of_map(&snapshot.port_routes, kind, namespace),
        SmiKind::HttpRouteGroup => {
            let first = GroupRef { namespace: namespace.unwrap_or_default().to_owned(), name: String::new() };
            let of_namespace = snapshot
                .route_groups
                .range(first..)
                .map(|(name, _)| name)
                .take_while(|name| namespace.is_none_or(|namespace| namespace == name.namespace));
            of_namespace.map(|name| ObjectRef::new(kind, &name.namespace, &name.name)).collect()
        }
    };
    names.extend(of_map(&snapshot.unreadable, kind, namespace));
    names
}

fn of_map<V>(map: &BTreeMap<ObjectRef, V>, kind: SmiKind, namespace: Option<&str>) -> Vec<ObjectRef> {
    let first = ObjectRef::new(kind, namespace.unwrap_or_default(), "");
    let is_of = |name: &&ObjectRef| name.kind == kind && namespace.is_none_or(|namespace| namespace == name.namespace);
    map.range(first..).map(|(name, _)| name).take_while(is_of).cloned().collect()
}

/// The objects whose status tells how far proxies that use `root` have followed.
pub(super) fn users(snapshot: &Snapshot, root: &ServiceRef) -> Vec<ObjectRef> {
    let splits = snapshot.splits.of_root(root);
    let names = |(name, split): (&SplitRef, &Split)| {
        let groups = split.matches.iter().map(|group| (SmiKind::HttpRouteGroup, group));
        let names = std::iter::once((SmiKind::TrafficSplit, &name.name)).chain(groups);
        names.map(|(kind, one)| ObjectRef::new(kind, &name.namespace, one)).collect::<Vec<_>>()
    };
    splits.flat_map(names).collect()
}

/// What was seen of an object.
enum Seen {
    Judged(Verdict),
    Split {
        uid: String,
        generation: i64,
        in_force: Vec<(ServiceRef, AppliedSplit)>,
        findings: Vec<Finding>,
    },
    Group {
        uid: String,
        generation: i64,
        in_force: Vec<(ServiceRef, AppliedSplit)>,
        problems: Vec<GroupProblem>,
        remarks: Vec<GroupRemark>,
    },
}

fn look(snapshot: &Snapshot, mesh: &Mesh, name: &ObjectRef) -> Option<Seen> {
    if let Some(unreadable) = snapshot.unreadable.get(name) {
        return Some(Seen::Judged(of_unreadable(name.kind, unreadable)));
    }
    let (uid, generation, (judgements, notices)) = match name.kind {
        SmiKind::TrafficSplit => {
            let split = SplitRef { namespace: name.namespace.clone(), name: name.name.clone() };
            let (uid, generation) = snapshot.splits.get(&split).map(|split| (split.uid.clone(), split.generation))?;
            let compile::Judgement { root, applied, findings } = compile::judge(snapshot, mesh, &split);
            return Some(Seen::Split { uid, generation, in_force: root.zip(applied).into_iter().collect(), findings });
        }
        SmiKind::TcpRoute | SmiKind::UdpRoute => {
            let route = snapshot.port_routes.get(name)?;
            (&route.uid, route.generation, (access::of_route(name.kind, route), Vec::new()))
        }
        SmiKind::TrafficTarget => {
            let target = snapshot.targets.get(name)?;
            let findings = traffic_target::judge(snapshot, name, target);
            (&target.uid, target.generation, access::of_target(&findings))
        }
        SmiKind::IdentityBinding => {
            let binding = snapshot.bindings.get(name)?;
            let (named, findings) = identity_binding::judge(snapshot, mesh, name, binding);
            (&binding.uid, binding.generation, access::of_binding(&named, &findings))
        }
        SmiKind::HttpRouteGroup => {
            let group = GroupRef { namespace: name.namespace.clone(), name: name.name.clone() };
            let (known, of_group) = (snapshot.route_groups.get(&group)?, snapshot.splits.of_group(&group));
            let in_force = of_group.filter_map(|(split, _)| {
                let compile::Judgement { root, applied, .. } = compile::judge(snapshot, mesh, split);
                root.zip(applied)
            });
            return Some(Seen::Group {
                uid: known.uid.clone(),
                generation: known.generation,
                in_force: in_force.collect(),
                problems: known.problems().to_vec(),
                remarks: known.remarks().to_vec(),
            });
        }
    };
    Some(Seen::Judged(Verdict { uid: uid.clone(), generation, judgements, notices, pending: false }))
}

fn of_split(uid: String, generation: i64, findings: &[Finding], progress: &Progress) -> Verdict {
    let judgements = split::conditions(findings, progress, generation);
    let pending = judgements.iter().any(|judgement| judgement.reason == split::PENDING);
    Verdict { uid, generation, judgements, notices: split::notices(findings), pending }
}

fn of_group(
    uid: String,
    generation: i64,
    (problems, remarks): (&[GroupProblem], &[GroupRemark]),
    progress: Option<&Progress>,
) -> Verdict {
    let judgements = group::conditions(problems, remarks, progress, generation);
    let pending = judgements.iter().any(|judgement| judgement.reason == split::PENDING);
    Verdict { uid, generation, judgements, notices: group::notices(problems, remarks), pending }
}

/// It is stored, so somebody relies on it.
fn of_unreadable(kind: SmiKind, unreadable: &Unreadable) -> Verdict {
    const REASON: &str = "Unreadable";
    let Unreadable { uid, generation, field, error } = unreadable;
    let text = format!("{field} cannot be read: {error}");
    Verdict {
        uid: uid.clone(),
        generation: *generation,
        judgements: vec![
            Judgement::new(ACCEPTED, FALSE, REASON, text.clone()),
            Judgement::new(
                PROGRAMMED,
                FALSE,
                "NotAccepted",
                format!("no proxy is told about a {kind} that cannot be read"),
            ),
            Judgement::new(
                RESOLVED_REFS,
                UNKNOWN,
                "NotAccepted",
                format!("the references of a {kind} that cannot be read are not known"),
            ),
        ],
        notices: vec![Notice { reason: REASON, text, about: None }],
        pending: false,
    }
}
