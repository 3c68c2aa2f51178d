//! The HTTP side of admission: reviews in, verdicts out.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::core::{
    DynamicObject,
    admission::{
        AdmissionRequest, AdmissionResponse, AdmissionReview, META_API_VERSION_V1, META_KIND, Operation,
        SerializePatchError,
    },
};
use thiserror::Error;

use super::{
    Settings,
    inject::{self, Namespace, Outcome, annotation::INJECT},
    intake::{Intake, IntakeError},
};

/// The API server takes objects of up to 3 MiB; a review holds little more than the object.
const MAX_REVIEW_BYTES: usize = 4 * 1024 * 1024;
/// How much of larger reviews is in memory at a time.
const ROOM_BYTES: usize = 4 * MAX_REVIEW_BYTES;
/// How many larger reviews are worked on at a time. What is read of one may take many times its size.
const TURNS: usize = 1;

/// Why a review cannot be answered.
#[derive(Debug, Error)]
enum ReviewError {
    #[error("the body is no AdmissionReview of a pod: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("the body is {kind} of {api_version}: only AdmissionReview of {META_API_VERSION_V1} is answered")]
    Version { kind: String, api_version: String },
    #[error("the AdmissionReview holds no request")]
    NoRequest,
    #[error("the AdmissionReview is about {resource}/{subresource}: only pods are injected")]
    Resource { resource: String, subresource: String },
    #[error("the AdmissionReview holds no pod")]
    NoPod,
    #[error("the patch cannot be written")]
    Patch(#[from] SerializePatchError),
}

impl IntoResponse for ReviewError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Patch(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        tracing::warn!(error = &self as &dyn std::error::Error, "Rejected admission review");
        (status, self.to_string()).into_response()
    }
}

/// Serves `POST /inject`: an `AdmissionReview` of `admission.k8s.io/v1` about a pod that is created.
///
/// The webhook's selectors decide whom the API server asks about. That it asks at all means that the namespace or the pod asks
/// for a sidecar, so the namespace's labels are not looked up here: a copy could be older than the API server's.
pub fn router(settings: Arc<Settings>) -> Router {
    let intake = Intake::new(MAX_REVIEW_BYTES, ROOM_BYTES, TURNS);
    // The body is measured while it is read.
    Router::new().route("/inject", post(review)).layer(DefaultBodyLimit::disable()).with_state((settings, intake))
}

type Answer = Json<AdmissionReview<DynamicObject>>;

async fn review(
    State((settings, intake)): State<(Arc<Settings>, Intake)>,
    request: Request,
) -> Result<Result<Answer, ReviewError>, IntakeError> {
    intake.answer(request, move |body| read(body, &settings)).await
}

fn read(body: &[u8], settings: &Settings) -> Result<Answer, ReviewError> {
    let review: AdmissionReview<Pod> = serde_json::from_slice(body)?;
    if review.types.kind != META_KIND || review.types.api_version != META_API_VERSION_V1 {
        return Err(ReviewError::Version { kind: review.types.kind, api_version: review.types.api_version });
    }
    let Ok(request): Result<AdmissionRequest<Pod>, _> = review.try_into() else {
        return Err(ReviewError::NoRequest);
    };
    Ok(Json(answer(&request, settings)?.into_review()))
}

fn answer(request: &AdmissionRequest<Pod>, settings: &Settings) -> Result<AdmissionResponse, ReviewError> {
    let subresource = request.sub_resource.as_deref().unwrap_or_default();
    if request.resource.resource != "pods" || !subresource.is_empty() {
        return Err(ReviewError::Resource {
            resource: request.resource.resource.clone(),
            subresource: subresource.to_owned(),
        });
    }
    let response = AdmissionResponse::from(request);
    // A sidecar cannot be added to a pod that exists.
    if request.operation != Operation::Create {
        return Ok(response);
    }
    let pod = request.object.as_ref().ok_or(ReviewError::NoPod)?;
    let name = request.namespace.as_deref().or(pod.metadata.namespace.as_deref()).unwrap_or_default();
    let labels = BTreeMap::from([(INJECT.to_owned(), "enabled".to_owned())]);
    match inject::inject(pod, &Namespace { name, labels: &labels }, settings) {
        Ok(Outcome::Injected { patch, warnings }) => {
            tracing::info!(namespace = name, pod = pod_name(pod), "Injected sidecar");
            let mut response = response.with_patch(patch)?;
            response.warnings = (!warnings.is_empty()).then_some(warnings);
            Ok(response)
        }
        Ok(Outcome::AlreadyInjected) => Ok(response),
        Ok(Outcome::Skipped { reason, patch }) => {
            tracing::info!(namespace = name, pod = pod_name(pod), %reason, "Skipped injection");
            if patch.0.is_empty() { Ok(response) } else { Ok(response.with_patch(patch)?) }
        }
        Err(refusal) => {
            let error = &refusal as &dyn std::error::Error;
            tracing::warn!(namespace = name, pod = pod_name(pod), error, "Refused pod");
            let mut response = response.deny(&refusal);
            response.result.code = StatusCode::FORBIDDEN.as_u16();
            response.result.reason = "Forbidden".to_owned();
            Ok(response)
        }
    }
}

