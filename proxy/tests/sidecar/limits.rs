//! What clients may ask of the sidecar, and what happens to those who ask for more.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{self, Instant},
};

use crate::support::{
    Client, Frames, Memory, Mesh, PATIENCE, Proxy, Recorder, Server, Wire, frame, get, is_alone, request,
};

async fn counted(proxy: &Proxy, direction: &str, reason: &str) -> Option<u64> {
    let start = format!("weft_errors_total{{direction=\"{direction}\",reason=\"{reason}\"}} ");
    let metrics = proxy.admin("/metrics").await.body;
    metrics.lines().find_map(|line| line.strip_prefix(&start)).map(|total| total.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_too_large_are_refused() {
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    let head = |header: &str, count: usize| {
        format!("GET / HTTP/1.1\r\nHost: web\r\n{}\r\n", header.repeat(count)).into_bytes()
    };
    let line = format!("X: {}\r\n", "a".repeat(1019));
    for (name, bytes, want) in [
        ("60 KiB", head(&line, 60), "200"),
        ("64 KiB and more", head(&line, 64), "431"),
        ("a line without an end", format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(80_000)).into_bytes(), "431"),
        ("a name without an end", format!("GET / HTTP/1.1\r\n{}", "a".repeat(80_000)).into_bytes(), "431"),
        ("250 headers", head("X: a\r\n", 250), "200"),
        ("300 headers", head("X: a\r\n", 300), "431"),
    ] {
        let mut wire = Wire::to(mesh.client.outbound).await;
        wire.send(&bytes).await;
        let answer = wire.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {want} ")), "{name}: {answer}");
        assert_eq!(answer.contains("weft-error: headers-too-large\r\n"), want == "431", "{name}: {answer}");
    }
    assert_eq!(counted(&mesh.client, "outbound", "headers-too-large").await, Some(4));
    // HTTP/2 knows of such a limit and answers by itself.
    let mut client = Client::connect_http2(mesh.client.outbound).await;
    let mut call = get("/");
    for _ in 0..70 {
        call.headers_mut().append("x", "a".repeat(1000).parse().unwrap());
    }
    let refused = client.try_send(call).await;
    assert!(refused.is_err() || refused.as_ref().is_ok_and(|answer| answer.status == 431), "{refused:?}");
    assert_eq!(recorder.take().len(), 2);
    assert_eq!(Client::connect(mesh.client.outbound).await.send(get("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_too_slowly_is_given_up() {
    let recorder = Recorder::start().await;
    let mesh = Mesh::with(recorder.address, |settings| settings.limits.header_time = Duration::from_secs(1)).await;
    let begun = Instant::now();
    let mut wire = Wire::to(mesh.client.outbound).await;
    wire.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await;
    assert!(wire.answer().await.starts_with("HTTP/1.1 200 "));
    // Between requests there may be as much time as the client likes; in the middle of one, a drip every now and then is no help.
    let mut drips = time::interval(Duration::from_millis(100));
    let answer = {
        let (mut read, mut write) = wire.0.split();
        let drip = async {
            loop {
                drips.tick().await;
                if write.write_all(b"G").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut answer = [0; 64];
        tokio::select! {
            read = read.read(&mut answer) => String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned(),
            () = drip => unreachable!(),
            () = time::sleep(PATIENCE) => panic!("it still waits"),
        }
    };
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("weft-error: header-timeout"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(counted(&mesh.client, "outbound", "header-timeout").await, Some(1));
}

/// A connection on which a request was answered.
async fn answered(address: SocketAddr) -> Option<Wire> {
    let mut wire = Wire(TcpStream::connect(address).await.ok()?);
    wire.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await;
    (!wire.answer().await.is_empty()).then_some(wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_is_reset_and_the_others_stay() {
    let server = Server::named("web").await;
    let mesh = Mesh::with(server.address, |settings| settings.limits.connections = 10).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(mesh.client.outbound).await;
        assert_eq!(client.send(get("/")).await.status, 200);
        clients.push(client);
    }
    let (mut refused, mut held) = (0, Vec::new());
    for _ in 0..8 {
        // A reset may be there before the connection is known to be.
        match answered(mesh.client.outbound).await {
            Some(wire) => held.push(wire),
            None => refused += 1,
        }
    }
    assert!(refused > 0, "none was refused");
    assert!(counted(&mesh.client, "outbound", "too-many-connections").await.is_some_and(|total| total >= 1));
    let mut other = Wire::to(mesh.client.inbound).await;
    other.send(b"PING\r\n").await;
    other.rest().await;
    assert_eq!(counted(&mesh.client, "inbound", "too-many-connections").await, None, "the other direction has room");
    assert_eq!(clients[0].send(get("/")).await.status, 200);
    drop((clients, held));
    time::timeout(PATIENCE, async { while answered(mesh.client.outbound).await.is_none() {} })
        .await
        .expect("the room that others left is not used");
}

/// `GET http://web/`, without indexing.
fn get_block() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84];
    block.extend_from_slice(b"\x01\x03web");
    block
}

type Flood = fn(u32) -> Vec<u8>;

/// Each goes on until the connection ends, or so much was sent that it would have hurt.
const FLOODS: [(&str, Flood); 6] = [
    ("rapid reset", |turn| {
        let stream = 2 * turn + 1;
        [frame(1, 5, stream, &get_block()), frame(3, 0, stream, &8_u32.to_be_bytes())].concat()
    }),
    ("CONTINUATION", |turn| {
        if turn == 0 {
            frame(1, 0, 1, &get_block())
        } else {
            frame(9, 0, 1, &[&b"\x00\x01x\x7f\x81\x07"[..], &[b'a'; 1024]].concat())
        }
    }),
    ("SETTINGS", |_turn| frame(4, 0, 0, &[0, 4, 0, 0, 255, 255])),
    ("PING", |turn| frame(6, 0, 0, &u64::from(turn).to_be_bytes())),
    ("empty DATA", |turn| if turn == 0 { frame(1, 4, 1, &get_block()) } else { frame(0, 0, 1, &[]) }),
    ("compression bomb", |turn| {
        // One field of 4 KB in the table, which each byte after that asks for again.
        let stream = 2 * turn + 1;
        let mut block = get_block();
        block.extend_from_slice(b"\x40\x01x\x7f\xa1\x1e");
        block.extend_from_slice(&[b'a'; 4000]);
        block.extend_from_slice(&[0xbe; 8000]);
        frame(1, 5, stream, &block)
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http2_take_no_memory_and_nobody_elses_time() {
    if !is_alone("limits::floods_of_http2_take_no_memory_and_nobody_elses_time") {
        return;
    }
    const BOUND: u64 = 24 * 1024 * 1024;
    let server = Server::named("web").await;
    let mesh = Mesh::of(server.address).await;
    let mut other = Client::connect_http2(mesh.client.outbound).await;
    assert_eq!(other.send(get("/")).await.status, 200);
    for (name, flood) in FLOODS {
        let before = Memory::now();
        let mut stream = Frames::to(mesh.client.outbound).await.0;
        let mut sent = 0;
        // Never reads: whatever is answered has to wait somewhere.
        let flooding = async {
            for turn in 0..200_000 {
                let bytes = flood(turn);
                if sent > 64 * 1024 * 1024 || stream.write_all(&bytes).await.is_err() {
                    break;
                }
                sent += bytes.len();
            }
        };
        // Who answers no more has stopped reading, which is as good as an end.
        let ended = time::timeout(Duration::from_secs(3), flooding).await;
        let answer = time::timeout(PATIENCE, other.send(request("POST", "/", "x"))).await;
        assert_eq!(answer.expect("nobody else is served").status, 200, "{name}");
        let grown = before.grown();
        println!("{name}: {sent} bytes sent, ended {}, {} KiB more", ended.is_ok(), grown / 1024);
        assert!(grown < BOUND, "{name}: {} KiB more", grown / 1024);
    }
    assert!(server.requests() < 20_000, "{} requests reached the application", server.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_slow_clients_take_little_memory() {
    if !is_alone("limits::idle_and_slow_clients_take_little_memory") {
        return;
    }
    const CLIENTS: u64 = 400;
    // Of which the other end, in the same process, has a part.
    const BOUND: u64 = 16 * 1024;
    let recorder = Recorder::start().await;
    let mesh = Mesh::of(recorder.address).await;
    for (name, bytes, answered) in [
        ("idle", &b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"[..], true),
        ("in the middle of a head", b"GET / HTTP/1.1\r\nHost: web\r\n", false),
    ] {
        let mut warm = Wire::to(mesh.client.outbound).await;
        warm.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").await;
        warm.answer().await;
        let before = Memory::now();
        let mut wires = Vec::new();
        for _ in 0..CLIENTS {
            let mut wire = Wire::to(mesh.client.outbound).await;
            wire.send(bytes).await;
            if answered {
                wire.answer().await;
            }
            wires.push(wire);
        }
        let each = before.grown() / CLIENTS;
        println!("{name}: {each} bytes a connection");
        assert!(each < BOUND, "{name}: {each} bytes a connection");
        assert_eq!(Client::connect(mesh.client.outbound).await.send(get("/")).await.status, 200, "{name}");
    }
}
