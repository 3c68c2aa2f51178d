//! Tables of what the author of a `TrafficTarget` is told.

use weft_policy::http::Conditions;

use super::*;
use crate::model::{GroupRef, IdentityBinding, PortRoute, Requirement, RouteGroup, Selector, Unreadable};

const NAMESPACE: &str = "shop";

/// A TCPRoute `db` with a match `sql`, a UDPRoute `dns` without, an unreadable TCPRoute `bad`; HTTPRouteGroups `pages` with the
/// matches `read` and `write`, and `broken`; IdentityBindings `web` and, not
/// accepted, `odd`, and `far` of another namespace.
fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    let route = |name: Option<&str>| PortRoute {
        uid: String::new(),
        generation: 1,
        name: name.map(str::to_owned),
        ports: Vec::new(),
    };
    let binding = |operator: &str| IdentityBinding {
        uid: String::new(),
        generation: 1,
        selector: Some(Selector {
            requirements: vec![Requirement {
                key: "app".to_owned(),
                operator: operator.to_owned(),
                values: Vec::new(),
            }],
            ..Selector::default()
        }),
        spiffe_ids: Vec::new(),
        service_account: None,
    };
    for (name, regex) in [("pages", "/"), ("broken", "/(")] {
        let matches = ["read", "write"].map(|name| Conditions {
            name: name.to_owned(),
            path_regex: Some(regex.to_owned()),
            ..Conditions::default()
        });
        let group = GroupRef { namespace: NAMESPACE.to_owned(), name: name.to_owned() };
        snapshot.route_groups.insert(group, RouteGroup::new(String::new(), 1, matches.to_vec()));
    }
    let unreadable =
        Unreadable { uid: String::new(), generation: 1, field: "spec".to_owned(), error: "odd".to_owned() };
    snapshot.port_routes.insert(ObjectRef::new(SmiKind::TcpRoute, NAMESPACE, "db"), route(Some("sql")));
    snapshot.port_routes.insert(ObjectRef::new(SmiKind::UdpRoute, NAMESPACE, "dns"), route(None));
    snapshot.unreadable.insert(ObjectRef::new(SmiKind::TcpRoute, NAMESPACE, "bad"), unreadable);
    for (namespace, name, operator) in
        [(NAMESPACE, "web", "Exists"), (NAMESPACE, "odd", "In"), ("other", "far", "Exists")]
    {
        snapshot.bindings.insert(ObjectRef::new(SmiKind::IdentityBinding, namespace, name), binding(operator));
    }
    snapshot
}

fn subject(kind: SubjectKind, name: &str) -> Subject {
    Subject { kind, api_group: None, name: name.to_owned(), namespace: None }
}

fn account() -> Subject {
    subject(SubjectKind::ServiceAccount, "web")
}

fn rule(kind: SmiKind, name: &str, matches: &[&str]) -> Rule {
    Rule { kind, name: name.to_owned(), matches: matches.iter().map(|name| (*name).to_owned()).collect() }
}

fn db() -> Rule {
    rule(SmiKind::TcpRoute, "db", &[])
}

fn judged(destination: Subject, rules: &[Rule], sources: &[Subject]) -> Vec<(bool, String)> {
    let target = TrafficTarget {
        uid: String::new(),
        generation: 1,
        destination,
        rules: rules.to_vec(),
        sources: sources.to_vec(),
    };
    let name = ObjectRef::new(SmiKind::TrafficTarget, NAMESPACE, "t");
    let findings = judge(&snapshot(), &name, &target);
    findings.iter().map(|finding| (finding.rejects(), format!("{}: {finding}", finding.reason()))).collect()
}

#[test]
fn judges_destinations() {
    let in_namespace = |namespace: &str| Subject { namespace: Some(namespace.to_owned()), ..account() };
    let of_group = |group: &str| Subject { api_group: Some(group.to_owned()), ..account() };
    for (name, destination, rejects, want) in [
        ("account", account(), false, None),
        ("own namespace", in_namespace(NAMESPACE), false, None),
        ("empty namespace", in_namespace(""), false, None),
        ("empty API group", of_group(""), false, None),
        ("binding", subject(SubjectKind::IdentityBinding, "web"), false, None),
        (
            "another namespace",
            in_namespace("other"),
            true,
            Some(
                "OtherNamespace: spec.destination.namespace: other is not the target's own namespace shop; put the target into \
                 other, or leave the field out",
            ),
        ),
        (
            "group",
            subject(SubjectKind::Group, "system:authenticated"),
            true,
            Some(
                "InvalidDestination: spec.destination.kind: Group system:authenticated cannot be a destination; name a \
                 ServiceAccount or an IdentityBinding",
            ),
        ),
        (
            "another API group",
            of_group("apps"),
            true,
            Some("InvalidSubject: spec.destination.group: ServiceAccount is not a kind of apps; leave the field out"),
        ),
        (
            "account that cannot be",
            subject(SubjectKind::ServiceAccount, "Server_1"),
            true,
            Some(
                "InvalidName: spec.destination.name: no ServiceAccount can have the name \"Server_1\": it is an RFC 1123 subdomain, \
                 so write at most 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends of each part",
            ),
        ),
        (
            "missing binding",
            subject(SubjectKind::IdentityBinding, "gone"),
            false,
            Some(
                "BindingNotFound: spec.destination: IdentityBinding gone does not exist in namespace shop, so it stands for \
                 nobody",
            ),
        ),
    ] {
        let want: Vec<_> = want.map(|text| (rejects, text.to_owned())).into_iter().collect();
        assert_eq!(judged(destination, &[db()], &[account()]), want, "{name}");
    }
}

