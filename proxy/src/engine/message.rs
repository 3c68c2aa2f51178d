//! Which messages may be passed on, and what must not be passed on of them.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    proxy::Session,
};

use super::h1::{Malformed, is_host};
use crate::accept::is_token;

/// Makes the request of `session`, which was addressed to `destination`, fit to be passed on.
///
/// # Errors
/// When it must be refused.
pub(crate) fn forwardable_request(session: &mut Session, destination: Option<SocketAddr>) -> Result<(), Malformed> {
    let request = session.req_header();
    if request.version == Version::HTTP_2 {
        judge_http2(request)?;
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

/// Refuses what HTTP/2 has room for and other versions of HTTP have not, or not with the same meaning (RFC 9113 section 8.2.1 and
/// 8.3). HTTP/1 was judged before the engine saw it.
fn judge_http2(request: &RequestHeader) -> Result<(), Malformed> {
    let path = request.raw_path();
    let is_path = path.starts_with(b"/") || (path == b"*" && request.method == http::Method::OPTIONS);
    if !is_path {
        return Err(Malformed::Target);
    }
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = request.headers.get(header::HOST).map(HeaderValue::as_bytes);
    if !authority.into_iter().chain(host).all(is_host) {
        return Err(Malformed::Host);
    }
    let mut lengths = request.headers.get_all(header::CONTENT_LENGTH).into_iter();
    let length = lengths.next();
    if lengths.next().is_some() || length.is_some_and(|length| !length.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err(Malformed::Length);
    }
    for (name, value) in &request.headers {
        if !name.as_str().bytes().all(is_token) {
            return Err(Malformed::Name);
        }
        if value.as_bytes().trim_ascii().len() != value.len() {
            return Err(Malformed::Value);
        }
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

/// Whether who answered ends the connection with this answer (RFC 9112 section 9.6).
pub(crate) fn ends_connection(response: &ResponseHeader) -> bool {
    names_option(&response.headers, b"close")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_another_version_could_read_otherwise() {
        let of = |method: &str, uri: &str, headers: &[(&str, &str)]| {
            let mut request = http::Request::builder().method(method).uri(uri).version(Version::HTTP_2);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            RequestHeader::from(request.body(()).unwrap().into_parts().0)
        };
        for (name, request, want) in [
            ("plain", of("GET", "http://web/", &[("x", "1")]), Ok(())),
            ("a port", of("GET", "http://web:80/", &[]), Ok(())),
            ("asterisk", of("OPTIONS", "*", &[("host", "we")]), Ok(())),
            ("one length", of("POST", "http://web/", &[("content-length", "1")]), Ok(())),
            ("two lengths", of("POST", "http://web/", &[("content-length", "1"); 2]), Err(Malformed::Length)),
            ("a list of lengths", of("POST", "http://web/", &[("content-length", "1,1")]), Err(Malformed::Length)),
            ("no path", of("GET", "*", &[("host", "we")]), Err(Malformed::Target)),
            ("no host", of("GET", "/", &[("host", "a/")]), Err(Malformed::Host)),
            ("spaces around", of("GET", "http://web/", &[("x", " 1")]), Err(Malformed::Value)),
        ] {
            assert_eq!(judge_http2(&request), want, "{name}");
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
