//! Connections that are not looked into.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use rustls::server::Accepted as Hello;
use tokio::net::TcpStream;

use crate::{
    accept::{Looks, Sniffed, Socket, reset, sniff, splice},
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

/// The same for a client that has said nothing, most likely because its server speaks first. Should it speak first after all,
/// and be a sidecar that was slow, then it is given back with its first words: nothing was passed on.
pub(crate) async fn forward_silent(
    mut client: TcpStream,
    destination: SocketAddr,
    registry: &Registry,
) -> Option<(Hello, TcpStream)> {
    let server = match connect(destination).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "Could not connect");
            reset(&client);
            return None;
        }
    };
    let first = match client_speaks_first(&client, &server).await {
        Ok(true) => match sniff(&mut client, Looks::Mesh).await {
            Ok(Sniffed { hello: Some(hello), .. }) => return Some((hello, client)),
            Ok(Sniffed { first, .. }) => first,
            Err(error) => {
                tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
                return None;
            }
        },
        // What is broken is found out once more where it is dealt with.
        Ok(false) | Err(_) => Bytes::new(),
    };
    pass(client, first, server, destination, registry).await;
    None
}

async fn client_speaks_first(client: &TcpStream, server: &TcpStream) -> io::Result<bool> {
    let (mut word, mut other) = ([0], [0]);
    tokio::select! {
        biased;
        said = server.peek(&mut other) => said.map(|_bytes| false),
        said = client.peek(&mut word) => said.map(|bytes| bytes > 0),
    }
}

async fn pass(client: impl Socket, first: Bytes, server: TcpStream, destination: SocketAddr, registry: &Registry) {
    let open = registry.edge(EdgeKey::of_port(Direction::Inbound, destination.port())).open();
    if let Err(error) = splice(client, &first, server, &open).await {
        tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A connection broke");
    }
}
