//! A connection for a request that may change the protocol.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Reads nothing until it was asked a second time.
///
/// The engine's two halves of an exchange run side by side. When the server's `101` is read before the end of the (empty)
/// request body was seen, the engine takes that end for the end of the new protocol and closes the connection. A server on the
/// same node is quick enough for that. The first turn without anything to read is the one in which the body's end is seen.
#[derive(Debug)]
pub(crate) struct LateReader {
    stream: TcpStream,
    asked: bool,
}

impl LateReader {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, asked: false }
    }
}

impl AsyncRead for LateReader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.asked {
            self.asked = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for LateReader {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl VirtualSocket for LateReader {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
