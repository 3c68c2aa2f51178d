//! The phases after an attempt failed: another, or none.

use pingora::{Error, ErrorType, proxy::Session, upstreams::peer::HttpPeer};

use super::{context::Context, response::NOT_DELIVERED};
use crate::{
    engine::Problem,
    upstream::{Fault, fault_of},
};

/// No connection: nothing was sent, so another endpoint may be tried whatever the request is.
pub(crate) fn to_connect(
    session: &mut Session,
    peer: &HttpPeer,
    ctx: &mut Context,
    mut error: Box<Error>,
) -> Box<Error> {
    tracing::debug!(endpoint = %peer, error = &*error as &dyn std::error::Error, "Could not connect");
    // A pooled connection that ended while it was taken says nothing about its endpoint.
    if error.etype != ErrorType::H2Error {
        ctx.give_up_endpoint();
    }
    let again = ctx.progress.may_retry(session, Fault::Unsent, false) && ctx.has_another();
    if !again {
        ctx.progress.problem = Some(Problem::of_connecting(&error));
    }
    error.set_retry(again);
    error
}

/// The request was sent, at least in part.
pub(crate) fn while_proxying(
    peer: &HttpPeer,
    session: &mut Session,
    mut error: Box<Error>,
    ctx: &mut Context,
    reused: bool,
) -> Box<Error> {
    let fault = fault_of(&error);
    // Whether this may be tried again was decided when it was found out.
    let again = error.etype == NOT_DELIVERED || ctx.progress.may_retry(session, fault, reused);
    // That an idle connection has come to its end says nothing about its endpoint, nor does what the client does.
    if fault.blames_server()
        && !reused
        && let Some(hop) = &ctx.hop
    {
        hop.fail();
    }
    tracing::debug!(endpoint = %peer, again, error = &*error as &dyn std::error::Error, "A request failed");
    error.set_retry(again);
    error
}

/// The endpoint's sidecar did not believe this proxy: it has looked at nothing that was sent, and another may believe.
pub(crate) fn refused(session: &mut Session, mut error: Box<Error>, ctx: &mut Context) -> Box<Error> {
    tracing::debug!(error = &*error as &dyn std::error::Error, "An endpoint refused this proxy");
    ctx.give_up_endpoint();
    let again = ctx.progress.may_retry(session, Fault::Unprocessed, false) && ctx.has_another();
    if !again {
        ctx.progress.problem = Some(Problem::Handshake);
    }
    error.set_retry(again);
    error
}
