//! What the operator said about the destinations that the application uses, kept for requests to read.

mod destination;
pub(crate) mod live;
mod outlier;
mod service;
mod store;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    destination::{
        Backend, ConditionalSplit, Destination, Endpoint, Identity, PodPort, Service, ServiceName, Split, Workload,
    },
    live::{Occupied, Policy, Seat},
    outlier::{Standing, left_out},
    service::{Choice, ServicePolicy, Shares},
    store::{Applied, Entry, Refusal, Store, Stream},
    target::Target,
};
