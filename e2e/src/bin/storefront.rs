//! `storefront` of the demo: asks the catalog, and can be told to ask it many times.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    routing::get,
};
use clap::Parser;
use e2e::{
    app::{self, Lifecycle},
    load::{self, Connection, Plan, SharedTally},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Asks the catalog.
#[derive(Parser)]
struct Options {
    /// Port of every address of the pod.
    #[arg(long, env, default_value_t = 8080)]
    port: u16,
    /// Where the catalog is.
    #[arg(long, env, default_value = "http://catalog:8080/")]
    catalog: String,
    /// Seconds to go on serving after SIGTERM, until the whole cluster knows.
    #[arg(long, env, default_value_t = 3.0)]
    linger: f64,
}

struct Storefront {
    plan: Plan,
    connection: Connection,
}

#[derive(Serialize)]
struct Page {
    catalog_version: String,
}

#[derive(Deserialize)]
struct Wish {
    #[serde(default = "thousand")]
    requests: u64,
    #[serde(default = "four")]
    connections: usize,
}

const fn thousand() -> u64 {
    1000
}

const fn four() -> usize {
    4
}

#[derive(Serialize)]
struct Outcome {
    sent: u64,
    failed: u64,
    by_version: BTreeMap<String, u64>,
    seconds: f64,
    first_failure: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    app::log_to_stderr();
    let lifecycle = Lifecycle::new(Duration::try_from_secs_f64(options.linger)?);
    let plan = Plan::new(options.catalog).count_by("version");
    let storefront = Storefront { connection: Connection::new(&plan)?, plan };
    let router = Router::new().route("/", get(page)).route("/run", get(many)).with_state(Arc::new(storefront));
    let listener = app::listen(options.port).await?;
    tokio::try_join!(lifecycle.run(), app::serve(listener, router, &lifecycle))?;
    Ok(())
}

async fn page(State(storefront): State<Arc<Storefront>>) -> Result<Json<Page>, (StatusCode, String)> {
    let answer = storefront.connection.ask().await.map_err(|error| (StatusCode::BAD_GATEWAY, format!("{error}\n")))?;
    Ok(Json(Page { catalog_version: answer.name }))
}

async fn many(
    State(storefront): State<Arc<Storefront>>,
    Query(wish): Query<Wish>,
) -> Result<Json<Outcome>, (StatusCode, String)> {
    let plan = storefront.plan.clone().requests(wish.requests).connections(wish.connections);
    let tally = SharedTally::default();
    load::run(&plan, &tally, &CancellationToken::new())
        .await
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    let tally = tally.now();
    Ok(Json(Outcome {
        sent: tally.sent,
        failed: tally.failed,
        by_version: tally.by_name,
        seconds: tally.seconds,
        first_failure: tally.first_failure,
    }))
}
