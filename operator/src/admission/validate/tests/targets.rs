//! `TrafficTarget` and `IdentityBinding`.

use serde_json::{Value, json};

use weft_policy::http::Conditions;

use super::{judge, mesh, object, said};
use crate::model::{GroupRef, RouteGroup, Snapshot};

fn target(change: Value) -> Value {
    let mut target = json!({
        "destination": {"kind": "ServiceAccount", "name": "api", "namespace": "shop"},
        "rules": [{"kind": "HTTPRouteGroup", "name": "api", "matches": ["get", "put"]}, {"kind": "TCPRoute", "name": "api"}],
        "sources": [{"kind": "ServiceAccount", "name": "web", "namespace": "front"}],
    });
    json_patch::merge(&mut target, &change);
    target
}

#[test]
fn a_target_speaks_for_its_own_namespace_and_names_things_once() {
    for (name, change, want) in [
        ("right", json!({}), &[][..]),
        ("no namespace", json!({"destination": {"namespace": null}}), &[]),
        ("empty namespace", json!({"destination": {"namespace": ""}}), &[]),
        (
            "another namespace",
            json!({"destination": {"namespace": "bank"}}),
            &[
                "refused: spec.destination.namespace: \"bank\" is another namespace than the TrafficTarget's own, \"shop\": \
               remove the field, or create the TrafficTarget there",
            ],
        ),
        (
            "names that cannot be",
            json!({
                "destination": {"name": "Server_1"},
                "rules": [{"kind": "TCPRoute", "name": "a/b"}],
                "sources": [{"name": "web", "namespace": "Shop"}, {"kind": "IdentityBinding", "name": "-"},
                    {"kind": "Group", "name": "system:serviceaccounts:shop"}],
            }),
            &[
                "refused: spec.destination.name: no ServiceAccount can have the name \"Server_1\": it is an RFC 1123 subdomain, so \
                 write at most 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends of each part",
                "refused: spec.rules[0].name: no TCPRoute can have the name \"a/b\": it is an RFC 1123 subdomain, so write at most \
                 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends of each part",
                "refused: spec.sources[0].namespace: no namespace can have the name \"Shop\": it is an RFC 1123 label, so write at \
                 most 63 lower-case letters, digits and dashes, with a letter or digit at both ends",
                "refused: spec.sources[1].name: no IdentityBinding can have the name \"-\": it is an RFC 1123 subdomain, so write at \
                 most 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends of each part",
            ],
        ),
        (
            "a match twice",
            json!({"rules": [{"kind": "HTTPRouteGroup", "name": "api", "matches": ["get", "put", "get"]}]}),
            &["refused: spec.rules[0].matches[2]: \"get\" is named before: keep one"],
        ),
        (
            "a route twice",
            json!({"rules": [{"kind": "HTTPRouteGroup", "name": "api", "matches": ["get"]},
                {"kind": "TCPRoute", "name": "api"}, {"kind": "HTTPRouteGroup", "name": "api", "matches": ["put"]}]}),
            &[
                "refused: spec.rules[2]: HTTPRouteGroup api is named by spec.rules[0] already: keep one, with the matches of \
               both",
            ],
        ),
        (
            "matches of ports",
            json!({"rules": [{"kind": "TCPRoute", "name": "api", "matches": ["a"]}]}),
            &[
                "warned: spec.rules[0].matches: a TCPRoute has one match at most, and a rule that names another grants nothing; remove the names",
            ],
        ),
        ("no rules", json!({"rules": null}), &["warned: spec.rules: there is none, so nothing is allowed by it"]),
        ("no sources", json!({"sources": []}), &["warned: spec.sources: there is none, so nobody is allowed by it"]),
        (
            "a kind that is no identity",
            json!({"sources": [{"kind": "User", "name": "me"}]}),
            &["refused: spec.sources[0].kind: unknown variant `User`, expected one of `ServiceAccount`, \
               `IdentityBinding`, `Group`"],
        ),
    ] {
        assert_eq!(said("TrafficTarget", target(change), None), want, "{name}");
    }
}

