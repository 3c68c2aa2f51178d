//! The HTTP side of conversion: who may ask for how much at once.

use std::error::Error;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};

use super::review::{self, ReviewError};
use crate::admission::intake::{Intake, IntakeError};

/// Largest review: 5000 objects of 6 KiB. The API server converts stored objects one by one, and etcd holds none above 1.5 MiB.
const MAX_REVIEW_BYTES: usize = 32 * 1024 * 1024;
/// How much of larger reviews is in memory at a time: two of the largest.
const ROOM_BYTES: usize = 2 * MAX_REVIEW_BYTES;
/// How many larger reviews are worked on at a time. Each takes its size twice more, for what becomes of its objects and for the
/// answer, and up to 100 MiB for the object in hand, which is one of 3 MiB that is a list of small numbers.
const TURNS: usize = 1;

impl IntoResponse for ReviewError {
    fn into_response(self) -> Response {
        tracing::warn!(error = &self as &dyn Error, "Rejected conversion review");
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

/// Serves `POST /convert`: a `ConversionReview` of `apiextensions.k8s.io/v1`. Needs nothing of the cluster, so that every replica
/// answers as soon as it has a certificate.
pub fn router() -> Router {
    let intake = Intake::new(MAX_REVIEW_BYTES, ROOM_BYTES, TURNS);
    // The body is measured while it is read.
    Router::new().route("/convert", post(convert)).layer(DefaultBodyLimit::disable()).with_state(intake)
}

async fn convert(State(intake): State<Intake>, request: Request) -> Result<Result<Response, ReviewError>, IntakeError> {
    let answer = intake.answer(request, review::answer).await?;
    Ok(answer.map(respond))
}

fn respond(answer: review::Answer) -> Response {
    match answer.failure {
        Some(message) => tracing::warn!(objects = answer.objects, message, "Refused to convert"),
        None => tracing::trace!(objects = answer.objects, "Converted"),
    }
    let mut response = Response::new(Body::from(answer.body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
