//! What both directions do with the HTTP engine: serve a connection, refuse what is not HTTP, answer for a server that cannot.

mod answer;
mod message;
mod progress;

use std::sync::Arc;

use pingora::http::ResponseHeader;
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ServerApp},
    protocols::{
        Stream,
        http::{ServerSession, v2::server},
        raw_connect::ProxyDigest,
    },
    proxy::{HttpProxy, ProxyHttp, Session},
    server::configuration::ServerConf,
};
use tokio::sync::watch;

pub(crate) use self::{
    answer::{ERROR_HEADER, Problem, answer},
    message::{forwardable_request, forwardable_response, without_chunks},
    progress::Progress,
};
use crate::accept::{Downstream, Drain};

/// Idle connections to servers that are kept for each worker thread.
const IDLE_CONNECTIONS: usize = 1024;
/// Streams that a client may open on one HTTP/2 connection.
const MAX_DOWNSTREAM_STREAMS: u32 = 1024;
/// Bytes of a body that may be on their way on one stream, and on all streams of a connection, before its reader has taken
/// them. HTTP/2's own 64 KiB make a fast network wait.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Headers of one request, as HTTP/1 has them in the engine.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// The HTTP engine with the phases of one direction.
pub(crate) struct Engine<P> {
    proxy: Arc<HttpProxy<P>>,
    shutdown: watch::Receiver<bool>,
}

impl<P> Engine<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    /// An engine for `workers` threads.
    pub(crate) fn new(phases: P, drain: &Drain, workers: usize) -> Self {
        let conf =
            ServerConf { threads: workers, upstream_keepalive_pool_size: IDLE_CONNECTIONS, ..ServerConf::default() };
        let mut proxy = HttpProxy::new(phases, Arc::new(conf));
        let mut options = HttpServerOptions::default();
        options.allow_connect_method_proxying = false;
        proxy.server_options = Some(options);
        let mut http2 = server::H2Options::new();
        http2
            .max_concurrent_streams(MAX_DOWNSTREAM_STREAMS)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        proxy.h2_options = Some(http2);
        proxy.handle_init_modules();
        Self { proxy: Arc::new(proxy), shutdown: drain.watch() }
    }

    /// Serves the requests of a connection until it ends.
    pub(crate) async fn serve(&self, connection: Downstream) {
        if connection.is_http2() {
            self.proxy.process_new(Box::new(connection), &self.shutdown).await;
            return;
        }
        let mut next = Some((Box::new(connection) as Stream, None));
        while let Some((stream, settings)) = next {
            let mut session = ServerSession::new_http1(stream);
            match settings {
                Some(settings) => pingora::apps::HttpPersistentSettings::apply_to_session(settings, &mut session),
                None => {
                    // 0 is for ever: between requests the application may pause as long as it likes.
                    session.set_keepalive(Some(0));
                    session.set_pipelining_enabled(true);
                }
            }
            // The engine's own timer would wake the process 100 times a second from its first use on.
            session.set_read_timeout(None);
            next = self.proxy.process_new_http(session, &self.shutdown).await.map(|reused| reused.consume());
        }
    }

    /// Ends the connections that wait for a request.
    pub(crate) async fn close_idle(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// Attaches what is known about a connection, for [`connection`] to find.
pub(crate) fn describe<T: Send + Sync + 'static>(about: T) -> pingora::Result<Arc<ProxyDigest>> {
    // The engine hands one thing of our own through to the requests of HTTP/1 and HTTP/2 alike: what a CONNECT proxy said.
    let response = ResponseHeader::build(200, Some(0))?;
    Ok(Arc::new(ProxyDigest::new(Box::new(response), Some(Box::new(about)))))
}

/// What is known about the connection of a request.
pub(crate) fn connection<T: 'static>(session: &Session) -> Option<&T> {
    session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
}
