//! What a list costs that is asked for in an old version.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use smi_crds::{CONVERSION, convert};

#[test]
fn converts_five_thousand_splits_in_well_under_a_second() {
    let object = json!({
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "5b3fa1f2-8d0a-4a6e-9c9e-1f6f3e8f7a11", "resourceVersion": "123456",
            "annotations": {CONVERSION: r#"{"weights":["500m",1]}"#, "team": "web"},
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:backends": {}, "f:service": {}}}}],
        },
        "spec": {
            "service": "web",
            "matches": [{"kind": "HTTPRouteGroup", "name": "beta"}],
            "backends": [{"service": "web-v1", "weight": 1}, {"service": "web-v2", "weight": 2}],
        },
        "status": {"observedGeneration": 3, "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted"}]},
    });
    let objects = vec![object; 5000];
    let start = Instant::now();
    let converted: Vec<_> = objects.into_iter().map(|object| convert(object, "split.smi-spec.io/v1alpha1")).collect();
    let took = start.elapsed();
    assert!(converted.iter().all(|converted| converted.is_ok()));
    println!("{:.1} us each", took.as_secs_f64() * 1e6 / 5000.0);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn converts_an_object_with_tens_of_thousands_of_items_in_well_under_a_second() {
    let subject = |number: usize| json!({"kind": "Group", "name": format!("team-{number}"), "group": "rbac.authorization.k8s.io"});
    let sources: Vec<Value> = (0..20_000).map(subject).collect();
    let item = |number: usize| json!({"name": format!("match-{number}"), "headers": {"x-team": "a"}});
    let matches: Vec<Value> = (0..20_000).map(item).collect();
    for (name, group, kind, spec) in [
        (
            "sources with groups",
            "access.smi-spec.io",
            "TrafficTarget",
            json!({"destination": {"kind": "ServiceAccount", "name": "web"}, "sources": sources}),
        ),
        ("matches with headers", "specs.smi-spec.io", "HTTPRouteGroup", json!({"matches": matches})),
    ] {
        let hub = format!("{group}/v1alpha4");
        let stored = json!({"apiVersion": hub, "kind": kind, "metadata": {"name": "web"}, "spec": spec});
        let start = Instant::now();
        let shown = convert(stored.clone(), &format!("{group}/v1alpha1")).expect(name);
        let back = convert(shown, &hub).expect(name);
        let took = start.elapsed();
        assert!(back == stored, "{name}");
        assert!(took < Duration::from_secs(1), "{name}: {took:?}");
    }
}
