//! What the operator says.

use std::net::SocketAddr;

use prost::Message;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use weft_proxy_api::v1::{self, operator_message::Message as Said};

use crate::{
    discovery::Bootstrap,
    identity::Trust,
    policy::{Applied, Destination, Policy, ServicePolicy, Store, Stream, Target},
    upstream::least_loaded,
};

/// Turns that are taken of each Service.
const TURNS: usize = 32;

/// The messages of one stream, each with its length before it: whatever they say, what is taken of them can be used, and what is
/// refused changes nothing.
pub fn configuration(mut bytes: &[u8]) {
    let (wanted, _requests) = mpsc::unbounded_channel();
    let (_connected, stream) = watch::channel(Stream::Disconnected { since: Instant::now() });
    let store = Store::new(wanted, stream);
    let mut number = 0;
    while let Ok(message) = v1::OperatorMessage::decode_length_delimited(&mut bytes) {
        number += 1;
        match message.message {
            Some(Said::Bootstrap(bootstrap)) => drop(Bootstrap::try_from(bootstrap)),
            Some(Said::Update(update)) => apply(&store, number, update),
            Some(Said::Trust(trust)) => drop(Trust::try_from(trust)),
            None => {}
        }
    }
}

fn apply(store: &Store, stream: u64, update: v1::Update) {
    let Ok(target) = Target::try_from(update.target.unwrap_or_default()) else { return };
    assert_eq!(Target::try_from(v1::Target::from(&target)).as_ref(), Ok(&target), "a target changes on its way back");
    let entry = store.entry(&target);
    let Ok(destination) = Destination::try_from(update.destination) else { return };
    // What was decoded is taken: nothing is left for the store to find wrong.
    let applied = store.apply(stream, update.version, &target, destination.clone()).expect("decoded, but not applied");
    assert_eq!(applied, Applied::Taken);
    let again = store.apply(stream, update.version, &target, destination).expect("decoded, but not applied");
    assert_eq!(again, Applied::Outdated, "an update is taken twice");
    assert_eq!(entry.version(), Some(update.version));
    if let Some(Policy::Service(service)) = entry.policy() {
        use_all_of(&service);
    }
}

/// Has the Service's backends take turns, and tries all endpoints of each.
fn use_all_of(service: &ServicePolicy) {
    for shares in service.all_shares().flat_map(|shares| std::iter::repeat_n(shares, TURNS)) {
        let backend = &shares.backends[shares.take_turn()];
        assert!(backend.weight > 0, "{} has no weight and a turn", backend.name);
        let mut tried: Vec<SocketAddr> = Vec::new();
        while let Some(seat) = least_loaded(&backend.seats, &tried) {
            assert!(!tried.contains(&seat.endpoint.address), "{} is tried twice", seat.endpoint.address);
            tried.push(seat.endpoint.address);
        }
        let left = backend.seats.iter().find(|seat| !tried.contains(&seat.endpoint.address));
        assert!(left.is_none(), "{left:?} is never tried");
    }
}
