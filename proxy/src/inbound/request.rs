//! The phase before a request is handed to the application: is it one?
//!
//! Who may send it will be decided here as well, once callers prove who they are.

use pingora::{Error, ErrorType, Result, proxy::Session};

use super::{connection::Connection, context::Context};
use crate::engine::{self, Problem};

/// Has the request count as one that is going on. Refuses it when its client has ceased to be a member of the mesh.
pub(crate) fn begin(session: &Session, ctx: &mut Context) -> Result<()> {
    let Some(connection) = engine::connection::<Connection>(session) else { return Ok(()) };
    ctx.busy = connection.activity.begin();
    if ctx.busy.is_some() {
        return Ok(());
    }
    ctx.progress.problem = Some(Problem::Handshake);
    Err(Error::explain(ErrorType::InvalidCert, "the client is no member of the mesh any more").into_down())
}

/// Refuses what must not be passed on.
pub(crate) fn admit(session: &mut Session, ctx: &mut Context) -> Result<()> {
    let destination = engine::connection::<Connection>(session).map(|connection| connection.destination);
    engine::forwardable_request(session, destination).map_err(|malformed| {
        ctx.progress.problem = Some(Problem::Malformed);
        Error::because(ErrorType::InvalidHTTPHeader, "refused the request", malformed).into_down()
    })
}
