//! HTTP/1.1 that does not end, is not read, or is too long.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedWriteHalf},
};

use super::{Attacker, Pace};

/// Bytes of a header field that no server should take.
const OVERSIZED_BYTES: usize = 1 << 20;
/// Bytes of a body that are sent in one step.
const PIECE_BYTES: usize = 1 << 14;

/// A request head that never ends.
pub(super) async fn slowloris(attacker: &Attacker, stream: TcpStream) -> std::io::Result<String> {
    let head = "GET /slowloris HTTP/1.1\r\nhost: intruder\r\n";
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(head.as_bytes()).await?;
    // A server that has had enough says so.
    tokio::select! {
        biased;
        said = last_words(&mut reader) => said,
        failed = repeat(attacker, &mut writer, b"x-slow: a\r\n") => failed,
    }
}

/// Sends a large body, which comes back and is not read.
pub(super) async fn slow_reader(attacker: &Attacker, stream: TcpStream) -> std::io::Result<String> {
    let (reader, mut writer) = stream.into_split();
    writer.write_all(b"POST /echo HTTP/1.1\r\nhost: intruder\r\ncontent-length: 1099511627776\r\n\r\n").await?;
    let failed = repeat(attacker, &mut writer, &[b'x'; PIECE_BYTES]).await;
    drop(reader);
    failed
}

/// Sends the same with every step, until that fails.
async fn repeat(attacker: &Attacker, writer: &mut OwnedWriteHalf, piece: &[u8]) -> std::io::Result<String> {
    let mut pace = Pace::new(&attacker.attack);
    loop {
        let steps = pace.next().await;
        for _ in 0..steps {
            writer.write_all(piece).await?;
            attacker.took(1);
        }
    }
}

/// Requests with one endless field.
pub(super) async fn oversized(attacker: &Attacker, stream: TcpStream) -> std::io::Result<String> {
    Pace::new(&attacker.attack).next().await;
    let (mut reader, mut writer) = stream.into_split();
    let head = format!("GET /oversized HTTP/1.1\r\nhost: intruder\r\nx-long: {}\r\n\r\n", "a".repeat(OVERSIZED_BYTES));
    attacker.took(1);
    let send = async {
        writer.write_all(head.as_bytes()).await?;
        // Sent whole: what follows is the answer.
        std::future::pending::<std::io::Result<String>>().await
    };
    tokio::select! {
        said = last_words(&mut reader) => said,
        failed = send => failed,
    }
}

/// The first line of what the server says before it closes.
async fn last_words(reader: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<String> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let length = match reader.read(&mut buffer).await {
            Ok(0) => break,
            Ok(length) => length,
            Err(_reset) if !heard.is_empty() => break,
            Err(error) => return Err(error),
        };
        let room = 64_usize.saturating_sub(heard.len());
        heard.extend_from_slice(&buffer[..length.min(room)]);
    }
    let heard = String::from_utf8_lossy(&heard);
    let line = heard.lines().next().unwrap_or_default();
    Ok(if line.is_empty() { "closed".to_owned() } else { line.to_owned() })
}
