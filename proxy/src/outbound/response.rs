//! The phase after the head of an answer has come.

use pingora::{Error, ErrorType, Result, http::ResponseHeader, proxy::Session};

use super::{connection::Connection, context::Context, route::Hop};
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
    let by_sidecar =
        |hop: &Hop| hop.is_meshed() && !names.is_some_and(|names| hop.is_pod(&names.namespace, &names.pod));
    let not_delivered = ctx.hop.as_ref().is_some_and(by_sidecar)
        && response.headers.get(ERROR_HEADER).is_some_and(|reason| reason == Problem::Connect.reason());
    if not_delivered && ctx.progress.may_retry(session, Fault::Unprocessed, false) {
        let hop = ctx.hop.clone();
        ctx.give_up_endpoint();
        if ctx.has_another() {
            return Err(Error::explain(NOT_DELIVERED, "the sidecar could not deliver the request").into_up());
        }
        // The last endpoint: its answer is as good as any.
        ctx.hop = hop;
    }
    ctx.progress.answered(response);
    engine::forwardable_response(response);
    Ok(())
}
