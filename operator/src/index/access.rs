//! TrafficTargets and IdentityBindings.

use smi_crds::access::v1alpha4::{self as access, RouteKind};

use super::{
    Concern, DecodeError,
    smi::{SmiObject, identity, put},
};
use crate::model::{
    IdentityBinding, ObjectRef, Requirement, Rule, Selector, SmiKind, Snapshot, Subject, SubjectKind, TrafficTarget,
};

impl SmiObject for access::TrafficTarget {
    type Part = TrafficTarget;
    const KIND: SmiKind = SmiKind::TrafficTarget;
    const CONCERNS: &'static [Concern] = &[Concern::Here(SmiKind::TrafficTarget)];

    fn part(&self) -> Result<TrafficTarget, DecodeError> {
        let (uid, generation) = identity(self);
        Ok(TrafficTarget {
            uid,
            generation,
            destination: subject(&self.spec.destination),
            rules: self.spec.rules.iter().flatten().map(rule).collect(),
            sources: self.spec.sources.iter().flatten().map(subject).collect(),
        })
    }

    fn put(snapshot: &mut Snapshot, name: &ObjectRef, target: TrafficTarget) -> bool {
        put(&mut snapshot.targets, name, target)
    }

    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        snapshot.targets.remove(name).is_some()
    }

    fn names(snapshot: &Snapshot) -> Vec<ObjectRef> {
        snapshot.targets.keys().cloned().collect()
    }
}

impl SmiObject for access::IdentityBinding {
    type Part = IdentityBinding;
    const KIND: SmiKind = SmiKind::IdentityBinding;
    const CONCERNS: &'static [Concern] =
        &[Concern::Here(SmiKind::IdentityBinding), Concern::Everywhere(SmiKind::TrafficTarget)];

    fn part(&self) -> Result<IdentityBinding, DecodeError> {
        let (uid, generation) = identity(self);
        let schemes = &self.spec.schemes;
        let selector = schemes.pod_label_selector.as_ref().map(|selector| Selector {
            labels: selector.match_labels.clone().unwrap_or_default(),
            requirements: selector
                .match_expressions
                .iter()
                .flatten()
                .map(|requirement| Requirement {
                    key: requirement.key.clone(),
                    operator: requirement.operator.clone(),
                    values: requirement.values.clone().unwrap_or_default(),
                })
                .collect(),
        });
        Ok(IdentityBinding {
            uid,
            generation,
            selector,
            spiffe_ids: schemes.spiffe_identities.clone().unwrap_or_default(),
            service_account: schemes.service_account.clone(),
        })
    }

    fn put(snapshot: &mut Snapshot, name: &ObjectRef, binding: IdentityBinding) -> bool {
        put(&mut snapshot.bindings, name, binding)
    }

    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        snapshot.bindings.remove(name).is_some()
    }

    fn names(snapshot: &Snapshot) -> Vec<ObjectRef> {
        snapshot.bindings.keys().cloned().collect()
    }
}

fn subject(subject: &access::Subject) -> Subject {
    Subject {
        kind: match subject.kind() {
            access::SubjectKind::ServiceAccount => SubjectKind::ServiceAccount,
            access::SubjectKind::IdentityBinding => SubjectKind::IdentityBinding,
            access::SubjectKind::Group => SubjectKind::Group,
        },
        api_group: subject.group.clone(),
        name: subject.name.clone(),
        namespace: subject.namespace.clone(),
    }
}

fn rule(rule: &access::Rule) -> Rule {
    Rule {
        kind: match rule.kind {
            RouteKind::HttpRouteGroup => SmiKind::HttpRouteGroup,
            RouteKind::TcpRoute => SmiKind::TcpRoute,
            RouteKind::UdpRoute => SmiKind::UdpRoute,
        },
        name: rule.name.clone(),
        matches: rule.matches.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Kind, Smi, Stored};

    #[test]
    fn reads_what_is_judged() {
        let mut snapshot = Snapshot::default();
        let target: Stored<access::TrafficTarget> = serde_json::from_value(serde_json::json!({
            "apiVersion": "access.smi-spec.io/v1alpha4", "kind": "TrafficTarget",
            "metadata": {"name": "web", "namespace": "shop", "generation": 2, "uid": "1"},
            "spec": {
                "destination": {"kind": "ServiceAccount", "name": "web"},
                "rules": [{"kind": "HTTPRouteGroup", "name": "routes", "matches": ["read"]}, {"kind": "TCPRoute", "name": "tcp"}],
                "sources": [{"kind": "IdentityBinding", "name": "clients", "namespace": "other", "group": "access.smi-spec.io"}],
            },
        }))
        .unwrap();
        let key = Smi::key(&target).unwrap();
        assert!(Smi::apply(&mut snapshot, &key, &target) && !Smi::apply(&mut snapshot, &key, &target));
        let read = &snapshot.targets[&key];
        assert_eq!(
            (&*read.destination.name, &*read.rules[0].matches[0], read.rules[1].kind),
            ("web", "read", SmiKind::TcpRoute)
        );
        assert_eq!(
            (read.sources[0].kind, read.sources[0].namespace.as_deref()),
            (SubjectKind::IdentityBinding, Some("other"))
        );

        let binding: Stored<access::IdentityBinding> = serde_json::from_value(serde_json::json!({
            "apiVersion": "access.smi-spec.io/v1alpha4", "kind": "IdentityBinding",
            "metadata": {"name": "clients", "namespace": "other"},
            "spec": {"schemes": {"serviceAccount": "a", "spiffeIdentities": ["x/y"], "podLabelSelector": {
                "matchLabels": {"app": "a"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["web"]}]}}},
        }))
        .unwrap();
        let key = Smi::key(&binding).unwrap();
        assert!(Smi::apply(&mut snapshot, &key, &binding));
        let selector = snapshot.bindings[&key].selector.clone().unwrap();
        assert_eq!((selector.labels.len(), &*selector.requirements[0].values[0]), (1, "web"));
    }
}
