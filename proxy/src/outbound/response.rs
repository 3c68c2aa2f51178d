//! The phase after the head of an answer has come.

use pingora::{Error, ErrorType, Result, http::ResponseHeader, proxy::Session};

use super::{connection::Connection, context::Context};
use crate::{
    engine::{self, ERROR_HEADER, Problem},
    upstream::Fault,
};

/// Name of the error that stands for a sidecar's word that its application never got the request.
pub(crate) const NOT_DELIVERED: ErrorType = ErrorType::Custom("NotDelivered");

/// Takes the answer, unless the endpoint's sidecar says that it could not deliver the request and another endpoint may. A pod's
/// connection to itself does not pass by the inbound side: there it is the application that speaks.
pub(crate) fn upstream(session: &mut Session, response: &mut ResponseHeader, ctx: &mut Context) -> Result<()> {
    let names = engine::connection::<Connection>(session).map(|connection| &*connection.names);
    let by_sidecar = ctx.hop.as_ref().is_some_and(|hop| hop.sidecar(names).is_some());
    let said = response.headers.get(ERROR_HEADER).filter(|_| by_sidecar);
    if said.is_some_and(Problem::says_undelivered) && ctx.progress.may_retry(session, Fault::Unprocessed, false) {
        let hop = ctx.hop.clone();
        ctx.give_up_endpoint();
        if ctx.has_another() {
            return Err(Error::explain(NOT_DELIVERED, "the sidecar could not deliver the request").into_up());
        }
        // The last endpoint: its answer is as good as any.
        ctx.hop = hop;
    } else if let Some(hop) = &ctx.hop {
        match said {
            Some(reason) if Problem::blames_server(reason) => hop.fail(),
            _ if response.status.is_informational() => {}
            _ => hop.succeed(),
        }
    }
    ctx.progress.answered(session, response);
    engine::forwardable_response(response);
    Ok(())
}
