//! Whether first bytes are those of HTTP.
//!
//! On its way out of the pod, HTTP is what clients of HTTP send. On its way in, it is all that an application might take for HTTP:
//! what is passed on unread could name its sender, or ask for what its sender may not have.

use super::Protocol;

/// Longest request line that is waited for. RFC 9112 section 3 asks for 8000 bytes; servers stop soon after.
const REQUEST_LINE_BYTES: usize = 16 * 1024;
/// Source: RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// As whom first bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A server to the letter. What only others understand passes as bytes.
    Strict,
    /// Any server that there may be. What it understands in its own way is HTTP/1 here, to be refused as such.
    Lenient,
}

/// What `first` is the beginning of; `None` when more of it is needed to tell.
pub(super) fn classify(first: &[u8], reader: Reader) -> Option<Protocol> {
    if first.starts_with(PREFACE) {
        return Some(Protocol::Http2);
    }
    if PREFACE.starts_with(first) {
        return None;
    }
    let bytes = match reader {
        Reader::Strict => &first[2 * first.chunks(2).take_while(|line| *line == b"\r\n").count()..],
        // RFC 9112 section 3 lets a recipient ignore white space there.
        Reader::Lenient => &first[first.iter().take_while(|byte| is_blank(**byte)).count()..],
    };
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let could_be = match reader {
        Reader::Strict => is_request_line(line, end.is_some()),
        Reader::Lenient => is_taken_for_request_line(line, end.is_some()),
    };
    match (could_be, end, reader) {
        (false, _, _) => Some(Protocol::Opaque),
        (true, Some(_), _) => Some(Protocol::Http1),
        (true, None, _) if first.len() <= REQUEST_LINE_BYTES => None,
        // Longer ones are refused, or read, by whoever reads requests.
        (true, None, Reader::Lenient) => Some(Protocol::Http1),
        (true, None, Reader::Strict) => Some(Protocol::Opaque),
    }
}

/// White space, which may stand before a request and says nothing by itself (RFC 9112 sections 2.2 and 3).
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b'\n' || is_gap(byte)
}

