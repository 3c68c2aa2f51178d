//! The HTTP side of validation: reviews in, verdicts out.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::StatusCode;
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, META_API_VERSION_V1, META_KIND, Operation},
};
use serde_json::Value;
use smi_crds::STORED;
use thiserror::Error;

use super::{Kind, Verdict, judge};
use crate::{
    admission::{
        intake::{Intake, IntakeError},
        shortened,
    },
    compile::Mesh,
    index::Index,
};

/// The API server takes objects of up to 3 MiB, and sends the old one as well.
const MAX_REVIEW_BYTES: usize = 8 * 1024 * 1024;
/// How much of larger reviews is in memory at a time.
const ROOM_BYTES: usize = 2 * MAX_REVIEW_BYTES;
/// How many larger reviews are worked on at a time. What is read of one may take many times its size.
const TURNS: usize = 1;
/// Longest warning in bytes: what is beyond, the API server may cut anywhere.
const MAX_WARNING_BYTES: usize = 256;
/// How many warnings are given: the API server drops those beyond 4096 bytes altogether.
const MAX_WARNINGS: usize = 15;

/// Why a review cannot be answered.
#[derive(Debug, Error)]
enum ReviewError {
    #[error("the body is no AdmissionReview: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("the body is {kind} of {api_version}: only AdmissionReview of {META_API_VERSION_V1} is answered")]
    Version { kind: String, api_version: String },
    #[error("the AdmissionReview holds no request")]
    NoRequest,
    #[error("the AdmissionReview is about {kind} of {group}/{version}: only kinds of SMI in {STORED} are judged")]
    Kind { kind: String, group: String, version: String },
    #[error("the AdmissionReview holds no object")]
    NoObject,
}

impl IntoResponse for ReviewError {
    fn into_response(self) -> Response {
        tracing::warn!(error = &self as &dyn std::error::Error, "Rejected admission review");
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

/// What a verdict depends on besides the object.
#[derive(Debug, Clone)]
struct Cluster {
    index: Arc<Index>,
    mesh: Arc<Mesh>,
    intake: Intake,
}

/// Serves `POST /validate`: an `AdmissionReview` of `admission.k8s.io/v1` about an SMI object that is created or updated.
pub fn router(index: Arc<Index>, mesh: Mesh) -> Router {
    let intake = Intake::new(MAX_REVIEW_BYTES, ROOM_BYTES, TURNS);
    // The body is measured while it is read.
    Router::new().route("/validate", post(review)).layer(DefaultBodyLimit::disable()).with_state(Cluster {
        index,
        mesh: Arc::new(mesh),
        intake,
    })
}

type Answer = Json<AdmissionReview<DynamicObject>>;

async fn review(State(cluster): State<Cluster>, request: Request) -> Result<Result<Answer, ReviewError>, IntakeError> {
    let intake = cluster.intake.clone();
    intake.answer(request, move |body| read(body, &cluster)).await
}

fn read(body: &[u8], cluster: &Cluster) -> Result<Answer, ReviewError> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body)?;
    if review.types.kind != META_KIND || review.types.api_version != META_API_VERSION_V1 {
        return Err(ReviewError::Version { kind: review.types.kind, api_version: review.types.api_version });
    }
    let Ok(request): Result<AdmissionRequest<DynamicObject>, _> = review.try_into() else {
        return Err(ReviewError::NoRequest);
    };
    Ok(Json(answer(&request, cluster)?.into_review()))
}

fn answer(request: &AdmissionRequest<DynamicObject>, cluster: &Cluster) -> Result<AdmissionResponse, ReviewError> {
    // The API server converts objects of other versions to this one, because the webhook's rules ask for no other.
    let kind = Kind::of(&request.kind.group, &request.kind.kind).filter(|_| request.kind.version == STORED);
    let kind = kind.ok_or_else(|| ReviewError::Kind {
        kind: request.kind.kind.clone(),
        group: request.kind.group.clone(),
        version: request.kind.version.clone(),
    })?;
    let response = AdmissionResponse::from(request);
    let is_of_object = request.sub_resource.as_deref().unwrap_or_default().is_empty();
    if !is_of_object || !matches!(request.operation, Operation::Create | Operation::Update) {
        return Ok(response);
    }
    let object = request.object.as_ref().ok_or(ReviewError::NoObject)?;
    if keeps_meaning(object, request.old_object.as_ref()) {
        return Ok(response);
    }
    let namespace = request.namespace.as_deref().or(object.metadata.namespace.as_deref()).unwrap_or_default();
    let verdict = if kind.refers_to_others() && cluster.index.is_synced() {
        cluster.index.read(|snapshot| judge(kind, object, namespace, &cluster.mesh, Some(snapshot)))
    } else {
        // Changes of the cluster do not wait for it: patterns take time.
        judge(kind, object, namespace, &cluster.mesh, None)
    };
    let name = object.metadata.name.as_deref().or(object.metadata.generate_name.as_deref()).unwrap_or_default();
    let subject = format!("{} {namespace}/{name}", request.kind.kind);
    Ok(respond(response, &subject, &verdict))
}

/// Whether the old object says the same: what was stored once can always be labelled, annotated and deleted, which may take an
/// update that removes a finalizer. So it is with an object that is on its way out.
fn keeps_meaning(object: &DynamicObject, old: Option<&DynamicObject>) -> bool {
    fn fields(object: &DynamicObject) -> impl Iterator<Item = (&String, &Value)> {
        object.data.as_object().into_iter().flatten().filter(|(field, _)| *field != "status")
    }
    // What older versions say beyond the fields.
    fn kept(object: &DynamicObject) -> Option<&String> {
        object.metadata.annotations.as_ref()?.get(smi_crds::CONVERSION)
    }
    let is_same = |old: &DynamicObject| fields(old).eq(fields(object)) && kept(old) == kept(object);
    object.metadata.deletion_timestamp.is_some() || old.is_some_and(is_same)
}

fn respond(response: AdmissionResponse, subject: &str, verdict: &Verdict) -> AdmissionResponse {
    if verdict.refusals.is_empty() {
        let mut response = response;
        let warnings: Vec<String> = verdict
            .warnings
            .iter()
            .take(MAX_WARNINGS)
            .map(|warning| shortened(format!("{subject}: {warning}"), MAX_WARNING_BYTES))
            .collect();
        response.warnings = (!warnings.is_empty()).then_some(warnings);
        return response;
    }
    let refusals: Vec<String> = verdict.refusals.iter().map(ToString::to_string).collect();
    let message = format!("{subject}: {}", refusals.join("; "));
    tracing::warn!(message, "Refused object");
    let mut response = response.deny(message);
    response.result.code = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
    response.result.reason = "Invalid".to_owned();
    response
}
