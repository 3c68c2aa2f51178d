//! One edge: the two resources that exchange traffic, and how much.

use std::{
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use std::sync::Arc;

use super::{
    Answer,
    histogram::{Bounds, Latencies},
};
use crate::policy::{ServiceName, Workload};

/// Which way the requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// From this pod's application to others.
    Outbound,
    /// To this pod's application from others.
    Inbound,
}

/// Whether both sides of a request have proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Security {
    /// There was no sidecar on the other side.
    None,
    MutualTls,
}

/// What an edge is told from others by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EdgeKey {
    pub(crate) direction: Direction,
    /// The Service that the application addressed.
    pub(crate) root: Option<ServiceName>,
    /// Namespace and name of the split that chose the backend.
    pub(crate) split: Option<(Arc<str>, Arc<str>)>,
    /// The Service that served.
    pub(crate) backend: Option<ServiceName>,
    /// Who answered.
    pub(crate) peer: Option<Workload>,
    pub(crate) peer_pod: Arc<str>,
    /// As the application saw it.
    pub(crate) port: u16,
}

impl EdgeKey {
    /// An edge of which nothing is known but the port.
    pub(crate) fn of_port(direction: Direction, port: u16) -> Self {
        Self { direction, root: None, split: None, backend: None, peer: None, peer_pod: "".into(), port }
    }
}

/// What went over an edge since the process started.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) key: EdgeKey,
    /// A handful of different answers, so that looking through them is quicker than hashing. The lock is taken for writing only
    /// when a new one is met.
    answers: RwLock<Vec<(Answer, Security, AtomicU64)>>,
    pub(crate) latencies: Latencies,
    pub(crate) tcp: Tcp,
}

/// Connections that were not looked into.
#[derive(Debug, Default)]
pub(crate) struct Tcp {
    opened: AtomicU64,
    closed: AtomicU64,
    /// From the client to the server.
    received_bytes: AtomicU64,
    /// From the server to the client.
    sent_bytes: AtomicU64,
}

/// A connection that counts as open until dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Edge>);

impl Edge {
    pub(crate) fn new(key: EdgeKey, bounds: Bounds) -> Self {
        Self { key, answers: RwLock::default(), latencies: Latencies::new(bounds), tcp: Tcp::default() }
    }

    /// Counts a request.
    pub(crate) fn record(&self, answer: Answer, security: Security, latency: Duration) {
        self.latencies.record(latency);
        let is_it = |(known, how, _): &&(Answer, Security, AtomicU64)| (*known, *how) == (answer, security);
        {
            let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, count)) = answers.iter().find(is_it) {
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        match answers.iter().find(is_it) {
            Some((_, _, count)) => {
                count.fetch_add(1, Ordering::Relaxed);
            }
            None => answers.push((answer, security, AtomicU64::new(1))),
        }
    }

    /// How often each answer was given, over each kind of connection.
    pub(crate) fn answers(&self) -> Vec<(Answer, Security, u64)> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.iter().map(|(answer, how, count)| (*answer, *how, count.load(Ordering::Relaxed))).collect()
    }

    /// A number that grows whenever any other of the edge's does.
    pub(crate) fn revision(&self) -> u64 {
        let requests: u64 = self.answers().iter().map(|(_, _, count)| count).sum();
        requests + self.tcp.opened() + self.tcp.closed() + self.tcp.received_bytes() + self.tcp.sent_bytes()
    }

    /// Counts a connection as opened now and as closed once the answer is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> OpenConnection {
        self.tcp.opened.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }
}

impl OpenConnection {
    /// Counts bytes from the client to the server.
    pub(crate) fn received(&self, bytes: usize) {
        self.0.tcp.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes from the server to the client.
    pub(crate) fn sent(&self, bytes: usize) {
        self.0.tcp.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.tcp.closed.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tcp {
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }
}
