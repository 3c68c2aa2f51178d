//! Manifests of every kind: what is read is written back unchanged, and what is wrong is refused.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use smi_crds::access::v1alpha4::{IdentityBinding, RouteKind, SubjectKind, TrafficTarget};
use smi_crds::specs::v1alpha4::{
    HeaderFilters, HttpMethod, HttpRouteGroup, MatchesError, PortMatch, TcpRoute, UdpRoute,
};
use smi_crds::split::v1alpha4::{Backend, TrafficSplit};

type ReadAndWrite = fn(&str) -> Result<Value, serde_norway::Error>;

fn read_and_write<T: DeserializeOwned + Serialize>(yaml: &str) -> Result<Value, serde_norway::Error> {
    let object: T = serde_norway::from_str(yaml)?;
    Ok(serde_json::to_value(object).expect("SMI kinds are JSON"))
}

fn manifest(api_version: &str, kind: &str, rest: &str) -> String {
    format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: web, namespace: shop, generation: 3}}\n{rest}\n"
    )
}

fn split(spec: &str) -> String {
    manifest("split.smi-spec.io/v1alpha4", "TrafficSplit", &format!("spec: {spec}"))
}

fn specs(kind: &str, spec: &str) -> String {
    manifest("specs.smi-spec.io/v1alpha4", kind, &format!("spec: {spec}"))
}

fn access(kind: &str, spec: &str) -> String {
    manifest("access.smi-spec.io/v1alpha4", kind, &format!("spec: {spec}"))
}

