//! A client's connection as the engine may see it: one request at a time, and nothing that was not judged.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType, raw_connect::ProxyDigest, tls::SslDigest,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    body::Body,
    head::{self, BadHead, Malformed},
};
use crate::{
    Limits,
    engine::{Problem, answer, connection::Wire},
};

/// Bytes that are read at once while a head is awaited.
const CHUNK: usize = 4096;
/// Bytes and time that a client which was refused may still send, so that its answer is not lost with the connection.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Why a request was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    /// It has more than one meaning, or none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its head is longer than one may be.
    #[error("the head is too long")]
    TooLarge,
    /// Its head did not come in time.
    #[error("the head did not come in time")]
    TooSlow,
}

impl From<BadHead> for Refusal {
    fn from(bad: BadHead) -> Self {
        match bad {
            BadHead::Malformed(malformed) => Self::Malformed(malformed),
            BadHead::TooManyFields => Self::TooLarge,
        }
    }
}

impl Refusal {
    /// What it is answered with.
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::Malformed(_) => Problem::Malformed,
            Self::TooLarge => Problem::HeadersTooLarge,
            Self::TooSlow => Problem::HeaderTimeout,
        }
    }
}

/// A client's connection between the socket and the engine.
#[derive(Debug)]
pub(crate) struct Gate<S> {
    stream: S,
    /// Read and not yet handed on.
    buffer: BytesMut,
    /// Of the buffer, what the engine may have.
    judged: usize,
    /// What is left of the request that the engine works on.
    body: Body,
    /// The client offered to go on in another protocol with this request.
    upgrade: bool,
    /// The client has ended its side.
    ended: bool,
}

impl<S: IO> Gate<S> {
    pub(crate) fn new(stream: S) -> Self {
        let body = Body::Length(0);
        Self { stream, buffer: BytesMut::new(), judged: 0, body, upgrade: false, ended: false }
    }

    /// Waits for the next request and lets the engine have it. False when there is none, because the client has ended its side or
    /// `close` came first.
    ///
    /// # Errors
    /// When the connection fails, or the inner result when the request is refused.
    pub(crate) async fn next(
        &mut self,
        limits: &Limits,
        close: &CancellationToken,
    ) -> io::Result<Result<bool, Refusal>> {
        self.stream.flush().await?;
        let header_bytes = usize::try_from(limits.header_bytes).unwrap_or(usize::MAX);
        let mut scanned = 0;
        let mut deadline = None;
        loop {
            if scanned == 0 {
                // RFC 9112 section 2.2: some clients send an empty line after a body.
                while self.buffer.starts_with(b"\r\n") {
                    self.buffer.advance(2);
                }
            }
            match head::end(&self.buffer, scanned) {
                Ok(Some(end)) if end > header_bytes => return Ok(Err(Refusal::TooLarge)),
                Ok(Some(end)) => return Ok(self.admit(end).map(|()| true)),
                Ok(None) if self.buffer.len() > header_bytes => return Ok(Err(Refusal::TooLarge)),
                Ok(None) if self.ended => return Ok(Ok(false)),
                Ok(None) => scanned = self.buffer.len().saturating_sub(1),
                Err(malformed) => return Ok(Err(malformed.into())),
            }
            if self.buffer.is_empty() {
                // A connection may idle for long, and there are many.
                self.buffer = BytesMut::new();
            } else if deadline.is_none() {
                deadline = Some(Instant::now() + limits.header_time);
            }
            let read = tokio::select! {
                biased;
                read = self.read_more() => read?,
                () = close.cancelled() => return Ok(Ok(false)),
                () = until(deadline) => return Ok(Err(Refusal::TooSlow)),
            };
            self.ended = read == 0;
        }
    }

    fn admit(&mut self, end: usize) -> Result<(), Refusal> {
        let head = head::read(&self.buffer[..end])?;
        self.judged = end;
        self.body = Body::after(head.follows);
        self.upgrade = head.upgrade;
        Ok(())
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_more(context)).await
    }

    /// Reads without holding memory while there is nothing to be read.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0; CHUNK];
        let mut into = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut into))?;
        self.buffer.extend_from_slice(into.filled());
        Poll::Ready(Ok(into.filled().len()))
    }

    /// Answers in place of a server and ends the connection.
    pub(crate) async fn refuse(mut self, refusal: Refusal) -> io::Result<()> {
        let lingering = async {
            self.stream.write_all(&answer::raw(refusal.problem(), &refusal)).await?;
            self.stream.flush().await?;
            AsyncWriteExt::shutdown(&mut self.stream).await?;
            // A connection that is closed with bytes unread is reset, and the answer with it.
            let mut left = LINGER_BYTES;
            let mut chunk = BytesMut::with_capacity(CHUNK);
            loop {
                chunk.clear();
                match self.stream.read_buf(&mut chunk).await? {
                    0 => return Ok(()),
                    read => left = left.saturating_sub(read),
                }
                if left == 0 {
                    return Ok(());
                }
            }
        };
        time::timeout(LINGER, lingering).await.unwrap_or(Ok(()))
    }

    /// Whether the server has agreed to go on in another protocol.
    fn is_upgraded(&self) -> bool {
        self.upgrade
            && self.stream.get_proxy_digest().is_some_and(|digest| Wire::of(&digest).is_some_and(Wire::is_upgraded))
    }

    /// The engine has all of the request, and looks whether the client is still there.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        if self.buffer.is_empty() && ready!(self.poll_more(context))? == 0 {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        // The next request waits for its turn. Who reads has written all that there is for now.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }

    fn poll_body(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        let read = &into.filled()[before..];
        if read.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        let taken = self.body.take(read).map_err(refused)?;
        self.buffer.extend_from_slice(&read[taken..]);
        into.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }
}

fn refused(malformed: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, malformed)
}

/// The end of the time that is left, if it is limited.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl<S: IO> AsyncRead for Gate<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.judged == 0 && this.body.has_ended() {
            if !this.is_upgraded() {
                return this.poll_idle(context);
            }
            this.judged = this.buffer.len();
            if this.judged == 0 {
                return Pin::new(&mut this.stream).poll_read(context, into);
            }
        }
        if this.judged == 0 && !this.buffer.is_empty() {
            this.judged = this.body.take(&this.buffer).map_err(refused)?;
        }
        if this.judged == 0 {
            return this.poll_body(context, into);
        }
        let length = this.judged.min(into.remaining());
        into.put_slice(&this.buffer[..length]);
        this.buffer.advance(length);
        this.judged -= length;
        Poll::Ready(Ok(()))
    }
}

impl<S: IO> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl<S: IO> Shutdown for Gate<S> {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut self.stream).await;
    }
}

impl<S: IO> UniqueID for Gate<S> {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl<S: IO> Ssl for Gate<S> {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl<S: IO> GetTimingDigest for Gate<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl<S: IO> GetProxyDigest for Gate<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl<S: IO> GetSocketDigest for Gate<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

impl<S: IO> Peek for Gate<S> {}
