//! Connections that are not looked into.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::{
    accept::{reset, splice},
    traffic::{Direction, EdgeKey, Registry},
    upstream::connect,
};

/// Passes a connection on to the application, after `first`, until both sides have ended.
pub(crate) async fn forward(client: TcpStream, first: Bytes, destination: SocketAddr, registry: &Registry) {
    match connect(destination).await {
        Ok(server) => {
            let open = registry.edge(EdgeKey::of_port(Direction::Inbound, destination.port())).open();
            if let Err(error) = splice(client, &first, server, &open).await {
                tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A connection broke");
            }
        }
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "Could not connect");
            reset(&client);
        }
    }
}
