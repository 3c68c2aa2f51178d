//! A connection to the application, up to the protocol on it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{Phases, tcp};
use crate::{
    accept::{Downstream, Drain, Handler, Protocol, sniff},
    engine::{Engine, describe},
    traffic::{Direction, Edge, EdgeKey, Registry},
};

/// What the requests of one connection have in common.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Address of the pod, and port of the application.
    pub(crate) destination: SocketAddr,
    /// The statistics of the port, looked up once a request got through: what nobody listens on has none, or whoever tries all
    /// ports would leave an edge for each.
    pub(crate) edge: OnceLock<Arc<Edge>>,
}

impl Connection {
    /// What the edge of the connection is known by.
    pub(crate) fn key(&self) -> EdgeKey {
        EdgeKey::of_port(Direction::Inbound, self.destination.port())
    }
}

/// Takes the connections to the application.
pub(crate) struct Inbound {
    pub(crate) engine: Engine<Phases>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) drain: Drain,
    /// Ports whose protocol is not looked at.
    pub(crate) opaque_ports: Arc<BTreeSet<u16>>,
}

impl Handler for Inbound {
    async fn handle(&self, mut stream: TcpStream, destination: SocketAddr) {
        let in_flight = self.drain.enter();
        if self.opaque_ports.contains(&destination.port()) {
            tcp::forward(stream, Bytes::new(), destination, &self.registry).await;
            return;
        }
        let sniffed = match sniff(&mut stream).await {
            Ok(sniffed) => sniffed,
            Err(error) => {
                tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
                return;
            }
        };
        if sniffed.protocol == Protocol::Opaque {
            tcp::forward(stream, sniffed.first, destination, &self.registry).await;
            return;
        }
        match describe(Connection { destination, edge: OnceLock::new() }) {
            Ok(about) => {
                let http2 = sniffed.protocol == Protocol::Http2;
                // From here on each request counts for itself, and an idle connection does not.
                drop(in_flight);
                self.engine.serve(Downstream::new(stream, sniffed.first, http2, about)).await;
            }
            Err(error) => tracing::warn!(error = &*error as &dyn std::error::Error, "Could not serve a connection"),
        }
    }
}
