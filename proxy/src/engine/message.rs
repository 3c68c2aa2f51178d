//! Which messages may be passed on, and what must not be passed on of them.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};
use thiserror::Error;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    /// Two parties could disagree about where the request ends (RFC 9112 section 6.3): request smuggling.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// RFC 9112 section 3.2.
    #[error("the request has no Host")]
    NoHost,
}

/// Makes the request of `session`, which was addressed to `destination`, fit to be passed on.
///
/// # Errors
/// When it must be refused.
pub(crate) fn forwardable_request(session: &mut Session, destination: Option<SocketAddr>) -> Result<(), Malformed> {
    let request = session.req_header();
    // The engine has dropped the Content-Length by now; only the bytes on the wire tell.
    if request.version < Version::HTTP_2
        && request.headers.contains_key(header::TRANSFER_ENCODING)
        && has_content_length(&session.to_h1_raw())
    {
        return Err(Malformed::TwoLengths);
    }
    if request.version == Version::HTTP_11 && !request.headers.contains_key(header::HOST) {
        return Err(Malformed::NoHost);
    }
    // A client that said that this is its last request may end its side at once and still wait for the answer.
    let last = request.version == Version::HTTP_10 || names_option(&request.headers, b"close");
    let request = session.req_header_mut();
    refuse_h2c(request);
    if let Some(destination) = destination {
        name_host(request, destination);
    }
    if last {
        session.set_abort_on_close(false);
    }
    Ok(())
}

/// Says for a client of HTTP/1.0 which host it means, because it is asked in HTTP/1.1, whose servers refuse a request without one.
fn name_host(request: &mut RequestHeader, destination: SocketAddr) {
    if request.version == Version::HTTP_10
        && !request.headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::from_str(&destination.to_string())
        && let Err(error) = request.insert_header(header::HOST, host)
    {
        tracing::debug!(error = &*error as &dyn std::error::Error, "Could not add a Host");
    }
}

/// Takes out an offer to go on in HTTP/2, which a server may always decline (RFC 9110 section 7.8): after it nobody between the
/// two could tell one request from another.
fn refuse_h2c(request: &mut RequestHeader) {
    let offers = elements(&request.headers, &header::UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"));
    if offers {
        request.remove_header(&header::UPGRADE);
        request.remove_header("http2-settings");
    }
}

/// Takes out of an answer what was meant for the proxy alone (RFC 9110 section 7.6.1).
pub(crate) fn forwardable_response(response: &mut ResponseHeader) {
    if response.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    if response.headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = options(&response.headers)
            .filter_map(|option| HeaderName::from_bytes(option).ok())
            .filter(|name| *name != header::TRANSFER_ENCODING && *name != header::CONTENT_LENGTH)
            .collect();
        for name in named {
            response.remove_header(&name);
        }
        response.remove_header(&header::CONNECTION);
    }
    response.remove_header("keep-alive");
    response.remove_header("proxy-connection");
}

/// Makes an answer readable for a client of HTTP/1.0, which knows no chunks: its body ends with the connection.
pub(crate) fn without_chunks(session: &mut Session, response: &mut ResponseHeader) {
    if session.req_header().version == Version::HTTP_10 && response.headers.contains_key(header::TRANSFER_ENCODING) {
        response.remove_header(&header::TRANSFER_ENCODING);
        session.set_keepalive(None);
    }
}

fn options(headers: &HeaderMap<HeaderValue>) -> impl Iterator<Item = &[u8]> {
    elements(headers, &header::CONNECTION)
}

/// The elements of the list that all headers of this `name` are together (RFC 9110 section 5.6.1).
fn elements<'a>(headers: &'a HeaderMap<HeaderValue>, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn names_option(headers: &HeaderMap<HeaderValue>, name: &[u8]) -> bool {
    options(headers).any(|option| option.eq_ignore_ascii_case(name))
}

fn has_content_length(head: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    head.split(|byte| *byte == b'\n').skip(1).any(|line| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(NAME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_content_length_on_the_wire() {
        for (head, want) in [
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length:1\r\n\r\n", true),
            ("POST / HTTP/1.1\nCONTENT-LENGTH: 1\n\n", true),
            ("POST /?content-length:1 HTTP/1.1\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nX-Content-Length: 1\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nX: content-length: 1\r\n\r\n", false),
        ] {
            assert_eq!(has_content_length(head.as_bytes()), want, "{head:?}");
        }
    }

    fn names(response: &ResponseHeader) -> Vec<&str> {
        let mut names: Vec<&str> = response.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn passes_on_what_is_meant_for_the_client_only() {
        for (name, status, headers, want) in [
            ("plain", 200, &[("x-a", "1")][..], &["x-a"][..]),
            ("named options", 200, &[("connection", "x-a, close"), ("x-a", "1"), ("x-b", "1")], &["x-b"]),
            (
                "framing is never taken out by name",
                200,
                &[("connection", "transfer-encoding"), ("transfer-encoding", "chunked")],
                &["transfer-encoding"],
            ),
            ("keep-alive", 200, &[("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive")], &[]),
            ("an upgrade", 101, &[("connection", "upgrade"), ("upgrade", "websocket")], &["connection", "upgrade"]),
        ] {
            let mut response = ResponseHeader::build(status, None).unwrap();
            for (header, value) in headers {
                response.append_header(*header, *value).unwrap();
            }
            forwardable_response(&mut response);
            assert_eq!(names(&response), want, "{name}");
        }
    }

    #[test]
    fn names_a_host_for_those_who_need_none() {
        for (name, version, host, destination, want) in [
            ("HTTP/1.0 without", Version::HTTP_10, None, "10.0.0.1:80", Some("10.0.0.1:80")),
            ("HTTP/1.0 without, IPv6", Version::HTTP_10, None, "[fd00::1]:80", Some("[fd00::1]:80")),
            ("HTTP/1.0 with", Version::HTTP_10, Some("web"), "10.0.0.1:80", Some("web")),
            ("HTTP/1.1", Version::HTTP_11, None, "10.0.0.1:80", None),
        ] {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            request.set_version(version);
            if let Some(host) = host {
                request.insert_header("host", host).unwrap();
            }
            name_host(&mut request, destination.parse().unwrap());
            let got = request.headers.get("host").map(|value| value.to_str().unwrap());
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn declines_to_go_on_in_http2_and_nothing_else() {
        for (upgrade, want) in [
            (&["h2c"][..], &[][..]),
            (&["H2C"], &[]),
            (&["websocket, h2c"], &[]),
            (&["websocket", "h2c"], &[]),
            (&["websocket"], &["http2-settings", "upgrade"]),
        ] {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            for value in upgrade {
                request.append_header("upgrade", *value).unwrap();
            }
            request.insert_header("http2-settings", "AAMAAABkAAQAAP__").unwrap();
            refuse_h2c(&mut request);
            let mut left: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
            left.sort_unstable();
            assert_eq!(left, want, "{upgrade:?}");
        }
    }
}
