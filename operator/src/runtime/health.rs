//! Whether the operator lives, and whether it can do its work.

use std::{error::Error, sync::Arc};

use axum::{Router, extract::State, routing::get};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::index::Index;

#[derive(Clone)]
struct Health {
    index: Arc<Index>,
    shutdown: CancellationToken,
}

/// `/livez`: the process answers. `/readyz`: the cluster has been read, so sidecars can be answered; not while stopping.
pub(super) fn router(index: Arc<Index>, shutdown: CancellationToken) -> Router {
    Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .with_state(Health { index, shutdown })
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
    } else if health.index.is_synced() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the cluster has not been read yet")
    }
}
