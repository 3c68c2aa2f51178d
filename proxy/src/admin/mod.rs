//! The port for operators and probes: health, readiness, metrics, and what the proxy believes.

mod config;
mod leave;
mod metrics;

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::leave::{LeaveError, leave};
use crate::{accept::Drain, discovery::Observed, identity::Credentials, policy::Store, traffic::Registry};

/// What the admin port shows.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) drain: Drain,
    pub(crate) observed: Observed,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) namespace: String,
    pub(crate) cluster_domain: String,
}

/// Why the proxy is not ready to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NotReady {
    #[error("draining")]
    Draining,
    #[error("the operator has not been reached yet")]
    NoBootstrap,
    #[error("there is no certificate yet")]
    NoCertificate,
}

impl Admin {
    /// The listeners are bound before anybody can ask.
    fn readiness(&self) -> Result<(), NotReady> {
        if self.drain.has_begun() {
            return Err(NotReady::Draining);
        }
        if self.observed.bootstrap.borrow().is_none() {
            return Err(NotReady::NoBootstrap);
        }
        if self.credentials.material().is_none() {
            return Err(NotReady::NoCertificate);
        }
        Ok(())
    }

    /// Answers a client, who is of the pod itself if `is_local`.
    fn respond(&self, method: &Method, path: &str, is_local: bool) -> Response<Full<Bytes>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        /// Source: Prometheus text exposition format 0.0.4.
        const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
        if method == Method::POST && path == leave::PATH {
            if !is_local {
                return response(StatusCode::FORBIDDEN, TEXT, "only from within the pod\n");
            }
            tracing::info!("The pod is about to end");
            self.drain.leave();
            return response(StatusCode::OK, TEXT, "ok\n");
        }
        if method != Method::GET && method != Method::HEAD {
            return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET\n");
        }
        match path {
            "/healthz" => response(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => match self.readiness() {
                Ok(()) => response(StatusCode::OK, TEXT, "ok\n"),
                Err(why) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
            },
            "/metrics" => response(StatusCode::OK, METRICS, metrics::render(self)),
            "/config" => match serde_json::to_vec_pretty(&config::Config::of(self)) {
                Ok(json) => response(StatusCode::OK, "application/json", json),
                Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
            },
            _ => response(StatusCode::NOT_FOUND, TEXT, "/healthz /readyz /metrics /config\n"),
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

/// Answers on `listeners` until `stop`.
pub(crate) async fn serve(listeners: Vec<TcpListener>, admin: Arc<Admin>, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    for listener in listeners {
        tasks.spawn(listen(listener, admin.clone(), tasks.clone(), stop.clone()));
    }
    tasks.close();
    tasks.wait().await;
}

async fn listen(listener: TcpListener, admin: Arc<Admin>, tasks: TaskTracker, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, client)) => {
                let (admin, stop) = (admin.clone(), stop.clone());
                tasks.spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let response = admin.respond(request.method(), request.uri().path(), client.ip().is_loopback());
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let connection =
                        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
                    tokio::select! {
                        ended = connection => if let Err(error) = ended {
                            tracing::debug!(error = &error as &dyn std::error::Error, "An admin connection broke");
                        },
                        () = stop.cancelled() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Could not accept an admin connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}
