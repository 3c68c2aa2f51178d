//! TCP: one line that says who answers, then an echo.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::Server;

/// How long connections may take to end once the server is closing.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Who speaks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Client,
    Server,
}

/// Serves until the server closes, and awaits its connections.
pub(crate) async fn serve(listener: TcpListener, server: &Arc<Server>, first: First) -> std::io::Result<()> {
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // The client is gone already, or descriptors are short for a moment.
                Err(error) => {
                    tracing::debug!(%error, "Could not accept");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            },
            () = server.lifecycle.closing() => break,
        };
        server.counts.note("tcp", &peer.ip().to_canonical().to_string());
        let server = Arc::clone(server);
        connections.spawn(async move {
            if let Err(error) = echo(stream, &server, first).await {
                tracing::debug!(%error, %peer, "A TCP connection broke");
            }
        });
    }
    connections.close();
    if timeout(END_LIMIT, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "Cutting TCP connections that do not end");
    }
    Ok(())
}

async fn echo(stream: TcpStream, server: &Server, first: First) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut greeting = serde_json::to_string(&server.whoami)?;
    greeting.push('\n');
    if first == First::Server {
        stream.write_all(greeting.as_bytes()).await?;
    } else if stream.fill_buf().await?.is_empty() {
        return Ok(());
    } else {
        stream.write_all(greeting.as_bytes()).await?;
    }
    let (mut reader, mut writer) = tokio::io::split(stream);
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}
