//! The client of a server that has spoken first.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    Protocol, Socket,
    request_line::{Reader, classify},
};

/// The client asks in HTTP, and nobody judges what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client asks in HTTP after its server has spoken")]
pub(crate) struct LateRequest;

impl LateRequest {
    /// Whether a connection ended because of one.
    pub(crate) fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

/// A client whose bytes pass as they come, but for those that would make a request of them: reading fails then. Which server speaks
/// first and takes HTTP all the same nobody knows, and what passes unread may say anything of who its sender is.
pub(crate) struct Latecomer<S> {
    stream: S,
    /// What the client has said for as long as that may become a request.
    heard: Option<BytesMut>,
}

impl<S> Latecomer<S> {
    /// A client that has said `heard` before its server spoke; of `None` nothing is looked at.
    pub(crate) fn new(stream: S, heard: Option<&[u8]>) -> Self {
        let undecided = heard.filter(|heard| classify(heard, Reader::Lenient) != Some(Protocol::Opaque));
        Self { stream, heard: undecided.map(BytesMut::from) }
    }

    fn hear(&mut self, news: &[u8]) -> Result<(), LateRequest> {
        let Some(heard) = &mut self.heard else { return Ok(()) };
        heard.extend_from_slice(news);
        match classify(heard, Reader::Lenient) {
            None => return Ok(()),
            Some(Protocol::Opaque | Protocol::Silent) => {}
            Some(Protocol::Http1 | Protocol::Http2) => return Err(LateRequest),
        }
        self.heard = None;
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Latecomer<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, into);
        match self.hear(&into.filled()[before..]) {
            Ok(()) => result,
            Err(late) => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, late))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Latecomer<S> {
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

impl<S: Socket> Socket for Latecomer<S> {
    fn socket(&self) -> &TcpStream {
        self.stream.socket()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn bytes_pass_up_to_the_one_that_makes_a_request_of_them() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        for (name, before, says, passes) in [
            ("nothing is looked at", None, &b"GET / HTTP/1.1\r\n\r\n"[..], 18),
            ("a line", Some(&b""[..]), b"EHLO web\r\n", 10),
            ("a request behind bytes", Some(b""), b"\x01GET / HTTP/1.1\r\n", 17),
            ("bytes before", Some(b"\x01"), b"GET / HTTP/1.1\r\n", 16),
            ("half a request", Some(b""), b"GET / HTTP/1.1\r", 15),
            ("a request", Some(b""), b"GET / HTTP/1.1\r\nHost: web\r\n", 15),
            ("a request that was begun before", Some(b"GET /"), b" HTTP/1.1\r\nHost: web\r\n", 10),
            ("a request behind white space", Some(b""), b"\r\n GET / HTTP/1.1\r\n", 18),
            ("HTTP/2", Some(b""), preface, 23),
            ("HTTP/2 that was begun before", Some(&preface[..20]), &preface[20..], 3),
        ] {
            let mut latecomer = Latecomer::new(says, before);
            let mut passed = Vec::new();
            let end = loop {
                match latecomer.read_u8().await {
                    Ok(byte) => passed.push(byte),
                    Err(error) => break error,
                }
            };
            assert_eq!(passed, says[..passes], "{name}");
            assert_eq!(LateRequest::is_cause_of(&end), passes < says.len(), "{name}: {end}");
        }
    }
}
