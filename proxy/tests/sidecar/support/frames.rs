//! HTTP/2 by hand: frames that no library would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time,
};

use super::PATIENCE;

/// A connection of which the preface and the settings were sent.
pub(crate) struct Frames<S = TcpStream>(pub(crate) S);

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
        Self::on(TcpStream::connect(address).await.unwrap()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(crate) async fn on(mut stream: S) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    /// What comes next: its kind, flags and stream, and what is in it. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], head[4], stream, payload))
    }

    /// Asks with this block, without a body, and waits for what comes back first.
    pub(crate) async fn ask(&mut self, block: &[u8]) -> Back {
        self.0.write_all(&frame(1, 5, 1, block)).await.unwrap();
        time::timeout(PATIENCE, async {
            loop {
                match self.next().await {
                    Some((1, _, 1, payload)) => return Back::Head(payload[0]),
                    Some((3, _, 1, _)) => return Back::Reset,
                    Some((7, ..)) | None => return Back::End,
                    Some(_) => {}
                }
            }
        })
        .await
        .expect("no answer in time")
    }
}