#[test]
fn writes_back_what_was_read() {
    let status = "
spec: {service: web, backends: [{service: web-v1, weight: 1}]}
status:
  observedGeneration: 3
  conditions:
  - type: Accepted
    status: 'True'
    reason: Accepted
    message: ''
    observedGeneration: 3
    lastTransitionTime: '2026-01-02T03:04:05Z'";
    let table: Vec<(&str, ReadAndWrite, String)> = vec![
        (
            "canary",
            read_and_write::<TrafficSplit>,
            split("{service: web, backends: [{service: web-v1, weight: 90}, {service: web-v2, weight: 10}]}"),
        ),
        (
            "heaviest backend of a root by its full name",
            read_and_write::<TrafficSplit>,
            split("{service: web.shop.svc.cluster.local., backends: [{service: web-v1, weight: 4294967295}]}"),
        ),
        (
            "split of what a route group matches",
            read_and_write::<TrafficSplit>,
            split(
                "{service: web, backends: [{service: web-v2, weight: 1}], matches: [{kind: HTTPRouteGroup, name: beta}, \
                 {apiGroup: specs.smi-spec.io, kind: HTTPRouteGroup, name: staff}]}",
            ),
        ),
        (
            "split with an empty list of matches",
            read_and_write::<TrafficSplit>,
            split("{service: web, backends: [{service: web-v2, weight: 0}], matches: []}"),
        ),
        (
            "split with status",
            read_and_write::<TrafficSplit>,
            manifest("split.smi-spec.io/v1alpha4", "TrafficSplit", status),
        ),
        (
            "group with every method",
            read_and_write::<HttpRouteGroup>,
            specs(
                "HTTPRouteGroup",
                "{matches: [{name: all, methods: ['*', GET, HEAD, PUT, POST, DELETE, CONNECT, OPTIONS, TRACE, PATCH]}]}",
            ),
        ),
        (
            "group with headers as a map",
            read_and_write::<HttpRouteGroup>,
            specs("HTTPRouteGroup", "{matches: [{name: beta, headers: {user-agent: '.*Firefox.*', cookie: beta=1}}]}"),
        ),
        (
            "group with headers as a list",
            read_and_write::<HttpRouteGroup>,
            specs(
                "HTTPRouteGroup",
                "{matches: [{name: beta, pathRegex: /api, headers: [{user-agent: '.*Firefox.*'}, {cookie: beta=1}]}]}",
            ),
        ),
        (
            "group with an empty map and an empty list of headers",
            read_and_write::<HttpRouteGroup>,
            specs("HTTPRouteGroup", "{matches: [{name: a, headers: {}, methods: []}, {name: b, headers: []}]}"),
        ),
        (
            "TCP ports",
            read_and_write::<TcpRoute>,
            specs("TCPRoute", "{matches: {name: database, ports: [1, 5432, 65535]}}"),
        ),
        ("every TCP port", read_and_write::<TcpRoute>, specs("TCPRoute", "{matches: {ports: []}}")),
        ("TCP ports left out", read_and_write::<TcpRoute>, specs("TCPRoute", "{matches: {}}")),
        ("UDP ports", read_and_write::<UdpRoute>, specs("UDPRoute", "{matches: {ports: [53]}}")),
        (
            "target with all kinds",
            read_and_write::<TrafficTarget>,
            access(
                "TrafficTarget",
                "{destination: {kind: ServiceAccount, name: web, namespace: shop}, \
                 rules: [{kind: HTTPRouteGroup, name: api, matches: [read]}, {kind: TCPRoute, name: tcp}, \
                 {kind: UDPRoute, name: udp, matches: []}], \
                 sources: [{kind: IdentityBinding, group: access.smi-spec.io, name: front, namespace: edge}, \
                 {kind: ServiceAccount, name: cart}, {kind: Group, name: 'system:serviceaccounts:shop'}]}",
            ),
        ),
        (
            "target that grants nothing",
            read_and_write::<TrafficTarget>,
            access("TrafficTarget", "{destination: {kind: ServiceAccount, name: web}, rules: [], sources: []}"),
        ),
        (
            "binding with every scheme",
            read_and_write::<IdentityBinding>,
            access(
                "IdentityBinding",
                "{schemes: {podLabelSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, \
                 values: [front]}]}, spiffeIdentities: ['cluster.local/ns/shop/sa/web', 'spiffe://elsewhere/web'], \
                 serviceAccount: web}}",
            ),
        ),
        ("binding of no one", read_and_write::<IdentityBinding>, access("IdentityBinding", "{schemes: {}}")),
    ];
    for (name, read_and_write, yaml) in table {
        let want: Value = serde_norway::from_str(&yaml).expect(name);
        assert_eq!(read_and_write(&yaml).expect(name), want, "{name}");
    }
}

