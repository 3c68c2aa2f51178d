//! What the applications share: who they are, how they start, serve and leave.

mod lifecycle;
mod whoami;

use std::net::{Ipv6Addr, SocketAddr};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, Version, header::CONNECTION},
    middleware::{self, Next},
    response::Response,
    routing::get,
    serve::ListenerExt,
};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

pub use lifecycle::Lifecycle;
pub use whoami::Whoami;

/// Writes the log to standard error, `info` and above unless the environment variable `RUST_LOG` says otherwise.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Listens on a port of every address of the pod, IPv6 and IPv4.
///
/// # Errors
/// When the port is taken.
pub async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await
}

/// Serves HTTP/1.1 and HTTP/2 by prior knowledge until `lifecycle` ends, with `/ready` beside the routes of `router`.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router, lifecycle: &Lifecycle) -> std::io::Result<()> {
    let router = router
        .route("/ready", get(ready).with_state(lifecycle.clone()))
        .layer(middleware::from_fn_with_state(lifecycle.clone(), say_goodbye));
    let closing = lifecycle.clone();
    // A small answer must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        let _gone = stream.set_nodelay(true);
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { closing.closing().await })
        .await
}

async fn ready(State(lifecycle): State<Lifecycle>) -> StatusCode {
    if lifecycle.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// Tells HTTP/1 clients to take their next request elsewhere once the application is leaving.
async fn say_goodbye(State(lifecycle): State<Lifecycle>, request: Request, next: Next) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    if lifecycle.is_leaving() && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
