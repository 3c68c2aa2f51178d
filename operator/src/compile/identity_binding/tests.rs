//! Tables of whom a binding names.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::model::{SmiKind, WorkloadKind, WorkloadRef};

/// Pods as name, service account and label `app`.
const PODS: [(&str, &str, &str); 4] =
    [("web-1", "web", "web"), ("web-2", "web", "web"), ("job", "default", "job"), ("tool", "default", "tool")];

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (namespace, (name, account, app)) in PODS.map(|pod| ("shop", pod)).into_iter().chain([("other", PODS[0])]) {
        let pod = PodRef { namespace: namespace.to_owned(), name: name.to_owned() };
        let workload = WorkloadRef { namespace: namespace.to_owned(), kind: WorkloadKind::Pod, name: name.to_owned() };
        let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
        snapshot.apply_pod(
            pod,
            Pod {
                uid: String::new(),
                ips: Vec::new(),
                workload,
                service_account: account.to_owned(),
                labels,
                meshed: true,
                skipped_ports: BTreeSet::new(),
            },
        );
    }
    snapshot
}

fn judged(binding: &IdentityBinding) -> (usize, Vec<String>) {
    let mesh = Mesh { cluster_domain: "cluster.local".to_owned(), trust_domain: "cluster.local".to_owned() };
    let name = ObjectRef::new(SmiKind::IdentityBinding, "shop", "b");
    let (named, findings) = judge(&snapshot(), &mesh, &name, binding);
    assert_eq!(findings.iter().any(Finding::rejects), !is_accepted(binding));
    (named.pods, findings.iter().map(|finding| format!("{}: {finding}", finding.reason())).collect())
}

fn empty() -> IdentityBinding {
    IdentityBinding { uid: String::new(), generation: 1, selector: None, spiffe_ids: Vec::new(), service_account: None }
}

fn labelled(app: &str) -> IdentityBinding {
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    IdentityBinding { selector: Some(Selector { labels, requirements: Vec::new() }), ..empty() }
}

fn required(operator: &str, values: &[&str]) -> IdentityBinding {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let requirement = Requirement { key: "app".to_owned(), operator: operator.to_owned(), values };
    let selector = Selector { labels: BTreeMap::new(), requirements: vec![requirement] };
    IdentityBinding { selector: Some(selector), ..empty() }
}

#[test]
fn names_pods_by_their_identities() {
    let account = |name: &str| IdentityBinding { service_account: Some(name.to_owned()), ..empty() };
    let ids = |ids: &[&str]| IdentityBinding { spiffe_ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..empty() };
    let nobody = "NoPods: spec.schemes.serviceAccount: no pod of namespace shop runs as service account gone now";
    let invalid = "InvalidName: spec.schemes.serviceAccount: no ServiceAccount can have the name \"My_Account\": it is an RFC 1123 \
                   subdomain, so write at most 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends \
                   of each part";
    let empty_schemes = "NamesNobody: spec.schemes is empty, so the binding names nobody; give it a serviceAccount, \
                         spiffeIdentities or a podLabelSelector";
    let other_namespace = "OtherNamespace: spec.schemes.spiffeIdentities: cluster.local/ns/other/sa/web is of namespace other, and \
                           a binding names only identities of its own namespace shop; put a binding for it there";
    let foreign = "OtherTrustDomain: spec.schemes.spiffeIdentities: federated.trustdomain/boundary/name is not of the mesh's trust \
                   domain cluster.local, so nobody here can prove it";
    let unknown = "UnknownIdentity: spec.schemes.spiffeIdentities: spiffe://cluster.local/web is nobody's: identities are \
                   cluster.local/ns/NAMESPACE/sa/SERVICE-ACCOUNT";
    let shared = "SharedServiceAccount: spec.schemes.podLabelSelector: service account default is the identity of the selected \
                  pods and of others that are not selected, which are named as well; give the selected pods a service account of \
                  their own";
    for (name, binding, pods, want) in [
        ("account", account("web"), 2, None),
        ("account of nobody", account("gone"), 0, Some(nobody)),
        ("account that cannot be", account("My_Account"), 0, Some(invalid)),
        ("nothing", empty(), 0, Some(empty_schemes)),
        ("identity", ids(&["cluster.local/ns/shop/sa/web"]), 2, None),
        ("identity with its scheme", ids(&["spiffe://cluster.local/ns/shop/sa/web"]), 2, None),
        ("identity of another namespace", ids(&["cluster.local/ns/other/sa/web"]), 0, Some(other_namespace)),
        (
            "one of two is foreign",
            ids(&["federated.trustdomain/boundary/name", "cluster.local/ns/shop/sa/web"]),
            2,
            Some(foreign),
        ),
        ("identity of nobody", ids(&["spiffe://cluster.local/web"]), 0, Some(unknown)),
        ("labels", labelled("web"), 2, None),
        ("labels of nobody", labelled("gone"), 0, None),
        ("an account that is shared", labelled("job"), 2, Some(shared)),
        ("every scheme", IdentityBinding { service_account: Some("default".to_owned()), ..labelled("web") }, 4, None),
    ] {
        let want = want.map(str::to_owned).into_iter().collect::<Vec<_>>();
        assert_eq!(judged(&binding), (pods, want), "{name}");
    }
}

#[test]
fn selects_as_kubernetes_does() {
    for (name, operator, values, pods) in [
        ("in", "In", &["web", "gone"][..], Some(2)),
        ("not in", "NotIn", &["job", "tool"], Some(2)),
        ("exists", "Exists", &[], Some(4)),
        ("does not exist", "DoesNotExist", &[], Some(0)),
        ("in nothing", "In", &[], None),
        ("exists with values", "Exists", &["web"], None),
        ("unknown", "Matches", &["web"], None),
    ] {
        let (named, findings) = judged(&required(operator, values));
        match pods {
            Some(pods) => assert_eq!((named, findings.len()), (pods, 0), "{name}: {findings:?}"),
            None => assert!(findings[0].starts_with("InvalidSelector: "), "{name}: {findings:?}"),
        }
    }
    let every = IdentityBinding { selector: Some(Selector::default()), ..empty() };
    assert_eq!(judged(&every).0, 4, "a selector without requirements selects every pod");
}
