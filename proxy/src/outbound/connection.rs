//! A connection of the application, from its destination to the protocol on it.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::net::TcpStream;

use super::{Phases, tcp};
use crate::{
    accept::{Downstream, Drain, Handler, Looks, Protocol, sniff},
    engine::{Engine, describe},
    identity::Credentials,
    policy::{Entry, Policy, Store, Target},
    traffic::{Direction, Registry},
};

/// The pod, and how its application reads names of Services.
#[derive(Debug)]
pub(crate) struct Names {
    /// Of the pod.
    pub(crate) namespace: String,
    /// Of the pod.
    pub(crate) pod: String,
    /// Without a trailing dot.
    pub(crate) cluster_domain: String,
}

/// What the requests of one connection have in common.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) destination: SocketAddr,
    pub(crate) names: Arc<Names>,
    entry: ArcSwap<Entry>,
}

impl Connection {
    /// What is known about the destination now. Never waits: requests of a connection whose destination was not known in time are
    /// refused until the operator answers.
    pub(crate) fn policy(&self, store: &Store) -> Option<Policy> {
        let entry = self.entry.load();
        let Some(renewed) = store.renew(&entry) else { return entry.policy() };
        match renewed.policy() {
            // Until there is an answer again that can be read, the last one holds.
            unread @ (None | Some(Policy::Refused)) => entry.policy().or(unread),
            answer => {
                self.entry.store(renewed);
                answer
            }
        }
    }
}

/// Takes the application's connections.
pub(crate) struct Outbound {
    pub(crate) engine: Engine<Phases>,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) drain: Drain,
    pub(crate) names: Arc<Names>,
    /// Ports whose protocol is not looked at, whatever the operator says.
    pub(crate) opaque_ports: Arc<BTreeSet<u16>>,
}

impl Handler for Outbound {
    fn direction(&self) -> Direction {
        Direction::Outbound
    }

    async fn handle(&self, mut stream: TcpStream, destination: SocketAddr) {
        let in_flight = self.drain.enter();
        let entry = self.store.entry(&Target::Address(destination));
        let policy = match entry.policy() {
            Some(policy) => Some(policy),
            None => self.store.first_answer(&entry).await,
        };
        let opaque = self.opaque_ports.contains(&destination.port())
            || match &policy {
                Some(Policy::Service(service)) => service.opaque,
                Some(Policy::Pod(pod)) => pod.opaque,
                Some(Policy::Unknown) => true,
                Some(Policy::Refused) | None => false,
            };
        if opaque {
            tcp::forward(self, stream, Bytes::new(), destination, policy.as_ref()).await;
            return;
        }
        let sniffed = match sniff(&mut stream, Looks::Http).await {
            Ok(sniffed) => sniffed,
            Err(error) => {
                tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
                return;
            }
        };
        if matches!(sniffed.protocol, Protocol::Opaque | Protocol::Silent) {
            tcp::forward(self, stream, sniffed.first, destination, policy.as_ref()).await;
            return;
        }
        let connection = Connection { destination, names: self.names.clone(), entry: ArcSwap::new(entry) };
        match describe(connection) {
            Ok(about) => {
                let http2 = sniffed.protocol == Protocol::Http2;
                // From here on each request counts for itself, and an idle connection does not.
                drop(in_flight);
                self.engine.serve(Downstream::new(stream, sniffed.first, http2, about), &self.drain.watch()).await;
            }
            Err(error) => tracing::warn!(error = &*error as &dyn std::error::Error, "Could not serve a connection"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        sync::{mpsc, watch},
        time,
    };

    use super::*;
    use crate::policy::{Destination, Refusal, Stream};

    #[tokio::test(start_paused = true)]
    async fn the_last_answer_holds_until_there_is_another() {
        let (wanted, _requests) = mpsc::unbounded_channel();
        let (_connected, stream) = watch::channel(Stream::Connected);
        let store = Store::new(wanted, stream);
        let destination = SocketAddr::from(([10, 0, 0, 1], 80));
        let target = Target::Address(destination);
        let names = Names { namespace: "shop".to_owned(), pod: "web-1".to_owned(), cluster_domain: "local".to_owned() };
        let connection = Connection { destination, names: Arc::new(names), entry: ArcSwap::new(store.entry(&target)) };
        assert!(connection.policy(&store).is_none());
        store.apply(1, 1, &target, Destination::Unknown).unwrap();
        time::advance(Duration::from_secs(2)).await;
        assert_eq!(store.expire(Duration::from_secs(1)), [target]);
        for call in ["first", "second"] {
            assert!(connection.policy(&store).is_some(), "{call} call");
        }
        let reason = "no backend".to_owned();
        store.refuse(&Target::Address(destination), Refusal { version: 2, reason });
        assert!(matches!(connection.policy(&store), Some(Policy::Unknown)), "the next answer cannot be read");
    }
}
