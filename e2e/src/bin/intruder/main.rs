//! `intruder`: shows certificates that are not its own, asks for those it must not have, wears servers out, and listens to the
//! wire. What it does and how it went is asked for and told by its control API.

mod approach;
mod attack;
mod capture;
mod petition;
mod pose;
mod verifier;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    http::StatusCode,
    routing::{get, post},
};
use clap::{Parser, Subcommand};
use e2e::{
    app::{self, Lifecycle},
    intrusion::CONTROL_PORT,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::crypto::{CryptoProvider, ring};

/// Does what nobody in a mesh should get away with.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the control API.
    Serve {
        /// Port of the control API.
        #[arg(long, env, default_value_t = CONTROL_PORT)]
        control_port: u16,
        /// Port on which to answer in a sidecar's place.
        #[arg(long, env)]
        pose_port: Option<u16>,
    },
    /// Read what goes between pods, in the network namespace of their node, until standard input ends.
    Capture {
        /// What is searched for.
        #[arg(long)]
        marker: String,
        /// Addresses of the pods.
        #[arg(long, value_delimiter = ',')]
        pods: Vec<IpAddr>,
    },
}

/// What the control API answers to a request that cannot be followed.
type Refusal = (StatusCode, String);

fn refuse(error: impl std::fmt::Display) -> Refusal {
    (StatusCode::BAD_REQUEST, format!("{error}\n"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    app::log_to_stderr();
    match Options::parse().command {
        Command::Serve { control_port, pose_port } => serve(control_port, pose_port).await,
        Command::Capture { marker, pods } => {
            Ok(tokio::task::spawn_blocking(move || capture::run(&marker, &pods)).await??)
        }
    }
}

async fn serve(control_port: u16, pose_port: Option<u16>) -> anyhow::Result<()> {
    // Thousands of connections are opened here.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let lifecycle = Lifecycle::new(Duration::ZERO);
    let poser = pose::Poser::new(Arc::clone(&provider));
    let router = Router::new()
        .route("/approach", post(move |Json(wish)| approach::run(wish, Arc::clone(&provider))))
        .route("/petition", post(petition::run))
        .route("/pose", post(pose::take).get(pose::look).with_state(Arc::clone(&poser)))
        .merge(
            Router::new()
                .route("/attack", post(attack::start))
                .merge(
                    Router::new()
                        .route("/attack/{id}", get(attack::look))
                        .route("/attack/{id}/stop", post(attack::stop)),
                )
                .with_state(attack::Attacks::default()),
        );
    let control = app::listen(control_port).await?;
    tokio::try_join!(
        async { Ok::<_, anyhow::Error>(lifecycle.run().await?) },
        async { Ok(app::serve(control, router, &lifecycle).await?) },
        async { Ok(poser.serve(pose_port, &lifecycle).await?) },
    )?;
    Ok(())
}