#[test]
fn refuses_what_it_cannot_read() {
    let table: Vec<(&str, ReadAndWrite, String, &str)> = vec![
        (
            "negative weight",
            read_and_write::<TrafficSplit>,
            split("{service: web, backends: [{service: web-v1, weight: -1}]}"),
            "-1",
        ),
        (
            "weight above the greatest",
            read_and_write::<TrafficSplit>,
            split("{service: web, backends: [{service: web-v1, weight: 4294967296}]}"),
            "4294967296",
        ),
        (
            "no weight",
            read_and_write::<TrafficSplit>,
            split("{service: web, backends: [{service: web-v1}]}"),
            "missing field `weight`",
        ),
        ("no backends", read_and_write::<TrafficSplit>, split("{service: web}"), "missing field `backends`"),
        (
            "split limited by another kind",
            read_and_write::<TrafficSplit>,
            split("{service: web, backends: [], matches: [{kind: TCPRoute, name: tcp}]}"),
            "TCPRoute",
        ),
        (
            "unknown method",
            read_and_write::<HttpRouteGroup>,
            specs("HTTPRouteGroup", "{matches: [{name: a, methods: [FETCH]}]}"),
            "FETCH",
        ),
        (
            "headers as one word",
            read_and_write::<HttpRouteGroup>,
            specs("HTTPRouteGroup", "{matches: [{name: a, headers: word}]}"),
            "a map from header name to regular expression, or a list of such maps",
        ),
        (
            "headers as a list of words",
            read_and_write::<HttpRouteGroup>,
            specs("HTTPRouteGroup", "{matches: [{name: a, headers: [word]}]}"),
            "expected a map from header name to regular expression",
        ),
        (
            "header value that is not text",
            read_and_write::<HttpRouteGroup>,
            specs("HTTPRouteGroup", "{matches: [{name: a, headers: {x-age: [1]}}]}"),
            "expected a string",
        ),
        ("port 0", read_and_write::<TcpRoute>, specs("TCPRoute", "{matches: {ports: [0]}}"), "0"),
        ("port above 65535", read_and_write::<UdpRoute>, specs("UDPRoute", "{matches: {ports: [65536]}}"), "65536"),
        (
            "port with a leading zero",
            read_and_write::<TcpRoute>,
            specs("TCPRoute", "{matches: {ports: ['080']}}"),
            "080",
        ),
        ("port by name", read_and_write::<TcpRoute>, specs("TCPRoute", "{matches: {ports: [http]}}"), "http"),
        (
            "target without a destination",
            read_and_write::<TrafficTarget>,
            access("TrafficTarget", "{rules: [], sources: []}"),
            "missing field `destination`",
        ),
        (
            "unknown kind of source",
            read_and_write::<TrafficTarget>,
            access(
                "TrafficTarget",
                "{destination: {kind: ServiceAccount, name: web}, rules: [], sources: [{kind: User, name: eve}]}",
            ),
            "User",
        ),
    ];
    for (name, read_and_write, yaml, want) in table {
        let error = read_and_write(&yaml).expect_err(name).to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
}

#[test]
fn refuses_a_header_that_one_map_names_twice() {
    for text in [r#"{"cookie": "a", "cookie": "b"}"#, r#"[{"cookie": "a", "cookie": "b"}]"#] {
        let error = serde_json::from_str::<HeaderFilters>(text).expect_err(text).to_string();
        assert!(error.contains(r#"header "cookie" is named more than once"#), "{text}: {error}");
    }
}

#[test]
fn gives_the_same_filters_for_both_shapes_of_headers() {
    let map: HeaderFilters = serde_json::from_value(json!({"cookie": "beta=1", "host": "web"})).unwrap();
    let list: HeaderFilters = serde_json::from_value(json!([{"cookie": "beta=1"}, {"host": "web"}])).unwrap();
    assert_ne!(map, list, "the shape is kept");
    assert_eq!(map.iter().collect::<Vec<_>>(), [("cookie", "beta=1"), ("host", "web")]);
    assert_eq!(list.iter().collect::<Vec<_>>(), [("cookie", "beta=1"), ("host", "web")]);

    let twice: HeaderFilters = serde_json::from_value(json!([{"cookie": ".*a.*"}, {"cookie": ".*b.*"}])).unwrap();
    assert_eq!(twice.iter().collect::<Vec<_>>(), [("cookie", ".*a.*"), ("cookie", ".*b.*")]);

    for (name, filters, want) in [
        ("empty map", json!({}), true),
        ("empty list", json!([]), true),
        ("list of an empty map", json!([{}]), true),
        ("one filter", json!([{}, {"cookie": "a"}]), false),
    ] {
        assert_eq!(serde_json::from_value::<HeaderFilters>(filters).expect(name).is_empty(), want, "{name}");
    }
}

#[test]
fn reads_null_as_absent() {
    let group: HttpRouteGroup = serde_norway::from_str(&specs(
        "HTTPRouteGroup",
        "{matches: [{name: a, pathRegex: null, methods: null, headers: null}]}",
    ))
    .unwrap();
    let read = &group.matches().unwrap()[0];
    assert_eq!((&read.path_regex, &read.methods, &read.headers), (&None, &None, &None));
    assert_eq!(serde_json::from_value::<PortMatch>(json!({"ports": null})).unwrap(), PortMatch::default());
}

#[test]
fn gives_the_matches_of_a_group_wherever_they_stand() {
    let group = |fields: &str| -> HttpRouteGroup {
        serde_norway::from_str(&manifest("specs.smi-spec.io/v1alpha4", "HTTPRouteGroup", fields)).expect(fields)
    };
    for (name, fields, want) in [
        ("under spec", "spec: {matches: [{name: a}]}", Ok(vec!["a"])),
        ("beside spec", "matches: [{name: a}]", Ok(vec!["a"])),
        ("beside an empty spec", "spec: {}\nmatches: [{name: a}]", Ok(vec!["a"])),
        ("both, equal", "spec: {matches: [{name: a}]}\nmatches: [{name: a}]", Ok(vec!["a"])),
        ("both, different", "spec: {matches: [{name: a}]}\nmatches: [{name: b}]", Err(MatchesError::Differ)),
        ("no match", "spec: {matches: []}", Ok(vec![])),
        ("empty spec", "spec: {}", Err(MatchesError::Missing)),
        ("nothing", "", Err(MatchesError::Missing)),
    ] {
        let group = group(fields);
        let found = group.matches().map(|matches| matches.iter().map(|item| &*item.name).collect::<Vec<_>>());
        assert_eq!(found, want, "{name}");
    }
}

#[test]
fn gives_the_ports_of_a_route_however_they_are_written() {
    let numbers = |ports: Vec<NonZeroU16>| ports.into_iter().map(NonZeroU16::get).collect::<Vec<_>>();
    for (name, fields, want) in [
        ("numbers", "spec: {matches: {ports: [443, 80]}}", &[443, 80][..]),
        ("strings", "spec: {matches: {ports: ['443', 80]}}", &[443, 80]),
        ("empty list", "spec: {matches: {ports: []}}", &[]),
        ("no ports", "spec: {matches: {}}", &[]),
        ("no matches", "spec: {}", &[]),
        ("no spec", "", &[]),
    ] {
        let tcp: TcpRoute =
            serde_norway::from_str(&manifest("specs.smi-spec.io/v1alpha4", "TCPRoute", fields)).expect(name);
        assert_eq!(numbers(tcp.ports().collect()), want, "{name}");
        let udp: UdpRoute =
            serde_norway::from_str(&manifest("specs.smi-spec.io/v1alpha4", "UDPRoute", fields)).expect(name);
        assert_eq!(numbers(udp.ports().collect()), want, "{name}");
    }
}

#[test]
fn names_methods_and_kinds_as_the_wire_does() {
    for method in [HttpMethod::Any, HttpMethod::Get, HttpMethod::Patch] {
        assert_eq!(serde_json::to_value(method).unwrap(), json!(method.as_str()));
    }
    assert_eq!(serde_json::to_value(SubjectKind::IdentityBinding).unwrap(), json!("IdentityBinding"));
    assert_eq!(serde_json::to_value(RouteKind::HttpRouteGroup).unwrap(), json!("HTTPRouteGroup"));
}

fn filter_map() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-zA-Z-]{1,8}", ".{0,8}", 0..4)
}

proptest! {
    #[test]
    fn keeps_any_header_filters(filters in prop_oneof![
        filter_map().prop_map(HeaderFilters::Map),
        prop::collection::vec(filter_map(), 0..4).prop_map(HeaderFilters::List),
    ]) {
        let text = serde_json::to_string(&filters).unwrap();
        prop_assert_eq!(serde_json::from_str::<HeaderFilters>(&text).unwrap(), filters);
    }

    #[test]
    fn keeps_any_weight(weight: u32) {
        let backend = Backend { service: "web".to_owned(), weight };
        let value = serde_json::to_value(&backend).unwrap();
        prop_assert_eq!(&value, &json!({"service": "web", "weight": weight}));
        prop_assert_eq!(serde_json::from_value::<Backend>(value).unwrap(), backend);
    }
}
