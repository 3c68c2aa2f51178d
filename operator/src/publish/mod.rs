//! What each sidecar is told, as watch channels that carry changes only, and what each has acknowledged.

mod ledger;
mod trust;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use ledger::{Ledger, Progress, StreamId};
pub use trust::{TrustLedger, TrustProgress};

use crate::{
    compile::{self, Mesh},
    index::Index,
    model::{Destination, Target},
};

/// Compiles each target once for all who ask for it, and again when something near it changes.
#[derive(Debug)]
pub struct Publisher {
    index: Arc<Index>,
    mesh: Mesh,
    topics: Mutex<HashMap<Target, watch::Sender<Arc<Destination>>>>,
}

impl Publisher {
    /// Publishes what `index` has seen.
    #[must_use]
    pub fn new(index: Arc<Index>, mesh: Mesh) -> Self {
        Self { index, mesh, topics: Mutex::default() }
    }

    /// The destination that `target` is now, and every later change of it. Dropping all receivers of a target ends the work
    /// for it.
    pub fn subscribe(&self, target: &Target) -> watch::Receiver<Arc<Destination>> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(target) {
            return topic.subscribe();
        }
        // Compiled under the lock: a change that comes in between is seen by the refresh that waits for it.
        let (sender, receiver) = watch::channel(Arc::new(self.compile(target)));
        topics.insert(target.clone(), sender);
        receiver
    }

    /// Follows the index until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut changes = self.index.changes();
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = shutdown.cancelled() => return,
            }
            self.refresh(&self.index.take_dirty());
        }
    }

    fn refresh(&self, dirty: &BTreeSet<String>) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.retain(|target, topic| {
            if topic.receiver_count() == 0 {
                return false;
            }
            if depends_on(target, &topic.borrow(), dirty) {
                let next = self.compile(target);
                topic.send_if_modified(|current| {
                    let changed = **current != next;
                    if changed {
                        *current = Arc::new(next);
                    }
                    changed
                });
            }
            true
        });
    }

    fn compile(&self, target: &Target) -> Destination {
        self.index.read(|snapshot| compile::destination(snapshot, &self.mesh, target))
    }
}

/// Whether a change in one of these namespaces may change the destination. A Service's backends and endpoints are of its own
/// namespace; an unknown address may become known in any.
fn depends_on(target: &Target, destination: &Destination, dirty: &BTreeSet<String>) -> bool {
    match destination {
        Destination::Service(port) => {
            dirty.contains(&port.service.namespace)
                // An address that moves to another Service leaves this one first, which is a change here.
                || matches!(target, Target::Authority { namespace, .. } if dirty.contains(namespace))
        }
        Destination::Pod(port) => port.endpoint.pod.as_ref().is_none_or(|pod| dirty.contains(&pod.namespace)),
        Destination::Unknown => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Port, Service, ServiceRef};

    fn name() -> ServiceRef {
        ServiceRef { namespace: "shop".to_owned(), name: "web".to_owned() }
    }

    fn service(port: u16) -> Service {
        Service {
            cluster_ips: vec!["10.0.0.1".parse().unwrap()],
            external: false,
            ports: vec![Port { name: String::new(), port: port.try_into().unwrap() }],
            opaque_ports: None,
        }
    }

    fn publisher() -> Publisher {
        let mesh = Mesh { cluster_domain: "cluster.local".to_owned(), trust_domain: "cluster.local".to_owned() };
        Publisher::new(Arc::new(Index::default()), mesh)
    }

    #[test]
    fn an_unknown_address_becomes_a_service_and_is_forgotten_again() {
        let publisher = publisher();
        let mut receiver = publisher.subscribe(&Target::Address("10.0.0.1:80".parse().unwrap()));
        assert_eq!(**receiver.borrow_and_update(), Destination::Unknown);

        publisher.index.change("shop", |snapshot| {
            snapshot.apply_service(name(), service(80));
            true
        });
        publisher.refresh(&publisher.index.take_dirty());
        assert!(receiver.has_changed().unwrap());
        assert!(matches!(&**receiver.borrow_and_update(), Destination::Service(port) if port.service == name()));

        publisher.index.change("shop", |snapshot| {
            snapshot.remove_service(&name());
            true
        });
        publisher.refresh(&publisher.index.take_dirty());
        assert_eq!(**receiver.borrow_and_update(), Destination::Unknown);
    }

    #[test]
    fn sends_nothing_when_nothing_changed() {
        let publisher = publisher();
        publisher.index.change("shop", |snapshot| {
            snapshot.apply_service(name(), service(80));
            true
        });
        let mut receiver = publisher.subscribe(&Target::Address("10.0.0.1:80".parse().unwrap()));
        receiver.borrow_and_update();
        publisher.refresh(&BTreeSet::from(["shop".to_owned()]));
        assert!(!receiver.has_changed().unwrap());
    }

    #[test]
    fn a_target_that_nobody_asks_for_is_dropped() {
        let publisher = publisher();
        drop(publisher.subscribe(&Target::Address("10.0.0.1:80".parse().unwrap())));
        publisher.refresh(&BTreeSet::new());
        assert!(publisher.topics.lock().unwrap().is_empty());
    }
}
