//! Starts the sidecar, or writes its pod's redirect rules.

use std::{
    io::{self, IsTerminal, Write},
    num::NonZeroU16,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use weft_proxy::{Destinations, LogFormat, Netfilter, Options, Sockets, bind, init, leave, serve};

/// Weft's sidecar
#[derive(Debug, Parser)]
#[command(name = "weft-proxy", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry the pod's traffic
    Run(Box<Options>),
    /// Redirect the pod's traffic to the sidecar
    Init(init::Options),
    /// Tell the pod's sidecar that the pod is about to end
    Leave {
        /// Port of the sidecar's health, readiness, metrics and configuration
        #[arg(long, env = "WEFT_ADMIN_PORT", default_value = "15020", value_name = "PORT")]
        admin_port: NonZeroU16,
    },
}

fn main() -> ExitCode {
    let Err(error) = start() else { return ExitCode::SUCCESS };
    // Whoever reads a container's last lines sees what went wrong and why in one; nobody is left to tell when that fails.
    let _ = writeln!(io::stderr(), "weft-proxy: {error:#}");
    ExitCode::FAILURE
}

fn start() -> anyhow::Result<()> {
    // TLS has no provider of its own; whichever part needs it first must find the same one.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider was installed already");
    }
    match Cli::parse().command {
        Command::Run(options) => run(&options),
        Command::Init(options) => {
            log("info", LogFormat::Text)?;
            Ok(init::run(&options)?)
        }
        Command::Leave { admin_port } => Ok(leave(admin_port)?),
    }
}

fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("WEFT_LOG is no filter")?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

fn run(options: &Options) -> anyhow::Result<()> {
    log(&options.log, options.log_format)?;
    // A connection takes two descriptors, and what a container is given at first is often for 500 of them.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(descriptors) => tracing::debug!(descriptors, "Raised the limit of open files"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "Could not raise the limit of open files")
        }
    }
    runtime::Builder::new_multi_thread()
        .worker_threads(options.worker_threads())
        .thread_name("weft-worker")
        .enable_all()
        .build()
        .context("cannot start the worker threads")?
        .block_on(Box::pin(sidecar(options)))
}

async fn sidecar(options: &Options) -> anyhow::Result<()> {
    let sockets = Sockets {
        outbound: bind(options.outbound_port.get())?,
        inbound: bind(options.inbound_port.get())?,
        admin: bind(options.admin_port.get())?,
    };
    let netfilter = std::sync::Arc::new(Netfilter);
    let destinations = Destinations { outbound: netfilter.clone(), inbound: netfilter };
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let serving = serve(options.settings(), sockets, destinations, shutdown.clone());
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
    Ok(serving.await?)
}
