use tokio::io::{AsyncWriteExt, duplex};
use weft_policy::identity::SpiffeId;

use super::*;

/// Shorter than [`REQUEST_LINE_LIMIT`] by far.
const TABLE: [(&str, &[u8], Protocol); 6] = [
    ("GET", b"GET / HTTP/1.1\r\nHost: web\r\n\r\n", Protocol::Http1),
    ("CONNECT", b"CONNECT web:80 HTTP/1.1\r\n", Protocol::Http1),
    ("empty lines before", b"\r\n\nGET / HTTP/1.1\r\n", Protocol::Http1),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
    ("a text protocol", b"STATS items\r\n", Protocol::Opaque),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Protocol::Opaque),
];

#[tokio::test(start_paused = true)]
async fn reads_byte_by_byte_and_gives_everything_back() {
    for (name, first, want) in TABLE {
        let (mut client, mut server) = duplex(4096);
        let (sniffed, ()) = tokio::join!(sniff(&mut server, Looks::Both), async {
            for byte in first {
                // Lets the other side read what there is before the next byte is written.
                time::advance(Duration::from_millis(5)).await;
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
async fn a_client_that_stops_is_passed_on_unread_only_where_no_request_can_follow() {
    use Protocol::{Http1, Opaque};
    let (never, at_once, pause, line) = (None, Duration::ZERO, SILENCE_LIMIT, REQUEST_LINE_LIMIT);
    let opaque = |after| Some((Opaque, after));
    for (name, says, ends, looks, is_paused, finally) in [
        ("silent", &b""[..], false, Looks::Both, true, never),
        ("silent on its way out", b"", false, Looks::Http, true, never),
        ("silent to an opaque port", b"", false, Looks::Mesh, true, never),
        ("an empty line", b"\r\n", false, Looks::Both, true, never),
        ("half an empty line", b"\r", false, Looks::Both, true, never),
        ("a space", b" ", false, Looks::Inside, true, never),
        ("ended without a word", b"", true, Looks::Both, false, opaque(at_once)),
        ("ended after an empty line", b"\r\n", true, Looks::Both, false, opaque(at_once)),
        ("ended in the middle of a line", b"GET /", true, Looks::Both, false, opaque(at_once)),
        ("stopped in the middle of a line", b"GET /", false, Looks::Both, true, Some((Http1, line))),
        ("stopped in the middle of a word", b"GE", false, Looks::Inside, true, Some((Http1, line))),
        ("stopped behind an empty line", b"\r\nGE", false, Looks::Both, true, Some((Http1, line))),
        ("stopped in the preface", b"PRI * HTTP/2.0\r\n", false, Looks::Both, true, Some((Http1, line))),
        ("stopped in a line on its way out", b"GET /", false, Looks::Http, false, opaque(line)),
        ("stopped in the middle of TLS", b"\x16\x03", false, Looks::Both, false, opaque(line)),
    ] {
        let (mut client, mut server) = duplex(64);
        client.write_all(says).await.unwrap();
        if ends {
            client.shutdown().await.unwrap();
        }
        let begun = Instant::now();
        let mut sniffer = Sniffer::after(Bytes::new(), looks);
        let mut sniffed = sniffer.listen(&mut server, Some(SILENCE_LIMIT)).await.unwrap();
        assert_eq!(sniffed.is_none(), is_paused, "{name}");
        if is_paused {
            assert_eq!(begun.elapsed().as_millis() / 10, pause.as_millis() / 10, "{name}");
            assert_eq!(sniffer.heard(), says, "{name}");
            let later = time::timeout(Duration::from_secs(3600), sniffer.listen(&mut server, None));
            sniffed = later.await.ok().and_then(Result::unwrap);
        }
        let found = sniffed.map(|sniffed| (sniffed.protocol, sniffed.first));
        assert_eq!(found, finally.map(|(protocol, _)| (protocol, Bytes::from_static(says))), "{name}");
        if let Some((_, after)) = finally {
            assert_eq!(begun.elapsed().as_millis() / 10, after.as_millis() / 10, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn listening_may_be_interrupted_and_taken_up_again() {
    let (mut client, mut server) = duplex(64);
    let mut sniffer = Sniffer::after(Bytes::from_static(b"\r\n"), Looks::Both);
    for part in ["GET ", "/ HT"] {
        client.write_all(part.as_bytes()).await.unwrap();
        let listening = time::timeout(SILENCE_LIMIT / 2, sniffer.listen(&mut server, None));
        assert!(listening.await.is_err(), "{part}");
    }
    client.write_all(b"TP/1.1\r\n").await.unwrap();
    let sniffed = sniffer.listen(&mut server, None).await.unwrap().unwrap();
    assert_eq!((sniffed.protocol, &sniffed.first[..]), (Protocol::Http1, &b"\r\nGET / HTTP/1.1\r\n"[..]));
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
    assert_eq!(begun.elapsed().as_secs(), REQUEST_LINE_LIMIT.as_secs());
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
