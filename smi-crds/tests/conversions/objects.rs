//! Generated objects of every kind in every version, as the API server lets them pass.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Kinds with more than one version, with their groups.
pub(crate) const KINDS: [(&str, &str); 4] = [
    ("TrafficSplit", "split.smi-spec.io"),
    ("HTTPRouteGroup", "specs.smi-spec.io"),
    ("TCPRoute", "specs.smi-spec.io"),
    ("TrafficTarget", "access.smi-spec.io"),
];

pub(crate) const VERSIONS: [&str; 4] = ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];

/// An object of a kind in a version, and another version of it.
pub(crate) fn object_and_version() -> impl Strategy<Value = (Value, String)> {
    (0..KINDS.len(), 0..VERSIONS.len(), 0..VERSIONS.len())
        .prop_flat_map(|(kind, from, to)| (object(kind, from), Just(format!("{}/{}", KINDS[kind].1, VERSIONS[to]))))
}

/// An object of `KINDS[kind]` in `VERSIONS[version]`.
pub(crate) fn object(kind: usize, version: usize) -> BoxedStrategy<Value> {
    let fields = match kind {
        0 => split(version).boxed(),
        1 => group(version).boxed(),
        2 => tcp(version).boxed(),
        _ => target(version).boxed(),
    };
    (metadata(), fields, optional(json!({"observedGeneration": 3})))
        .prop_map(move |(metadata, fields, status)| {
            let mut object = json!({
                "apiVersion": format!("{}/{}", KINDS[kind].1, VERSIONS[version]),
                "kind": KINDS[kind].0,
                "metadata": metadata,
            });
            let body = object.as_object_mut().expect("an object");
            body.extend(fields);
            body.extend(status.map(|status| ("status".to_owned(), status)));
            object
        })
        .boxed()
}

type Fields = Map<String, Value>;

/// Some fields of several, each there or not.
fn fields(fields: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> BoxedStrategy<Fields> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    values
        .prop_map(move |values| {
            names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect()
        })
        .boxed()
}

fn always<T: Into<Value> + std::fmt::Debug + Clone + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<Value>> {
    strategy.prop_map(|value| Some(value.into())).boxed()
}

fn maybe<T: Into<Value> + std::fmt::Debug + Clone + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<Value>> {
    prop::option::of(strategy.prop_map(Into::into)).boxed()
}

fn nullable<T: Into<Value> + std::fmt::Debug + Clone + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<Value>> {
    maybe(prop_oneof![4 => strategy.prop_map(Into::into), 1 => Just(Value::Null)])
}

fn optional(value: Value) -> impl Strategy<Value = Option<Value>> {
    prop::option::of(Just(value))
}

fn list(item: impl Strategy<Value = Fields> + 'static, size: std::ops::Range<usize>) -> BoxedStrategy<Value> {
    prop::collection::vec(item.prop_map(Value::Object), size).prop_map(Value::Array).boxed()
}

fn name() -> impl Strategy<Value = String> + Clone {
    "[a-z]{1,3}"
}

fn metadata() -> BoxedStrategy<Fields> {
    let annotations = prop::collection::btree_map("[a-z]{1,2}", "[a-z]{0,2}", 1..3)
        .prop_map(|map| map.into_iter().map(|(name, text)| (name, Value::from(text))).collect::<Fields>());
    fields(vec![
        ("name", always(name())),
        ("namespace", maybe(name())),
        ("generation", maybe(0..9)),
        ("annotations", maybe(annotations)),
        ("labels", maybe(Just(json!({"app": "web"})))),
        ("managedFields", maybe(Just(json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}])))),
    ])
}

/// Quantities whose ratios fit into whole numbers, spelled in many ways.
fn quantity() -> BoxedStrategy<Value> {
    prop_oneof![
        (0..2000u32).prop_map(Value::from),
        (0..2000u32).prop_map(|number| Value::from(number.to_string())),
        (0..5000u32).prop_map(|number| Value::from(format!("{number}m"))),
        (0..20u32, 0..1000u32).prop_map(|(whole, part)| Value::from(format!("{whole}.{part:03}"))),
        (0..20u32).prop_map(|number| Value::from(format!("{number}e2"))),
        (0..20u32).prop_map(|number| Value::from(format!("+0{number}k"))),
    ]
    .boxed()
}

