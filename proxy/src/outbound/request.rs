//! The phases before a request is sent: is it one, and where does it go.

use std::num::NonZeroU16;

use http::{HeaderValue, header};
use pingora::{Error, ErrorType, Result, http::RequestHeader, proxy::Session};
use weft_policy::http::Request;

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
    let header = session.req_header();
    let request = Request::new(&header.method, path(header), authority(header), &header.headers);
    let route = Route::by(policy.as_ref(), connection.destination, Some(&request)).map_err(|problem| {
        ctx.progress.problem = Some(problem);
        Error::explain(ErrorType::InternalError, problem.reason()).into_in()
    })?;
    ctx.route = Some(route);
    Ok(())
}

/// The path as it goes on from here, maybe with its query.
fn path(request: &RequestHeader) -> &[u8] {
    if request.raw_path_is_utf8() { request.uri.path().as_bytes() } else { request.raw_path() }
}

/// What the request is addressed to.
fn authority(request: &RequestHeader) -> Option<&[u8]> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => request.headers.get(header::HOST).map(HeaderValue::as_bytes),
    }
}

/// The Service that the request's authority names, if it does.
async fn by_authority(store: &Store, session: &Session, connection: &Connection) -> Option<Policy> {
    let authority = std::str::from_utf8(authority(session.req_header())?).ok()?;
    let target = Target::of_authority(authority, NonZeroU16::new(connection.destination.port())?)?;
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
