//! Requests that two parties could read differently: each is refused, or reaches the application as one request.

use std::{net::SocketAddr, time::Duration};

use crate::support::{Back, Frames, Mesh, Recorded, Recorder, Server, Wire, block};

/// What becomes of a row.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// 400, and the application sees nothing.
    Refused,
    /// 400, and the application sees no more than the beginning of a request, on a connection that ends there.
    Broken,
    /// The application sees this request line and body, once.
    Once(&'static str, &'static str),
}
use Want::{Broken, Once, Refused};

/// What an attacker would like to be taken for a request.
const S: &str = "GET /smuggled HTTP/1.1\r\nHost: web\r\n\r\n";
const ROOT: &str = "POST / HTTP/1.1";

/// A POST with these headers, and what follows it.
fn post(headers: &str, rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: web\r\n{headers}\r\n{rest}")
}

fn get(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: web\r\n{headers}\r\n{S}")
}

fn line(line: &str) -> String {
    format!("{line}\r\nHost: web\r\n\r\n{S}")
}

fn chunked(rest: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", &format!("{rest}{S}"))
}

fn lengths() -> Vec<(&'static str, String, Want)> {
    let te_0 = format!("0\r\n\r\n{S}");
    vec![
        ("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", &te_0), Refused),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &te_0), Refused),
        ("CL.TE, CL 0", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", &te_0), Refused),
        ("TE twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &te_0), Refused),
        ("TE, TE identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", &te_0), Refused),
        ("TE identity", post("Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc"), Refused),
        ("TE xchunked", post("Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n", "abc"), Refused),
        ("TE chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", &te_0), Refused),
        ("TE gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", &te_0), Refused),
        ("TE chunked twice in one", post("Transfer-Encoding: chunked, chunked\r\n", &te_0), Refused),
        ("TE with a comma behind", post("Transfer-Encoding: chunked,\r\n", &te_0), Refused),
        ("TE with a comma before", post("Transfer-Encoding: ,chunked\r\n", &te_0), Refused),
        ("TE quoted", post("Transfer-Encoding: \"chunked\"\r\n", &te_0), Refused),
        ("TE with a parameter", post("Transfer-Encoding: chunked;a=b\r\n", &te_0), Refused),
        ("TE empty", post("Transfer-Encoding:\r\nContent-Length: 3\r\n", "abc"), Refused),
        ("TE, space before the colon", post("Transfer-Encoding : chunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE, tab before the colon", post("Transfer-Encoding\t: chunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE, vertical tab", post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE, NUL", post("Transfer-Encoding: chunked\0\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE, bare CR", post("Transfer-Encoding: chunked\r\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE folded", post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE behind a bare CR", post("X: a\rTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE behind a bare LF", post("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        ("TE with a prefix", post(" Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", &te_0), Refused),
        (
            "TE in HTTP/1.0",
            format!("POST / HTTP/1.0\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n{te_0}"),
            Refused,
        ),
        ("TE in capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", "3\r\nabc\r\n0\r\n\r\n"), Once(ROOT, "abc")),
        (
            "TE with spaces around",
            post("Transfer-Encoding: \t chunked \r\n", "3\r\nabc\r\n0\r\n\r\n"),
            Once(ROOT, "abc"),
        ),
        (
            "TE by another name",
            post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
            Once(ROOT, "0\r\n\r\n"),
        ),
        ("CL different", post("Content-Length: 3\r\nContent-Length: 40\r\n", S), Refused),
        ("CL equal", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), Refused),
        ("CL list", post("Content-Length: 3, 3\r\n", "abc"), Refused),
        ("CL plus", post("Content-Length: +3\r\n", "abc"), Refused),
        ("CL minus", post("Content-Length: -3\r\n", S), Refused),
        ("CL hexadecimal", post("Content-Length: 0x3\r\n", "abc"), Refused),
        ("CL exponent", post("Content-Length: 3e0\r\n", "abc"), Refused),
        ("CL fraction", post("Content-Length: 3.0\r\n", "abc"), Refused),
        ("CL with spaces inside", post("Content-Length: 3 3\r\n", "abc"), Refused),
        ("CL empty", post("Content-Length:\r\n", S), Refused),
        ("CL beyond 64 bits", post("Content-Length: 18446744073709551619\r\n", "abc"), Refused),
        ("CL beyond 63 bits", post("Content-Length: 9223372036854775808\r\n", "abc"), Refused),
        ("CL, space before the colon", post("Content-Length : 40\r\n", S), Refused),
        ("CL folded", post("Content-Length: 3\r\n 3\r\n", "abc"), Refused),
        ("CL with zeros", post("Content-Length: 003\r\n", "abc"), Once(ROOT, "abc")),
        (
            "CL of a GET",
            format!("GET / HTTP/1.1\r\nHost: web\r\nContent-Length: {}\r\n\r\n{S}", S.len()),
            Once("GET / HTTP/1.1", S),
        ),
    ]
}

fn chunks() -> Vec<(&'static str, String, Want)> {
    vec![
        ("chunk of size minus one", chunked("-1\r\n\r\n"), Broken),
        ("chunk of size plus three", chunked("+3\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk of 0x3", chunked("0x3\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk beyond 64 bits", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk of all bits", chunked("ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk without a size", chunked("\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk size with a space before", chunked(" 3\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk size with a space behind", chunked("3 \r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk size and a bare LF", chunked("3\nabc\n0\n\n"), Broken),
        ("chunk size and a bare CR", chunked("3\rabc\r0\r\r"), Broken),
        ("chunk that is longer than it says", chunked("3\r\nabcd\r\n0\r\n\r\n"), Broken),
        ("chunk that is shorter than it says", chunked("5\r\nabc\r\n0\r\n\r\n"), Broken),
        ("chunk without its end", chunked("3\r\nabc0\r\n\r\n"), Broken),
        ("bare LF in an extension", chunked("3;a\nabc\r\n0\r\n\r\n"), Broken),
        ("bare CR in an extension", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), Broken),
        ("extension without an end", chunked(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(5000))), Broken),
        ("a request for a trailer", chunked("0\r\n"), Broken),
        ("a fold in the trailers", chunked("0\r\nA: b\r\n c\r\n\r\n"), Broken),
        ("a bare LF behind the last chunk", chunked("0\r\n\n"), Broken),
        ("trailers without an end", chunked(&format!("0\r\nA: {}\r\n\r\n", "a".repeat(9000))), Broken),
        (
            "extensions",
            post("Transfer-Encoding: chunked\r\n", "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"),
            Once(ROOT, "abc"),
        ),
        (
            "lengths among the trailers",
            post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n"),
            Once(ROOT, "abc"),
        ),
        (
            "a request in a chunk",
            post("Transfer-Encoding: chunked\r\n", &format!("{:x}\r\n{S}\r\n0\r\n\r\n", S.len())),
            Once(ROOT, S),
        ),
    ]
}

fn heads() -> Vec<(&'static str, String, Want)> {
    let root = "GET / HTTP/1.1";
    vec![
        ("bare LF all over", format!("GET / HTTP/1.1\nHost: web\n\n{S}"), Refused),
        ("bare LF in the end", format!("GET / HTTP/1.1\r\nHost: web\r\n\n{S}"), Refused),
        ("bare CR in a value", get("X: a\rb\r\n"), Refused),
        ("fold", get("X: a\r\n b\r\n"), Refused),
        ("fold of the first header", format!("GET / HTTP/1.1\r\n X: a\r\nHost: web\r\n\r\n{S}"), Refused),
        ("fold by a tab", get("X: a\r\n\tb\r\n"), Refused),
        ("space before the colon", get("X : a\r\n"), Refused),
        ("no colon", get("X\r\n"), Refused),
        ("no name", get(": a\r\n"), Refused),
        ("a space in a name", get("X Y: a\r\n"), Refused),
        ("a name above ASCII", get("X\u{e4}: a\r\n"), Refused),
        ("NUL in a name", get("X\0: a\r\n"), Refused),
        ("NUL in a value", get("X: a\0b\r\n"), Refused),
        ("two hosts", get("Host: evil\r\n"), Refused),
        ("two equal hosts", get("Host: web\r\n"), Refused),
        ("no host", format!("GET / HTTP/1.1\r\n\r\n{S}"), Refused),
        ("a list of hosts", format!("GET / HTTP/1.1\r\nHost: web, evil\r\n\r\n{S}"), Refused),
        ("a user in Host", format!("GET / HTTP/1.1\r\nHost: web@evil\r\n\r\n{S}"), Refused),
        ("a path in Host", format!("GET / HTTP/1.1\r\nHost: web/evil\r\n\r\n{S}"), Refused),
        ("Host with a space before the colon", format!("GET / HTTP/1.1\r\nHost : web\r\n\r\n{S}"), Refused),
        ("absolute form against Host", line("GET http://evil/ HTTP/1.1"), Refused),
        ("absolute form with a user", line("GET http://web@evil/ HTTP/1.1"), Refused),
        ("absolute form without an authority", line("GET http:///a HTTP/1.1"), Refused),
        ("absolute form of another scheme", line("GET gopher://web/ HTTP/1.1"), Refused),
        ("two spaces in the line", line("GET  / HTTP/1.1"), Refused),
        ("a space in the target", line("GET /a b HTTP/1.1"), Refused),
        ("a space behind the line", line("GET / HTTP/1.1 "), Refused),
        ("a tab in the line", line("GET\t/\tHTTP/1.1"), Refused),
        ("a request in the target", line("GET /HTTP/1.1\r\nGET / HTTP/1.1"), Refused),
        ("a relative target", line("GET evil HTTP/1.1"), Refused),
        ("NUL in the target", line("GET /\0 HTTP/1.1"), Refused),
        ("a method that is no token", line("G{}T / HTTP/1.1"), Refused),
        ("a version that is none", line("GET / HTTP/1.1.1"), Refused),
        ("a version that will never be", line("GET / HTTP/9.9"), Refused),
        ("HTTP/2 by its preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), Refused),
        ("HTTP/0.9", format!("GET /\r\n\r\n{S}"), Refused),
        ("Connection names Content-Length", post("Connection: Content-Length\r\nContent-Length: 38\r\n", S), Refused),
        (
            "Connection names Transfer-Encoding",
            post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{S}")),
            Refused,
        ),
        ("Connection names Host", get("Connection: close, Host\r\n"), Refused),
        ("Connection names the identity", get("Connection: upgrade, Weft-Client-Id\r\nUpgrade: x\r\n"), Refused),
        ("Connection names an address", get("Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\n"), Refused),
        ("Connection names no token", get("Connection: a b\r\n"), Refused),
        (
            "an empty line before",
            format!("\r\n\r\n{}", line("GET /a HTTP/1.1").replace(S, "")),
            Once("GET /a HTTP/1.1", ""),
        ),
        ("TE", line("GET / HTTP/1.1\r\nTE: trailers, deflate").replace(S, ""), Once(root, "")),
        ("Trailer", post("Trailer: Content-Length\r\nContent-Length: 3\r\n", "abc"), Once(ROOT, "abc")),
        (
            "Upgrade to h2c",
            get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n").replace(S, ""),
            Once(root, ""),
        ),
        ("X-HTTP-Method-Override", get("X-HTTP-Method-Override: DELETE\r\n").replace(S, ""), Once(root, "")),
    ]
}

struct Row<'a> {
    name: &'a str,
    bytes: &'a str,
    number: usize,
}

/// One row on a new connection, after another request if it is `reused`; what the application saw of it.
async fn attack(row: &Row<'_>, via: SocketAddr, recorder: &Recorder, reused: bool) -> (String, Vec<Recorded>) {
    let name = row.name;
    // The beginning of a request that was broken off may be noticed as late as in the next row.
    let bytes = row.bytes.replacen("Host: web\r\n", &format!("Host: web\r\nX-Row: {}\r\n", row.number), 1);
    recorder.take();
    let mut wire = Wire::to(via).await;
    if reused {
        wire.send(b"GET /before HTTP/1.1\r\nHost: web\r\n\r\n").await;
        assert!(wire.answer().await.starts_with("HTTP/1.1 200 "), "{name}");
    }
    wire.send(bytes.as_bytes()).await;
    let answer = wire.answer().await;
    // Whoever took part of the body for a request answers it before this one.
    wire.send(b"GET /after HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").await;
    let rest = wire.rest().await;
    if !rest.is_empty() {
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1, "{name}: {rest}");
    }
    let mut seen = recorder.take();
    let number = row.number.to_string();
    seen.retain(|request| request.header("x-row").iter().all(|found| *found == number));
    if reused {
        assert_eq!(seen.remove(0).line(), "GET /before HTTP/1.1", "{name}");
    }
    if seen.last().is_some_and(|last| last.line() == "GET /after HTTP/1.1") {
        seen.pop();
    }
    (answer, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_refused_or_means_one_thing() {
    let rows = [lengths(), chunks(), heads()].concat();
    assert!(rows.len() >= 100, "{} rows", rows.len());
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    for (side, via) in [("inbound", mesh.server.inbound), ("both", mesh.client.outbound)] {
        for (number, (name, bytes, want)) in rows.iter().enumerate() {
            let name = format!("{name}, {side}");
            let row = Row { name: &name, bytes, number };
            let (answer, seen) = attack(&row, via, &recorder, true).await;
            match want {
                Refused | Broken => {
                    assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
                    assert!(answer.contains("weft-error: malformed\r\n"), "{name}: {answer}");
                    let partial = matches!(want, Broken) && seen.len() == 1 && !seen[0].whole && seen[0].line() == ROOT;
                    assert!(seen.is_empty() || partial, "{name}: {seen:?}");
                }
                Once(line, body) => {
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
                    assert_eq!(seen.len(), 1, "{name}: {seen:?}");
                    assert_eq!((seen[0].line(), &*seen[0].body, seen[0].whole), (*line, *body, true), "{name}");
                    for gone in ["te", "trailer", "upgrade", "http2-settings", "connection"] {
                        assert!(seen[0].header(gone).is_empty(), "{name}: {gone} in {:?}", seen[0].head);
                    }
                }
            }
        }
    }
    let errors = mesh.server.admin("/metrics").await.body;
    assert!(errors.contains("weft_errors_total{direction=\"inbound\",reason=\"malformed\"}"), "{errors}");
}

/// What no server takes for a request passes as bytes, and the one that is real HTTP/2 is another test's.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_request_is_judged_like_any_other() {
    const NOT_HTTP1: [&str; 2] = ["a method that is no token", "HTTP/2 by its preface"];
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    let mut rows = [lengths(), chunks(), heads()].concat();
    rows.retain(|(name, ..)| !NOT_HTTP1.contains(name));
    rows.extend([
        ("a bare LF before", format!("\nGET / HTTP/1.1\r\nHost: web\r\n\r\n{S}"), Refused),
        ("a space before", format!(" GET / HTTP/1.1\r\nHost: web\r\n\r\n{S}"), Refused),
        ("a bare CR before", format!("\rGET / HTTP/1.1\r\nHost: web\r\n\r\n{S}"), Refused),
        ("HTTP/2 after an empty line", format!("\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{S}"), Refused),
        ("a long line", format!("GET /{} HTTP/1.1 \r\nHost: web\r\n\r\n{S}", "a".repeat(20_000)), Refused),
    ]);
    for (side, via) in [("inbound", mesh.server.inbound), ("both", mesh.client.outbound)] {
        for (number, (name, bytes, want)) in rows.iter().enumerate() {
            let name = format!("{name}, {side}");
            let row = Row { name: &name, bytes, number };
            let (answer, seen) = attack(&row, via, &recorder, false).await;
            let refused = !matches!(want, Once(..));
            assert_eq!(answer.starts_with("HTTP/1.1 400 "), refused, "{name}: {answer}");
            assert!(seen.iter().all(|request| request.line() != "GET /smuggled HTTP/1.1"), "{name}: {seen:?}");
            assert!(seen.is_empty() || !matches!(want, Refused), "{name}: {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_line_is_not_passed_on() {
    let recorder = Recorder::start().await;
    let mesh = Mesh::with(recorder.address, |settings| settings.limits.header_time = Duration::from_secs(1)).await;
    let halves = ["GET", "GET / HTTP/1.1", "\r\nGET /", "PRI * HTTP/2.0\r\n"];
    let sides = [("inbound", mesh.server.inbound), ("both", mesh.client.outbound)];
    let late = halves.iter().flat_map(|half| sides.map(|side| (half, side))).map(async |(half, (side, via))| {
        let mut wire = Wire::to(via).await;
        wire.send(half.as_bytes()).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{half:?}, {side}: {answer}");
        assert!(answer.contains("weft-error: header-timeout\r\n"), "{half:?}, {side}: {answer}");
        wire.send(S.as_bytes()).await;
        wire.rest().await;
    });
    futures::future::join_all(late).await;
    // The beginning itself is shown to the application, which could have something to say to it.
    let seen = recorder.take();
    assert!(seen.iter().all(|request| !request.whole && halves.contains(&&*request.head)), "{seen:?}");
}

/// Requests of HTTP/2 that would be something else in HTTP/1. None of them is ever put into it; they are refused all the same,
/// for the application may pass them on.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_http2_has_nothing_that_http1_could_not_say() {
    const GOOD: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":authority", "web"), (":path", "/ok")];
    let with = |field: (&'static str, &'static str)| [&GOOD[..], &[field]].concat();
    let instead = |field: (&'static str, &'static str)| {
        GOOD.map(|(name, value)| if name == field.0 { field } else { (name, value) }).to_vec()
    };
    let without = |name: &str| GOOD.into_iter().filter(|(found, _)| *found != name).collect::<Vec<_>>();
    let server = Server::named("web").await;
    let mesh = Mesh::of(server.address).await;
    let rows = [
        ("plain", GOOD.to_vec(), true),
        ("te: trailers", with(("te", "trailers")), true),
        ("host like the authority", with(("host", "web")), true),
        ("host alone", [without(":authority"), vec![("host", "web")]].concat(), true),
        ("capitals in a name", with(("X-A", "1")), false),
        ("a line in a value", with(("x", "a\r\nTransfer-Encoding: chunked")), false),
        ("line feed in a value", with(("x", "a\nb")), false),
        ("carriage return in a value", with(("x", "a\rb")), false),
        ("NUL in a value", with(("x", "a\0b")), false),
        ("space before a value", with(("x", " a")), false),
        ("tab behind a value", with(("x", "a\t")), false),
        ("a line in a name", with(("x: a\r\ny", "b")), false),
        ("space in a name", with(("x y", "b")), false),
        ("colon in a name", with(("x:y", "b")), false),
        ("NUL in a name", with(("x\0", "b")), false),
        ("no name", with(("", "b")), false),
        ("transfer-encoding", with(("transfer-encoding", "chunked")), false),
        ("connection", with(("connection", "close")), false),
        ("keep-alive", with(("keep-alive", "timeout=5")), false),
        ("proxy-connection", with(("proxy-connection", "close")), false),
        ("upgrade", with(("upgrade", "h2c")), false),
        ("te", with(("te", "gzip")), false),
        ("content-length without content", with(("content-length", "5")), false),
        ("content-length twice", [with(("content-length", "0")), vec![("content-length", "0")]].concat(), false),
        ("a list of lengths", with(("content-length", "0, 0")), false),
        ("content-length plus", with(("content-length", "+0")), false),
        ("no path", without(":path"), false),
        ("an empty path", instead((":path", "")), false),
        ("a relative path", instead((":path", "evil")), false),
        ("an absolute path", instead((":path", "http://evil/")), false),
        ("asterisk", instead((":path", "*")), false),
        ("a space in the path", instead((":path", "/ HTTP/1.1")), false),
        ("a line in the path", instead((":path", "/ HTTP/1.1\r\nX: y")), false),
        ("two paths", with((":path", "/evil")), false),
        ("no method", without(":method"), false),
        ("a line in the method", instead((":method", "GET / HTTP/1.1\r\nX: y\r\n")), false),
        ("a space in the method", instead((":method", "GET /")), false),
        ("two methods", with((":method", "POST")), false),
        ("no scheme", without(":scheme"), false),
        ("a line in the authority", instead((":authority", "web\r\nX: y")), false),
        ("a user in the authority", instead((":authority", "web@evil")), false),
        ("a path in the authority", instead((":authority", "web/evil")), false),
        ("another host", with(("host", "evil")), false),
        ("two hosts", [with(("host", "web")), vec![("host", "web")]].concat(), false),
        ("no host", without(":authority"), false),
        ("a pseudo header of its own", with((":evil", "1")), false),
        ("a pseudo header of answers", with((":status", "200")), false),
        ("a pseudo header too late", [vec![("x", "1")], GOOD.to_vec()].concat(), false),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "web:80")], false),
    ];
    for (side, via) in [("inbound", mesh.server.inbound), ("both", mesh.client.outbound)] {
        for (name, fields, good) in &rows {
            let before = server.requests();
            let back = Frames::to(via).await.ask(&block(fields)).await;
            assert_eq!(back == Back::Head(0x88), *good, "{name}, {side}: {back:?}");
            assert_eq!(server.requests() - before, u64::from(*good), "{name}, {side}");
        }
    }
}
