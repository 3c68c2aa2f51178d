//! Keeps a stream of traffic reports open on the connection that discovery uses.

use std::{sync::Arc, time::Instant};

use futures::stream;
use thiserror::Error;
use tokio::{
    sync::watch,
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use weft_proxy_api::v1::{self, traffic_client::TrafficClient};

use super::{ConnectError, Operator, Session, backoff::Backoff};
use crate::traffic::{Registry, Reports};

/// Why a stream of reports ended before its time.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the operator ended the reports: {}", .0.message())]
    Status(Box<Status>),
    #[error("the operator closed the reports")]
    Closed,
}

/// Reports at the interval of the bootstrap until `stop`, then once more.
pub(crate) async fn report(
    operator: Operator,
    registry: Arc<Registry>,
    instance: Arc<str>,
    started: Instant,
    mut sessions: watch::Receiver<Option<Session>>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    loop {
        let session = tokio::select! {
            // With a session there is a last report to be sent.
            biased;
            session = sessions.wait_for(Option::is_some) => match session {
                Ok(session) => (*session).clone(),
                Err(_discovery_ended) => return,
            },
            () = stop.cancelled() => return,
        };
        let Some(session) = session else { continue };
        let reports =
            Reports::new(registry.clone(), instance.clone(), started, session.bootstrap.latency_bounds.clone());
        let is_last_attempt = stop.is_cancelled();
        let ended = tokio::select! {
            ended = one_stream(&operator, &session, reports, stop.clone()) => ended,
            // The next session may be with another replica, and reports belong where discovery is.
            _ = sessions.changed() => {
                backoff.reset();
                continue;
            }
        };
        match ended {
            Ok(()) => return,
            Err(ended) => {
                tracing::debug!(error = &ended as &dyn std::error::Error, "Lost the stream of traffic reports");
                if is_last_attempt {
                    return;
                }
            }
        }
        tokio::select! {
            () = time::sleep(backoff.next()) => {}
            // The last report is worth one more attempt, but not a wait for a connection.
            () = stop.cancelled() => if sessions.borrow().is_none() { return },
        }
    }
}

/// Reports until `stop`, which ends the stream in good order.
async fn one_stream(
    operator: &Operator,
    session: &Session,
    reports: Reports,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let mut tick = time::interval(session.bootstrap.report_interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let messages = stream::unfold(Some((reports, tick, stop.clone())), |state| async move {
        let (mut reports, mut tick, stop) = state?;
        let last = tokio::select! {
            _ = tick.tick() => false,
            () = stop.cancelled() => true,
        };
        let report: v1::TrafficReport = reports.next();
        Some((report, (!last).then_some((reports, tick, stop))))
    });
    let request = operator.request(messages).await?;
    match TrafficClient::new(session.channel.clone()).report(request).await {
        Ok(_end) if stop.is_cancelled() => Ok(()),
        Ok(_end) => Err(Ended::Closed),
        Err(status) => Err(Ended::Status(Box::new(status))),
    }
}
