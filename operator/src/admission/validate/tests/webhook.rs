//! Reviews in, verdicts out.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kube::core::admission::AdmissionReview;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{super::router, *};
use crate::index::Index;

async fn post(body: String) -> (StatusCode, String) {
    let request = Request::post("/validate").header("content-type", "application/json").body(Body::from(body)).unwrap();
    let response = router(Arc::new(Index::default()), mesh()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn split(service: &str) -> Value {
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"service": service, "backends": [{"service": "v1", "weight": 1}]},
    })
}

fn review(change: Value) -> String {
    let mut review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "split.smi-spec.io", "version": "v1alpha4", "kind": "TrafficSplit"},
            "resource": {"group": "split.smi-spec.io", "version": "v1alpha4", "resource": "trafficsplits"},
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {},
            "object": split("web"),
            "oldObject": null,
        },
    });
    json_patch::merge(&mut review, &change);
    review.to_string()
}

#[tokio::test]
async fn objects_are_allowed_refused_or_warned_of() {
    let bad = || split("web.bank");
    let labelled = || {
        let mut split = bad();
        split["metadata"]["labels"] = json!({"a": "b"});
        split["status"] = json!({"observedGeneration": 1});
        split
    };
    let with_deletion = || {
        let mut split = split("web.other");
        split["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        split
    };
    for (name, request, allowed, want) in [
        ("good", json!({}), true, ""),
        (
            "bad",
            json!({"object": bad()}),
            false,
            r#"TrafficSplit shop/web: spec.service: \"web.bank\" is in the namespace"#,
        ),
        ("made bad", json!({"operation": "UPDATE", "object": bad(), "oldObject": split("web")}), false, "spec.service"),
        ("bad and labelled", json!({"operation": "UPDATE", "object": labelled(), "oldObject": bad()}), true, ""),
        (
            "bad and on its way out",
            json!({"operation": "UPDATE", "object": with_deletion(), "oldObject": bad()}),
            true,
            "",
        ),
        ("status of a bad one", json!({"operation": "UPDATE", "subResource": "status", "object": bad()}), true, ""),
        ("deleted", json!({"operation": "DELETE", "object": null, "oldObject": bad()}), true, ""),
        (
            "all weights 0",
            json!({"object": {"spec": {"backends": [{"service": "v1", "weight": 0}]}}}),
            true,
            r#""warnings":["TrafficSplit shop/web: spec.backends: all weights are 0"#,
        ),
    ] {
        let (status, body) = post(review(json!({"request": request}))).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
        let answer: AdmissionReview<DynamicObject> = serde_json::from_str(&body).unwrap();
        let response = answer.response.unwrap();
        assert_eq!(response.allowed, allowed, "{name}: {body}");
        assert_eq!(response.patch, None, "{name}: nothing is ever changed");
        assert!(body.contains(want), "{name}: {body}");
        assert_eq!(response.warnings.is_some(), want.contains("warnings"), "{name}: {body}");
        if !allowed {
            assert_eq!((response.result.code, &*response.result.reason), (422, "Invalid"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_warning_is_cut_before_the_api_server_cuts_it() {
    let long = "a".repeat(260);
    let object = json!({"metadata": {"name": long}, "spec": {"backends": [{"service": "v1", "weight": 0}]}});
    let (_, body) = post(review(json!({"request": {"object": object}}))).await;
    let answer: AdmissionReview<DynamicObject> = serde_json::from_str(&body).unwrap();
    let warnings = answer.response.unwrap().warnings.unwrap();
    assert_eq!(warnings[0].len(), 256);
    assert!(warnings[0].ends_with("..."), "{warnings:?}");
}

#[tokio::test]
async fn a_large_review_is_answered_and_one_beyond_all_measure_is_not() {
    for (name, bytes, want) in [
        ("large", 300 * 1024, StatusCode::OK),
        ("largest", 7 * 1024 * 1024, StatusCode::OK),
        ("larger", 9 * 1024 * 1024, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let annotations = json!({"note": "a".repeat(bytes)});
        let (status, body) =
            post(review(json!({"request": {"object": {"metadata": {"annotations": annotations}}}}))).await;
        assert_eq!(status, want, "{name}: {body:.200}");
    }
}

#[tokio::test]
async fn what_is_no_review_of_an_smi_object_is_a_bad_request() {
    for (name, body, want) in [
        ("empty", String::new(), "the body is no AdmissionReview: EOF"),
        ("old version", review(json!({"apiVersion": "admission.k8s.io/v1beta1"})), "admission.k8s.io/v1beta1: only"),
        ("no request", review(json!({"request": null})), "holds no request"),
        ("no object", review(json!({"request": {"object": null}})), "holds no object"),
        (
            "another kind",
            review(json!({"request": {"kind": {"group": "", "version": "v1", "kind": "Pod"}}})),
            "about Pod of /v1: only kinds of SMI in v1alpha4",
        ),
        (
            "an old version",
            review(json!({"request": {"kind": {"version": "v1alpha1"}}})),
            "about TrafficSplit of split.smi-spec.io/v1alpha1: only",
        ),
    ] {
        let (status, text) = post(body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
        assert!(text.contains(want), "{name}: {text}");
    }
}
