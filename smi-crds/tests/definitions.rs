//! The CustomResourceDefinitions: names, columns, and schemas that the API server takes and that refuse what they should.

use serde_json::{Map, Value, json};
use smi_crds::{definitions, specs, split};

/// Formats of integers and strings that the API server knows; of any other it warns at each apply.
const FORMATS: [&str; 3] = ["date-time", "int32", "int64"];

fn all() -> Vec<(String, Value)> {
    definitions()
        .into_iter()
        .map(|definition| {
            let name = definition.metadata.name.clone().expect("a definition has a name");
            (name, serde_json::to_value(definition).expect("a definition is JSON"))
        })
        .collect()
}

/// The definition whose name starts with `plural`.
fn named(plural: &str) -> Value {
    let mut all = all();
    let at = all.iter().position(|(name, _)| name.split('.').next() == Some(plural)).expect(plural);
    all.swap_remove(at).1
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// The schema of a field, by names; `*` stands for the items of a list.
fn field(plural: &str, path: &[&str]) -> Value {
    let definition = named(plural);
    path.iter()
        .fold(schema(&definition), |at, name| if *name == "*" { &at["items"] } else { &at["properties"][name] })
        .clone()
}

#[test]
fn names_every_kind_as_users_do() {
    let names: Vec<Value> = all()
        .iter()
        .map(|(name, definition)| {
            let spec = &definition["spec"];
            json!([name, spec["names"]["kind"], spec["names"]["shortNames"], spec["scope"]])
        })
        .collect();
    assert_eq!(
        Value::from(names),
        json!([
            ["httproutegroups.specs.smi-spec.io", "HTTPRouteGroup", ["htr"], "Namespaced"],
            ["identitybindings.access.smi-spec.io", "IdentityBinding", ["ib"], "Namespaced"],
            ["tcproutes.specs.smi-spec.io", "TCPRoute", ["tr"], "Namespaced"],
            ["trafficsplits.split.smi-spec.io", "TrafficSplit", ["ts"], "Namespaced"],
            ["traffictargets.access.smi-spec.io", "TrafficTarget", ["tt"], "Namespaced"],
            ["udproutes.specs.smi-spec.io", "UDPRoute", ["ur"], "Namespaced"],
        ])
    );
    assert_eq!(named("trafficsplits")["spec"]["group"], split::GROUP);
    assert_eq!(named("tcproutes")["spec"]["group"], specs::GROUP);
}

#[test]
fn has_one_stored_version_with_status_as_a_subresource() {
    for (name, definition) in all() {
        assert_eq!(definition.get("status"), None, "{name}: status is the API server's");
        let versions = definition["spec"]["versions"].as_array().unwrap();
        assert_eq!(versions.iter().filter(|v| v["storage"] == json!(true)).count(), 1, "{name}");
        for version in versions {
            assert_eq!(version["name"], "v1alpha4", "{name}");
            assert_eq!(version["served"], true, "{name}");
            assert_eq!(version["subresources"], json!({"status": {}}), "{name}");
        }
        let conditions = &schema(&definition)["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{name}");
        assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]), "{name}");
    }
}

