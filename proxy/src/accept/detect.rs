//! Which protocol a client speaks, from its first bytes.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use rustls::server::{Accepted as Hello, Acceptor};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{self, Instant},
};

use crate::identity::is_mesh_hello;

/// Time for a client to say its first byte. A protocol whose server speaks first is delayed by this unless its port is declared
/// opaque; a client of HTTP sends its request at once.
const SILENCE_LIMIT: Duration = Duration::from_millis(300);
/// Time for a client that began like HTTP to send the rest of its request line.
const REQUEST_LINE_LIMIT: Duration = Duration::from_secs(5);
/// Longest request line that is recognised. RFC 9112 section 3 asks for 8000 bytes; servers stop soon after.
const REQUEST_LINE_BYTES: usize = 16 * 1024;
/// Longest beginning of TLS that is looked at; large ones have some 2 KB.
const HELLO_BYTES: usize = 16 * 1024;
/// First byte of a TLS handshake. Source: RFC 8446 section 5.1.
const TLS_HANDSHAKE: u8 = 22;
/// Source: RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
    /// Anything else, TLS included.
    Opaque,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// HTTP.
    Http,
    /// Another sidecar.
    Mesh,
    /// Either.
    Both,
}

/// What was read to find out.
pub(crate) struct Sniffed {
    pub(crate) protocol: Protocol,
    /// The client's bytes so far, which its server must still get.
    pub(crate) first: Bytes,
    /// The client is a sidecar and means this one; this is how it began, all of `first`.
    pub(crate) hello: Option<Hello>,
}

/// Reads until the protocol is known, or the client is silent for too long, or has ended its side; in the last two cases the
/// bytes are nobody's business.
///
/// # Errors
/// When the connection fails.
pub(crate) async fn sniff(stream: &mut (impl AsyncRead + Unpin), looks: Looks) -> io::Result<Sniffed> {
    let mut buffer = BytesMut::with_capacity(1024);
    let mut greeting: Option<Greeting> = None;
    let silence = Instant::now() + SILENCE_LIMIT;
    let mut limit = silence;
    let mut known = None;
    while known.is_none() {
        let Ok(read) = time::timeout_at(limit, stream.read_buf(&mut buffer)).await else {
            break;
        };
        if read? == 0 {
            break;
        }
        limit = silence + REQUEST_LINE_LIMIT;
        known = match buffer.first() {
            Some(&TLS_HANDSHAKE) if looks != Looks::Http => greeting.get_or_insert_default().hear(&buffer),
            _ if looks == Looks::Mesh => Some((Protocol::Opaque, None)),
            _ => classify(&buffer).map(|protocol| (protocol, None)),
        };
    }
    let (protocol, hello) = known.unwrap_or((Protocol::Opaque, None));
    Ok(Sniffed { protocol, first: buffer.freeze(), hello })
}

/// The beginning of TLS, which says whom the client means.
#[derive(Default)]
struct Greeting {
    acceptor: Acceptor,
    heard: usize,
}

impl Greeting {
    /// Hears what came since the last call; `None` when more of it is needed to tell.
    fn hear(&mut self, all: &[u8]) -> Option<(Protocol, Option<Hello>)> {
        let mut news = all.get(self.heard..).unwrap_or_default();
        while !news.is_empty() {
            match self.acceptor.read_tls(&mut news) {
                Ok(0) | Err(_) => return Some((Protocol::Opaque, None)),
                Ok(_) => {}
            }
        }
        self.heard = all.len();
        match self.acceptor.accept() {
            Ok(Some(hello)) if is_mesh_hello(&hello.client_hello()) => Some((Protocol::Opaque, Some(hello))),
            Ok(None) if all.len() <= HELLO_BYTES => None,
            // The application's own TLS, or nothing that TLS knows: its server is to judge.
            Ok(_) | Err(_) => Some((Protocol::Opaque, None)),
        }
    }
}

