//! Answers that the proxy gives itself, when no server can.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::{Error, ErrorType, Result, http::ResponseHeader, proxy::Session};

use crate::traffic::{GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE, is_grpc};

/// Header that says why the mesh answered instead of the server. Between two sidecars some of its values mean that the request was
/// not delivered at all, so that it may be sent elsewhere: see [`Problem::says_undelivered`].
pub(crate) const ERROR_HEADER: &str = "weft-error";

/// Why there is no answer of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The request is not one that may be passed on.
    Malformed,
    /// Its head is longer than one may be.
    HeadersTooLarge,
    /// Its head did not come in time.
    HeaderTimeout,
    /// The operator has not said where it goes.
    NoConfiguration,
    /// What the operator says about where it goes cannot be read.
    RefusedConfiguration,
    /// The backend whose turn it is has no endpoints.
    NoEndpoints,
    /// No endpoint took a connection: the request was not delivered.
    Connect,
    /// No endpoint proved who it should be, or this proxy could not to it: the request was not delivered.
    Handshake,
    /// No endpoint took a connection in time: the request was not delivered.
    ConnectTimeout,
    /// The connection ended before the answer.
    Reset,
    /// The proxy itself failed.
    Internal,
}

impl Problem {
    /// What it is that a connection could not be made.
    pub(crate) fn of_connecting(error: &Error) -> Self {
        match error.etype {
            ErrorType::ConnectTimedout => Self::ConnectTimeout,
            ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::TLSWantX509Lookup
            | ErrorType::InvalidCert => Self::Handshake,
            _ => Self::Connect,
        }
    }

    /// What [`ERROR_HEADER`] says.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadersTooLarge => "headers-too-large",
            Self::HeaderTimeout => "header-timeout",
            Self::NoConfiguration => "no-configuration",
            Self::RefusedConfiguration => "refused-configuration",
            Self::NoEndpoints => "no-endpoints",
            Self::Connect => "connect",
            Self::Handshake => "tls",
            Self::ConnectTimeout => "connect-timeout",
            Self::Reset => "reset",
            Self::Internal => "internal",
        }
    }

    /// Whether a sidecar that answers with this value of [`ERROR_HEADER`] did not deliver the request to its application.
    pub(crate) fn says_undelivered(reason: &HeaderValue) -> bool {
        [Self::Connect, Self::ConnectTimeout].iter().any(|problem| reason == problem.reason())
    }

    /// Whether a sidecar that answers with this value of [`ERROR_HEADER`] has an application that does not work.
    pub(crate) fn blames_server(reason: &HeaderValue) -> bool {
        [Self::Connect, Self::ConnectTimeout, Self::Reset, Self::Internal]
            .iter()
            .any(|problem| reason == problem.reason())
    }

    /// The status it is answered with.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::HeaderTimeout => 408,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::Connect | Self::Handshake | Self::Reset => 502,
            Self::NoConfiguration | Self::RefusedConfiguration | Self::NoEndpoints => 503,
            Self::ConnectTimeout => 504,
        }
    }

    /// The `grpc-status` it is answered with.
    pub(crate) fn grpc(self) -> u16 {
        match self {
            Self::HeaderTimeout | Self::ConnectTimeout => GRPC_DEADLINE_EXCEEDED,
            Self::HeadersTooLarge => GRPC_RESOURCE_EXHAUSTED,
            Self::Malformed | Self::Internal => GRPC_INTERNAL,
            Self::NoConfiguration
            | Self::RefusedConfiguration
            | Self::NoEndpoints
            | Self::Connect
            | Self::Handshake
            | Self::Reset => GRPC_UNAVAILABLE,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the request is malformed",
            Self::HeadersTooLarge => "the headers are too large",
            Self::HeaderTimeout => "the headers did not come in time",
            Self::NoConfiguration => "the operator has not said where it goes",
            Self::RefusedConfiguration => "what the operator says about where it goes cannot be read",
            Self::NoEndpoints => "the service has no endpoints",
            Self::Connect => "no endpoint could be connected to",
            Self::Handshake => "the two sidecars did not prove to each other who they are",
            Self::ConnectTimeout => "no endpoint could be connected to in time",
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
        head.insert_header("grpc-status", problem.grpc().to_string())?;
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

/// The bytes of an answer in HTTP/1.1 to what never became a request, with the `detail` that its sender needs.
pub(crate) fn raw(problem: Problem, detail: &impl fmt::Display) -> Vec<u8> {
    let status = StatusCode::from_u16(problem.status()).unwrap_or_default();
    let text = format!("weft: {problem}: {detail}\n");
    format!(
        "HTTP/1.1 {status}\r\n{ERROR_HEADER}: {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        problem.reason(),
        text.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_cannot_be_a_request() {
        assert_eq!(
            String::from_utf8(raw(Problem::HeadersTooLarge, &"more than 3 bytes")).unwrap(),
            "HTTP/1.1 431 Request Header Fields Too Large\r\nweft-error: headers-too-large\r\n\
             content-type: text/plain; charset=utf-8\r\ncontent-length: 51\r\nconnection: close\r\n\r\n\
             weft: the headers are too large: more than 3 bytes\n"
        );
    }

    #[test]
    fn only_what_was_not_delivered_says_so() {
        for (reason, want) in [
            ("connect", true),
            ("connect-timeout", true),
            ("tls", false),
            ("reset", false),
            ("no-endpoints", false),
            ("", false),
        ] {
            assert_eq!(Problem::says_undelivered(&HeaderValue::from_static(reason)), want, "{reason}");
        }
    }
}
