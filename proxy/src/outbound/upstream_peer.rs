//! The phase that says where an attempt goes.

use pingora::{Error, ErrorType, Result, proxy::Session, upstreams::peer::HttpPeer};

use super::context::Context;
use crate::{
    engine::Problem,
    upstream::{Http, peer},
};

/// An endpoint of the route that was not tried yet, spoken with in the client's version of HTTP.
pub(crate) fn choose(session: &Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
    let Some(hop) = ctx.route.as_ref().and_then(|route| route.next(&ctx.tried)) else {
        ctx.progress.problem = Some(if ctx.tried.is_empty() { Problem::NoEndpoints } else { Problem::Connect });
        return Err(Error::explain(ErrorType::ConnectError, "no endpoint is left to try").into_up());
    };
    let peer = peer(hop.address(), Http::of(session.req_header()));
    ctx.attempt(hop);
    Ok(peer)
}
