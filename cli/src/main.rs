//! The command `weft`: looks at a cluster and tells what state the mesh is in, and what becomes of a request.

mod arguments;
mod check;
mod connection;
mod explain;
mod migrate;
mod outcome;
mod output;
mod version;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use arguments::{Arguments, Command, Explain};
use outcome::Outcome;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match run().await {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("weft: {}", words(&error));
            Outcome::Unknown
        }
    };
    outcome.into()
}

/// An error with what led to it; what an error says of its cause is not said again.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

async fn run() -> Result<Outcome> {
    // Without a provider named for the process, the first TLS connection would panic.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("another TLS provider is installed already");
    }
    let arguments = Arguments::parse();
    let (printed, outcome) = match arguments.command {
        Command::Version(version) => version::version(&arguments.cluster, version.client, arguments.output).await?,
        Command::Check => check::check(&arguments.cluster, arguments.output).await?,
        Command::MigrateStorage(migrate) => {
            migrate::migrate(&arguments.cluster, migrate.check, arguments.output).await?
        }
        Command::Explain(Explain::Request(request)) => {
            explain::request(&arguments.cluster, &request, arguments.output).await?
        }
    };
    print!("{printed}");
    Ok(outcome)
}
