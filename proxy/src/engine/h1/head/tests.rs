//! Which heads are read, and how.

use super::*;

fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: web\r\n{fields}\r\n")
}

#[test]
fn reads_what_has_one_meaning() {
    let none = Head { follows: Follows::Length(0), upgrade: false };
    let chunks = Head { follows: Follows::Chunks, upgrade: false };
    for (name, head, want) in [
        ("plain", "GET / HTTP/1.1\r\nHost: web\r\n\r\n".to_owned(), none),
        ("HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n".to_owned(), none),
        ("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), none),
        ("IPv6", "GET / HTTP/1.1\r\nHost: [fd00::1]:80\r\n\r\n".to_owned(), none),
        ("absolute form", "GET http://web:80/a HTTP/1.1\r\nHost: web:80\r\n\r\n".to_owned(), none),
        ("asterisk", "OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n".to_owned(), none),
        ("bytes above ASCII", "GET /\u{e4} HTTP/1.1\r\nHost: web\r\nX: \u{e4}\r\n\r\n".to_owned(), none),
        ("length", post("Content-Length: 12\r\n"), Head { follows: Follows::Length(12), ..none }),
        ("space around", post("Content-Length: \t12 \r\n"), Head { follows: Follows::Length(12), ..none }),
        ("chunks", post("Transfer-Encoding: Chunked\r\n"), chunks),
        ("hop-by-hop headers", post("Connection: close, x-mine, TE\r\nX-Mine: 1\r\n"), none),
        ("upgrade", post("Connection: upgrade\r\nUpgrade: websocket\r\n"), Head { upgrade: true, ..none }),
        ("an empty value", post("X:\r\n"), none),
        ("a tab in a value", post("X: a\tb\r\n"), none),
        ("as many fields as there may be", post(&"X: a\r\n".repeat(MAX_FIELDS - 1)), none),
    ] {
        assert_eq!(end(head.as_bytes(), 0), Ok(Some(head.len())), "{name}");
        assert_eq!(read(head.as_bytes()), Ok(want), "{name}");
    }
    assert_eq!(read(post(&"X: a\r\n".repeat(MAX_FIELDS)).as_bytes()), Err(BadHead::TooManyFields));
}

#[test]
fn refuses_what_could_have_another() {
    let with = |line: &str| format!("{line}\r\nHost: web\r\n\r\n");
    for (name, head, want) in [
        ("two spaces", with("GET  / HTTP/1.1"), Malformed::RequestLine),
        ("space in the target", with("GET /a b HTTP/1.1"), Malformed::RequestLine),
        ("tab for a space", with("GET\t/ HTTP/1.1"), Malformed::RequestLine),
        ("no version", with("GET /"), Malformed::RequestLine),
        ("later version", with("GET / HTTP/1.2"), Malformed::RequestLine),
        ("HTTP/2", with("PRI * HTTP/2.0"), Malformed::RequestLine),
        ("small letters", with("GET / http/1.1"), Malformed::RequestLine),
        ("space behind", with("GET / HTTP/1.1 "), Malformed::RequestLine),
        ("a method that is no token", with("G(T / HTTP/1.1"), Malformed::RequestLine),
        ("no method", with(" / HTTP/1.1"), Malformed::RequestLine),
        ("relative target", with("GET a HTTP/1.1"), Malformed::Target),
        ("asterisk", with("GET * HTTP/1.1"), Malformed::Target),
        ("another scheme", with("GET file:///etc HTTP/1.1"), Malformed::Target),
        ("no authority", with("GET http:///a HTTP/1.1"), Malformed::Target),
        ("user", with("GET http://a@web/ HTTP/1.1"), Malformed::Target),
        ("NUL", with("GET /\0 HTTP/1.1"), Malformed::Target),
        ("fragment", with("GET /#a HTTP/1.1"), Malformed::Target),
        ("another host", with("GET http://other/ HTTP/1.1"), Malformed::OtherHost),
        ("carriage return in the line", with("GET /\ra HTTP/1.1"), Malformed::BareCarriageReturn),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned(), Malformed::NoHost),
        ("two hosts", post("Host: web\r\n"), Malformed::TwoHosts),
        ("two hosts in one", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".to_owned(), Malformed::Host),
        ("a user as host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".to_owned(), Malformed::Host),
        ("a path as host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(), Malformed::Host),
        ("two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n".to_owned(), Malformed::Host),
        ("space before the colon", post("X : 1\r\n"), Malformed::Name),
        ("no colon", post("X\r\n"), Malformed::Name),
        ("no name", post(": 1\r\n"), Malformed::Name),
        ("a name that is no token", post("X(: 1\r\n"), Malformed::Name),
        ("a name above ASCII", post("\u{e4}: 1\r\n"), Malformed::Name),
        ("fold", post("X: 1\r\n 2\r\n"), Malformed::Fold),
        ("fold of the first", "GET / HTTP/1.1\r\n Host: web\r\n\r\n".to_owned(), Malformed::Fold),
        ("NUL in a value", post("X: a\0b\r\n"), Malformed::Value),
        ("delete in a value", post("X: a\x7fb\r\n"), Malformed::Value),
        ("carriage return in a value", post("X: a\rb\r\n"), Malformed::BareCarriageReturn),
        ("both lengths", post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), Malformed::TwoLengths),
        ("equal lengths", post("Content-Length: 1\r\nContent-Length: 1\r\n"), Malformed::Length),
        ("a list of lengths", post("Content-Length: 1, 1\r\n"), Malformed::Length),
        ("plus", post("Content-Length: +1\r\n"), Malformed::Length),
        ("minus", post("Content-Length: -1\r\n"), Malformed::Length),
        ("no length", post("Content-Length:\r\n"), Malformed::Length),
        ("hexadecimal", post("Content-Length: 0x1\r\n"), Malformed::Length),
        ("more than there can be", post("Content-Length: 18446744073709551617\r\n"), Malformed::Length),
        ("another coding", post("Transfer-Encoding: gzip, chunked\r\n"), Malformed::Coding),
        ("identity", post("Transfer-Encoding: identity\r\n"), Malformed::Coding),
        ("twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Malformed::Coding),
        ("chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), Malformed::Coding),
        ("length for one hop", post("Connection: content-length\r\nContent-Length: 1\r\n"), Malformed::Nominated),
        ("address for one hop", post("Connection: close, X-Forwarded-For\r\n"), Malformed::Nominated),
        ("an option that is no token", post("Connection: a b\r\n"), Malformed::Nominated),
    ] {
        assert_eq!(read(head.as_bytes()), Err(want.into()), "{name}");
    }
}

#[test]
fn finds_the_end_however_the_bytes_come() {
    let head = post("X: 1\r\n");
    let and_more = format!("{head}GET / HTTP/1.1\r\n");
    for length in 0..and_more.len() {
        let want = (length >= head.len()).then_some(head.len());
        for scanned in 0..=length.min(head.len() - 1) {
            assert_eq!(end(&and_more.as_bytes()[..length], scanned), Ok(want), "{scanned} of {length}");
        }
    }
    for (name, bytes) in
        [("first", "\n"), ("line", "GET / HTTP/1.1\nHost"), ("last", "GET / HTTP/1.1\r\nHost: a\r\n\n")]
    {
        assert_eq!(end(bytes.as_bytes(), 0), Err(Malformed::BareLineFeed), "{name}");
    }
}
