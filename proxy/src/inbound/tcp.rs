//! Connections that are not looked into.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    accept::{Looks, Protocol, Sniffed, Sniffer, Socket, reset, splice},
    traffic::{Direction, EdgeKey, Registry},
    upstream::connect,
};

/// Passes a connection on to the application, after `first`, until both sides have ended.
pub(crate) async fn forward(client: impl Socket, first: Bytes, destination: SocketAddr, registry: &Registry) {
    match connect(destination).await {
        Ok(server) => pass(client, first, server, destination, registry).await,
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "Could not connect");
            reset(&client);
        }
    }
}

/// The same for a client that has said `first` and paused: its server may be the one to speak, and then the connection is one of
/// bytes. If the client is found to be what `looks` looks for, it is given back with its words. What the server got of them was no
/// request.
pub(crate) async fn forward_unless<S: Socket>(
    mut client: S,
    first: Bytes,
    looks: Looks,
    destination: SocketAddr,
    registry: &Registry,
) -> Option<(S, Sniffed)> {
    let mut server = match connect(destination).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "Could not connect");
            reset(&client);
            return None;
        }
    };
    match who_speaks(&mut client, first, looks, &mut server).await {
        Ok((Sniffed { protocol: Protocol::Opaque | Protocol::Silent, mut first, hello: None }, passed)) => {
            pass(client, first.split_off(passed), server, destination, registry).await;
            None
        }
        Ok((sniffed, _passed)) => {
            // It must not take the end of this connection for the end of a request.
            reset(&server);
            Some((client, sniffed))
        }
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
            reset(&client);
            None
        }
    }
}

/// What the client turns out to speak, and how much of its words the server has already. They are bytes if the server speaks first.
async fn who_speaks(
    client: &mut impl Socket,
    first: Bytes,
    looks: Looks,
    server: &mut TcpStream,
) -> io::Result<(Sniffed, usize)> {
    let mut sniffer = Sniffer::after(first, looks);
    let (mut passed, mut word) = (0, [0]);
    loop {
        // Who waits for an answer to a word or an empty line gets it. For an HTTP server it is not yet a request.
        server.write_all(&sniffer.heard()[passed..]).await?;
        passed = sniffer.heard().len();
        let sniffed = tokio::select! {
            biased;
            // What is broken is found out once more where it is dealt with.
            _ = server.peek(&mut word) => Some(sniffer.stop()),
            sniffed = sniffer.listen(client, None) => sniffed?,
        };
        if let Some(sniffed) = sniffed {
            return Ok((sniffed, passed));
        }
    }
}

async fn pass(client: impl Socket, first: Bytes, server: TcpStream, destination: SocketAddr, registry: &Registry) {
    let open = registry.edge(EdgeKey::of_port(Direction::Inbound, destination.port())).open();
    if let Err(error) = splice(client, &first, server, &open).await {
        tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A connection broke");
    }
}
