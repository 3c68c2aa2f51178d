//! Starts the operator.

use std::{io::IsTerminal, time::Duration};

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use weft_operator::runtime::{self, Options};

/// Time for a connection to the API server.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Time without a byte from the API server. Longer than a quiet watch, which kube ends after 290 seconds.
const READ_LIMIT: Duration = Duration::from_secs(300);
/// Time for which the operator goes on serving after it was told to stop, until nobody is sent to it any more.
const LINGER: Duration = Duration::from_secs(3);

/// The Weft operator: runs inside the cluster, see config/operator.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// What is logged, such as info or weft_operator=debug.
    #[arg(long, env = "WEFT_LOG", default_value = "info")]
    log: EnvFilter,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let provider = rustls::crypto::ring::default_provider();
    // Fails only where a provider is installed already, which is as good.
    let _installed = provider.install_default();
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_env_filter(arguments.log).with_ansi(std::io::stdout().is_terminal()).init();

    let mut config = kube::Config::infer().await.context("cannot find the API server")?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(READ_LIMIT);
    // Whoever asks tries again by itself, with what is true by then.
    config.default_retry = false;
    let client = kube::Client::try_from(config).context("cannot talk to the API server")?;
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let run = runtime::run(client, arguments.options, shutdown.clone());
    tokio::pin!(run);
    tokio::select! {
        end = &mut run => return Ok(end?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("Stopping");
    tokio::select! {
        end = &mut run => return Ok(end?),
        () = tokio::time::sleep(LINGER) => {}
    }
    shutdown.cancel();
    Ok(run.await?)
}
