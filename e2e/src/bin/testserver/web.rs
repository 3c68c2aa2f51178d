//! HTTP: who answers, any status, any delay, and the control API.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use e2e::{app::Whoami, echo::echo_server::EchoServer};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{Server, count::Totals, echo};

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    whoami: Whoami,
    method: String,
    path: String,
    version_of_http: String,
    caller: String,
}

#[derive(Deserialize)]
struct Delay {
    #[serde(default)]
    ms: u64,
}

/// What is reached through the mesh.
pub(crate) fn routes(server: &Arc<Server>) -> Router {
    let grpc = EchoServer::new(echo::Service(Arc::clone(server)));
    let http = Router::new()
        .route("/probe", get(probe))
        .route("/status/{status}", any(status))
        .route("/delay", any(delay))
        .route("/echo", post(|body: Body| async { body }))
        .route("/", any(answer))
        .route("/{*path}", any(answer))
        .layer(middleware::from_fn_with_state(Arc::clone(server), note))
        .route("/count", get(count))
        .with_state(Arc::clone(server));
    http.route_service("/weft.test.v1.Echo/{method}", grpc)
}

/// What the harness uses.
pub(crate) fn control_routes(server: &Arc<Server>) -> Router {
    Router::new()
        .route("/count", get(count))
        .route("/set-ready/{ready}", post(set_ready))
        .route("/kill/{program}", post(kill_program))
        .with_state(Arc::clone(server))
}

async fn note(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let caller = caller(request.headers(), peer);
    server.counts.note(request.uri().path(), &caller);
    next.run(request).await
}

fn caller(headers: &HeaderMap, peer: SocketAddr) -> String {
    match headers.get("x-caller").and_then(|value| value.to_str().ok()) {
        Some(caller) => caller.to_owned(),
        None => peer.ip().to_canonical().to_string(),
    }
}

async fn answer(
    State(server): State<Arc<Server>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> impl IntoResponse {
    Json(Answer {
        whoami: server.whoami.clone(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        version_of_http: format!("{:?}", request.version()),
        caller: caller(request.headers(), peer),
    })
}

async fn status(Path(status): Path<u16>, State(server): State<Arc<Server>>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(server.whoami.clone())).into_response()
}

async fn delay(Query(delay): Query<Delay>, State(server): State<Arc<Server>>) -> Json<Whoami> {
    tokio::time::sleep(Duration::from_millis(delay.ms)).await;
    Json(server.whoami.clone())
}

/// Like `/ready`, but counted.
async fn probe(State(server): State<Arc<Server>>) -> StatusCode {
    if server.lifecycle.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn count(State(server): State<Arc<Server>>) -> Json<Totals> {
    Json(server.counts.now())
}

async fn set_ready(Path(ready): Path<bool>, State(server): State<Arc<Server>>) {
    server.lifecycle.set_ready(ready);
}

/// Kills every process of this name that the pod shows; with `shareProcessNamespace` those of its other containers, too.
async fn kill_program(Path(program): Path<String>) -> Result<String, (StatusCode, String)> {
    let failed = |error: std::io::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"));
    let mut killed = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(command) = std::fs::read_to_string(entry.path().join("comm")) else {
            continue;
        };
        if command.trim_end() == program {
            kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| failed(error.into()))?;
            killed.push(pid);
        }
    }
    if killed.is_empty() {
        return Err((StatusCode::NOT_FOUND, format!("no process here is called {program}\n")));
    }
    Ok(format!("killed {killed:?}\n"))
}
