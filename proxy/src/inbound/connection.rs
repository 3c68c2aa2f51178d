//! A connection to the application, up to the protocol on it.

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use rustls::server::Accepted as Hello;
use tokio::net::TcpStream;
use weft_policy::identity::SpiffeId;

use super::{Phases, idle::Activity, tcp};
use crate::{
    accept::{Downstream, Drain, Handler, InFlight, Looks, Protocol, Sniffed, Socket, reset, sniff},
    engine::{Engine, describe},
    identity::{self, Accepted, Credentials, MeshProtocol},
    traffic::{Direction, Edge, EdgeKey, Registry},
};

/// What the requests of one connection have in common.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Address of the pod, and port of the application.
    pub(crate) destination: SocketAddr,
    /// Who proved to be the client; `None` for a client without a sidecar.
    pub(crate) client: Option<SpiffeId>,
    pub(crate) activity: Arc<Activity>,
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
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) drain: Drain,
    /// Ports whose protocol is not looked at.
    pub(crate) opaque_ports: Arc<BTreeSet<u16>>,
    /// Time without a request after which a connection of the mesh is ended.
    pub(crate) idle_limit: Duration,
}

impl Handler for Inbound {
    fn direction(&self) -> Direction {
        Direction::Inbound
    }

    async fn handle(&self, mut stream: TcpStream, destination: SocketAddr) {
        let in_flight = self.drain.enter();
        let is_opaque = self.opaque_ports.contains(&destination.port());
        let looks = if is_opaque { Looks::Mesh } else { Looks::Both };
        let mut sniffed = match sniff(&mut stream, looks).await {
            Ok(sniffed) => sniffed,
            Err(error) => {
                tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
                return;
            }
        };
        if sniffed.protocol == Protocol::Silent {
            let spoken = tcp::forward_unless(stream, sniffed.first, looks, destination, &self.registry).await;
            let Some(spoken) = spoken else { return };
            (stream, sniffed) = spoken;
        }
        if let Some(hello) = sniffed.hello {
            self.mesh(hello, stream, destination, in_flight).await;
            return;
        }
        let connection = Connection { destination, client: None, activity: Arc::default(), edge: OnceLock::new() };
        self.serve(stream, sniffed, connection, in_flight).await;
    }
}

impl Inbound {
    /// Serves another sidecar.
    async fn mesh(&self, hello: Hello, stream: TcpStream, destination: SocketAddr, in_flight: InFlight) {
        let material = match self.credentials.usable() {
            Ok(material) => material,
            Err(reason) => {
                self.credentials.handshakes.count(Direction::Inbound, Err(reason));
                tracing::warn!(%destination, reason = reason.label(), "Refused a connection of the mesh");
                reset(&stream);
                return;
            }
        };
        let accepted = match identity::accept(hello, stream, &material).await {
            Ok(accepted) => accepted,
            Err((failed, stream)) => {
                self.credentials.handshakes.count(Direction::Inbound, Err(failed.reason));
                tracing::info!(%destination, error = &failed as &dyn std::error::Error, "Refused a connection of the mesh");
                if let Some(stream) = stream {
                    identity::linger(stream).await;
                }
                return;
            }
        };
        self.credentials.handshakes.count(Direction::Inbound, Ok(()));
        let Accepted { mut stream, client, not_after, protocol } = accepted;
        let found = |protocol| Sniffed { protocol, first: Bytes::new(), hello: None };
        let sniffed = match protocol {
            MeshProtocol::Http2 => found(Protocol::Http2),
            MeshProtocol::Http1 => found(Protocol::Http1),
            MeshProtocol::Tcp if self.opaque_ports.contains(&destination.port()) => found(Protocol::Opaque),
            // The other sidecar did not find HTTP, or did not look. What the application could take for it is judged all the same.
            MeshProtocol::Tcp => {
                let spoken =
                    tcp::forward_unless(stream, Bytes::new(), Looks::Inside, destination, &self.registry).await;
                let Some(spoken) = spoken else { return };
                let sniffed;
                (stream, sniffed) = spoken;
                sniffed
            }
        };
        let activity = Arc::new(Activity::default());
        let connection =
            Connection { destination, client: Some(client), activity: activity.clone(), edge: OnceLock::new() };
        if sniffed.protocol == Protocol::Opaque {
            self.serve(stream, sniffed, connection, in_flight).await;
            return;
        }
        // Sidecars leave connections that they do not use: those of an earlier certificate, and those that have become old. None
        // is used again that was idle for as long as this.
        tokio::select! {
            () = self.serve(stream, sniffed, connection, in_flight) => {}
            () = activity.over(self.idle_limit, not_after) => {
                tracing::debug!(%destination, "Ended a connection of the mesh that was not used");
            }
        }
    }

    /// Serves a client that speaks what was `sniffed`.
    async fn serve<S>(&self, stream: S, sniffed: Sniffed, connection: Connection, in_flight: InFlight)
    where
        S: Socket + fmt::Debug + Send + Sync + 'static,
    {
        let http2 = match sniffed.protocol {
            Protocol::Opaque | Protocol::Silent => {
                tcp::forward(stream, sniffed.first, connection.destination, &self.registry).await;
                return;
            }
            Protocol::Http2 => true,
            Protocol::Http1 => false,
        };
        match describe(connection) {
            Ok(about) => {
                // From here on each request counts for itself, and an idle connection does not.
                drop(in_flight);
                self.engine.serve(Downstream::new(stream, sniffed.first, http2, about)).await;
            }
            Err(error) => tracing::warn!(error = &*error as &dyn std::error::Error, "Could not serve a connection"),
        }
    }
}
