//! The phase after the head of the application's answer has come.

use pingora::{http::ResponseHeader, proxy::Session};

use super::context::Context;
use crate::engine::{self, ERROR_HEADER};

/// Takes the answer. The header by which a sidecar says that it could not deliver is the sidecar's alone: from an application
/// it would have requests sent twice.
pub(crate) fn upstream(session: &Session, response: &mut ResponseHeader, ctx: &mut Context) {
    response.remove_header(ERROR_HEADER);
    ctx.progress.answered(session, response);
    ctx.leaving = engine::ends_connection(response);
    engine::forwardable_response(response);
}
