//! What the application sends to others: where it goes, and how it gets there.

mod connection;
mod context;
mod fail;
mod request;
mod response;
mod route;
mod tcp;
mod upstream_peer;

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use pingora::{
    Error, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::Digest,
    proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session},
    upstreams::peer::HttpPeer,
};

pub(crate) use self::connection::{Names, Outbound};
use self::context::Context;
use crate::{
    accept::Drain,
    engine::{self, Problem},
    identity::{Credentials, Reason},
    policy::Store,
    traffic::{Direction, Registry, Security},
};

/// The phases of a request that the application sends.
#[derive(Debug, Clone)]
pub(crate) struct Phases {
    store: Arc<Store>,
    registry: Arc<Registry>,
    credentials: Arc<Credentials>,
    drain: Drain,
}

impl Phases {
    pub(crate) fn new(store: Arc<Store>, registry: Arc<Registry>, credentials: Arc<Credentials>, drain: Drain) -> Self {
        Self { store, registry, credentials, drain }
    }
}

#[async_trait]
impl ProxyHttp for Phases {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.drain.enter())
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        request::admit(session, ctx)
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        request::route(&self.store, session, ctx).await?;
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        upstream_peer::choose(&self.credentials, session, ctx)
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        if let Some(limit) = ctx.handshake.take() {
            limit.stop();
            if !reused {
                self.credentials.handshakes.count(Direction::Outbound, Ok(()));
            }
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut Context,
    ) -> Result<()> {
        // Who the client is, the connection proves; the application has nothing to say about it.
        engine::name_client(request, None)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        response::upstream(session, response, ctx)
    }

    fn upstream_response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut HeaderMap,
        ctx: &mut Context,
    ) -> Result<()> {
        ctx.progress.ended(trailers);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        _ctx: &mut Context,
    ) -> Result<()> {
        engine::without_chunks(session, response);
        if self.drain.has_begun() {
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        let refused = ctx.handshake.take().filter(|_| upstream_peer::is_handshake(&error));
        let reason = refused.map(|limit| limit.reason(&error));
        let error = fail::to_connect(session, peer, ctx, error);
        if let Some(reason) = reason {
            self.credentials.handshakes.fail_with(peer, reason);
            if !error.retry() {
                ctx.progress.problem = Some(Problem::Handshake);
            }
        }
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        if ctx.is_mesh && !reused && upstream_peer::is_refusal(&error) {
            self.credentials.handshakes.fail_with(peer, Reason::Refused);
            return fail::refused(session, error, ctx);
        }
        fail::while_proxying(peer, session, error, ctx, reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        ctx.progress.fail(session, error, &self.registry.errors, Direction::Outbound).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        let (answer, latency) = ctx.progress.outcome(session, error);
        if let Some(edge) = ctx.edge(&self.registry) {
            let security = if ctx.is_mesh { Security::MutualTls } else { Security::None };
            edge.record(answer, security, latency);
        }
        tracing::trace!(
            status = answer.status,
            grpc_status = answer.grpc,
            latency_microseconds = latency.as_micros(),
            attempts = ctx.progress.attempts,
            endpoint = ctx.endpoint().map(tracing::field::display),
            problem = ctx.progress.problem.map(Problem::reason),
            "Request"
        );
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Context,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
