//! HTTP/2 by hand: frames that no library would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::PATIENCE;

/// A connection of which the preface and the settings were sent.
pub(crate) struct Frames(pub(crate) TcpStream);

/// What came back on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Back {
    /// A head, with this first field of its block: `0x88` is the status 200, `0x8c` is 400.
    Head(u8),
    /// The stream was reset.
    Reset,
    /// The connection ended.
    End,
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A block of these fields, each as it is.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

impl Frames {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    /// Asks with this block, without a body, and waits for what comes back first.
    pub(crate) async fn ask(&mut self, block: &[u8]) -> Back {
        self.0.write_all(&frame(1, 5, 1, block)).await.unwrap();
        time::timeout(PATIENCE, async {
            loop {
                let mut head = [0; 9];
                if self.0.read_exact(&mut head).await.is_err() {
                    return Back::End;
                }
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                if self.0.read_exact(&mut payload).await.is_err() {
                    return Back::End;
                }
                match (head[3], head[8]) {
                    (1, 1) => return Back::Head(payload[0]),
                    (3, 1) => return Back::Reset,
                    (7, _) => return Back::End,
                    _ => {}
                }
            }
        })
        .await
        .expect("no answer in time")
    }
}