#[test]
fn judges_sources() {
    let binding = |namespace: &str, name: &str| Subject {
        namespace: Some(namespace.to_owned()),
        ..subject(SubjectKind::IdentityBinding, name)
    };
    for (name, source, want) in [
        ("account of another namespace", Subject { namespace: Some("other".to_owned()), ..account() }, None),
        ("binding", subject(SubjectKind::IdentityBinding, "web"), None),
        ("binding of another namespace", binding("other", "far"), None),
        ("every account", subject(SubjectKind::Group, "system:serviceaccounts"), None),
        ("accounts of a namespace", subject(SubjectKind::Group, "system:serviceaccounts:other"), None),
        (
            "binding elsewhere",
            binding("other", "web"),
            Some(
                "BindingNotFound: spec.sources[0]: IdentityBinding web does not exist in namespace other, so it stands for nobody",
            ),
        ),
        (
            "binding that is not accepted",
            subject(SubjectKind::IdentityBinding, "odd"),
            Some(
                "BindingNotAccepted: spec.sources[0]: IdentityBinding odd of namespace shop is not accepted, so it stands for \
                 nobody; see its status",
            ),
        ),
        (
            "account of a namespace that cannot be",
            Subject { namespace: Some("Shop".to_owned()), ..account() },
            Some(
                "InvalidName: spec.sources[0].namespace: no namespace can have the name \"Shop\": it is an RFC 1123 label, so write at \
                 most 63 lower-case letters, digits and dashes, with a letter or digit at both ends",
            ),
        ),
        (
            "group of a namespace that cannot be",
            subject(SubjectKind::Group, "system:serviceaccounts:Shop"),
            Some(
                "UnknownGroup: spec.sources[0].name: nobody is in group system:serviceaccounts:Shop; write system:serviceaccounts \
                 or system:serviceaccounts:NAMESPACE",
            ),
        ),
        (
            "unknown group",
            subject(SubjectKind::Group, "admins"),
            Some(
                "UnknownGroup: spec.sources[0].name: nobody is in group admins; write system:serviceaccounts or \
                 system:serviceaccounts:NAMESPACE",
            ),
        ),
        (
            "group of no namespace",
            subject(SubjectKind::Group, "system:serviceaccounts:"),
            Some(
                "UnknownGroup: spec.sources[0].name: nobody is in group system:serviceaccounts:; write system:serviceaccounts or \
                 system:serviceaccounts:NAMESPACE",
            ),
        ),
    ] {
        let want: Vec<_> = want.map(|text| (false, text.to_owned())).into_iter().collect();
        assert_eq!(judged(account(), &[db()], &[source]), want, "{name}");
    }
}

#[test]
fn judges_rules() {
    for (name, rule, want) in [
        ("route", db(), None),
        ("its match", rule(SmiKind::TcpRoute, "db", &["sql"]), None),
        ("datagrams", rule(SmiKind::UdpRoute, "dns", &[]), None),
        (
            "another match",
            rule(SmiKind::TcpRoute, "db", &["sql", "all"]),
            Some(
                "MatchNotFound: spec.rules[0].matches: TCPRoute db has no match all, so nothing is granted by it; it has sql",
            ),
        ),
        (
            "a match of none",
            rule(SmiKind::UdpRoute, "dns", &["all"]),
            Some(
                "MatchNotFound: spec.rules[0].matches: UDPRoute dns has no match all, so nothing is granted by it; leave matches \
                 out",
            ),
        ),
        ("requests", rule(SmiKind::HttpRouteGroup, "pages", &[]), None),
        ("some requests", rule(SmiKind::HttpRouteGroup, "pages", &["write"]), None),
        (
            "other requests",
            rule(SmiKind::HttpRouteGroup, "pages", &["write", "delete"]),
            Some(
                "MatchNotFound: spec.rules[0].matches: HTTPRouteGroup pages has no match delete, so nothing is granted by it; it \
                 has read, write",
            ),
        ),
        (
            "invalid group",
            rule(SmiKind::HttpRouteGroup, "broken", &["read"]),
            Some(
                "RouteNotAccepted: spec.rules[0]: HTTPRouteGroup broken is not accepted, so the rule grants nothing; see its status",
            ),
        ),
        (
            "of another kind",
            rule(SmiKind::UdpRoute, "db", &[]),
            Some(
                "RouteNotFound: spec.rules[0]: UDPRoute db does not exist in namespace shop, so the rule grants nothing",
            ),
        ),
        (
            "unreadable",
            rule(SmiKind::TcpRoute, "bad", &[]),
            Some(
                "RouteNotAccepted: spec.rules[0]: TCPRoute bad is not accepted, so the rule grants nothing; see its status",
            ),
        ),
    ] {
        let want: Vec<_> = want.map(|text| (false, text.to_owned())).into_iter().collect();
        assert_eq!(judged(account(), &[rule], &[account()]), want, "{name}");
    }
}

#[test]
fn a_target_that_grants_nothing_is_told_so() {
    let text = |findings: Vec<(bool, String)>| findings.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let no_rules =
        "NoRules: spec.rules is empty, so the target grants nothing; name an HTTPRouteGroup, TCPRoute or UDPRoute";
    let no_sources = "NoSources: spec.sources is empty, so the target grants nothing; name a ServiceAccount, an IdentityBinding or a Group";
    assert_eq!(text(judged(account(), &[], &[account()])), [no_rules]);
    assert_eq!(text(judged(account(), &[db()], &[])), [no_sources]);
    assert_eq!(text(judged(account(), &[], &[])), [no_rules, no_sources]);
}
