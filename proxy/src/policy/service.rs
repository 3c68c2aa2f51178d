//! A port of a Service in use: which split has a request, and which of its backends has the next turn.

use std::{
    collections::HashMap,
    net::SocketAddr,
    num::NonZeroU16,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use weft_policy::{
    http::{Match, Request, first_met},
    split::{InvalidWeights, Schedule},
};

use super::{
    Backend, ConditionalSplit, Service, ServiceName, Split,
    live::{Load, Seat},
};
use crate::upstream::chance;

/// A port of a Service: who has which requests, and whose turn it is.
#[derive(Debug)]
pub(crate) struct ServicePolicy {
    pub(crate) name: ServiceName,
    pub(crate) port: NonZeroU16,
    pub(crate) opaque: bool,
    /// Splits of some requests only, in the order in which a request is compared with them.
    pub(crate) conditional: Vec<Conditional>,
    /// What goes by none of them, connections that are not looked into among it.
    pub(crate) rest: Shares,
}

/// A split of the requests that meet one of its matches.
#[derive(Debug)]
pub(crate) struct Conditional {
    pub(crate) matches: Vec<Arc<Match>>,
    pub(crate) shares: Shares,
}

/// Backends that share requests by weight.
#[derive(Debug)]
pub(crate) struct Shares {
    pub(crate) split: Option<Split>,
    pub(crate) backends: Vec<LiveBackend>,
    rota: Arc<Rota>,
}

/// Where one request or connection goes: to a backend of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Which conditional split; `None` for the rest.
    conditional: Option<usize>,
    /// Which of its backends.
    backend: usize,
}

/// A backend and its endpoints.
#[derive(Debug)]
pub(crate) struct LiveBackend {
    pub(crate) name: ServiceName,
    pub(crate) weight: u64,
    pub(crate) seats: Vec<Arc<Seat>>,
}

/// The order of the backends, and the next turn of all threads.
#[derive(Debug)]
struct Rota {
    schedule: Schedule,
    /// The first turn. A random one, so that many proxies with few requests each have the weights hold together as well.
    start: u64,
    turn: AtomicU64,
}

impl Rota {
    fn new(schedule: Schedule) -> Self {
        let start = chance::next() % schedule.period();
        Self { schedule, start, turn: AtomicU64::new(start) }
    }
}

impl ServicePolicy {
    /// In place of `previous`: turns go on where the names and weights of a split did not change, and an endpoint keeps its load
    /// from `loads`.
    pub(super) fn new(
        service: Service,
        previous: Option<&Self>,
        loads: &HashMap<SocketAddr, Arc<Load>>,
    ) -> Result<Self, InvalidWeights> {
        let conditional = service.conditional.into_iter().map(|ConditionalSplit { split, matches, backends }| {
            let before = previous.and_then(|before| before.shares_of(&split));
            Ok(Conditional { matches, shares: Shares::new(Some(split), backends, before, loads)? })
        });
        let before = previous.map(|before| &before.rest);
        Ok(Self {
            name: service.name,
            port: service.port,
            opaque: service.opaque,
            conditional: conditional.collect::<Result<_, _>>()?,
            rest: Shares::new(service.split, service.backends, before, loads)?,
        })
    }

    /// Takes the next turn of the first split that `request` matches, else of the rest. Without a request, which is a connection
    /// that is not looked into, it is the rest's.
    pub(crate) fn choose(&self, request: Option<&Request<'_>>) -> Choice {
        let matches = self.conditional.iter().map(|split| split.matches.as_slice());
        let conditional = request.and_then(|request| first_met(matches, request));
        Choice { conditional, backend: self.shares(conditional).take_turn() }
    }

    /// The split, if there is one, and the backend that were chosen.
    pub(crate) fn chosen(&self, choice: Choice) -> (Option<&Split>, Option<&LiveBackend>) {
        let shares = self.shares(choice.conditional);
        (shares.split.as_ref(), shares.backends.get(choice.backend))
    }

    /// The backends of every split, the rest's last.
    pub(crate) fn all_shares(&self) -> impl Iterator<Item = &Shares> {
        self.conditional.iter().map(|split| &split.shares).chain([&self.rest])
    }

    fn shares(&self, conditional: Option<usize>) -> &Shares {
        conditional.and_then(|position| self.conditional.get(position)).map_or(&self.rest, |split| &split.shares)
    }

    fn shares_of(&self, split: &Split) -> Option<&Shares> {
        let is_same = |known: &Split| known.namespace == split.namespace && known.name == split.name;
        let known = |conditional: &&Conditional| conditional.shares.split.as_ref().is_some_and(is_same);
        self.conditional.iter().find(known).map(|conditional| &conditional.shares)
    }
}

impl Shares {
    fn new(
        split: Option<Split>,
        backends: Vec<Backend>,
        before: Option<&Self>,
        loads: &HashMap<SocketAddr, Arc<Load>>,
    ) -> Result<Self, InvalidWeights> {
        let rota = match before {
            Some(before) if before.has_weights_of(&backends) => before.rota.clone(),
            _ => Arc::new(Rota::new(Schedule::new(backends.iter().map(|backend| backend.weight))?)),
        };
        let backends = backends.into_iter().map(|backend| LiveBackend::new(backend, loads)).collect();
        Ok(Self { split, backends, rota })
    }

    /// Takes the next turn and says which backend has it.
    pub(crate) fn take_turn(&self) -> usize {
        self.rota.schedule.pick(self.rota.turn.fetch_add(1, Ordering::Relaxed))
    }

    /// Turns taken since names or weights last changed.
    pub(crate) fn turns(&self) -> u64 {
        self.rota.turn.load(Ordering::Relaxed).wrapping_sub(self.rota.start)
    }

    fn has_weights_of(&self, backends: &[Backend]) -> bool {
        let mine = self.backends.iter().map(|backend| (&backend.name, backend.weight));
        mine.eq(backends.iter().map(|backend| (&backend.name, backend.weight)))
    }
}

impl LiveBackend {
    fn new(backend: Backend, loads: &HashMap<SocketAddr, Arc<Load>>) -> Self {
        let seats = backend.endpoints.into_iter().map(|endpoint| Seat::new(endpoint, loads)).collect();
        Self { name: backend.name, weight: backend.weight, seats }
    }
}
