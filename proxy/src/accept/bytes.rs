//! Bytes that are passed as they come, both ways, until both sides have ended.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes},
    net::TcpStream,
};
use tokio_rustls::{client, server};
use tokio_util::either::Either;

use crate::traffic::OpenConnection;

/// Bytes that are read at once in each direction.
const CHUNK: usize = 16 * 1024;

/// Who the bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Client,
    Server,
}

/// A connection, whatever is wrapped around its socket.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// What the bytes go through in the end.
    fn socket(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Socket for server::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl Socket for client::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl<L: Socket, R: Socket> Socket for Either<L, R> {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Left(stream) => stream.socket(),
            Self::Right(stream) => stream.socket(),
        }
    }
}

/// Passes `first` and then everything between the two, and ends each side when the other has ended it. Counts as it goes.
///
/// # Errors
/// When either connection fails. Both are reset then: an end in good order would say that what came so far is all.
pub(crate) async fn splice(
    client: &mut impl Socket,
    first: &[u8],
    server: &mut impl Socket,
    open: &OpenConnection,
) -> io::Result<()> {
    if !first.is_empty() {
        let written = async {
            server.write_all(first).await?;
            server.flush().await
        };
        if let Err(error) = written.await {
            reset(client);
            return Err(error);
        }
        open.received(first.len());
    }
    let mut client = Counted { stream: client, from: Peer::Client, open };
    let mut server = Counted { stream: server, from: Peer::Server, open };
    let copied = copy_bidirectional_with_sizes(&mut client, &mut server, CHUNK, CHUNK).await;
    if copied.is_err() {
        reset(client.stream);
        reset(server.stream);
    }
    copied.map(|_bytes| ())
}

/// Has the client see a failed connection instead of an empty answer.
pub(crate) fn reset(client: &impl Socket) {
    if let Err(error) = client.socket().set_zero_linger() {
        tracing::trace!(error = &error as &dyn std::error::Error, "Could not reset a connection");
    }
}

/// Counts what is read.
struct Counted<'a, S> {
    stream: &'a mut S,
    from: Peer,
    open: &'a OpenConnection,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let result = Pin::new(&mut *self.stream).poll_read(context, into);
        let read = into.filled().len() - before;
        if read > 0 {
            match self.from {
                Peer::Client => self.open.received(read),
                Peer::Server => self.open.sent(read),
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;
    use crate::traffic::{Direction, EdgeKey, Registry};

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn the_end_of_one_side_is_the_end_of_the_other() {
        for (name, breaks, want) in
            [("in good order", false, Ok(())), ("broken", true, Err(io::ErrorKind::ConnectionReset))]
        {
            let edge = Arc::new(Registry::default()).edge(EdgeKey::of_port(Direction::Inbound, 80));
            let ((mut application, client), (server, mut far)) = (pair().await, pair().await);
            let splicing = tokio::spawn(async move {
                let (mut client, mut server) = (client, server);
                splice(&mut client, b"", &mut server, &edge.open()).await
            });
            far.write_all(b"half").await.unwrap();
            let mut half = [0; 4];
            application.read_exact(&mut half).await.unwrap();
            if breaks {
                reset(&far);
            }
            drop(far);
            let end = application.read(&mut half).await.map(|read| assert_eq!(read, 0, "{name}"));
            assert_eq!(end.map_err(|error| error.kind()), want, "{name}");
            drop(application);
            assert_eq!(splicing.await.unwrap().is_err(), breaks, "{name}");
        }
    }
}