#[test]
fn what_rules_name_may_come_later() {
    let mut snapshot = Snapshot::default();
    let of = |snapshot: &Snapshot| said("TrafficTarget", target(json!({})), Some(snapshot));
    assert_eq!(
        of(&snapshot),
        [
            "warned: spec.rules[0]: there is no HTTPRouteGroup api in this namespace; until there is, the rule allows nothing"
        ]
    );
    let get = Conditions { name: "get".to_owned(), ..Conditions::default() };
    let name = GroupRef { namespace: "shop".to_owned(), name: "api".to_owned() };
    snapshot.route_groups.insert(name, RouteGroup::new("1".to_owned(), 1, vec![get]));
    assert_eq!(
        of(&snapshot),
        [
            "warned: spec.rules[0].matches[1]: HTTPRouteGroup api has no match \"put\"; until it has, nothing is allowed by that \
          name"
        ]
    );
}

#[test]
fn a_port_of_an_older_version_that_cannot_be_read_is_refused() {
    let (kind, mut object) = object("TrafficTarget", target(json!({})));
    object.metadata.annotations = Some([(smi_crds::CONVERSION.to_owned(), "{".to_owned())].into());
    let refusals = judge(kind, &object, "shop", &mesh(), None).refusals;
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].to_string().starts_with("the annotation weft.dev/conversion, which keeps destination.port"));
}

#[test]
fn a_binding_binds_somebody_that_a_certificate_can_name() {
    const NOBODY: &str = "refused: spec.schemes: there is no identity in it: give at least one of podLabelSelector, \
                          serviceAccount and spiffeIdentities";
    let spiffe = |id: &str| json!({"spiffeIdentities": ["cluster.local/ns/shop/sa/web", id]});
    let requirement = |requirement: Value| json!({"podLabelSelector": {"matchExpressions": [requirement]}});
    for (name, schemes, want) in [
        ("a service account", json!({"serviceAccount": "web"}), &[][..]),
        (
            "both, as the specification has it",
            json!({"serviceAccount": "web", "podLabelSelector": {"matchLabels": {"a": "b"}}}),
            &[],
        ),
        ("of another trust domain", spiffe("spiffe://federated.example/boundary/a_B/identifier.1"), &[]),
        (
            "a service account that cannot be",
            json!({"serviceAccount": "My_Account"}),
            &[
                "refused: spec.schemes.serviceAccount: no ServiceAccount can have the name \"My_Account\": it is an RFC 1123 \
                 subdomain, so write at most 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends \
                 of each part",
            ],
        ),
        ("nothing", json!({}), &[NOBODY]),
        ("an empty list", json!({"spiffeIdentities": []}), &[NOBODY]),
        (
            "every pod",
            json!({"podLabelSelector": {}}),
            &[
                "warned: spec.schemes.podLabelSelector: it is empty, so every pod of this namespace belongs to the binding",
            ],
        ),
        (
            "a whole trust domain",
            spiffe("cluster.local"),
            &[
                "refused: spec.schemes.spiffeIdentities[1]: \"cluster.local\" names a whole trust domain: add a path, as in \
               cluster.local/ns/shop/sa/web",
            ],
        ),
        (
            "a trust domain that is none",
            spiffe("https://example.org/a"),
            &[
                "refused: spec.schemes.spiffeIdentities[1]: \"https:\" is no trust domain: write lower-case letters, digits, \
               dots, dashes and underscores, as in cluster.local/ns/shop/sa/web",
            ],
        ),
        (
            "a path that leads elsewhere",
            spiffe("cluster.local/ns/../sa/web"),
            &[
                "refused: spec.schemes.spiffeIdentities[1]: \"..\" cannot be a part of a SPIFFE ID's path: write letters, \
               digits, dots, dashes and underscores",
            ],
        ),
        (
            "an empty part",
            spiffe("cluster.local/ns//sa/web"),
            &[
                "refused: spec.schemes.spiffeIdentities[1]: \"\" cannot be a part of a SPIFFE ID's path: write letters, \
               digits, dots, dashes and underscores",
            ],
        ),
        ("values", requirement(json!({"key": "a", "operator": "In", "values": ["b"]})), &[]),
        (
            "no values",
            requirement(json!({"key": "a", "operator": "In"})),
            &[
                "refused: spec.schemes.podLabelSelector.matchExpressions[0].values: In needs at least one value: add one, or \
               use Exists or DoesNotExist",
            ],
        ),
        (
            "unwanted values",
            requirement(json!({"key": "a", "operator": "Exists", "values": ["b"]})),
            &[
                "refused: spec.schemes.podLabelSelector.matchExpressions[0].values: Exists takes no values: remove them, or \
               use In or NotIn",
            ],
        ),
    ] {
        assert_eq!(said("IdentityBinding", json!({"schemes": schemes}), None), want, "{name}");
    }
}
