//! The side that the proxy accepts from: sockets, original destinations, protocol detection, drain.

mod bytes;
mod detect;
mod drain;
mod listen;
mod original;
mod stream;

pub(crate) use self::{
    bytes::{Socket, reset, splice},
    detect::{Looks, Protocol, Sniffed, is_token, sniff},
    drain::{Drain, InFlight},
    listen::{Connections, Handler, accept},
    stream::Downstream,
};
pub use self::{
    listen::{BindError, bind},
    original::{Netfilter, OriginalDestination},
};
