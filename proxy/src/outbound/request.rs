//! The phases before a request is sent: is it one, and where does it go.

use http::header;
use pingora::{Error, ErrorType, Result, proxy::Session};

use super::{connection::Connection, context::Context, route::Route};
use crate::{
    engine::{self, Problem},
    policy::{Policy, Store, Target},
};

/// Refuses what must not be passed on.
pub(crate) fn admit(session: &mut Session, ctx: &mut Context) -> Result<()> {
    let destination = engine::connection::<Connection>(session).map(|connection| connection.destination);
    engine::forwardable_request(session, destination).map_err(|malformed| {
        ctx.progress.problem = Some(Problem::Malformed);
        Error::because(ErrorType::InvalidHTTPHeader, "refused the request", malformed).into_down()
    })
}

/// Decides where the request goes. What is known is read once, here.
pub(crate) async fn route(store: &Store, session: &Session, ctx: &mut Context) -> Result<()> {
    let Some(connection) = engine::connection::<Connection>(session) else {
        return Err(Error::explain(ErrorType::InternalError, "the connection is not described").into_in());
    };
    let mut policy = connection.policy(store);
    if let Some(Policy::Pod(pod)) = &policy
        && pod.by_authority
        && let Some(named) = by_authority(store, session, connection).await
    {
        policy = Some(named);
    }
    ctx.port = connection.destination.port();
    let route = Route::by(policy.as_ref(), connection.destination).map_err(|problem| {
        ctx.progress.problem = Some(problem);
        Error::explain(ErrorType::InternalError, problem.reason()).into_in()
    })?;
    ctx.route = Some(route);
    Ok(())
}

/// The Service that the request's authority names, if it does.
async fn by_authority(store: &Store, session: &Session, connection: &Connection) -> Option<Policy> {
    let request = session.req_header();
    let authority = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(header::HOST)?.to_str().ok()?,
    };
    let target = Target::of_authority(authority)?;
    if let Target::Authority { host, .. } = &target {
        weft_policy::root::resolve(host, &connection.names.namespace, &connection.names.cluster_domain)?;
    }
    let entry = store.entry(&target);
    let policy = match entry.policy() {
        Some(policy) => Some(policy),
        None => store.first_answer(&entry).await,
    };
    policy.filter(|policy| matches!(policy, Policy::Service(_)))
}
