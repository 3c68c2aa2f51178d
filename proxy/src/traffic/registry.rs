//! All edges of the process, and what became of none.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    Edge, EdgeKey, Errors,
    histogram::{Bounds, default_bounds},
};

/// All edges of the process, in the order in which they were first used, and totals of errors.
///
/// An edge is never taken out: a total that started again from zero would look like traffic that went away. A proxy meets a
/// new edge for each new pod that it talks to, at a cost of about 2 KB.
#[derive(Debug)]
pub(crate) struct Registry {
    edges: RwLock<Edges>,
    /// Beside the edges, because what was refused often never got as far as one.
    pub(crate) errors: Errors,
}

#[derive(Debug)]
struct Edges {
    by_key: HashMap<EdgeKey, Arc<Edge>>,
    in_order: Vec<Arc<Edge>>,
    bounds: Bounds,
}

impl Default for Registry {
    fn default() -> Self {
        let edges = Edges { by_key: HashMap::new(), in_order: Vec::new(), bounds: default_bounds() };
        Self { edges: RwLock::new(edges), errors: Errors::default() }
    }
}

impl Registry {
    /// The edge of `key`. Takes a lock and hashes names: who uses an edge often keeps it.
    pub(crate) fn edge(&self, key: EdgeKey) -> Arc<Edge> {
        if let Some(edge) = self.edges.read().unwrap_or_else(PoisonError::into_inner).by_key.get(&key) {
            return edge.clone();
        }
        let mut edges = self.edges.write().unwrap_or_else(PoisonError::into_inner);
        let Edges { by_key, in_order, bounds } = &mut *edges;
        let edge = by_key.entry(key).or_insert_with_key(|key| {
            let edge = Arc::new(Edge::new(key.clone(), bounds.clone()));
            in_order.push(edge.clone());
            edge
        });
        edge.clone()
    }

    /// The edge of `key`, if there was anything on it yet.
    pub(crate) fn find(&self, key: &EdgeKey) -> Option<Arc<Edge>> {
        self.edges.read().unwrap_or_else(PoisonError::into_inner).by_key.get(key).cloned()
    }

    /// Counts latencies by other bounds from now on.
    pub(crate) fn set_bounds(&self, bounds: &Bounds) {
        let mut edges = self.edges.write().unwrap_or_else(PoisonError::into_inner);
        edges.bounds = bounds.clone();
        for edge in &edges.in_order {
            edge.latencies.set_bounds(bounds);
        }
    }

    /// All edges, in the order in which they were first used.
    pub(crate) fn edges(&self) -> Vec<Arc<Edge>> {
        self.edges.read().unwrap_or_else(PoisonError::into_inner).in_order.clone()
    }
}