/// What `first` is the beginning of; `None` when more of it is needed to tell.
fn classify(first: &[u8]) -> Option<Protocol> {
    if first.starts_with(PREFACE) {
        return Some(Protocol::Http2);
    }
    if PREFACE.starts_with(first) {
        return None;
    }
    let end = first.iter().position(|byte| *byte == b'\n');
    let line = &first[..end.unwrap_or(first.len())];
    if !could_be_request_line(line, end.is_some()) {
        return Some(Protocol::Opaque);
    }
    match end {
        Some(_) => Some(Protocol::Http1),
        None if line.len() > REQUEST_LINE_BYTES => Some(Protocol::Opaque),
        None => None,
    }
}

/// Whether `line` is a request line (RFC 9112 section 3), or may become one if it is not `complete`.
fn could_be_request_line(line: &[u8], complete: bool) -> bool {
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

/// Source: RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};
    use weft_policy::identity::SpiffeId;

    use super::*;

    /// Shorter than [`REQUEST_LINE_LIMIT`] by far.
    const TABLE: [(&str, &[u8], Protocol); 16] = [
        ("GET", b"GET / HTTP/1.1\r\nHost: web\r\n\r\n", Protocol::Http1),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", Protocol::Http1),
        ("bare line feed", b"GET / HTTP/1.1\nHost: web\n\n", Protocol::Http1),
        ("absolute form", b"GET http://web/ HTTP/1.1\r\n", Protocol::Http1),
        ("CONNECT", b"CONNECT web:80 HTTP/1.1\r\n", Protocol::Opaque),
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n", Protocol::Http1),
        ("a method of one's own", b"M-SEARCH * HTTP/1.1\r\n", Protocol::Http1),
        ("space in the target", b"GET /a b HTTP/1.1\r\n", Protocol::Http1),
        ("bytes above ASCII in the target", b"GET /\xc3\xa4 HTTP/1.1\r\n", Protocol::Http1),
        ("preface", PREFACE, Protocol::Http2),
        ("almost the preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", Protocol::Opaque),
        ("HTTP/0.9", b"GET /\r\n", Protocol::Opaque),
        ("RTSP", b"DESCRIBE rtsp://cam/ RTSP/1.0\r\n", Protocol::Opaque),
        ("a text protocol", b"STATS items\r\n", Protocol::Opaque),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Protocol::Opaque),
        ("binary after a word", b"GET \x00\x01", Protocol::Opaque),
    ];

    #[test]
    fn knows_protocols_by_their_first_bytes() {
        for (name, first, want) in TABLE {
            assert_eq!(classify(first), Some(want), "{name}");
        }
        assert_eq!(classify(b""), None);
        assert_eq!(classify(b"GET /"), None);
        let mut long = b"GET /".to_vec();
        long.resize(REQUEST_LINE_BYTES + 1, b'a');
        assert_eq!(classify(&long), Some(Protocol::Opaque), "endless");
    }

    #[test]
    fn never_changes_its_mind_while_bytes_arrive() {
        for (name, first, want) in TABLE {
            let mut verdicts: Vec<_> = (0..=first.len()).filter_map(|length| classify(&first[..length])).collect();
            verdicts.dedup();
            assert_eq!(verdicts, [want], "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reads_byte_by_byte_and_gives_everything_back() {
        for (name, first, want) in TABLE {
            let (mut client, mut server) = duplex(4096);
            let (sniffed, ()) = tokio::join!(sniff(&mut server, Looks::Both), async {
                for byte in first {
                    // Lets the other side read what there is before the next byte is written.
                    time::advance(Duration::from_millis(20)).await;
                    client.write_all(&[*byte]).await.unwrap();
                }
                client.shutdown().await.unwrap();
            });
            let Sniffed { protocol, first: read, hello } = sniffed.unwrap();
            assert!(hello.is_none(), "{name}");
            assert_eq!(protocol, want, "{name}");
            assert!(first.starts_with(&read) && !read.is_empty(), "{name}: {read:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_half_closed_connections_are_opaque() {
        for (name, says, ends, want_wait) in [
            ("silent", &b""[..], false, SILENCE_LIMIT),
            ("ended without a word", b"", true, Duration::ZERO),
            ("ended in the middle of a line", b"GET /", true, Duration::ZERO),
            ("stopped in the middle of a line", b"GET /", false, SILENCE_LIMIT + REQUEST_LINE_LIMIT),
        ] {
            let (mut client, mut server) = duplex(64);
            client.write_all(says).await.unwrap();
            if ends {
                client.shutdown().await.unwrap();
            }
            let begun = Instant::now();
            let sniffed = sniff(&mut server, Looks::Both).await.unwrap();
            assert_eq!((sniffed.protocol, &sniffed.first[..]), (Protocol::Opaque, says), "{name}");
            assert_eq!(begun.elapsed().as_millis() / 10, want_wait.as_millis() / 10, "{name}");
        }
    }

    /// How a client with these names begins.
    fn hello(server_name: &str, alpn: &[&[u8]]) -> Vec<u8> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let roots = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let name = rustls::pki_types::ServerName::try_from(server_name.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn knows_sidecars_from_other_clients_of_tls() {
        let web = SpiffeId::new("cluster.local", "shop", "web").unwrap().server_name();
        for (name, bytes, looks, want) in [
            ("HTTP/1.1", hello(&web, &[b"http/1.1"]), Looks::Both, true),
            ("HTTP/2", hello(&web, &[b"h2"]), Looks::Both, true),
            ("bytes", hello(&web, &[b"weft-tcp"]), Looks::Both, true),
            ("bytes to an opaque port", hello(&web, &[b"weft-tcp"]), Looks::Mesh, true),
            ("an application's client", hello("web.shop.svc", &[b"h2", b"http/1.1"]), Looks::Both, false),
            ("an address instead of a name", hello("10.0.0.1", &[b"h2"]), Looks::Both, false),
            ("the name of an identity, and nothing of the mesh", hello(&web, &[b"postgresql"]), Looks::Both, false),
            ("the name of an identity alone", hello(&web, &[]), Looks::Both, false),
            ("a sidecar, on its way out of the pod", hello(&web, &[b"h2"]), Looks::Http, false),
        ] {
            for step in [bytes.len(), 1, 100] {
                let (mut client, mut server) = duplex(64 * 1024);
                let (sniffed, ()) = tokio::join!(sniff(&mut server, looks), async {
                    for part in bytes.chunks(step) {
                        time::advance(Duration::from_millis(1)).await;
                        client.write_all(part).await.unwrap();
                    }
                });
                let Sniffed { protocol, first, hello } = sniffed.unwrap();
                assert_eq!((protocol, hello.is_some()), (Protocol::Opaque, want), "{name}, {step} bytes at once");
                assert!(bytes.starts_with(&first) && !first.is_empty(), "{name}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_hello_is_the_servers_business() {
        let web = SpiffeId::new("cluster.local", "shop", "web").unwrap().server_name();
        let bytes = hello(&web, &[b"h2"]);
        let half = &bytes[..bytes.len() / 2];
        let (mut client, mut server) = duplex(64 * 1024);
        client.write_all(half).await.unwrap();
        let begun = Instant::now();
        let sniffed = sniff(&mut server, Looks::Mesh).await.unwrap();
        assert!(sniffed.hello.is_none() && sniffed.first == half);
        assert_eq!(begun.elapsed().as_secs(), (SILENCE_LIMIT + REQUEST_LINE_LIMIT).as_secs());
    }

    #[tokio::test]
    async fn leaves_what_comes_after_to_be_read() {
        let (mut client, mut server) = duplex(4096);
        client.write_all(b"hello, ").await.unwrap();
        let sniffed =
            tokio::time::timeout(Duration::from_secs(30), sniff(&mut server, Looks::Both)).await.unwrap().unwrap();
        client.write_all(b"world").await.unwrap();
        drop(client);
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!([&sniffed.first[..], &rest].concat(), b"hello, world");
    }
}
