//! What an annotation that a client wrote, damaged or left behind cannot do: widen access, or make an object unreadable.

use std::num::NonZeroU16;

use serde_json::{Value, json};
use smi_crds::access::v1alpha4::TrafficTarget;
use smi_crds::{CONVERSION, convert};

fn target(version: &str, annotation: &str, port: Option<Value>) -> Value {
    let mut destination = json!({"kind": "ServiceAccount", "name": "web"});
    if let Some(port) = port {
        destination["port"] = port;
    }
    json!({
        "apiVersion": format!("access.smi-spec.io/{version}"),
        "kind": "TrafficTarget",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {CONVERSION: annotation}},
        "spec": {"destination": destination, "rules": [{"kind": "TCPRoute", "name": "all"}]},
    })
}

fn read(object: Value) -> TrafficTarget {
    serde_json::from_value(object).expect("a TrafficTarget")
}

#[test]
fn gives_the_port_of_the_annotation_or_an_error_but_never_every_port_by_mistake() {
    let port = |number| Ok(NonZeroU16::new(number));
    for (name, annotation, want) in [
        ("number", r#"{"port":8080}"#, port(8080)),
        ("string", r#"{"port":"8080"}"#, port(8080)),
        ("nothing kept", "{}", Ok(None)),
        ("without effect in the hub", r#"{"groups":[]}"#, Ok(None)),
        ("not JSON", r#"{"port":80"#, Err("not JSON")),
        ("not an object", "8080", Err("not a JSON object")),
        ("name of a port", r#"{"port":"http"}"#, Err("is not a port")),
        ("null", r#"{"port":null}"#, Err("null is not a port")),
        ("zero", r#"{"port":0}"#, Err("0 is not a port")),
        ("too large", r#"{"port":65536}"#, Err("65536 is not a port")),
        ("unknown field", r#"{"ports":[80]}"#, Err(r#"unknown field "ports""#)),
        ("was unreadable", r#"{"unreadable":"x"}"#, Err("could not be read")),
        ("was unreadable, and a client gave a port since", r#"{"port":80,"unreadable":"x"}"#, port(80)),
        ("empty", "", Err("not JSON")),
    ] {
        match (read(target("v1alpha4", annotation, None)).port(), want) {
            (Ok(found), Ok(want)) => assert_eq!(found, want, "{name}"),
            (Err(found), Err(want)) => assert!(found.to_string().contains(want), "{name}: {found}"),
            (found, want) => panic!("{name}: {found:?}, not {want:?}"),
        }
    }
    let mut plain = target("v1alpha4", "", None);
    plain["metadata"]["annotations"] = json!({"team": "web"});
    assert_eq!(read(plain).port(), Ok(None));
}

#[test]
fn keeps_a_port_that_cannot_be_read_failing_through_every_version() {
    for annotation in [r#"{"port":80"#, r#"{"port":"http"}"#, "8080", r#"{"port":8080,"more":1}"#] {
        for version in ["v1alpha1", "v1alpha2", "v1alpha3"] {
            let stored = target("v1alpha4", annotation, None);
            let shown = convert(stored.clone(), &format!("access.smi-spec.io/{version}")).expect(annotation);
            let back = convert(shown, "access.smi-spec.io/v1alpha4").expect(annotation);
            assert_eq!(back, stored, "{version}");
            read(back).port().expect_err(annotation);
        }
    }
}

#[test]
fn keeps_the_port_where_there_is_nothing_to_keep_it_in() {
    for (name, metadata) in [
        ("no annotations", json!({"name": "web"})),
        ("null as annotations", json!({"name": "web", "annotations": null})),
        ("null as metadata", Value::Null),
        ("annotations that are none", json!({"name": "web", "annotations": []})),
    ] {
        for version in ["v1alpha1", "v1alpha2"] {
            let mut written = target("v1alpha2", "{}", Some(json!(8080)));
            written["metadata"] = metadata.clone();
            if version == "v1alpha1" {
                written["apiVersion"] = json!("access.smi-spec.io/v1alpha1");
                let spec = written["spec"].take();
                written.as_object_mut().unwrap().remove("spec");
                written["destination"] = spec["destination"].clone();
            }
            let mut stored = convert(written, "access.smi-spec.io/v1alpha4").expect(name);
            stored["metadata"]["name"] = json!("web");
            assert_eq!(read(stored).port(), Ok(NonZeroU16::new(8080)), "{name}, {version}");
        }
    }
}

/// Long enough for a call in each other's to need more than any stack.
#[test]
fn an_annotation_of_dashes_is_without_effect() {
    let stored = json!({
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": "web", "annotations": {CONVERSION: json!({"weights": ["-".repeat(200_000)]}).to_string()}},
        "spec": {"service": "web", "backends": [{"service": "v1", "weight": 1}]},
    });
    let shown = convert(stored, "split.smi-spec.io/v1alpha1").unwrap();
    assert_eq!(shown["spec"]["backends"][0]["weight"], "1");
}

#[test]
fn lets_the_visible_port_win_over_a_forged_one() {
    for (name, visible, want) in [("given", Some(json!(80)), NonZeroU16::new(80)), ("removed", None, None)] {
        let written = target("v1alpha2", r#"{"port":9090}"#, visible);
        let stored = convert(written, "access.smi-spec.io/v1alpha4").expect(name);
        assert_eq!(read(stored).port(), Ok(want), "{name}");
    }
}

#[test]
fn keeps_the_port_when_a_newer_version_changes_the_destination() {
    let written = target("v1alpha2", "{}", Some(json!(80)));
    let mut stored = convert(written, "access.smi-spec.io/v1alpha4").unwrap();
    stored["spec"]["destination"]["name"] = json!("api");
    assert_eq!(read(stored.clone()).port(), Ok(NonZeroU16::new(80)));
    let shown = convert(stored, "access.smi-spec.io/v1alpha1").unwrap();
    assert_eq!(shown["destination"], json!({"kind": "ServiceAccount", "name": "api", "port": 80}));
}

/// Damaged in ways that may hide a restriction: refused where the restriction would have to come back.
#[test]
fn refuses_a_damaged_annotation_where_a_restriction_may_be_lost() {
    let object = |api_version: &str, kind: &str, fields: Value| {
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        object
    };
    let group = object("specs.smi-spec.io/v1alpha1", "HTTPRouteGroup", json!({"matches": [{"name": "a"}]}));
    let route = object("specs.smi-spec.io/v1alpha3", "TCPRoute", json!({"spec": {}}));
    let split = object(
        "split.smi-spec.io/v1alpha2",
        "TrafficSplit",
        json!({"spec": {"service": "a", "backends": [{"service": "b", "weight": 1}]}}),
    );
    for (name, object, annotation) in [
        ("headers cut off", &group, r#"{"headers":[["a",{"x":"#),
        ("headers of another shape", &group, r#"{"headers":[["a",7]]}"#),
        ("headers without a name", &group, r#"{"headers":[[{"x":"y"}]]}"#),
        ("headers in a map", &group, r#"{"headers":{"a":{"x":"y"}}}"#),
        ("what a newer Weft may keep", &group, r#"{"query":"x"}"#),
        ("port zero", &route, r#"{"matches":{"ports":[0]}}"#),
        ("no object", &route, r#"{"matches":[80]}"#),
        ("port by name", &route, r#"{"matches":{"ports":["http"]}}"#),
        ("other kind of match", &split, r#"{"matches":[{"kind":"TCPRoute","name":"a"}]}"#),
        ("match of another group", &split, r#"{"matches":[{"apiGroup":"x","kind":"HTTPRouteGroup","name":"a"}]}"#),
        ("match without a name", &split, r#"{"matches":[{"kind":"HTTPRouteGroup","name":""}]}"#),
        ("text", &split, "x"),
    ] {
        let mut object = object.clone();
        object["metadata"]["annotations"] = json!({CONVERSION: annotation});
        let (group, _) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
        let to = format!("{group}/v1alpha4");
        let error = convert(object, &to).expect_err(name);
        assert_eq!(error.field, "metadata.annotations[weft.dev/conversion]", "{name}: {error}");
    }
}
