//! The phases after an attempt failed: another, or none.

use pingora::{Error, ErrorType, proxy::Session};

use super::context::Context;
use crate::{
    engine::Problem,
    upstream::{Fault, fault_of},
};

/// No connection. The application does not listen: whoever sent the request may send it elsewhere, and is told so. A pooled
/// connection that ended while it was taken is replaced by a new one.
pub(crate) fn to_connect(session: &mut Session, ctx: &mut Context, mut error: Box<Error>) -> Box<Error> {
    let again = error.etype == ErrorType::H2Error && ctx.progress.may_retry(session, Fault::Unsent, true);
    if !again {
        ctx.progress.problem = Some(Problem::of_connecting(&error));
    }
    error.set_retry(again);
    error
}

/// The request was sent, at least in part.
pub(crate) fn while_proxying(
    session: &mut Session,
    mut error: Box<Error>,
    ctx: &mut Context,
    reused: bool,
) -> Box<Error> {
    let again = ctx.progress.may_retry(session, fault_of(&error), reused);
    tracing::debug!(again, error = &*error as &dyn std::error::Error, "A request failed");
    error.set_retry(again);
    error
}
