//! Where a request or connection goes.

use std::{net::SocketAddr, sync::Arc};

use weft_policy::http::Request;

use super::connection::Names;
use crate::{
    engine::Problem,
    identity::{Credentials, Reason},
    policy::{Choice, Identity, Policy, Seat, ServicePolicy, live::Load},
    traffic::{Direction, Edge, EdgeKey, Registry},
    upstream::{Mesh, Transport, least_loaded},
};

/// Where a request or connection goes. It was decided once; every attempt keeps to it.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// To the backend whose turn it was.
    Backend {
        /// The Service that was addressed.
        service: Arc<ServicePolicy>,
        /// Its split and backend.
        choice: Choice,
    },
    /// To the pod that was addressed.
    Pod(Arc<Seat>),
    /// Where it was going anyway, which is outside of the mesh.
    Through(SocketAddr),
}

impl Route {
    /// The route by what is known about the destination; takes a turn if that is a Service. There is no `request` where the
    /// connection is not looked into.
    ///
    /// # Errors
    /// When nothing is known: the destination may be a pod of the mesh, to whom nothing is said in plain.
    pub(crate) fn by(
        policy: Option<&Policy>,
        destination: SocketAddr,
        request: Option<&Request<'_>>,
    ) -> Result<Self, Problem> {
        match policy {
            Some(Policy::Service(service)) => {
                Ok(Self::Backend { choice: service.choose(request), service: service.clone() })
            }
            Some(Policy::Pod(pod)) => Ok(Self::Pod(pod.seat.clone())),
            Some(Policy::Unknown) => Ok(Self::Through(destination)),
            Some(Policy::Refused) => Err(Problem::RefusedConfiguration),
            None => Err(Problem::NoConfiguration),
        }
    }

    /// The next endpoint to try, after those in `tried`.
    pub(crate) fn next(&self, tried: &[SocketAddr]) -> Option<Hop> {
        match self {
            Self::Backend { service, choice } => {
                let (_, backend) = service.chosen(*choice);
                least_loaded(&backend?.seats, tried).cloned().map(Hop::Seat)
            }
            Self::Pod(seat) => (!tried.contains(&seat.endpoint.address)).then(|| Hop::Seat(seat.clone())),
            Self::Through(address) => (!tried.contains(address)).then_some(Hop::Address(*address)),
        }
    }

    /// The edge that is used when `hop` answered, or nobody did.
    pub(crate) fn edge(&self, registry: &Registry, hop: Option<&Hop>, port: u16) -> Arc<Edge> {
        match hop {
            Some(Hop::Seat(seat)) => seat.edge.get_or_init(|| registry.edge(self.key(Some(seat), port))).clone(),
            Some(Hop::Address(_)) | None => registry.edge(self.key(None, port)),
        }
    }

    fn key(&self, seat: Option<&Seat>, port: u16) -> EdgeKey {
        let mut base = EdgeKey::of_port(Direction::Outbound, port);
        // A pod is one of a workload: without the one the name of the other says nothing.
        if let Some((pod, workload)) =
            seat.and_then(|seat| Some((&seat.endpoint.pod, seat.endpoint.workload.as_ref()?)))
        {
            base.peer = Some(workload.clone());
            base.peer_pod = pod.clone();
        }
        match self {
            Self::Backend { service, choice } => {
                let (split, backend) = service.chosen(*choice);
                EdgeKey {
                    root: Some(service.name.clone()),
                    split: split.map(|split| (split.namespace.clone(), split.name.clone())),
                    backend: backend.map(|backend| backend.name.clone()),
                    port: service.port.get(),
                    ..base
                }
            }
            Self::Pod(_) | Self::Through(_) => base,
        }
    }
}

/// One place to send to.
#[derive(Debug, Clone)]
pub(crate) enum Hop {
    /// An endpoint that the operator named.
    Seat(Arc<Seat>),
    /// An address that the application named.
    Address(SocketAddr),
}

impl Hop {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Seat(seat) => seat.endpoint.address,
            Self::Address(address) => *address,
        }
    }

    /// It did not take a request or connection.
    pub(crate) fn refuse(&self) {
        self.note(Load::refuse);
    }

    /// It took a request and failed.
    pub(crate) fn fail(&self) {
        self.note(Load::fail);
    }

    /// It answered a request, or took a connection.
    pub(crate) fn succeed(&self) {
        self.note(Load::succeed);
    }

    fn note(&self, what: impl FnOnce(&Load)) {
        match self {
            Self::Seat(seat) => what(&seat.load),
            Self::Address(_) => {}
        }
    }

    /// Whether this is the pod `name` of `namespace`.
    fn is_pod(&self, namespace: &str, name: &str) -> bool {
        match self {
            Self::Seat(seat) => {
                let workload = seat.endpoint.workload.as_ref();
                *seat.endpoint.pod == *name && workload.is_some_and(|workload| *workload.namespace == *namespace)
            }
            Self::Address(_) => false,
        }
    }

    /// Who the sidecar at the other end must prove to be; `None` when there is none.
    fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Seat(seat) => seat.endpoint.identity.as_ref(),
            Self::Address(_) => None,
        }
    }

    /// Who the sidecar must prove to be that stands on the way of the pod with these names to the other end. There is none on a
    /// pod's way to itself.
    pub(crate) fn sidecar(&self, names: Option<&Names>) -> Option<&Arc<Identity>> {
        let is_own = names.is_some_and(|names| self.is_pod(&names.namespace, &names.pod));
        self.identity().filter(|_| !is_own)
    }

    /// How it is spoken with.
    ///
    /// # Errors
    /// When it takes a proof of who this proxy is, and there is none: then it is not spoken with at all.
    pub(crate) fn transport(&self, credentials: &Credentials, names: Option<&Names>) -> Result<Transport, Reason> {
        Ok(match self.sidecar(names) {
            None => Transport::Plain,
            Some(expected) => {
                let (material, limit) = (credentials.usable()?, Arc::default());
                Transport::Mesh(Mesh { material, expected: expected.clone(), limit })
            }
        })
    }
}
