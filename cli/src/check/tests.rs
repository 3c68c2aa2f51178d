//! Every check against the objects that a cluster may hold, and how the rows are printed.

use kube::core::Status;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::assess::{Read, api_service, definition, injector, namespace, operator};
use super::*;

fn object<T: DeserializeOwned>(value: Value) -> Read<T> {
    Ok(Some(serde_json::from_value(value).unwrap()))
}

fn error(code: u16, message: &str) -> kube::Error {
    kube::Error::Api(Status::failure(message, "Reason").with_code(code).boxed())
}

fn definition_with(versions: Value, conditions: Value) -> Read<CustomResourceDefinition> {
    object(json!({
        "metadata": {"name": "trafficsplits.split.smi-spec.io"},
        "spec": {
            "group": "split.smi-spec.io", "scope": "Namespaced", "versions": versions,
            "names": {"kind": "TrafficSplit", "plural": "trafficsplits"},
        },
        "status": {"conditions": conditions},
    }))
}

fn deployment(wanted: i32, status: Value) -> Read<Deployment> {
    object(json!({"spec": {"replicas": wanted, "selector": {}, "template": {}}, "status": status}))
}

fn webhooks(bundles: &[Value]) -> Read<MutatingWebhookConfiguration> {
    let webhook = |bundle| {
        json!({"name": "pods.weft.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"caBundle": bundle}})
    };
    object(json!({"webhooks": bundles.iter().map(webhook).collect::<Vec<_>>()}))
}

fn service(conditions: Value) -> Read<APIService> {
    object(json!({"spec": {"groupPriorityMinimum": 1, "versionPriority": 1}, "status": {"conditions": conditions}}))
}

#[test]
fn assesses_what_the_cluster_holds() {
    let served = json!([{"name": "v1alpha4", "served": true, "storage": true}]);
    let established = json!([{"type": "Established", "status": "True"}]);
    let split = |read| definition("trafficsplits.split.smi-spec.io", "v1alpha4", &read);
    let metrics = |read| api_service(API_SERVICES[0], &read);
    let up = json!({"readyReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]});
    let down = json!({"conditions": [{"type": "Available", "status": "False"}]});
    let empty = json!({"conditions": [{"type": "Available", "status": "True"}]});
    for (name, check, state, found) in [
        ("kind served", split(definition_with(served.clone(), established.clone())), Outcome::Yes, "served"),
        (
            "kind of another version",
            split(definition_with(json!([{"name": "v1alpha3", "served": true, "storage": true}]), established.clone())),
            Outcome::No,
            "the version is not served",
        ),
        (
            "version not served",
            split(definition_with(json!([{"name": "v1alpha4", "served": false, "storage": true}]), established)),
            Outcome::No,
            "the version is not served",
        ),
        (
            "kind whose names are taken",
            split(definition_with(
                served.clone(),
                json!([{"type": "NamesAccepted", "status": "False", "message": "ts is taken"}]),
            )),
            Outcome::No,
            "ts is taken",
        ),
        ("kind not established", split(definition_with(served, json!([]))), Outcome::No, "not established"),
        ("no kind", split(Ok(None)), Outcome::No, "does not exist"),
        ("namespace", namespace(&object(json!({"status": {"phase": "Active"}}))), Outcome::Yes, "Active"),
        (
            "namespace on its way out",
            namespace(&object(json!({"status": {"phase": "Terminating"}}))),
            Outcome::No,
            "Terminating",
        ),
        ("no namespace", namespace(&Ok(None)), Outcome::No, "does not exist"),
        ("operator", operator(&deployment(2, up)), Outcome::Yes, "2 of 2 pods ready"),
        ("operator down", operator(&deployment(2, down)), Outcome::No, "0 of 2 pods ready"),
        ("operator scaled to zero", operator(&deployment(0, empty)), Outcome::No, "0 of 0 pods ready"),
        ("operator unseen", operator(&deployment(2, json!({}))), Outcome::No, "0 of 2 pods ready"),
        ("injector", injector(&webhooks(&[json!("Y2E=")])), Outcome::Yes, "1 of 1 webhooks"),
        (
            "injector with one bundle of two",
            injector(&webhooks(&[json!("Y2E="), json!(null)])),
            Outcome::No,
            "none in pods.weft.dev",
        ),
        ("injector with an empty bundle", injector(&webhooks(&[json!("")])), Outcome::No, "none in pods.weft.dev"),
        ("injector without webhooks", injector(&webhooks(&[])), Outcome::No, "it has no webhooks"),
        (
            "metrics API",
            metrics(service(json!([{"type": "Available", "status": "True", "message": "all checks passed"}]))),
            Outcome::Yes,
            "available",
        ),
        (
            "metrics API down",
            metrics(service(json!([{"type": "Available", "status": "False", "message": "no endpoints"}]))),
            Outcome::No,
            "no endpoints",
        ),
        ("metrics API unseen", metrics(service(json!([]))), Outcome::No, "the API server has not looked at it yet"),
        ("forbidden", metrics(Err(error(403, "you may not"))), Outcome::Unknown, "you may not"),
        ("broken server", namespace(&Err(error(500, "etcd is gone"))), Outcome::Unknown, "etcd is gone"),
    ] {
        assert_eq!((check.state, check.found.as_str()), (state, found), "{name}");
        assert_eq!(check.advice.is_empty(), state == Outcome::Yes, "{name}: advice is {:?}", check.advice);
    }
}

#[test]
fn advises_by_what_went_wrong() {
    for (name, check, advice) in [
        ("forbidden", namespace(&Err(error(403, "no"))), "use an account that may read this"),
        ("unauthorised", namespace(&Err(error(401, "no"))), "use an account that may read this"),
        ("broken server", namespace(&Err(error(500, "no"))), "try again"),
        ("missing", namespace(&Ok(None)), "install Weft: make install"),
    ] {
        assert_eq!(check.advice, advice, "{name}");
    }
}

#[test]
fn prints_checks_as_table_and_as_json() {
    let checks = [
        Check {
            check: "namespace weft-system".to_owned(),
            state: Outcome::Yes,
            found: "Active".to_owned(),
            advice: String::new(),
        },
        namespace(&Err(error(403, "you may not"))),
    ];
    assert_eq!(
        render(&checks, Format::Table).unwrap(),
        "CHECK                   STATE     FOUND         WHAT TO DO\n\
         namespace weft-system   yes       Active\n\
         namespace weft-system   unknown   you may not   use an account that may read this\n"
    );
    let printed: Value = serde_json::from_str(&render(&checks, Format::Json).unwrap()).unwrap();
    assert_eq!(
        printed,
        json!([
            {"check": "namespace weft-system", "state": "yes", "found": "Active", "advice": ""},
            {"check": "namespace weft-system", "state": "unknown", "found": "you may not",
                "advice": "use an account that may read this"},
        ])
    );
}
