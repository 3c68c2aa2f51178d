//! Connections that are not looked into.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    accept::{Looks, Protocol, Sniffed, Sniffer, Socket, reset, splice},
    identity::{Membership, lapse_of_bytes},
    traffic::{Direction, EdgeKey, Registry},
    upstream::connect,
};

/// A client, what it speaks, and the connection to the application if it is one of bytes and there is one already.
pub(crate) struct Spoken<S> {
    pub(crate) client: S,
    pub(crate) sniffed: Sniffed,
    pub(crate) server: Option<TcpStream>,
}

/// Finds out who speaks first on the connection of a client that has said `first` and paused. Its server may be the one, and then it
/// is a connection of bytes. If the client is found to be what `looks` looks for, what the server got of its words was no request,
/// and its connection is not used. `None` when there is no server, or no client any more.
pub(crate) async fn who_speaks<S: Socket>(
    mut client: S,
    first: Bytes,
    looks: Looks,
    destination: SocketAddr,
) -> Option<Spoken<S>> {
    let mut server = dial(&client, destination).await?;
    match listen(&mut client, first, looks, &mut server).await {
        Ok((mut sniffed, passed)) => {
            if sniffed.protocol == Protocol::Opaque && sniffed.hello.is_none() {
                sniffed.first = sniffed.first.slice(passed..);
                return Some(Spoken { client, sniffed, server: Some(server) });
            }
            // It must not take the end of this connection for the end of a request.
            reset(&server);
            Some(Spoken { client, sniffed, server: None })
        }
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
            reset(&client);
            None
        }
    }
}

async fn dial(client: &impl Socket, destination: SocketAddr) -> Option<TcpStream> {
    match connect(destination).await {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "Could not connect");
            reset(client);
            None
        }
    }
}

/// Passes bytes on to the application until both sides have ended, or the `peer` is no member any more.
pub(crate) async fn pass<S: Socket>(
    spoken: Spoken<S>,
    destination: SocketAddr,
    registry: &Registry,
    peer: Option<Membership>,
) {
    let Spoken { mut client, sniffed, server } = spoken;
    let server = match server {
        Some(server) => Some(server),
        None => dial(&client, destination).await,
    };
    let Some(mut server) = server else { return };
    let open = registry.edge(EdgeKey::of_port(Direction::Inbound, destination.port())).open();
    tokio::select! {
        spliced = splice(&mut client, &sniffed.first, &mut server, &open) => if let Err(error) = spliced {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A connection broke");
        },
        lapse = lapse_of_bytes(peer) => {
            tracing::debug!(%destination, ?lapse, "Ended a connection with who is no member any more");
            reset(&client);
            reset(&server);
        }
    }
}

/// What the client turns out to speak, and how much of its words the server has already. They are bytes if the server speaks first.
async fn listen(
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