/// The name, or what a controller lets the API server make one of.
fn pod_name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().or(pod.metadata.generate_name.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn post_review(body: String) -> (StatusCode, String) {
        let trust_root = Arc::new(ArcSwap::from_pointee("root".to_owned()));
        let settings = Settings::new("image", "https://operator", "cluster.local", trust_root);
        let request =
            Request::post("/inject").header("content-type", "application/json").body(Body::from(body)).unwrap();
        let response = router(Arc::new(settings)).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn review(change: Value) -> String {
        let mut review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "namespace": "shop",
                "operation": "CREATE",
                "userInfo": {},
                "object": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"generateName": "web-"},
                    "spec": {"containers": [{"name": "web"}]},
                },
                "oldObject": null,
            },
        });
        json_patch::merge(&mut review, &change);
        review.to_string()
    }

    #[tokio::test]
    async fn a_created_pod_is_answered_with_a_patch() {
        let (status, body) = post_review(review(json!({}))).await;
        assert_eq!(status, StatusCode::OK);
        let answer: AdmissionReview<DynamicObject> = serde_json::from_str(&body).unwrap();
        assert_eq!(answer.types.api_version, "admission.k8s.io/v1");
        let response = answer.response.unwrap();
        assert!(response.allowed);
        assert_eq!(response.uid, "705ab4f5-6393-11e8-b7cc-42010a800002");
        assert!(body.contains(r#""patchType":"JSONPatch""#), "{body}");
        let patch: json_patch::Patch = serde_json::from_slice(&response.patch.unwrap()).unwrap();
        let mut pod: Value = serde_json::from_str::<Value>(&review(json!({}))).unwrap()["request"]["object"].take();
        json_patch::patch(&mut pod, &patch).unwrap();
        assert_eq!(pod["spec"]["initContainers"][1]["name"], "weft-proxy");
    }

    #[tokio::test]
    async fn pods_are_allowed_unchanged_refused_or_warned_of() {
        let object = |change: Value| json!({"request": {"object": change}});
        for (name, change, allowed, patched, want) in [
            ("an update", json!({"request": {"operation": "UPDATE"}}), true, false, ""),
            ("opted out", object(json!({"metadata": {"labels": {"weft.dev/inject": "disabled"}}})), true, true, ""),
            (
                "refused",
                object(json!({"spec": {"containers": [{"name": "weft-proxy"}]}})),
                false,
                false,
                r#"pod shop/web-*: spec.containers[0].name is \"weft-proxy\""#,
            ),
            (
                "warned of",
                object(json!({"metadata": {"annotations": {"weft.dev/admin-prot": "1"}}})),
                true,
                true,
                r#""warnings":["weft.dev/admin-prot is no annotation of Weft"#,
            ),
        ] {
            let (status, body) = post_review(review(change)).await;
            assert_eq!(status, StatusCode::OK, "{name}: {body}");
            let answer: AdmissionReview<DynamicObject> = serde_json::from_str(&body).unwrap();
            let response = answer.response.unwrap();
            assert_eq!((response.allowed, response.patch.is_some()), (allowed, patched), "{name}: {body}");
            assert!(body.contains(want), "{name}: {body}");
        }
    }

    #[tokio::test]
    async fn a_large_review_is_answered_and_one_beyond_all_measure_is_not() {
        for (name, bytes, want) in [
            ("large", 300 * 1024, StatusCode::OK),
            ("larger than a pod can be", 5 * 1024 * 1024, StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let annotations = json!({"note": "a".repeat(bytes)});
            let (status, text) =
                post_review(review(json!({"request": {"object": {"metadata": {"annotations": annotations}}}}))).await;
            assert_eq!(status, want, "{name}: {text:.200}");
        }
    }

    #[tokio::test]
    async fn what_is_no_review_of_a_pod_is_a_bad_request() {
        for (name, body, want) in [
            ("empty", String::new(), "the body is no AdmissionReview of a pod: EOF"),
            ("no JSON", "pod".to_owned(), "the body is no AdmissionReview of a pod: expected value"),
            (
                "old version",
                review(json!({"apiVersion": "admission.k8s.io/v1beta1"})),
                "admission.k8s.io/v1beta1: only",
            ),
            ("another kind", review(json!({"kind": "ConversionReview"})), "ConversionReview of admission.k8s.io/v1"),
            ("no request", review(json!({"request": null})), "holds no request"),
            ("no object", review(json!({"request": {"object": null}})), "holds no pod"),
            ("a deployment", review(json!({"request": {"object": {"kind": "Deployment"}}})), "expected Pod"),
            (
                "another resource",
                review(json!({"request": {"resource": {"resource": "nodes"}}})),
                "about nodes/: only pods",
            ),
            ("a subresource", review(json!({"request": {"subResource": "eviction"}})), "about pods/eviction"),
        ] {
            let (status, text) = post_review(body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{name}");
            assert!(text.contains(want), "{name}: {text}");
        }
    }
}
