//! `impostor`: plays the operator to a sidecar, or a sidecar to the operator, and does what the real one never would.

mod authority;
mod operator;
mod proxy;
mod script;

use clap::{Parser, Subcommand};
use e2e::app;

/// Plays one end of the discovery protocol by a script.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Role,
    /// Port of the control API.
    #[arg(long, env, global = true, default_value_t = 9000)]
    control_port: u16,
}

#[derive(Subcommand)]
enum Role {
    /// Tell sidecars what the harness says.
    Operator(operator::Options),
    /// Refuse what the operator says.
    Proxy(proxy::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    app::log_to_stderr();
    let control = app::listen(options.control_port).await?;
    match options.role {
        Role::Operator(operator) => operator::run(operator, control).await,
        Role::Proxy(proxy) => proxy::run(proxy, control).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn its_options_fit_together() {
        Options::command().debug_assert();
    }
}
