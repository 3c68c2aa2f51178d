//! A connection for a request that may change the protocol.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::accept::Socket;

/// Reads nothing until it was asked a second time.
///
/// The engine's two halves of an exchange run side by side. When the server's `101` is read before the end of the (empty)
/// request body was seen, the engine takes that end for the end of the new protocol and closes the connection. A server on the
/// same node is quick enough for that. The first turn without anything to read is the one in which the body's end is seen.
#[derive(Debug)]
pub(crate) struct LateReader<S> {
    stream: S,
    asked: bool,
}

impl<S> LateReader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, asked: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LateReader<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.asked {
            self.asked = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LateReader<S> {
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

impl<S: Socket + Send + Sync + fmt::Debug> VirtualSocket for LateReader<S> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.socket().set_nodelay(true),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
