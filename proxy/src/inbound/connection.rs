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
use tokio::{net::TcpStream, time};
use weft_policy::identity::SpiffeId;

use super::{
    Phases,
    idle::Activity,
    tcp::{self, Spoken},
};
use crate::{
    accept::{
        Downstream, Drain, Farewell, Handler, InFlight, Looks, OwnAddresses, Protocol, Sniffed, Socket, reset, sniff,
    },
    engine::{Engine, describe},
    identity::{self, Accepted, Credentials, Failed, Lapse, Membership, MeshProtocol},
    traffic::{Direction, Edge, EdgeKey, Registry},
};

/// What is counted for a connection that is addressed to somebody else.
const NOT_OWN: &str = "not-own-address";
/// Time for a client that is no member any more to take the end of its last answer.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Time for what is in flight of a client whose root is gone, upgraded connections included, the last answer's end among it. Nobody
/// takes a root away while members of good faith need it.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// What the requests of one connection have in common.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Address of the pod, and port of the application.
    pub(crate) destination: SocketAddr,
    /// Who proved to be the client; `None` for a client without a sidecar.
    pub(crate) client: Option<SpiffeId>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) farewell: Farewell,
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
    pub(crate) own: OwnAddresses,
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
        if !self.own.contains(destination.ip()) {
            // Whoever can send packets past the pod's address must not be led on by it, with its identity or without.
            tracing::debug!(%destination, "Refused a connection that is not for this pod");
            self.registry.errors.count(Direction::Inbound, NOT_OWN);
            reset(&stream);
            return;
        }
        let is_opaque = self.opaque_ports.contains(&destination.port());
        let looks = if is_opaque { Looks::Mesh } else { Looks::Both };
        let sniffed = match sniff(&mut stream, looks).await {
            Ok(sniffed) => sniffed,
            Err(error) => {
                tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
                return;
            }
        };
        let mut spoken = Spoken { client: stream, sniffed, server: None };
        if spoken.sniffed.protocol == Protocol::Silent {
            let Spoken { client, sniffed, .. } = spoken;
            let Some(found) = tcp::who_speaks(client, sniffed.first, looks, destination).await else { return };
            spoken = found;
        }
        if let Some(hello) = spoken.sniffed.hello {
            Box::pin(self.mesh(hello, spoken.client, destination, in_flight)).await;
            return;
        }
        self.serve(spoken, destination, None, in_flight).await;
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
        let accepted = match identity::accept(hello, stream, &material, &self.credentials).await {
            Ok(accepted) => accepted,
            Err((failed, stream)) => {
                self.credentials.handshakes.count(Direction::Inbound, Err(failed.reason));
                self.refused(destination, &failed);
                if let Some(stream) = stream {
                    identity::linger(stream).await;
                }
                return;
            }
        };
        self.credentials.handshakes.count(Direction::Inbound, Ok(()));
        let Accepted { stream, client, protocol } = accepted;
        let found = |protocol| Sniffed { protocol, first: Bytes::new(), hello: None };
        let sniffed = match protocol {
            MeshProtocol::Http2 => found(Protocol::Http2),
            MeshProtocol::Http1 => found(Protocol::Http1),
            MeshProtocol::Tcp if self.opaque_ports.contains(&destination.port()) => found(Protocol::Opaque),
            MeshProtocol::Tcp => found(Protocol::Silent),
        };
        let mut spoken = Spoken { client: stream, sniffed, server: None };
        if spoken.sniffed.protocol == Protocol::Silent {
            // The other sidecar did not find HTTP, or did not look. What the application could take for it is judged all the same.
            let looking = tcp::who_speaks(spoken.client, Bytes::new(), Looks::Inside, destination);
            let Some(found) = looking.await else { return };
            spoken = found;
        }
        self.serve(spoken, destination, Some(client), in_flight).await;
    }

    fn refused(&self, destination: SocketAddr, failed: &Failed) {
        let error = failed as &dyn std::error::Error;
        if self.credentials.handshakes.is_news(Direction::Inbound, failed.reason) {
            tracing::info!(%destination, error, "Refused a connection of the mesh");
        } else {
            tracing::debug!(%destination, error, "Refused a connection of the mesh");
        }
    }

    /// Serves a client that speaks what was found, and is the member of the mesh `peer` if it is one.
    async fn serve<S>(&self, spoken: Spoken<S>, destination: SocketAddr, peer: Option<Membership>, in_flight: InFlight)
    where
        S: Socket + fmt::Debug + Send + Sync + 'static,
    {
        let http2 = match spoken.sniffed.protocol {
            Protocol::Opaque | Protocol::Silent => {
                tcp::pass(spoken, destination, &self.registry, peer).await;
                return;
            }
            Protocol::Http2 => true,
            Protocol::Http1 => false,
        };
        let (activity, farewell) = (Arc::new(Activity::default()), Farewell::default());
        let about = describe(Connection {
            destination,
            client: peer.as_ref().map(|peer| peer.id.clone()),
            activity: activity.clone(),
            farewell: farewell.clone(),
            edge: OnceLock::new(),
        });
        let about = match about {
            Ok(about) => about,
            Err(error) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "Could not serve a connection");
                return;
            }
        };
        // From here on each request counts for itself, and an idle connection does not.
        drop(in_flight);
        let heard = farewell.watch();
        let downstream = Downstream::new(spoken.client, spoken.sniffed.first, http2, about);
        tokio::select! {
            biased;
            () = self.engine.serve(downstream, &heard) => {}
            () = self.unwanted(peer, &activity, &farewell) => {
                tracing::debug!(%destination, "Ended a connection of the mesh that was not used");
            }
        }
    }

    /// Asks the client to use another connection when it should, and returns when this one may end though the client has not ended it.
    async fn unwanted(&self, peer: Option<Membership>, activity: &Activity, farewell: &Farewell) {
        let Some(peer) = peer else {
            // Nobody else tells clients without a sidecar. Who comes when they are being told already must get to ask: it would
            // only come again, and its application serves until the pod ends.
            let is_late = self.drain.is_leaving();
            self.drain.leaving().await;
            if is_late {
                activity.begun().await;
            }
            farewell.say();
            return std::future::pending().await;
        };
        let told = async {
            let lapse = tokio::select! {
                () = self.drain.begun() => {
                    farewell.say();
                    std::future::pending().await
                }
                lapse = peer.lapse(Duration::ZERO) => lapse,
            };
            tracing::debug!(?lapse, "A client is no member any more");
            // Whoever does not want to go may take no notice of the farewell, and go on to ask.
            activity.close();
            farewell.say();
            let over = activity.over(LAST_WORD);
            match lapse {
                Lapse::Expired => over.await,
                // In time or not, this is the end.
                Lapse::Distrusted => drop(time::timeout(LAST_REQUESTS, over).await),
            }
        };
        // Sidecars leave connections that they do not use: those of an earlier certificate, and those that have become old. None
        // is used again that was idle for as long as this.
        tokio::select! {
            () = told => {}
            () = activity.over(self.idle_limit) => {}
        }
    }
}
