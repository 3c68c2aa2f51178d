//! `testclient`: sends what it is told to, and counts who answers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use clap::{Parser, Subcommand};
use e2e::{
    app::{self, Lifecycle},
    load::{self, Connection, Failure, Load, Plan, SharedTally, Tally},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Sends requests and counts who answers.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the control API.
    Serve {
        /// Port of the control API. Meant to be excluded from the mesh.
        #[arg(long, env, default_value_t = 9000)]
        port: u16,
    },
    /// Send one request and end: what a Job does.
    Once {
        /// Where to.
        url: String,
    },
}

/// Loads by id, and marks by load and number.
#[derive(Default)]
struct Loads {
    next: u64,
    running: HashMap<u64, (Load, Vec<Tally>)>,
}

type Shared = Arc<Mutex<Loads>>;
type Refusal = (StatusCode, String);

#[derive(Serialize)]
struct Started {
    id: u64,
}

#[derive(Serialize)]
struct Marked {
    mark: usize,
}

#[derive(Deserialize)]
struct Since {
    since: Option<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    app::log_to_stderr();
    match Options::parse().command {
        Command::Serve { port } => serve(port).await?,
        Command::Once { url } => {
            let answer = Connection::new(&Plan::new(url))?.ask().await?;
            tracing::info!(name = answer.name, "Answered");
        }
    }
    Ok(())
}

async fn serve(port: u16) -> std::io::Result<()> {
    // Nobody calls it but the harness, which knows when a pod ends.
    let lifecycle = Lifecycle::new(Duration::ZERO);
    let router = Router::new()
        .route("/run", post(run))
        .route("/start", post(start))
        .route("/load/{id}", get(look))
        .route("/load/{id}/mark", post(mark))
        .route("/load/{id}/stop", post(stop))
        .with_state(Shared::default());
    let listener = app::listen(port).await?;
    tokio::try_join!(lifecycle.run(), app::serve(listener, router, &lifecycle))?;
    Ok(())
}

async fn run(Json(plan): Json<Plan>) -> Result<Json<Tally>, Refusal> {
    if plan.requests.is_none() && plan.seconds.is_none() {
        return Err((
            StatusCode::BAD_REQUEST,
            "a run needs `requests` or `seconds`; see /start for one without end\n".to_owned(),
        ));
    }
    let tally = SharedTally::default();
    load::run(&plan, &tally, &CancellationToken::new()).await.map_err(refuse)?;
    Ok(Json(tally.now()))
}

async fn start(State(loads): State<Shared>, Json(plan): Json<Plan>) -> Result<Json<Started>, Refusal> {
    Connection::new(&plan).map_err(refuse)?;
    let mut loads = locked(&loads);
    loads.next += 1;
    let id = loads.next;
    loads.running.insert(id, (Load::start(plan), Vec::new()));
    Ok(Json(Started { id }))
}

async fn look(
    State(loads): State<Shared>,
    Path(id): Path<u64>,
    Query(Since { since }): Query<Since>,
) -> Result<Json<Tally>, Refusal> {
    let loads = locked(&loads);
    let (load, marks) = loads.running.get(&id).ok_or_else(|| unknown("load", id))?;
    let tally = load.tally();
    match since {
        None => Ok(Json(tally)),
        Some(mark) => Ok(Json(tally.since(marks.get(mark).ok_or_else(|| unknown("mark", mark))?))),
    }
}

async fn mark(State(loads): State<Shared>, Path(id): Path<u64>) -> Result<Json<Marked>, Refusal> {
    let mut loads = locked(&loads);
    let (load, marks) = loads.running.get_mut(&id).ok_or_else(|| unknown("load", id))?;
    marks.push(load.tally());
    Ok(Json(Marked { mark: marks.len() - 1 }))
}

async fn stop(State(loads): State<Shared>, Path(id): Path<u64>) -> Result<Json<Tally>, Refusal> {
    let (load, _) = locked(&loads).running.remove(&id).ok_or_else(|| unknown("load", id))?;
    load.stop().await.map(Json).map_err(refuse)
}

fn locked(loads: &Shared) -> MutexGuard<'_, Loads> {
    loads.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(failure: Failure) -> Refusal {
    (StatusCode::BAD_REQUEST, format!("{failure}\n"))
}

fn unknown(what: &str, id: impl std::fmt::Display) -> Refusal {
    (StatusCode::NOT_FOUND, format!("there is no {what} {id}\n"))
}
