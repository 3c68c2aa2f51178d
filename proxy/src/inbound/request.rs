//! The phase before a request is handed to the application: is it one?
//!
//! Who may send it will be decided here as well, once callers prove who they are.

use pingora::{Error, ErrorType, Result, proxy::Session};

use super::{connection::Connection, context::Context};
use crate::engine::{self, Problem};

/// Refuses what must not be passed on.
pub(crate) fn admit(session: &mut Session, ctx: &mut Context) -> Result<()> {
    let destination = engine::connection::<Connection>(session).map(|connection| connection.destination);
    engine::forwardable_request(session, destination).map_err(|malformed| {
        ctx.progress.problem = Some(Problem::Malformed);
        Error::because(ErrorType::InvalidHTTPHeader, "refused the request", malformed).into_down()
    })
}
