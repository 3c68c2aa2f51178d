//! Destinations in use: how busy each endpoint is, and how well.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use weft_policy::split::InvalidWeights;

use super::{
    Destination, Endpoint, ServicePolicy,
    outlier::{Record, Standing},
};
use crate::traffic::Edge;

/// Where the traffic to one target goes, ready to be asked on every request.
#[derive(Debug, Clone)]
pub(crate) enum Policy {
    /// A port of a Service.
    Service(Arc<ServicePolicy>),
    /// A port of a pod.
    Pod(Arc<PodPolicy>),
    /// Passed through untouched, because the operator says so.
    Unknown,
    /// What the operator says cannot be read, and nothing was known before: nothing is sent there.
    Refused,
}

/// A port of a pod that the application addressed by itself.
#[derive(Debug)]
pub(crate) struct PodPolicy {
    pub(crate) seat: Arc<Seat>,
    pub(crate) opaque: bool,
    pub(crate) by_authority: bool,
}

/// An endpoint in its place behind one backend of one target.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) endpoint: Endpoint,
    pub(crate) load: Arc<Load>,
    /// The statistics of this endpoint in this place, looked up on first use.
    pub(crate) edge: OnceLock<Arc<Edge>>,
}

/// How long an endpoint that did not take a request is asked only when there is no other.
const FAILED_FOR: Duration = Duration::from_secs(5);

/// Requests and connections that an endpoint is busy with, whether it takes any, and what came of them.
#[derive(Debug, Default)]
pub(crate) struct Load {
    busy: AtomicU32,
    /// When it may be asked again, as [`uptime_milliseconds`]; 0 when it never failed.
    failed_until: AtomicU64,
    /// What its requests have come to.
    record: Mutex<Record>,
    /// There is something in the record that a success would change, or that is to be minded.
    noted: AtomicBool,
}

/// One of the requests that an endpoint is busy with, until dropped.
#[derive(Debug)]
pub(crate) struct Occupied(Arc<Load>);

impl Load {
    /// Counts one more until the answer is dropped.
    pub(crate) fn occupy(self: &Arc<Self>) -> Occupied {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Occupied(self.clone())
    }

    pub(crate) fn get(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// The endpoint did not take a request.
    pub(crate) fn refuse(&self) {
        self.failed_until.store(uptime_milliseconds() + FAILED_FOR.as_millis() as u64, Ordering::Relaxed);
        self.fail();
    }

    /// The endpoint took a request and failed.
    pub(crate) fn fail(&self) {
        let mut record = self.record();
        record.fail(uptime());
        // Under the lock, so that it never says less than the record.
        self.noted.store(true, Ordering::Relaxed);
    }

    /// The endpoint answered a request.
    pub(crate) fn succeed(&self) {
        if self.noted.load(Ordering::Relaxed) {
            let mut record = self.record();
            record.succeed(uptime());
            let in_service = record.standing(uptime()) == Standing::InService;
            self.noted.store(!in_service, Ordering::Relaxed);
        }
    }

    /// Whether the endpoint may be asked.
    pub(crate) fn standing(&self) -> Standing {
        if self.noted.load(Ordering::Relaxed) { self.record().standing(uptime()) } else { Standing::InService }
    }

    /// Whether the caller's request is the one that finds out whether an ejected endpoint is well again.
    pub(crate) fn probe(&self) -> bool {
        self.record().probe(uptime())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the endpoint did not take a request a moment ago. It is not busy then, but no good choice.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed_until.load(Ordering::Relaxed) > uptime_milliseconds()
    }
}

/// Since the first call.
fn uptime() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn uptime_milliseconds() -> u64 {
    uptime().as_millis() as u64
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    pub(super) fn new(endpoint: Endpoint, loads: &HashMap<SocketAddr, Arc<Load>>) -> Arc<Self> {
        let load = loads.get(&endpoint.address).cloned().unwrap_or_default();
        Arc::new(Self { endpoint, load, edge: OnceLock::new() })
    }
}

impl Policy {
    /// Brings `destination` into use in place of `previous`. What is in flight stays counted, and turns go on where names and
    /// weights did not change.
    pub(crate) fn new(destination: Destination, previous: Option<&Self>) -> Result<Self, InvalidWeights> {
        let loads = previous.map(Self::loads).unwrap_or_default();
        Ok(match destination {
            Destination::Service(service) => {
                let before = match previous {
                    Some(Self::Service(before)) => Some(&**before),
                    Some(Self::Pod(_) | Self::Unknown | Self::Refused) | None => None,
                };
                Self::Service(Arc::new(ServicePolicy::new(service, before, &loads)?))
            }
            Destination::Pod(pod) => {
                let seat = Seat::new(pod.endpoint, &loads);
                Self::Pod(Arc::new(PodPolicy { seat, opaque: pod.opaque, by_authority: pod.by_authority }))
            }
            Destination::Unknown => Self::Unknown,
        })
    }

    fn loads(&self) -> HashMap<SocketAddr, Arc<Load>> {
        let of = |seat: &Arc<Seat>| (seat.endpoint.address, seat.load.clone());
        match self {
            Self::Service(service) => {
                let backends = service.all_shares().flat_map(|shares| &shares.backends);
                backends.flat_map(|backend| backend.seats.iter().map(of)).collect()
            }
            Self::Pod(pod) => HashMap::from([of(&pod.seat)]),
            Self::Unknown | Self::Refused => HashMap::new(),
        }
    }
}
