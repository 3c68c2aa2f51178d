//! What the operator said about the destinations that the application uses, kept for requests to read.

mod destination;
pub(crate) mod live;
mod outlier;
mod store;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    destination::{Backend, Destination, Endpoint, Identity, PodPort, Service, ServiceName, Split, Workload},
    live::{Occupied, Policy, Seat, ServicePolicy},
    outlier::{Standing, left_out},
    store::{Applied, Entry, Refusal, Store, Stream},
    target::Target,
};
