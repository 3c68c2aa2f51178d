//! The client's side of an HTTP connection, as the HTTP engine wants it.

use std::{
    io::{self, IoSlice},
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, raw_connect::ProxyDigest,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Socket;

/// Bytes that are gathered before they are written, so that the head of an answer and a small body are one packet.
const GATHER: usize = 8 * 1024;

/// A connection whose first bytes were read to learn its protocol, and which carries what is known about it.
#[derive(Debug)]
pub(crate) struct Downstream<S> {
    stream: S,
    /// Read already, not yet handed on.
    first: Bytes,
    gathered: BytesMut,
    http2: bool,
    about: Arc<ProxyDigest>,
}

impl<S: Socket> Downstream<S> {
    /// `about` is shown to every request of the connection.
    pub(crate) fn new(stream: S, first: Bytes, http2: bool, about: Arc<ProxyDigest>) -> Self {
        Self { stream, first, gathered: BytesMut::new(), http2, about }
    }

    /// Whether HTTP/2 is spoken.
    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }

    fn poll_gathered(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.gathered))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncRead for Downstream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(into.remaining());
            into.put_slice(&self.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        // Who reads has written all that there is for now: nothing may wait here for an answer that goes on slowly.
        // TLS may hold back what a slow client did not take; a socket holds nothing back.
        let written = match self.poll_gathered(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_flush(context),
            unfinished => unfinished,
        };
        if let Poll::Ready(Err(error)) = written {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: Socket> AsyncWrite for Downstream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.gathered.len() + bytes.len() <= GATHER {
            this.gathered.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        // Too much to gather: one call for what was and what comes.
        while !this.gathered.is_empty() {
            let both = [IoSlice::new(&this.gathered), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, &both))?;
            let of_gathered = written.min(this.gathered.len());
            this.gathered.advance(of_gathered);
            match written - of_gathered {
                0 if written == 0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                0 => {}
                of_bytes => return Poll::Ready(Ok(of_bytes)),
            }
        }
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_gathered(context))?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        // HTTP/2 gathers its frames itself.
        self.http2
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl<S: Socket + Send> Shutdown for Downstream<S> {
    async fn shutdown(&mut self) {
        if let Err(error) = AsyncWriteExt::shutdown(self).await {
            tracing::trace!(error = &error as &dyn std::error::Error, "The client had gone already");
        }
    }
}

impl<S: Socket> UniqueID for Downstream<S> {
    fn id(&self) -> UniqueIDType {
        self.stream.socket().as_raw_fd()
    }
}

impl<S> Ssl for Downstream<S> {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        // How the engine is told to speak HTTP/2. Its own way to find out waits for 24 bytes, which not every request has.
        self.http2.then_some(ALPN::H2)
    }
}

impl<S> GetTimingDigest for Downstream<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<S> GetProxyDigest for Downstream<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.about.clone())
    }
}

impl<S> GetSocketDigest for Downstream<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl<S> Peek for Downstream<S> {}
