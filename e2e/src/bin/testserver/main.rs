//! `testserver`: answers HTTP/1.1, HTTP/2, gRPC and TCP, says who it is, and counts who asked for what.

mod count;
mod echo;
mod tcp;
mod web;

use std::{sync::Arc, time::Duration};

use clap::Parser;
use e2e::app::{self, Lifecycle, Whoami};

/// Says who answers, by every protocol, and counts.
#[derive(Parser)]
struct Options {
    /// HTTP/1.1, and HTTP/2 and gRPC by prior knowledge.
    #[arg(long, env, default_value_t = 8080)]
    http_port: u16,
    /// The control API: counts, readiness, signals. Meant to be excluded from the mesh.
    #[arg(long, env, default_value_t = 9000)]
    control_port: u16,
    /// TCP where the client speaks first.
    #[arg(long, env, default_value_t = 9090)]
    tcp_port: u16,
    /// TCP where the server speaks first. The default is a port that a mesh takes for such a protocol.
    #[arg(long, env, default_value_t = 3306)]
    server_first_port: u16,
    /// Seconds to go on serving after SIGTERM, until the whole cluster knows.
    #[arg(long, env, default_value_t = 3.0)]
    linger: f64,
    /// Start as not ready.
    #[arg(long, env)]
    unready: bool,
}

/// What all ports share.
struct Server {
    whoami: Whoami,
    counts: count::Counts,
    lifecycle: Lifecycle,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    app::log_to_stderr();
    let lifecycle = Lifecycle::new(Duration::try_from_secs_f64(options.linger)?);
    lifecycle.set_ready(!options.unready);
    let server =
        Arc::new(Server { whoami: Whoami::from_env(), counts: count::Counts::default(), lifecycle: lifecycle.clone() });
    let http = app::listen(options.http_port).await?;
    let control = app::listen(options.control_port).await?;
    let tcp = app::listen(options.tcp_port).await?;
    let server_first = app::listen(options.server_first_port).await?;
    tokio::try_join!(
        lifecycle.run(),
        app::serve(http, web::routes(&server), &lifecycle),
        app::serve(control, web::control_routes(&server), &lifecycle),
        tcp::serve(tcp, &server, tcp::First::Client),
        tcp::serve(server_first, &server, tcp::First::Server),
    )?;
    Ok(())
}