/// Whether `line` is a request line (RFC 9112 section 3), or may become one if it is not `complete`.
fn is_request_line(line: &[u8], complete: bool) -> bool {
    if !complete && line == b"\r" {
        // Of an empty line.
        return true;
    }
    let Some(space) = line.iter().position(|byte| *byte == b' ') else {
        return !complete && line.iter().copied().all(is_token);
    };
    let (method, rest) = (&line[..space], &line[space + 1..]);
    // What follows the answer is for two others to read. It is the request of a client that knows of a proxy, and that proxy is
    // its server.
    if method == b"CONNECT" {
        return false;
    }
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return false;
    }
    // The target itself is the server's to judge; binary in it is no HTTP, though.
    if rest.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\r' | b'\t')) {
        return false;
    }
    if !complete {
        return true;
    }
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let Some(version) = rest.iter().rposition(|byte| *byte == b' ') else {
        return false;
    };
    matches!(&rest[version + 1..], [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'])
        && !rest[..version].is_empty()
}

/// Whether there may be a server that takes `line` for a request line, or what it becomes if it is not `complete`.
fn is_taken_for_request_line(line: &[u8], complete: bool) -> bool {
    let gap = line.iter().position(|byte| is_gap(*byte));
    let (method, rest) = line.split_at(gap.unwrap_or(line.len()));
    if !method.iter().copied().all(is_token) || (complete && gap.is_none()) {
        return false;
    }
    let target = &rest[rest.iter().take_while(|byte| is_gap(**byte)).count()..];
    let begins = |prefix: &[u8]| target.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
    let is_binary = rest.iter().any(|byte| byte.is_ascii_control() && !is_gap(*byte));
    // Some servers take binary as part of a target. What begins with one byte of ASCII and a length is no request, though.
    if is_binary && !begins(b"/") && !begins(b"http") {
        return false;
    }
    // HTTP/0.9 has no version.
    !complete || names_version(rest) || (method == b"GET" && begins(b"/"))
}

/// Whether a version of HTTP stands in `rest` where a word may begin.
fn names_version(rest: &[u8]) -> bool {
    const LENGTH: usize = b" HTTP/1".len();
    rest.windows(LENGTH).any(|window| {
        (window[0].is_ascii_control() || window[0] == b' ')
            && window[1..LENGTH - 1].eq_ignore_ascii_case(b"HTTP/")
            && window[LENGTH - 1].is_ascii_digit()
    })
}

/// What RFC 9112 section 3 lets a recipient take for the space between the parts of a request line.
fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

/// Source: RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{
        Protocol::{Http1, Http2, Opaque},
        *,
    };

    /// What is said, and what a strict and a lenient reader take it for.
    const TABLE: [(&str, &[u8], Protocol, Protocol); 49] = [
        ("GET", b"GET / HTTP/1.1\r\nHost: web\r\n\r\n", Http1, Http1),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", Http1, Http1),
        ("bare line feed", b"GET / HTTP/1.1\nHost: web\n\n", Http1, Http1),
        ("absolute form", b"GET http://web/ HTTP/1.1\r\n", Http1, Http1),
        ("CONNECT", b"CONNECT web:80 HTTP/1.1\r\n", Opaque, Http1),
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n", Http1, Http1),
        ("a method of one's own", b"M-SEARCH * HTTP/1.1\r\n", Http1, Http1),
        ("space in the target", b"GET /a b HTTP/1.1\r\n", Http1, Http1),
        ("bytes above ASCII in the target", b"GET /\xc3\xa4 HTTP/1.1\r\n", Http1, Http1),
        ("preface", PREFACE, Http2, Http2),
        ("an empty line before", b"\r\nGET / HTTP/1.1\r\n", Http1, Http1),
        ("empty lines before", b"\r\n\r\n\r\nGET / HTTP/1.1\r\n", Http1, Http1),
        ("empty lines before bytes", b"\r\n\r\n\x01", Opaque, Opaque),
        ("a bare line feed before", b"\nGET / HTTP/1.1\r\n", Opaque, Http1),
        ("a bare carriage return before", b"\rGET / HTTP/1.1\r\n", Opaque, Http1),
        ("a space before", b" GET / HTTP/1.1\r\n", Opaque, Http1),
        ("a tab and a form feed before", b"\t\x0cGET / HTTP/1.1\r\n", Opaque, Http1),
        ("a number before", b"\0\0\0\x04PING", Opaque, Opaque),
        ("the preface after an empty line", b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Opaque, Http1),
        ("almost the preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Opaque, Http1),
        ("a space behind the version", b"GET / HTTP/1.1 \r\n", Opaque, Http1),
        ("tabs for spaces", b"GET\t/\tHTTP/1.1\r\n", Opaque, Http1),
        ("form feeds for spaces", b"GET\x0c/\x0bHTTP/1.1\r\n", Opaque, Http1),
        ("carriage returns for spaces", b"GET\r/\rHTTP/1.1\r\n", Opaque, Http1),
        ("carriage returns for lines", b"GET / HTTP/1.1\rHost: web\r\r\n", Opaque, Http1),
        ("NUL in the target", b"GET /\0 HTTP/1.1\r\n", Opaque, Http1),
        ("binary in an absolute target", b"GET http://web/\x01 HTTP/1.1\r\n", Opaque, Http1),
        ("a version in small letters", b"GET / http/1.1\r\n", Opaque, Http1),
        ("a version that is none", b"GET / HTTP/1.1.1\r\n", Opaque, Http1),
        ("another version", b"GET / HTTP/2.0\r\n", Opaque, Http1),
        ("HTTP/0.9", b"GET /\r\n", Opaque, Http1),
        ("HTTP/0.9 with a bare line feed", b"GET /\n", Opaque, Http1),
        ("a key", b"GET key\r\n", Opaque, Opaque),
        ("RTSP", b"DESCRIBE rtsp://cam/ RTSP/1.0\r\n", Opaque, Opaque),
        ("SIP", b"OPTIONS sip:web SIP/2.0\r\n", Opaque, Opaque),
        ("a text protocol", b"STATS items\r\n", Opaque, Opaque),
        ("one word", b"PING\r\n", Opaque, Opaque),
        ("NATS", b"CONNECT {\"verbose\":false}\r\n", Opaque, Opaque),
        ("STOMP", b"CONNECT\naccept-version:1.2\n\n\0", Opaque, Opaque),
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Opaque, Opaque),
        ("an answer", b"HTTP/1.1 200 OK\r\n", Opaque, Opaque),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Opaque, Opaque),
        ("binary after a word", b"GET \x00\x01", Opaque, Opaque),
        ("SOCKS", b"\x05\x01\0", Opaque, Opaque),
        ("LDAP", b"0\x0c\x02\x01\x01\x60\x07", Opaque, Opaque),
        ("LDAP of another length", b"0 \x02\x01\x01\x60\x1b", Opaque, Opaque),
        ("PostgreSQL", b"\0\0\0\x54\0\x03\0\0user\0", Opaque, Opaque),
        ("Kafka", b"\0\0\0\x2d\0\x12\0\x03\0\0\0\0\0\x07rdkafka\0", Opaque, Opaque),
        ("MQTT", b"\x10\x0c\0\x04MQTT\x04\x02", Opaque, Opaque),
    ];

    fn both() -> impl Iterator<Item = (&'static str, &'static [u8], Reader, Protocol)> {
        let read = |(name, first, strict, lenient)| {
            [(name, first, Reader::Strict, strict), (name, first, Reader::Lenient, lenient)]
        };
        TABLE.into_iter().flat_map(read)
    }

    #[test]
    fn knows_protocols_by_their_first_bytes() {
        for (name, first, reader, want) in both() {
            assert_eq!(classify(first, reader), Some(want), "{name}, {reader:?}");
        }
        for (reader, endless) in [(Reader::Strict, Opaque), (Reader::Lenient, Http1)] {
            for first in [&b""[..], b"GET /", b"\r\n", b"\r"] {
                assert_eq!(classify(first, reader), None, "{first:?}, {reader:?}");
            }
            for begun in [&b"GET /"[..], b"G", b"\r\n"] {
                let mut long = begun.to_vec();
                long.resize(REQUEST_LINE_BYTES + 1, b'a');
                assert_eq!(classify(&long, reader), Some(endless), "{begun:?} without an end, {reader:?}");
            }
        }
    }

    #[test]
    fn never_changes_its_mind_while_bytes_arrive() {
        for (name, first, reader, want) in both() {
            let part = |length| classify(&first[..length], reader);
            let mut verdicts: Vec<_> = (0..=first.len()).filter_map(part).collect();
            verdicts.dedup();
            assert_eq!(verdicts, [want], "{name}, {reader:?}");
        }
    }

    #[test]
    fn a_strict_reader_takes_nothing_for_http_that_a_lenient_one_does_not() {
        for (name, first, strict, lenient) in TABLE {
            assert!(strict == Opaque || strict == lenient, "{name}: {first:?}");
        }
    }
}
