//! The side that the proxy accepts from: sockets, original destinations, protocol detection, drain.

mod bytes;
mod detect;
mod drain;
mod latecomer;
mod listen;
mod original;
mod own;
mod request_line;
mod stream;

pub(crate) use self::{
    bytes::{Socket, reset, splice},
    detect::{Looks, Protocol, Sniffed, Sniffer, sniff},
    drain::{Drain, Farewell, InFlight},
    latecomer::{LateRequest, Latecomer},
    listen::{Connections, Handler, accept},
    own::OwnAddresses,
    request_line::is_token,
    stream::Downstream,
};
pub use self::{
    listen::{BindError, bind},
    original::{Netfilter, OriginalDestination},
};
