//! Takes reviews in: how long one may take to arrive, how much of them is in memory, and how many are worked on at once.
//!
//! Whoever reaches the operator may post a review, so that there is a bound for everything. Room is taken as bytes arrive, and a
//! turn once all are there: who sends nothing holds nothing that others wait for.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::CONTENT_LENGTH};
use http_body_util::BodyExt;
use thiserror::Error;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    task::JoinError,
    time::timeout,
};

/// A review up to this size takes no room and no turn, so that large ones never keep it waiting. Its answer takes some
/// milliseconds.
pub(super) const SMALL_BYTES: usize = 256 * 1024;
/// Room is taken in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Time in which a review has to arrive. The API server itself waits for 30 seconds at most.
const READ_LIMIT: Duration = Duration::from_secs(20);
/// Time in which there has to be room for the next piece, and then a turn. Reviews that wait for each other's room end by it.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// Why a review is not even looked at.
#[derive(Debug, Error)]
pub(super) enum IntakeError {
    #[error("the review is larger than {0} bytes: make the object smaller, or list with a limit")]
    TooLarge(usize),
    #[error("the review did not arrive within {READ_LIMIT:?}")]
    TooSlow,
    #[error("the review did not arrive whole")]
    Body(#[source] axum::Error),
    #[error("too many large reviews at once: try again")]
    Busy,
    #[error("the operator is stopping")]
    Stopping(#[from] AcquireError),
    #[error("the review could not be answered")]
    Panicked(#[from] JoinError),
}

impl IntoResponse for IntakeError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Stopping(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        tracing::warn!(error = &self as &dyn Error, "Rejected review");
        (status, self.to_string()).into_response()
    }
}

/// Takes the reviews of one kind in. A clone shares the room and the turns.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    largest_bytes: usize,
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// A review, and the room that it takes as long as this exists.
struct Taken {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl Intake {
    /// Takes reviews of at most `largest_bytes`. Those that are not small take at most `room_bytes` together, and `turns` of them
    /// are worked on at a time.
    pub(super) fn new(largest_bytes: usize, room_bytes: usize, turns: usize) -> Self {
        let pieces = room_bytes.max(largest_bytes).div_ceil(PIECE_BYTES);
        Self { largest_bytes, room: Arc::new(Semaphore::new(pieces)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// Reads a review and gives what `work` makes of it: on this thread if it is small, else on one of its own in its turn.
    pub(super) async fn answer<T, F>(&self, request: Request, work: F) -> Result<T, IntakeError>
    where
        F: FnOnce(&[u8]) -> T + Send + 'static,
        T: Send + 'static,
    {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > self.largest_bytes) {
            return Err(IntakeError::TooLarge(self.largest_bytes));
        }
        let Ok(taken) = timeout(READ_LIMIT, self.read(request.into_body())).await else {
            return Err(IntakeError::TooSlow);
        };
        let Taken { bytes, room } = taken?;
        if bytes.len() <= SMALL_BYTES {
            return Ok(work(&bytes));
        }
        let turn = within_limit(&self.turns).await?;
        let work = tokio::task::spawn_blocking(move || {
            let _until_done = (room, turn);
            work(&bytes)
        });
        Ok(work.await?)
    }

    async fn read(&self, mut body: Body) -> Result<Taken, IntakeError> {
        let mut taken = Taken { bytes: Vec::new(), room: None };
        let mut paid_bytes = SMALL_BYTES;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(IntakeError::Body)?.into_data() else { continue };
            let length = taken.bytes.len() + data.len();
            if length > self.largest_bytes {
                return Err(IntakeError::TooLarge(self.largest_bytes));
            }
            while paid_bytes < length {
                let piece = within_limit(&self.room).await?;
                match &mut taken.room {
                    Some(room) => room.merge(piece),
                    None => taken.room = Some(piece),
                }
                paid_bytes += PIECE_BYTES;
            }
            taken.bytes.extend_from_slice(&data);
        }
        Ok(taken)
    }
}

async fn within_limit(permits: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, IntakeError> {
    match timeout(WAIT_LIMIT, Arc::clone(permits).acquire_owned()).await {
        Ok(permit) => Ok(permit?),
        Err(_elapsed) => Err(IntakeError::Busy),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use futures::{StreamExt, stream};

    use super::*;

    const LARGE_BYTES: usize = 3 * SMALL_BYTES;

    fn whole(bytes: usize) -> Request {
        Request::new(Body::from(vec![b' '; bytes]))
    }

    /// Sends so much, and then neither more nor an end.
    fn silent_after(bytes: usize) -> Request {
        let sent = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))]);
        Request::new(Body::from_stream(sent.chain(stream::pending())))
    }

    async fn status(answer: impl Future<Output = Result<usize, IntakeError>>) -> StatusCode {
        match answer.await {
            Ok(_) => StatusCode::OK,
            Err(error) => error.into_response().status(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_has_a_size_and_a_time() {
        let intake = Intake::new(LARGE_BYTES, LARGE_BYTES, 1);
        let with_length = |bytes: usize| {
            let mut request = silent_after(0);
            request.headers_mut().insert(CONTENT_LENGTH, bytes.into());
            request
        };
        for (name, request, want) in [
            ("empty", whole(0), StatusCode::OK),
            ("small", whole(SMALL_BYTES), StatusCode::OK),
            ("largest", whole(LARGE_BYTES), StatusCode::OK),
            ("larger", whole(LARGE_BYTES + 1), StatusCode::PAYLOAD_TOO_LARGE),
            ("said to be larger", with_length(LARGE_BYTES + 1), StatusCode::PAYLOAD_TOO_LARGE),
            ("said to come", with_length(10), StatusCode::REQUEST_TIMEOUT),
            ("nothing", silent_after(0), StatusCode::REQUEST_TIMEOUT),
            ("half of it", silent_after(SMALL_BYTES + 1), StatusCode::REQUEST_TIMEOUT),
        ] {
            assert_eq!(status(intake.answer(request, <[u8]>::len)).await, want, "{name}");
        }
        assert_eq!(status(intake.answer(whole(LARGE_BYTES), <[u8]>::len)).await, StatusCode::OK, "no room is lost");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_keeps_nobody_waiting() {
        let intake = Intake::new(LARGE_BYTES, 2 * LARGE_BYTES, 1);
        let silent: Vec<_> = [0, 1, SMALL_BYTES, SMALL_BYTES + 1]
            .map(|bytes| {
                let intake = intake.clone();
                tokio::spawn(async move { intake.answer(silent_after(bytes), <[u8]>::len).await })
            })
            .into();
        tokio::task::yield_now().await;
        let start = tokio::time::Instant::now();
        assert_eq!(status(intake.answer(whole(LARGE_BYTES), <[u8]>::len)).await, StatusCode::OK);
        assert_eq!(start.elapsed(), Duration::ZERO);
        for silent in silent {
            assert!(matches!(silent.await, Ok(Err(IntakeError::TooSlow))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_or_no_turn_is_told_so_in_time() {
        let intake = Intake::new(LARGE_BYTES, LARGE_BYTES, 1);
        let other = intake.clone();
        let room = tokio::spawn(async move { other.answer(silent_after(LARGE_BYTES), <[u8]>::len).await });
        tokio::task::yield_now().await;
        assert_eq!(
            status(intake.answer(whole(LARGE_BYTES), <[u8]>::len)).await,
            StatusCode::SERVICE_UNAVAILABLE,
            "room"
        );
        assert_eq!(status(intake.answer(whole(SMALL_BYTES), <[u8]>::len)).await, StatusCode::OK, "needs none");
        assert!(matches!(room.await, Ok(Err(IntakeError::TooSlow))));

        let turn = Arc::clone(&intake.turns).acquire_owned().await.unwrap();
        assert_eq!(
            status(intake.answer(whole(LARGE_BYTES), <[u8]>::len)).await,
            StatusCode::SERVICE_UNAVAILABLE,
            "turn"
        );
        drop(turn);
        assert_eq!(status(intake.answer(whole(LARGE_BYTES), <[u8]>::len)).await, StatusCode::OK);
    }
}
