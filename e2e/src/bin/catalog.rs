//! `catalog` of the demo: says which version it is.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use clap::Parser;
use e2e::app::{self, Lifecycle, Whoami};

/// Says which version of the catalog answers.
#[derive(Parser)]
struct Options {
    /// Port of every address of the pod.
    #[arg(long, env, default_value_t = 8080)]
    port: u16,
    /// Seconds to go on serving after SIGTERM, until the whole cluster knows.
    #[arg(long, env, default_value_t = 3.0)]
    linger: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    app::log_to_stderr();
    let lifecycle = Lifecycle::new(Duration::try_from_secs_f64(options.linger)?);
    let router = Router::new().route("/", get(whoami)).with_state(Whoami::from_env());
    let listener = app::listen(options.port).await?;
    tokio::try_join!(lifecycle.run(), app::serve(listener, router, &lifecycle))?;
    Ok(())
}

async fn whoami(State(whoami): State<Whoami>) -> Json<Whoami> {
    Json(whoami)
}
