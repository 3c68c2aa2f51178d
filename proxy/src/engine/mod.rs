//! What both directions do with the HTTP engine: serve a connection, refuse what is not HTTP, answer for a server that cannot.

mod answer;
mod client_id;
mod connection;
mod h1;
mod message;
mod progress;

use std::{fmt, sync::Arc};

use pingora::{
    apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ServerApp},
    protocols::{
        IO,
        http::{ServerSession, v2::server},
    },
    proxy::{HttpProxy, ProxyHttp},
    server::configuration::ServerConf,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::h1::Refusal;
pub(crate) use self::{
    answer::{ERROR_HEADER, Problem, answer},
    client_id::name_client,
    connection::{connection, describe},
    h1::{Gate, Malformed},
    message::{ends_connection, forwardable_request, forwardable_response, without_chunks},
    progress::Progress,
};
use crate::{
    Limits,
    accept::{Downstream, Socket},
    traffic::{Direction, Registry},
};

/// Idle connections to servers that are kept for each worker thread.
const IDLE_CONNECTIONS: usize = 1024;
/// Bytes of a body that may be on their way on one stream, and on all streams of a connection, before its reader has taken
/// them. HTTP/2's own 64 KiB make a fast network wait.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of one answer on HTTP/2 that wait for a client which does not read.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Streams that a client reset and the proxy has not got round to; more, and the connection ends (CVE-2023-44487).
const RESETS_AHEAD: usize = 20;
/// Streams that a client had reset by its own errors; more, and the connection ends (CVE-2025-8671).
const RESETS_BY_ERROR: usize = 256;

/// The HTTP engine with the phases of one direction.
pub(crate) struct Engine<P> {
    proxy: Arc<HttpProxy<P>>,
    limits: Limits,
    registry: Arc<Registry>,
    direction: Direction,
    /// Connections that wait for a request are to end.
    closed: CancellationToken,
}

impl<P> Engine<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    /// An engine for `workers` threads.
    pub(crate) fn new(
        phases: P,
        workers: usize,
        limits: Limits,
        registry: Arc<Registry>,
        direction: Direction,
    ) -> Self {
        let conf =
            ServerConf { threads: workers, upstream_keepalive_pool_size: IDLE_CONNECTIONS, ..ServerConf::default() };
        let mut proxy = HttpProxy::new(phases, Arc::new(conf));
        let mut options = HttpServerOptions::default();
        options.allow_connect_method_proxying = false;
        proxy.server_options = Some(options);
        let mut http2 = server::H2Options::new();
        http2
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.header_bytes)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(RESETS_AHEAD)
            .max_local_error_reset_streams(Some(RESETS_BY_ERROR))
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        proxy.h2_options = Some(http2);
        proxy.handle_init_modules();
        Self { proxy: Arc::new(proxy), limits, registry, direction, closed: CancellationToken::new() }
    }

    /// Serves the requests of a connection until it ends. Its client is told to use another once `farewell` turns.
    pub(crate) async fn serve<S>(&self, connection: Downstream<S>, farewell: &watch::Receiver<bool>)
    where
        S: Socket + fmt::Debug + Send + Sync + 'static,
    {
        if connection.is_http2() {
            self.proxy.process_new(Box::new(connection), farewell).await;
            return;
        }
        let mut gate = Box::new(Gate::new(connection));
        let mut settings: Option<HttpPersistentSettings> = None;
        loop {
            match gate.next(&self.limits, &self.closed).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break,
                Ok(Err(refusal)) => {
                    self.refuse(*gate, refusal).await;
                    break;
                }
                Err(error) => {
                    tracing::trace!(error = &error as &dyn std::error::Error, "A client went away");
                    break;
                }
            }
            let mut session = ServerSession::new_http1(gate);
            match settings.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                // 0 is for ever: between requests the application may pause as long as it likes.
                None => session.set_keepalive(Some(0)),
            }
            // The engine's own timer would wake the process 100 times a second from its first use on.
            session.set_read_timeout(None);
            let Some(reused) = self.proxy.process_new_http(session, farewell).await else { break };
            let (stream, kept) = reused.consume();
            settings = kept;
            // What comes back is what was given away.
            let Ok(same) = stream.into_any().downcast::<Gate<Downstream<S>>>() else { break };
            gate = same;
        }
    }

    async fn refuse(&self, gate: Gate<impl IO>, refusal: Refusal) {
        tracing::debug!(%refusal, "Refused a request");
        self.registry.errors.count(self.direction, refusal.problem().reason());
        if let Err(error) = gate.refuse(refusal).await {
            tracing::trace!(error = &error as &dyn std::error::Error, "A client went away");
        }
    }

    /// Ends the connections that wait for a request.
    pub(crate) async fn close_idle(&self) {
        self.closed.cancel();
        self.proxy.http_cleanup().await;
    }
}
