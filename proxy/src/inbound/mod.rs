//! What others send to the application: counted, and handed to it at the very address that was addressed.

mod connection;
mod context;
mod fail;
mod idle;
mod request;
mod response;
mod tcp;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, header};
use pingora::{
    Error, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    protocols::Digest,
    proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session},
    upstreams::peer::HttpPeer,
};

pub(crate) use self::connection::Inbound;
use self::{connection::Connection, context::Context};
use crate::{
    accept::Drain,
    engine::{self, Problem},
    traffic::{Direction, Registry, Security},
    upstream::{Http, Transport, peer},
};

/// The phases of a request that is sent to the application.
#[derive(Debug, Clone)]
pub(crate) struct Phases {
    registry: Arc<Registry>,
    drain: Drain,
}

impl Phases {
    pub(crate) fn new(registry: Arc<Registry>, drain: Drain) -> Self {
        Self { registry, drain }
    }
}

#[async_trait]
impl ProxyHttp for Phases {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.drain.enter())
    }

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        request::begin(session, ctx)?;
        request::admit(session, ctx)
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        let Some(connection) = engine::connection::<Connection>(session) else {
            return Err(Error::explain(ErrorType::InternalError, "the connection is not described").into_in());
        };
        ctx.progress.attempts += 1;
        let http = Http::of(session.req_header());
        Ok(peer(connection.destination, http, &Transport::Plain))
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        ctx.connected = true;
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut Context,
    ) -> Result<()> {
        // After what clients may have taken out by naming it as an option of their connection.
        let client = engine::connection::<Connection>(session).and_then(|connection| connection.client.as_ref());
        engine::name_client(request, client)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        response::upstream(session, response, ctx);
        Ok(())
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
        ctx: &mut Context,
    ) -> Result<()> {
        engine::without_chunks(session, response);
        if self.drain.has_begun() || (ctx.leaving && is_outsider(session)) || is_to_leave(session) {
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        if is_outsider(session) {
            session.set_keepalive(None);
            if let Some(connection) = engine::connection::<Connection>(session) {
                connection.farewell.say();
            }
        }
        fail::to_connect(session, ctx, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        fail::while_proxying(session, error, ctx, reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        ctx.progress.fail(session, error, &self.registry.errors, Direction::Inbound).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        let (answer, latency) = ctx.progress.outcome(session, error);
        if let Some(connection) = engine::connection::<Connection>(session)
            && !is_probe(&session.req_header().headers)
        {
            let edge = if ctx.connected {
                Some(connection.edge.get_or_init(|| self.registry.edge(connection.key())).clone())
            } else {
                self.registry.find(&connection.key())
            };
            if let Some(edge) = edge {
                let security = connection.client.as_ref().map_or(Security::None, |_client| Security::MutualTls);
                edge.record(answer, security, latency);
            }
        }
        tracing::trace!(
            status = answer.status,
            grpc_status = answer.grpc,
            latency_microseconds = latency.as_micros(),
            attempts = ctx.progress.attempts,
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

/// Whether the client has no sidecar: from nobody but the application does it learn that the pod is about to leave, and that it has
/// to connect anew. A sidecar hears it from the operator, and keeps a connection for whatever else the pod has to say.
fn is_outsider(session: &Session) -> bool {
    engine::connection::<Connection>(session).is_none_or(|connection| connection.client.is_none())
}

/// Whether the client was told to use another connection.
fn is_to_leave(session: &Session) -> bool {
    engine::connection::<Connection>(session).is_some_and(|connection| connection.farewell.is_said())
}

/// Whether the kubelet asks how the application is. Such requests are carried like any other but not counted: they are no traffic
/// of anybody's, and would be all that an idle application has.
fn is_probe(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"kube-probe/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_kubelets_probes() {
        for (agent, want) in [
            (Some("kube-probe/1.33"), true),
            (Some("kube-probe"), false),
            (Some("curl/8 kube-probe/1.33"), false),
            (None, false),
        ] {
            let agent = agent.map(|agent| (header::USER_AGENT, http::HeaderValue::from_static(agent)));
            assert_eq!(is_probe(&agent.into_iter().collect()), want);
        }
    }
}
