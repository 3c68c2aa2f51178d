//! The phase that says where an attempt goes.

use pingora::{Error, ErrorType, Result, proxy::Session, upstreams::peer::HttpPeer};

use super::{connection::Connection, context::Context};
use crate::{
    engine::{self, Problem},
    identity::Credentials,
    traffic::Direction,
    upstream::{Http, Transport, peer},
};

/// An endpoint of the route that was not tried yet, spoken with in the client's version of HTTP.
pub(crate) fn choose(credentials: &Credentials, session: &Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
    let Some(hop) = ctx.route.as_ref().and_then(|route| route.next(&ctx.tried)) else {
        ctx.progress.problem = Some(if ctx.tried.is_empty() { Problem::NoEndpoints } else { Problem::Connect });
        return Err(Error::explain(ErrorType::ConnectError, "no endpoint is left to try").into_up());
    };
    let names = engine::connection::<Connection>(session).map(|connection| &*connection.names);
    let transport = match hop.transport(credentials, names) {
        Ok(transport) => transport,
        Err(reason) => {
            credentials.handshakes.count(Direction::Outbound, Err(reason));
            ctx.progress.problem = Some(Problem::Handshake);
            return Err(Error::explain(ErrorType::TLSHandshakeFailure, reason.label()).into_in());
        }
    };
    let peer = peer(hop.address(), Http::of(session.req_header()), &transport);
    ctx.handshake = match transport {
        Transport::Plain => None,
        Transport::Mesh(mesh) => Some(mesh.limit),
    };
    ctx.is_mesh = ctx.handshake.is_some();
    ctx.attempt(hop);
    Ok(peer)
}

/// Whether `error` is that of a handshake.
pub(crate) fn is_handshake(error: &Error) -> bool {
    matches!(error.etype, ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert)
}

/// Whether `error` on a new connection says that the endpoint did not believe this proxy. In TLS 1.3 a client has finished its
/// handshake before its certificate is looked at, so it learns of this when it reads; nothing that it sent was.
///
/// Source: RFC 8446 section 6.2, the alerts about certificates.
pub(crate) fn is_refusal(error: &Error) -> bool {
    const ALERTS: [&str; 8] = [
        "BadCertificate",
        "UnsupportedCertificate",
        "CertificateRevoked",
        "CertificateExpired",
        "CertificateUnknown",
        "UnknownCA",
        "AccessDenied",
        "CertificateRequired",
    ];
    let words = error.to_string();
    let alert = words.split_once("received fatal alert: ").map(|(_, alert)| alert);
    alert.is_some_and(|alert| ALERTS.iter().any(|name| alert.starts_with(name)))
}
