//! Whether the operator lives, whether it can do its work, and what it counts.

use std::{error::Error, sync::Arc};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    identity::{Authorities, Counts, Serving},
    index::Index,
    publish::Ledger,
    status,
};

/// Media type of Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is asked for.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) index: Arc<Index>,
    pub(super) authorities: Authorities,
    pub(super) serving: Arc<Serving>,
    pub(super) counts: Arc<Counts>,
    pub(super) status_counts: Arc<status::Counts>,
    pub(super) destinations: Arc<Ledger>,
    pub(super) shutdown: CancellationToken,
}

/// `/livez`: the process answers. `/readyz`: the cluster has been read, there is an issuer, so sidecars can be answered, and a
/// serving certificate, so webhooks can; not while stopping. `/metrics`: for Prometheus.
pub(super) fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

pub(super) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let stopped = async move { shutdown.cancelled().await };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(error = &error as &dyn Error, "Health checks are not served any more");
    }
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.shutdown.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if !health.index.is_synced() {
        (StatusCode::SERVICE_UNAVAILABLE, "the cluster has not been read yet")
    } else if health.authorities.borrow().is_none() {
        (StatusCode::SERVICE_UNAVAILABLE, "there is no issuer yet, see Secret weft-ca")
    } else if !health.serving.has_certificate() {
        // The API server would be sent to webhooks that cannot make a handshake.
        (StatusCode::SERVICE_UNAVAILABLE, "there is no serving certificate yet")
    } else {
        (StatusCode::OK, "ok")
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let authority = health.authorities.borrow().clone();
    let mut text = health.counts.render(authority.as_deref());
    text.push_str(&health.status_counts.render());
    text.push_str(&health.destinations.render());
    ([(CONTENT_TYPE, METRICS)], text)
}
