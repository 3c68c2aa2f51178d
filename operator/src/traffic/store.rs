//! What is known of every proxy, shared between the streams that fill it and the queries that read it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{
    REPORT_INTERVAL,
    instance::Instance,
    report::{EdgeKey, Report},
    totals::Totals,
    view::View,
};
use crate::model::{PodRef, WorkloadRef};

/// Processes remembered for one pod: the one that runs and what restarts within a window leave behind.
const MAX_INSTANCES: usize = 4;

/// Who reports: what the operator knows of the pod whose token came with the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The pod that the proxy is in.
    pub pod: PodRef,
    /// The workload that owns the pod.
    pub workload: WorkloadRef,
}

/// Why a report cannot be recorded although it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A later report of a stream, of a process that is not remembered any more: without the edges that did not change it
    /// says nothing. The proxy has to begin a new stream, whose first report has every edge.
    #[error("process {instance:?} is not remembered, and its report is not the first of a stream")]
    Forgotten {
        /// Name of the process.
        instance: String,
    },
    /// The process became younger.
    #[error("process {instance:?} reports an uptime of {uptime:?} after {known:?}")]
    UptimeShrank {
        /// Name of the process.
        instance: String,
        /// What it reports.
        uptime: Duration,
        /// What it reported before.
        known: Duration,
    },
    /// Totals became less.
    #[error("process {instance:?} reports less than before for {edge:?}")]
    TotalsShrank {
        /// Name of the process.
        instance: String,
        /// The edge that shrank.
        edge: Box<EdgeKey>,
    },
    /// More edges than one process may have.
    #[error("process {instance:?} has {edges} edges, which is too many")]
    TooManyEdges {
        /// Name of the process.
        instance: String,
        /// All of them.
        edges: usize,
    },
}

/// Windows of every proxy that reports to this replica.
///
/// Locks are held for one report, or for the copy of one pod's window, and never across an await.
#[derive(Debug, Default)]
pub struct Store {
    pods: Mutex<BTreeMap<PodRef, Arc<Mutex<Pod>>>>,
    swept: Mutex<Option<Instant>>,
    recorded: AtomicU64,
    refused: AtomicU64,
}

/// Processes of one pod, the one seen first for the first time first.
type Pod = Vec<Instance>;

/// Traffic of one process in the window.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) pod: PodRef,
    pub(super) workload: WorkloadRef,
    pub(super) received: Instant,
    pub(super) edges: Vec<(EdgeKey, Totals)>,
}

impl Store {
    /// A store that knows no proxy.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes a report. `first` says that it is the first of its stream and so names every edge of the process.
    ///
    /// # Errors
    /// [`RecordError`] says why the report contradicts what is known; it has changed nothing then.
    pub fn record(&self, source: &Source, report: Report, first: bool, now: Instant) -> Result<(), RecordError> {
        self.sweep(now);
        let pod = {
            let mut pods = lock(&self.pods);
            Arc::clone(pods.entry(source.pod.clone()).or_default())
        };
        let mut instances = lock(&pod);
        match instances.iter_mut().find(|instance| instance.name == report.instance) {
            Some(instance) => {
                instance.workload = source.workload.clone();
                instance.record(report, now)?;
            }
            None if first => {
                if instances.len() >= MAX_INSTANCES
                    && let Some(oldest) = (0..instances.len()).min_by_key(|index| instances[*index].received())
                {
                    instances.remove(oldest);
                }
                instances.push(Instance::new(source.workload.clone(), report, now));
            }
            None => {
                return Err(RecordError::Forgotten { instance: report.instance });
            }
        }
        drop(instances);
        self.recorded.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Counts a report that was refused, for whatever reason.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports recorded since the operator started.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// Reports refused since the operator started.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Pods that are remembered.
    #[must_use]
    pub fn pods(&self) -> usize {
        lock(&self.pods).len()
    }

    /// Adds the windows of all proxies up.
    #[must_use]
    pub fn view(&self, now: Instant) -> View {
        self.sweep(now);
        View::new(self.windows(now))
    }

    pub(super) fn windows(&self, now: Instant) -> Vec<Window> {
        let pods: Vec<(PodRef, Arc<Mutex<Pod>>)> =
            lock(&self.pods).iter().map(|(name, pod)| (name.clone(), Arc::clone(pod))).collect();
        let mut windows = Vec::with_capacity(pods.len());
        for (name, pod) in pods {
            let instances = lock(&pod);
            let Some(end) = instances.iter().map(Instance::received).max() else {
                continue;
            };
            for instance in instances.iter().filter(|instance| !instance.expired(now)) {
                windows.push(Window {
                    pod: name.clone(),
                    workload: instance.workload.clone(),
                    received: instance.received(),
                    edges: instance.window(end, now),
                });
            }
        }
        windows
    }

    /// Forgets processes of which nothing is shown any more, and the pods that have no other.
    fn sweep(&self, now: Instant) {
        {
            let mut swept = lock(&self.swept);
            if swept.is_some_and(|last| now.saturating_duration_since(last) < REPORT_INTERVAL) {
                return;
            }
            *swept = Some(now);
        }
        lock(&self.pods).retain(|_, pod| {
            let mut instances = lock(pod);
            instances.retain(|instance| !instance.expired(now));
            // Whoever else holds the pod is about to record into it.
            !instances.is_empty() || Arc::strong_count(pod) > 1
        });
    }

    #[cfg(test)]
    pub(super) fn sizes(&self, pod: &PodRef) -> Option<(usize, usize, usize)> {
        let pods = lock(&self.pods);
        let instances = lock(pods.get(pod)?);
        let (points, history) = instances.last()?.sizes();
        Some((instances.len(), points, history))
    }
}

/// A panic elsewhere does not take the statistics along: every change leaves the store readable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
