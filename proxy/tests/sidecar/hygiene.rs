//! Headers that are the connection's alone, and those that are not.

use crate::support::{Mesh, Recorder, Wire};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_hop_ends_there_and_the_rest_passes() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: X-Mine, close\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: keep-alive\r\nX-Other: 1\r\nForwarded: by=app\r\nServer: app\r\n\
                  Content-Length: 2\r\n\r\nok";
    let recorder = Recorder::answering(answer.as_bytes()).await;
    let mesh = Mesh::of(recorder.address).await;
    // Who has no sidecar is told that the application ends the connection: another of its connections may be to somebody else.
    for (side, via, connection) in [
        ("inbound", mesh.server.inbound, "connection: close\r\n"),
        ("both", mesh.client.outbound, "connection: keep-alive\r\n"),
    ] {
        let mut wire = Wire::to(via).await;
        let request = "GET /?a=%2F%2f HTTP/1.1\r\nHost: web:80\r\nConnection: X-Mine, TE\r\nX-Mine: 1\r\nTE: trailers\r\n\
                       Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTrailer: X\r\nX-Other: 1\r\n\
                       X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: example.org\r\n\
                       Forwarded: for=1.2.3.4\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
                       tracestate: a=b\r\nCookie: a=1; b=2\r\nAuthorization: Basic eA==\r\nVia: 1.1 other\r\n\r\n";
        wire.send(request.as_bytes()).await;
        let answer = wire.answer().await;
        let seen = recorder.take().remove(0);
        assert_eq!(seen.line(), "GET /?a=%2F%2f HTTP/1.1", "{side}");
        for (name, want) in [
            ("connection", &[][..]),
            ("x-mine", &[]),
            ("te", &[]),
            ("keep-alive", &[]),
            ("proxy-connection", &[]),
            ("trailer", &[]),
            ("host", &["web:80"]),
            ("x-other", &["1"]),
            ("x-forwarded-for", &["1.2.3.4"]),
            ("x-forwarded-proto", &["https"]),
            ("x-forwarded-host", &["example.org"]),
            ("forwarded", &["for=1.2.3.4"]),
            ("traceparent", &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
            ("tracestate", &["a=b"]),
            ("cookie", &["a=1; b=2"]),
            ("authorization", &["Basic eA=="]),
            ("via", &["1.1 other"]),
        ] {
            assert_eq!(seen.header(name), want, "{side}: {name} in {}", seen.head);
        }
        let lower = answer.to_ascii_lowercase();
        for (header, want) in [
            ("x-mine:", 0),
            ("keep-alive: timeout", 0),
            ("proxy-connection:", 0),
            ("x-other: 1\r\n", 1),
            ("forwarded: by=app\r\n", 1),
            ("server: app\r\n", 1),
            (connection, 1),
            ("weft-error:", 0),
        ] {
            assert_eq!(lower.matches(header).count(), want, "{side}: {header} in {answer}");
        }
    }
}
