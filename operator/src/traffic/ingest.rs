//! One stream of reports, from the moment that its sender is known to its end.

use std::sync::Arc;

use futures::{Stream, StreamExt, pin_mut};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use weft_proxy_api::v1;

use super::{InvalidReport, RecordError, Source, Store, decode};

/// Why a stream of reports ended before its sender closed it.
///
/// A sender may try again in every case; the first report of its next stream has every edge.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The stream broke.
    #[error("the stream of reports broke")]
    Stream(#[from] tonic::Status),
    /// A report cannot be read.
    #[error("a report is invalid")]
    Invalid(#[from] InvalidReport),
    /// A report contradicts those before it.
    #[error("a report cannot be recorded")]
    Record(#[from] RecordError),
    /// The operator is stopping.
    #[error("the operator is stopping")]
    Stopping,
}

/// Takes streams of reports into the store.
#[derive(Debug, Clone)]
pub struct Ingest {
    store: Arc<Store>,
    stop: CancellationToken,
}

impl Ingest {
    /// Records into `store` until `stop` is cancelled.
    #[must_use]
    pub fn new(store: Arc<Store>, stop: CancellationToken) -> Self {
        Self { store, stop }
    }

    /// Records every report of one authenticated proxy until it closes its stream.
    ///
    /// # Errors
    /// [`IngestError`]. A report that is refused is refused whole, counted, and ends the stream: what it would have said is
    /// missing from then on, and a new stream begins with every edge.
    pub async fn accept<S>(&self, source: Source, reports: S) -> Result<(), IngestError>
    where
        S: Stream<Item = Result<v1::TrafficReport, tonic::Status>>,
    {
        pin_mut!(reports);
        let mut first = true;
        loop {
            let report = tokio::select! {
                () = self.stop.cancelled() => return Err(IngestError::Stopping),
                report = reports.next() => report,
            };
            let Some(report) = report else { return Ok(()) };
            let recorded = self.take(&source, report?, first);
            if let Err(error) = recorded {
                self.store.count_refused();
                tracing::warn!(pod = %source.pod, error = &error as &dyn std::error::Error, "Refused traffic report");
                return Err(error);
            }
            first = false;
        }
    }

    fn take(&self, source: &Source, report: v1::TrafficReport, first: bool) -> Result<(), IngestError> {
        let report = decode(report)?;
        // The runtime's clock, so that tests can hold it.
        let now = tokio::time::Instant::now().into_std();
        Ok(self.store.record(source, report, first, now)?)
    }
}
