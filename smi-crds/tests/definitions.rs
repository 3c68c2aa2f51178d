//! The CustomResourceDefinitions: names, columns, and schemas that the API server takes and that refuse what they should.
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get ends the test")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::WebhookClientConfig;
use serde_json::{Map, Value, json};
use smi_crds::{definitions, specs, split};

/// Formats of integers and strings that the API server knows; of any other it warns at each apply.
const FORMATS: [&str; 3] = ["date-time", "int32", "int64"];

fn all() -> Vec<(String, Value)> {
    let webhook = WebhookClientConfig { url: Some("https://weft.test/convert".to_owned()), ..Default::default() };
    definitions(&webhook)
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

/// Every version of a definition with its schema, newest first.
fn schemas(definition: &Value) -> Vec<(String, &Value)> {
    let versions = definition["spec"]["versions"].as_array().expect("a definition has versions");
    versions
        .iter()
        .map(|version| (version["name"].as_str().unwrap().to_owned(), &version["schema"]["openAPIV3Schema"]))
        .collect()
}

/// The schema of a field in one version, by names; `*` stands for the items of a list.
fn field_of(version: &str, plural: &str, path: &[&str]) -> Value {
    let definition = named(plural);
    let (_, schema) = schemas(&definition).into_iter().find(|(name, _)| name == version).expect(version);
    path.iter().fold(schema, |at, name| if *name == "*" { &at["items"] } else { &at["properties"][name] }).clone()
}

/// The schema of a field of the stored version.
fn field(plural: &str, path: &[&str]) -> Value {
    field_of("v1alpha4", plural, path)
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
fn serves_every_published_version_and_stores_the_newest() {
    for (name, definition) in all() {
        assert_eq!(definition.get("status"), None, "{name}: status is the API server's");
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let published: &[&str] = match name.split('.').next().unwrap() {
            "identitybindings" | "udproutes" => &["v1alpha4"],
            _ => &["v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"],
        };
        assert_eq!(versions.iter().map(|version| &version["name"]).collect::<Vec<_>>(), published, "{name}");
        for version in versions {
            assert_eq!(version["storage"], version["name"] == "v1alpha4", "{name}");
            assert_eq!(version["served"], true, "{name}");
            assert_eq!(version["subresources"], json!({"status": {}}), "{name}");
        }
        for (version, schema) in schemas(&definition) {
            let conditions = &schema["properties"]["status"]["properties"]["conditions"];
            assert_eq!(conditions["x-kubernetes-list-type"], "map", "{name} {version}");
            assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]), "{name} {version}");
        }
        let conversion = &definition["spec"]["conversion"];
        if published.len() == 1 {
            assert_eq!(conversion, &Value::Null, "{name}: nothing to convert");
        } else {
            let want = json!({"strategy": "Webhook", "webhook": {
                "clientConfig": {"url": "https://weft.test/convert"}, "conversionReviewVersions": ["v1"]}});
            assert_eq!(conversion, &want, "{name}");
        }
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
        ("Backends", ".spec.backends"),
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
        for (version, schema) in schemas(&definition) {
            let plural = name.split('.').next().unwrap();
            walk(&format!("{plural} {version}: "), schema.as_object().unwrap(), &mut |path, node| {
                if node.contains_key("x-kubernetes-preserve-unknown-fields") {
                    open.push(path.to_owned());
                } else {
                    let either = node.get("x-kubernetes-int-or-string") == Some(&json!(true));
                    assert!(either != node.contains_key("type"), "{path}: no type, or one too many");
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
    }
    // Pruning and strict validation end where unknown fields are kept, so these places are named here. In v1alpha1 to
    // v1alpha3 some are kept for no other reason than that the conversion refuses them.
    assert_eq!(
        open,
        [
            "httproutegroups v1alpha4: .matches[*].headers",
            "httproutegroups v1alpha4: .spec.matches[*].headers",
            "httproutegroups v1alpha3: .matches[*].headers",
            "httproutegroups v1alpha3: .spec.matches[*].headers",
            "httproutegroups v1alpha2: .matches[*].headers",
            "httproutegroups v1alpha1: .matches[*].headers",
            "tcproutes v1alpha3: .spec",
            "tcproutes v1alpha2: .spec",
            "tcproutes v1alpha1: .spec",
        ]
    );
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
    assert_eq!(service["maxLength"], json!(253));
    assert_eq!(field("trafficsplits", &["spec"])["required"], json!(["backends", "service"]));
}

#[test]
fn bounds_what_routes_may_say() {
    for plural in ["tcproutes", "udproutes"] {
        let port = field(plural, &["spec", "matches", "ports", "*"]);
        assert_eq!((&port["minimum"], &port["maximum"]), (&json!(1.0), &json!(65535.0)), "{plural}");
        for path in [&[][..], &["spec"], &["spec", "matches"]] {
            assert_eq!(field(plural, path).get("required"), None, "{plural} {path:?}: ports may be left out");
        }
    }
    for (version, path) in [
        ("v1alpha4", &["spec", "matches"][..]),
        ("v1alpha4", &["matches"]),
        ("v1alpha3", &["spec", "matches"]),
        ("v1alpha3", &["matches"]),
        ("v1alpha2", &["matches"]),
        ("v1alpha1", &["matches"]),
    ] {
        let matches = field_of(version, "httproutegroups", path);
        assert_eq!(matches["x-kubernetes-list-map-keys"], json!(["name"]), "{version} {path:?}");
        assert_eq!(matches["items"]["required"], json!(["name"]), "{version} {path:?}");
    }
    for (version, rules) in [("v1alpha4", 2), ("v1alpha3", 2), ("v1alpha2", 0), ("v1alpha1", 0)] {
        let group = field_of(version, "httproutegroups", &[]);
        let count = group.get("x-kubernetes-validations").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(count, rules, "{version}: matches stand in one of two places");
    }
    assert_eq!(field("traffictargets", &["spec"])["required"], json!(["destination"]));
}

#[test]
fn says_what_to_write_instead_of_what_it_refuses() {
    for (name, definition) in all() {
        for (version, schema) in schemas(&definition) {
            walk(&format!("{name} {version}: "), schema.as_object().unwrap(), &mut |path, node| {
                // A pattern is refused with nothing but itself. Conditions are the operator's own.
                assert!(!node.contains_key("pattern") || path.ends_with(".status.conditions[*].reason"), "{path}");
                for rule in node.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                    let message = rule["message"].as_str().unwrap_or_default();
                    assert!(["write", "keep", "name"].iter().any(|word| message.contains(word)), "{path}: {rule}");
                    assert!(!message.contains('\n'), "{path}: the API server takes one line");
                }
            });
        }
    }
}

#[test]
fn refuses_kinds_that_a_version_does_not_know() {
    let binding = json!("self != 'IdentityBinding'");
    let udp = json!("self != 'UDPRoute'");
    for (version, path, want) in [
        ("v1alpha1", &["specs", "*", "kind"][..], Some(&udp)),
        ("v1alpha2", &["spec", "rules", "*", "kind"], Some(&udp)),
        ("v1alpha3", &["spec", "rules", "*", "kind"], None),
        ("v1alpha4", &["spec", "rules", "*", "kind"], None),
        ("v1alpha1", &["sources", "*", "kind"], Some(&binding)),
        ("v1alpha2", &["spec", "sources", "*", "kind"], Some(&binding)),
        ("v1alpha3", &["spec", "sources", "*", "kind"], Some(&binding)),
        ("v1alpha4", &["spec", "sources", "*", "kind"], None),
        ("v1alpha1", &["destination", "kind"], Some(&binding)),
        ("v1alpha2", &["spec", "destination", "kind"], Some(&binding)),
        ("v1alpha3", &["spec", "destination", "kind"], Some(&binding)),
        ("v1alpha4", &["spec", "destination", "kind"], None),
    ] {
        let kind = field_of(version, "traffictargets", path);
        assert!(kind["enum"].is_array(), "{version} {path:?}: {kind}");
        assert_eq!(kind.pointer("/x-kubernetes-validations/0/rule"), want, "{version} {path:?}");
    }
}

#[test]
fn refuses_a_port_of_a_destination_where_the_version_has_none() {
    for version in ["v1alpha3", "v1alpha4"] {
        let destination = field_of(version, "traffictargets", &["spec", "destination"]);
        assert_eq!(destination["x-kubernetes-validations"][0]["rule"], "!has(self.port)", "{version}");
        assert_eq!(destination["required"], json!(["name"]), "{version}: the kind may be left out");
        let source = field_of(version, "traffictargets", &["spec", "sources", "*"]);
        assert_eq!(source["properties"].get("port"), None, "{version}");
    }
    for (version, path) in [("v1alpha1", &["destination", "port"][..]), ("v1alpha2", &["spec", "destination", "port"])]
    {
        let port = field_of(version, "traffictargets", path);
        assert_eq!((&port["minimum"], &port["maximum"]), (&json!(1.0), &json!(65535.0)), "{version}");
    }
}