#[test]
fn shows_the_columns_that_users_look_for() {
    let columns = |plural: &str| -> Vec<(String, String)> {
        let definition = named(plural);
        let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap().clone();
        let text = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
        columns.iter().map(|column| (text(column, "name"), text(column, "jsonPath"))).collect()
    };
    let split = columns("trafficsplits");
    let want = [
        ("Service", ".spec.service"),
        ("Accepted", r#".status.conditions[?(@.type=="Accepted")].status"#),
        ("Programmed", r#".status.conditions[?(@.type=="Programmed")].status"#),
        ("Age", ".metadata.creationTimestamp"),
    ];
    assert_eq!(split.iter().map(|(name, path)| (&**name, &**path)).collect::<Vec<_>>(), want);
    for (name, _) in all() {
        let columns = columns(name.split('.').next().unwrap());
        assert!(columns.iter().any(|(column, _)| column == "Accepted"), "{name}");
        assert_eq!(columns.last().map(|(column, _)| &**column), Some("Age"), "{name}");
    }
}

/// Calls `visit` with the path of each schema in `node`, itself included.
fn walk(path: &str, node: &Map<String, Value>, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    visit(path, node);
    for (name, child) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(&format!("{path}.{name}"), child.as_object().expect("a field has a schema"), visit);
    }
    for (key, mark) in [("items", "[*]"), ("additionalProperties", ".*")] {
        if let Some(child) = node.get(key).and_then(Value::as_object) {
            walk(&format!("{path}{mark}"), child, visit);
        }
    }
}

#[test]
fn is_structural_and_described_to_the_last_field() {
    let mut open = Vec::new();
    for (name, definition) in all() {
        walk(&name, schema(&definition).as_object().unwrap(), &mut |path, node| {
            if node.contains_key("x-kubernetes-preserve-unknown-fields") {
                open.push(path.to_owned());
            } else {
                assert!(node["type"].is_string(), "{path}: no type");
            }
            let described = node.get("description").is_some_and(|text| !text.as_str().unwrap().is_empty());
            assert!(described || path.ends_with(']'), "{path}: no description");
            for key in ["$ref", "oneOf", "anyOf", "allOf", "not", "default", "uniqueItems"] {
                assert!(!node.contains_key(key), "{path}: {key}");
            }
            assert!(!(node.contains_key("properties") && node.contains_key("additionalProperties")), "{path}");
            if let Some(format) = node.get("format") {
                assert!(FORMATS.contains(&format.as_str().unwrap()), "{path}: {format}");
            }
            let fields = node.get("properties").and_then(Value::as_object);
            for required in node.get("required").and_then(Value::as_array).into_iter().flatten() {
                assert!(fields.unwrap().contains_key(required.as_str().unwrap()), "{path}: {required}");
            }
        });
    }
    // Pruning and strict validation end where unknown fields are kept, so the one such place is named here.
    assert_eq!(open, ["httproutegroups.specs.smi-spec.io.spec.matches[*].headers"]);
}

#[test]
fn bounds_what_a_split_may_say() {
    let weight = field("trafficsplits", &["spec", "backends", "*", "weight"]);
    assert_eq!(
        (&weight["type"], &weight["format"], &weight["minimum"], &weight["maximum"]),
        (&json!("integer"), &json!("int64"), &json!(0.0), &json!(4_294_967_295.0))
    );
    let backends = field("trafficsplits", &["spec", "backends"]);
    assert_eq!((&backends["minItems"], &backends["maxItems"]), (&json!(1), &json!(128)));
    assert_eq!(backends["items"]["required"], json!(["service", "weight"]));
    let rules = backends["x-kubernetes-validations"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    assert!(rules[0]["message"].as_str().unwrap().contains("keep one"));
    let service = field("trafficsplits", &["spec", "service"]);
    assert_eq!((&service["minLength"], &service["maxLength"]), (&json!(1), &json!(253)));
    assert_eq!(field("trafficsplits", &["spec"])["required"], json!(["backends", "service"]));
}

#[test]
fn bounds_what_routes_may_say() {
    for plural in ["tcproutes", "udproutes"] {
        let port = field(plural, &["spec", "matches", "ports", "*"]);
        assert_eq!((&port["minimum"], &port["maximum"]), (&json!(1.0), &json!(65535.0)), "{plural}");
        assert_eq!(field(plural, &["spec", "matches"]).get("required"), None, "{plural}: ports may be left out");
    }
    let matches = field("httproutegroups", &["spec", "matches"]);
    assert_eq!(matches["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(matches["items"]["required"], json!(["name"]));
    assert_eq!(field("traffictargets", &["spec"])["required"], json!(["destination"]));
}
