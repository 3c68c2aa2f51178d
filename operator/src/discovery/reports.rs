//! Statistics of authenticated sidecars, handed to the store.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};
use weft_proxy_api::v1::{self, traffic_server::Traffic};

use super::{Authenticator, presence};
use crate::{
    index::Index,
    traffic::{Ingest, IngestError, Source},
};

/// Serves `weft.v1.Traffic`.
pub struct Reports {
    authenticator: Authenticator,
    index: Arc<Index>,
    ingest: Ingest,
}

impl Reports {
    /// Hands reports to `ingest`.
    #[must_use]
    pub fn new(authenticator: Authenticator, index: Arc<Index>, ingest: Ingest) -> Self {
        Self { authenticator, index, ingest }
    }
}

#[tonic::async_trait]
impl Traffic for Reports {
    async fn report(
        &self,
        request: Request<Streaming<v1::TrafficReport>>,
    ) -> Result<Response<v1::TrafficReportEnd>, Status> {
        let caller = self.authenticator.authenticate(request.metadata(), request.extensions()).await?;
        let workload = presence::arrived(&self.index, &caller).await?;
        let source = Source { pod: caller.pod.clone(), workload };
        let accepted = tokio::select! {
            accepted = self.ingest.accept(source, request.into_inner()) => accepted,
            () = presence::left(&self.index, &caller) => return Err(presence::gone(&caller)),
        };
        match accepted {
            Ok(()) => Ok(Response::new(v1::TrafficReportEnd {})),
            Err(IngestError::Stream(status)) => Err(status),
            Err(IngestError::Stopping) => Err(Status::unavailable("the operator is stopping")),
            Err(error @ (IngestError::Invalid(_) | IngestError::Record(_))) => {
                Err(Status::invalid_argument(error.to_string()))
            }
        }
    }
}
