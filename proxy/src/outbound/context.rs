//! What the phases of one request tell each other.

use std::{net::SocketAddr, sync::Arc};

use super::route::{Hop, Route};
use crate::{
    accept::InFlight,
    engine::Progress,
    policy::Occupied,
    traffic::{Edge, Registry},
    upstream::HandshakeLimit,
};

/// One request of the application.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) progress: Progress,
    /// Decided before the first attempt.
    pub(crate) route: Option<Route>,
    /// Port that the application addressed.
    pub(crate) port: u16,
    /// Where the current attempt goes.
    pub(crate) hop: Option<Hop>,
    /// The current attempt needs a handshake, unless there is a connection already; this ends it in time.
    pub(crate) handshake: Option<Arc<HandshakeLimit>>,
    /// The current attempt goes to a sidecar.
    pub(crate) is_mesh: bool,
    /// Endpoints that did not take the request.
    pub(crate) tried: Vec<SocketAddr>,
    /// Counts at the endpoint of the current attempt.
    occupied: Option<Occupied>,
}

impl Context {
    pub(crate) fn new(in_flight: InFlight) -> Self {
        Self {
            progress: Progress::new(in_flight),
            route: None,
            port: 0,
            hop: None,
            handshake: None,
            is_mesh: false,
            tried: Vec::new(),
            occupied: None,
        }
    }

    /// The request is sent to `hop` now.
    pub(crate) fn attempt(&mut self, hop: Hop) {
        self.progress.attempts += 1;
        self.occupied = match &hop {
            Hop::Seat(seat) => Some(seat.load.occupy()),
            Hop::Address(_) => None,
        };
        self.hop = Some(hop);
    }

    /// The endpoint of the current attempt is not to be asked again, because it did not take the request.
    pub(crate) fn give_up_endpoint(&mut self) {
        self.occupied = None;
        if let Some(hop) = self.hop.take() {
            hop.refuse();
            self.tried.push(hop.address());
        }
    }

    /// Whether there is an endpoint that was not tried.
    pub(crate) fn has_another(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.next(&self.tried).is_some())
    }

    /// Address of the endpoint of the current attempt.
    pub(crate) fn endpoint(&self) -> Option<SocketAddr> {
        self.hop.as_ref().map(Hop::address)
    }

    /// The edge that the request counts on; `None` for one that never got as far as a route.
    pub(crate) fn edge(&self, registry: &Registry) -> Option<Arc<Edge>> {
        Some(self.route.as_ref()?.edge(registry, self.hop.as_ref(), self.port))
    }
}
