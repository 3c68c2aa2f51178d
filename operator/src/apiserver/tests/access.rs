//! Who may ask what.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use super::Setup;
use crate::apiserver::{
    authentication::User,
    authorization::{Action, Decision, Decisions},
};

const MALLORY: (&str, &str) = ("x-remote-user", "mallory");

#[tokio::test]
async fn who_may_not_is_told_so_in_the_words_of_kubernetes() {
    let setup = Setup::new();
    for (path, message) in [
        (
            "namespaces/demo/deployments/web",
            r#"deployments.metrics.smi-spec.io "web" is forbidden: User "mallory" cannot get resource "deployments" in API group "metrics.smi-spec.io" in the namespace "demo": no rule says so"#,
        ),
        (
            "namespaces/demo/deployments/web/edges",
            r#"deployments.metrics.smi-spec.io "web" is forbidden: User "mallory" cannot get resource "deployments/edges" in API group "metrics.smi-spec.io" in the namespace "demo": no rule says so"#,
        ),
        (
            "trafficmetrics",
            r#"trafficmetrics.metrics.smi-spec.io is forbidden: User "mallory" cannot list resource "trafficmetrics" in API group "metrics.smi-spec.io" at the cluster scope: no rule says so"#,
        ),
    ] {
        let path = format!("/apis/metrics.smi-spec.io/v1alpha1/{path}");
        let (code, status) = setup.request("GET", &path, &[MALLORY]).await;
        assert_eq!(code, StatusCode::FORBIDDEN, "{path}");
        assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("Forbidden")), "{path}");
        assert_eq!(status["message"], message, "{path}");
    }
}

#[tokio::test]
async fn everything_that_the_api_server_said_of_the_user_is_asked() {
    let setup = Setup::new();
    let path = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/demo/deployments/web/edges";
    let headers = [
        ("x-remote-uid", "42"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "system:authenticated"),
        ("x-remote-extra-example.org%2fscope", "view"),
    ];
    setup.request("GET", path, &headers).await;
    let (_, review) = setup.cluster.asked().remove(0);
    assert_eq!(
        review["spec"],
        json!({
            "user": "alice",
            "uid": "42",
            "groups": ["dev", "system:authenticated"],
            "extra": { "example.org/scope": ["view"] },
            "resourceAttributes": {
                "verb": "get", "group": "metrics.smi-spec.io", "version": "v1alpha1", "resource": "deployments",
                "subresource": "edges", "namespace": "demo", "name": "web",
            },
        })
    );
}

#[tokio::test]
async fn documents_need_no_permission() {
    let setup = Setup::new();
    for path in
        ["/apis", "/apis/metrics.smi-spec.io", "/apis/metrics.smi-spec.io/v1alpha1", "/openapi/v2", "/openapi/v3"]
    {
        let (code, _) = setup.request("GET", path, &[MALLORY]).await;
        assert_eq!(code, StatusCode::OK, "{path}");
    }
    assert_eq!(setup.cluster.asked(), []);
}

#[tokio::test]
async fn a_decision_is_asked_once() {
    let setup = Setup::new();
    for _ in 0..3 {
        setup.get("v1alpha1/namespaces/demo/trafficmetrics").await;
    }
    assert_eq!(setup.cluster.asked().len(), 1);
    setup.get("v1alpha1/namespaces/other/trafficmetrics").await;
    assert_eq!(setup.cluster.asked().len(), 2, "another namespace is another question");
    let path = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/demo/trafficmetrics";
    setup.request("GET", path, &[("x-remote-group", "dev")]).await;
    assert_eq!(setup.cluster.asked().len(), 3, "other groups are another user");
}

fn key(name: &str) -> (User, Action) {
    let user = User { name: name.into(), uid: None, groups: vec![], extra: [].into() };
    let action = Action {
        verb: "get",
        version: "v1alpha1",
        resource: "pods",
        subresource: "",
        namespace: None,
        name: String::new(),
    };
    (user, action)
}

#[test]
fn decisions_hold_for_their_time() {
    let begin = Instant::now();
    let decisions = Decisions::default();
    decisions.insert(key("alice"), Decision::Allowed, begin);
    decisions.insert(key("mallory"), Decision::Denied(String::new()), begin);
    for (name, milliseconds, alice, mallory) in [
        ("at once", 0, true, true),
        ("5 s", 4_999, true, true),
        ("after 5 s", 5_000, true, false),
        ("after 10 s", 10_000, false, false),
    ] {
        let now = begin + Duration::from_millis(milliseconds);
        assert_eq!(decisions.get(&key("alice"), now).is_some(), alice, "{name}: allowed");
        assert_eq!(decisions.get(&key("mallory"), now).is_some(), mallory, "{name}: denied");
    }
}

#[test]
fn decisions_are_bounded() {
    let begin = Instant::now();
    let decisions = Decisions::default();
    for number in 0..10_000 {
        decisions.insert(key(&number.to_string()), Decision::Allowed, begin);
        assert!(decisions.len() <= 4096);
    }
}
