//! Conversion reviews, as the API server sends them.

use axum::body::Body;
use http::{Request, StatusCode, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::router;

fn split(version: &str, name: &str, weight: Value) -> Value {
    json!({
        "apiVersion": format!("split.smi-spec.io/{version}"),
        "kind": "TrafficSplit",
        "metadata": {"namespace": "shop", "name": name, "uid": name, "labels": {"a": "b"}},
        "spec": {"service": "web", "backends": [{"service": "v1", "weight": weight}]},
    })
}

fn review(to: &str, objects: &[Value]) -> Value {
    json!({
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1",
        "request": {"uid": "705ab4f5", "desiredAPIVersion": format!("split.smi-spec.io/{to}"), "objects": objects},
    })
}

async fn post(body: String, with_length: bool) -> (StatusCode, String) {
    let mut request = Request::post("/convert").header("content-type", "application/json");
    if with_length {
        request = request.header(CONTENT_LENGTH, body.len());
    }
    let response = router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn converted(review: &Value, with_length: bool) -> Value {
    let (status, body) = post(review.to_string(), with_length).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn every_object_comes_back_in_the_version_that_is_wanted_in_its_place() {
    let objects =
        [split("v1alpha4", "a", 1.into()), split("v1alpha1", "b", "500m".into()), split("v1alpha2", "c", 3.into())];
    let answer = converted(&review("v1alpha3", &objects), true).await;
    assert_eq!(
        (&answer["apiVersion"], &answer["kind"], &answer["response"]["uid"], &answer["response"]["result"]),
        (
            &"apiextensions.k8s.io/v1".into(),
            &"ConversionReview".into(),
            &"705ab4f5".into(),
            &json!({"status": "Success"})
        )
    );
    let got = answer["response"]["convertedObjects"].as_array().unwrap();
    for (object, original) in got.iter().zip(&objects) {
        assert_eq!(object["apiVersion"], "split.smi-spec.io/v1alpha3");
        for field in ["name", "namespace", "uid", "labels"] {
            assert_eq!(object["metadata"][field], original["metadata"][field], "{field}");
        }
    }
    assert_eq!(got.len(), 3);
}

#[tokio::test]
async fn a_part_of_an_object_comes_back_with_metadata() {
    for (to, without) in [("v1alpha1", json!({})), ("v1alpha4", json!({})), ("v1alpha2", json!({"metadata": null}))] {
        let mut part = split("v1alpha4", "a", 1.into());
        part.as_object_mut().unwrap().remove("metadata");
        part.as_object_mut().unwrap().extend(without.as_object().unwrap().clone());
        let answer = converted(&review(to, &[part]), true).await;
        let metadata = &answer["response"]["convertedObjects"][0]["metadata"];
        assert!(metadata.is_object(), "{to}: {answer}");
    }
}

#[tokio::test]
async fn one_that_cannot_be_converted_fails_the_review_and_is_named() {
    let bad = |name: &str| split("v1alpha1", name, "half".into());
    let answer = converted(&review("v1alpha4", &[split("v1alpha1", "good", 1.into()), bad("web")]), true).await;
    let response = &answer["response"];
    assert_eq!((&response["uid"], &response["convertedObjects"]), (&"705ab4f5".into(), &json!([])));
    assert_eq!(response["result"]["status"], "Failed");
    let message = response["result"]["message"].as_str().unwrap();
    assert!(message.starts_with("TrafficSplit shop/web: spec.backends[0].weight: "), "{message}");

    let many: Vec<Value> = (0..25).map(|number| bad(&format!("web-{number}"))).collect();
    let answer = converted(&review("v1alpha4", &many), true).await;
    let message = answer["response"]["result"]["message"].as_str().unwrap();
    assert!(message.contains("shop/web-9: ") && message.ends_with("; and 15 more"), "{message}");
}

#[tokio::test]
async fn an_object_beyond_what_the_api_server_takes_is_refused_and_nothing_long_is_repeated() {
    let mut list = split("v1alpha1", "list", 1.into());
    list["spec"]["more"] = vec![0; 1_600_000].into();
    let long = split("v1alpha1", "long", json!("x".repeat(1000)));
    let kind = json!({"apiVersion": "split.smi-spec.io/v1alpha1", "kind": "k".repeat(2_000_000), "metadata": {}});
    for (name, object, want) in [
        ("large", &list, "object 0 of the review has 3200"),
        ("long", &long, "TrafficSplit shop/long: spec.backends[0].weight: a text of 1000 bytes is not a quantity"),
        ("long kind", &kind, "kkkk..."),
    ] {
        let answer = converted(&review("v1alpha4", std::slice::from_ref(object)), true).await;
        let message = answer["response"]["result"]["message"].as_str().unwrap();
        assert!(message.contains(want) && message.len() <= 1024, "{name}: {message:.2000}");
    }
}

#[tokio::test]
async fn a_list_of_thousands_is_one_answer() {
    let objects: Vec<Value> = (0..5000).map(|number| split("v1alpha4", &format!("web-{number}"), 1.into())).collect();
    let review = review("v1alpha1", &objects);
    for with_length in [true, false] {
        let answer = converted(&review, with_length).await;
        let got = answer["response"]["convertedObjects"].as_array().unwrap();
        assert_eq!((got.len(), &got[4999]["metadata"]["name"]), (5000, &"web-4999".into()));
    }
}

#[tokio::test]
async fn what_is_no_review_is_a_bad_request() {
    let change = |change: Value| {
        let mut review = review("v1alpha1", &[]);
        json_patch::merge(&mut review, &change);
        review.to_string()
    };
    for (name, body, want) in [
        ("empty", String::new(), "the body is no ConversionReview: EOF"),
        ("no JSON", "{".to_owned(), "the body is no ConversionReview: EOF"),
        (
            "old version",
            change(json!({"apiVersion": "apiextensions.k8s.io/v1beta1"})),
            "v1beta1: only ConversionReview of",
        ),
        (
            "another kind",
            change(json!({"kind": "AdmissionReview"})),
            "AdmissionReview of apiextensions.k8s.io/v1: only",
        ),
        ("no request", change(json!({"request": null})), "holds no request"),
        ("no objects", change(json!({"request": {"objects": null}})), "the body is no ConversionReview: "),
    ] {
        for with_length in [true, false] {
            let (status, text) = post(body.clone(), with_length).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {text}");
            assert!(text.contains(want), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn a_review_beyond_all_measure_is_refused() {
    let body = " ".repeat(33 * 1024 * 1024);
    for with_length in [true, false] {
        let (status, text) = post(body.clone(), with_length).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{text}");
    }
}