fn split(version: usize) -> BoxedStrategy<Fields> {
    let weight = if version == 0 { quantity() } else { any::<u32>().prop_map(Value::from).boxed() };
    let backends = list(fields(vec![("service", always(name())), ("weight", always(weight))]), 1..4);
    let mut spec = vec![("service", always(name())), ("backends", always(backends))];
    if version >= 2 {
        let group = prop_oneof![Just(Value::Null), Just(json!("")), Just(json!("specs.smi-spec.io"))];
        let reference =
            fields(vec![("apiGroup", maybe(group)), ("kind", always("HTTPRouteGroup")), ("name", always(name()))]);
        spec.push(("matches", nullable(list(reference, 0..3))));
    }
    fields(vec![("spec", always(fields(spec)))])
}

fn headers() -> BoxedStrategy<Value> {
    let map = prop::collection::btree_map("[A-Za-z-]{1,4}", ".{0,4}", 0..3)
        .prop_map(|map| Value::Object(map.into_iter().map(|(name, text)| (name, Value::from(text))).collect()));
    prop_oneof![map.clone(), prop::collection::vec(map, 0..3).prop_map(Value::Array)].boxed()
}

fn matches(version: usize) -> BoxedStrategy<Value> {
    let mut one = vec![
        ("name", always(name())),
        ("pathRegex", nullable("/[a-z.*]{0,4}")),
        ("methods", nullable(prop::sample::subsequence(vec!["*", "GET", "POST"], 0..3))),
    ];
    if version >= 1 {
        one.push(("headers", nullable(headers())));
    }
    // Names are unique: the API server sees to it.
    list(fields(one), 0..4)
        .prop_map(|mut matches| {
            for (index, item) in matches.as_array_mut().expect("a list").iter_mut().enumerate() {
                let name = format!("{}{index}", item["name"].as_str().expect("a name"));
                item["name"] = Value::from(name);
            }
            matches
        })
        .boxed()
}

fn group(version: usize) -> BoxedStrategy<Fields> {
    if version < 2 {
        return fields(vec![("matches", always(matches(version)))]);
    }
    let spec = fields(vec![("matches", always(matches(version)))]);
    prop_oneof![
        fields(vec![("spec", always(spec))]),
        fields(vec![("matches", always(matches(version)))]),
        fields(vec![("matches", always(matches(version))), ("spec", always(Just(json!({}))))]),
    ]
    .boxed()
}

fn port() -> BoxedStrategy<Value> {
    prop_oneof![(1..=u16::MAX).prop_map(Value::from), (1..=u16::MAX).prop_map(|port| Value::from(port.to_string())),]
        .boxed()
}

fn tcp(version: usize) -> BoxedStrategy<Fields> {
    let spec = if version < 3 {
        fields(vec![])
    } else {
        let ports = prop::collection::vec(port(), 0..3);
        let matches = fields(vec![("name", nullable(name())), ("ports", nullable(ports))]);
        fields(vec![("matches", maybe(matches))])
    };
    fields(vec![("spec", maybe(spec))])
}

fn subject(version: usize) -> BoxedStrategy<Fields> {
    let kind = prop_oneof![Just("ServiceAccount"), Just("IdentityBinding"), Just("Group")];
    let mut one = vec![("kind", maybe(kind)), ("name", always(name())), ("namespace", nullable("[a-z]{0,2}"))];
    if version == 3 {
        one.push(("group", nullable(prop_oneof![Just(""), Just("access.smi-spec.io")])));
    }
    fields(one)
}

fn target(version: usize) -> BoxedStrategy<Fields> {
    let destination = if version < 2 {
        (subject(version), prop::option::of(port()))
            .prop_map(|(mut subject, port)| {
                subject.extend(port.map(|port| ("port".to_owned(), port)));
                subject
            })
            .boxed()
    } else {
        subject(version)
    };
    let kind = prop_oneof![Just("HTTPRouteGroup"), Just("TCPRoute"), Just("UDPRoute")];
    let rule = fields(vec![
        ("kind", always(kind)),
        ("name", always(name())),
        ("matches", nullable(prop::collection::vec(name(), 0..3))),
    ]);
    let body = fields(vec![
        ("destination", always(destination)),
        (if version == 0 { "specs" } else { "rules" }, nullable(list(rule, 0..3))),
        ("sources", nullable(list(subject(version), 0..4))),
    ]);
    if version == 0 { body } else { fields(vec![("spec", always(body))]) }
}
