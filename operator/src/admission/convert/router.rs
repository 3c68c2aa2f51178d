//! The HTTP side of conversion: who may ask for how much at once.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use thiserror::Error;
use tokio::{
    sync::{AcquireError, Semaphore},
    task::JoinError,
    time::timeout,
};

use super::review::{self, ReviewError};

/// Largest review: 5000 objects of 6 KiB. The API server converts stored objects one by one, and etcd holds none above 1.5 MiB.
const MAX_REVIEW_BYTES: usize = 32 * 1024 * 1024;
/// A review up to this size is answered at once. It takes some milliseconds.
const SMALL_REVIEW_BYTES: usize = 256 * 1024;
/// How many larger ones are in memory at a time. Each takes up to three times its size.
const LARGE_REVIEWS: usize = 2;
/// Time in which a review has to arrive. The API server itself waits for 30 seconds.
const READ_LIMIT: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, Error)]
enum AnswerError {
    #[error(transparent)]
    Review(#[from] ReviewError),
    #[error("the review is larger than {MAX_REVIEW_BYTES} bytes: list with a limit")]
    TooLarge,
    #[error("the review did not arrive within {READ_LIMIT:?}")]
    TooSlow,
    #[error("the review did not arrive whole")]
    Body(#[source] axum::Error),
    #[error("the operator is stopping")]
    Stopping(#[from] AcquireError),
    #[error("the review could not be answered")]
    Panicked(#[from] JoinError),
}

impl IntoResponse for AnswerError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Review(_) | Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Stopping(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::warn!(error = &self as &dyn Error, "Rejected conversion review");
        (status, self.to_string()).into_response()
    }
}

/// Serves `POST /convert`: a `ConversionReview` of `apiextensions.k8s.io/v1`. Needs nothing of the cluster, so that every replica
/// answers as soon as it has a certificate.
pub fn router() -> Router {
    let turns = Arc::new(Semaphore::new(LARGE_REVIEWS));
    // The body is read here, and measured while it is.
    Router::new().route("/convert", post(convert)).layer(DefaultBodyLimit::disable()).with_state(turns)
}

async fn convert(State(turns): State<Arc<Semaphore>>, request: Request) -> Result<Response, AnswerError> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_REVIEW_BYTES) {
        return Err(AnswerError::TooLarge);
    }
    if length.is_some_and(|length| length <= SMALL_REVIEW_BYTES) {
        let body = read(request.into_body(), SMALL_REVIEW_BYTES).await?;
        return Ok(respond(review::answer(&body)?));
    }
    // The turn is taken before anything is read, and held until the answer stands: that bounds the memory.
    let turn = turns.acquire_owned().await?;
    let body = read(request.into_body(), MAX_REVIEW_BYTES).await?;
    let answer = tokio::task::spawn_blocking(move || {
        let _until_done = turn;
        review::answer(&body)
    });
    Ok(respond(answer.await??))
}

async fn read(body: Body, limit: usize) -> Result<Bytes, AnswerError> {
    match timeout(READ_LIMIT, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.source().is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) => {
            Err(AnswerError::TooLarge)
        }
        Ok(Err(error)) => Err(AnswerError::Body(error)),
        Err(_elapsed) => Err(AnswerError::TooSlow),
    }
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
