//! How a request ended, and whether the server is to blame.

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Answer {
    /// Status code; 0 when there was no answer.
    pub(crate) status: u16,
    /// For gRPC: `grpc-status`.
    pub(crate) grpc: Option<u16>,
    /// The answer began, but its server broke it off.
    pub(crate) broken: bool,
}

/// `grpc-status` of a call whose answer ended without one.
///
/// Source: gRPC over HTTP/2, "Responses": an implementation must then synthesize a status, and UNKNOWN is what it says of no
/// better knowledge.
pub(crate) const GRPC_UNKNOWN: u16 = 2;
/// `grpc-status` of a call that could not be delivered; safe for clients to try again.
pub(crate) const GRPC_UNAVAILABLE: u16 = 14;
/// `grpc-status` of a call that its client gave up.
pub(crate) const GRPC_CANCELLED: u16 = 1;
/// `grpc-status` of a call for which there was not enough time.
pub(crate) const GRPC_DEADLINE_EXCEEDED: u16 = 4;
/// `grpc-status` of a call that asked for too much.
pub(crate) const GRPC_RESOURCE_EXHAUSTED: u16 = 8;
/// `grpc-status` of a call that is none, or that the proxy failed on.
pub(crate) const GRPC_INTERNAL: u16 = 13;
/// UNAUTHENTICATED, the highest `grpc-status` that is defined.
const GRPC_LAST: u16 = 16;

impl Answer {
    /// Whether the server did what it was asked: a status below 500, the whole of the answer, and for gRPC a status that does
    /// not blame the server.
    pub(crate) fn is_success(self) -> bool {
        (100..500).contains(&self.status) && !self.broken && !self.grpc.is_some_and(blames_server)
    }

    /// The first digit of the status; 0 when there was no answer. HTTP has no class above 5: a client treats what is there as
    /// such an error (RFC 9110 section 15).
    pub(crate) fn class(self) -> u16 {
        (self.status / 100).min(5)
    }
}

/// Whether a `grpc-status` says that the server failed: UNKNOWN (2), `DEADLINE_EXCEEDED` (4), UNIMPLEMENTED (12), INTERNAL (13),
/// UNAVAILABLE (14), `DATA_LOSS` (15), and any number that gRPC does not define. `RESOURCE_EXHAUSTED` (8) is not among them: it
/// answers a caller that asks too much.
///
/// Source: OpenTelemetry semantic conventions for gRPC, the status codes that make a server span an error.
fn blames_server(status: u16) -> bool {
    matches!(status, 2 | 4 | 12..=15 | 17..)
}

/// Whether this `content-type` is gRPC's.
pub(crate) fn is_grpc(content_type: Option<&http::HeaderValue>) -> bool {
    content_type.is_some_and(|value| {
        let value = value.as_bytes();
        value.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The `grpc-status` among `headers`. One that gRPC does not define is UNKNOWN, as it is to clients: each kept by itself would
/// have a server choose how many statistics there are.
pub(crate) fn grpc_status(headers: &http::HeaderMap) -> Option<u16> {
    let status = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    Some(if status > GRPC_LAST { GRPC_UNKNOWN } else { status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_success_from_failure() {
        let http = |status| Answer { status, ..Answer::default() };
        let grpc = |code| Answer { status: 200, grpc: Some(code), broken: false };
        for (name, answer, want) in [
            ("ok", http(200), true),
            ("switching protocols", http(101), true),
            ("redirect", http(302), true),
            ("the client's fault", http(404), true),
            ("the last that is not the server's", http(499), true),
            ("the first that is", http(500), false),
            ("unavailable", http(503), false),
            ("no answer", http(0), false),
            ("half an answer", Answer { broken: true, ..http(200) }, false),
            ("grpc OK", grpc(0), true),
            ("grpc CANCELLED", grpc(1), true),
            ("grpc UNKNOWN", grpc(2), false),
            ("grpc INVALID_ARGUMENT", grpc(3), true),
            ("grpc DEADLINE_EXCEEDED", grpc(4), false),
            ("grpc NOT_FOUND", grpc(5), true),
            ("grpc PERMISSION_DENIED", grpc(7), true),
            ("grpc RESOURCE_EXHAUSTED", grpc(8), true),
            ("grpc ABORTED", grpc(10), true),
            ("grpc UNIMPLEMENTED", grpc(12), false),
            ("grpc INTERNAL", grpc(13), false),
            ("grpc UNAVAILABLE", grpc(14), false),
            ("grpc DATA_LOSS", grpc(15), false),
            ("grpc UNAUTHENTICATED", grpc(16), true),
            ("grpc, undefined", grpc(17), false),
            ("grpc OK on a failed request", Answer { status: 502, ..grpc(0) }, false),
        ] {
            assert_eq!(answer.is_success(), want, "{name}");
        }
    }

    #[test]
    fn has_the_classes_of_http_only() {
        for (status, want) in [(0, 0), (101, 1), (204, 2), (404, 4), (599, 5), (600, 5), (999, 5)] {
            assert_eq!(Answer { status, ..Answer::default() }.class(), want, "{status}");
        }
    }

    #[test]
    fn knows_grpc_by_its_content_type() {
        for (value, want) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(is_grpc(Some(&http::HeaderValue::from_static(value))), want, "{value:?}");
        }
        assert!(!is_grpc(None));
    }

    #[test]
    fn reads_the_grpc_status() {
        for (value, want) in [
            (Some("0"), Some(0)),
            (Some("16"), Some(16)),
            (Some("17"), Some(GRPC_UNKNOWN)),
            (Some("65535"), Some(GRPC_UNKNOWN)),
            (Some("x"), None),
            (None, None),
        ] {
            let mut headers = http::HeaderMap::new();
            if let Some(value) = value {
                headers.insert("grpc-status", http::HeaderValue::from_static(value));
            }
            assert_eq!(grpc_status(&headers), want, "{value:?}");
        }
    }
}
