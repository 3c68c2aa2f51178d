//! Answers that the proxy gives itself, when no server can.

use std::fmt;

use bytes::Bytes;
use http::header;
use pingora::{Result, http::ResponseHeader, proxy::Session};

use crate::traffic::{GRPC_UNAVAILABLE, is_grpc};

/// Header that says why the mesh answered instead of the server. Between two sidecars `connect` means that the request was not
/// delivered at all, so that it may be sent elsewhere.
pub(crate) const ERROR_HEADER: &str = "weft-error";

/// Why there is no answer of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request is not one that may be passed on.
    Malformed,
    /// The backend whose turn it is has no endpoints.
    NoEndpoints,
    /// No endpoint could be connected to: the request was not delivered.
    Connect,
    /// The connection ended before the answer.
    Reset,
    /// The proxy itself failed.
    Internal,
}

impl Problem {
    /// What [`ERROR_HEADER`] says.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoEndpoints => "no-endpoints",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Internal => "internal",
        }
    }

    /// The status it is answered with.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::NoEndpoints | Self::Connect => 503,
            Self::Reset => 502,
            Self::Internal => 500,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the request is malformed",
            Self::NoEndpoints => "the service has no endpoints",
            Self::Connect => "no endpoint could be connected to",
            Self::Reset => "the connection ended before the answer",
            Self::Internal => "the proxy failed",
        })
    }
}

/// Answers the request of `session`: gRPC calls with a status of gRPC, others with a status of HTTP and one line of text.
/// Nothing when an answer has begun already.
pub(crate) async fn answer(session: &mut Session, problem: Problem) -> Result<()> {
    let call = is_grpc(session.req_header().headers.get(header::CONTENT_TYPE));
    let status = if call { 200 } else { problem.status() };
    let mut head = ResponseHeader::build(status, Some(5))?;
    head.insert_header(ERROR_HEADER, problem.reason())?;
    let mut body = Bytes::new();
    if call {
        // Trailers-Only: the status stands in the head when there is nothing else.
        head.insert_header(header::CONTENT_TYPE, "application/grpc")?;
        head.insert_header("grpc-status", GRPC_UNAVAILABLE.to_string())?;
        head.insert_header("grpc-message", format!("weft: {problem}"))?;
        head.insert_header(header::CONTENT_LENGTH, 0)?;
    } else {
        let text = format!("weft: {problem}\n");
        head.insert_header(header::CONTENT_TYPE, "text/plain; charset=utf-8")?;
        head.insert_header(header::CONTENT_LENGTH, text.len())?;
        if session.req_header().method != http::Method::HEAD {
            body = text.into();
        }
    }
    session.as_downstream_mut().write_error_response(head, body).await
}
